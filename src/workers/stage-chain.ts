/** The fused narrow operators of a task: one closure per operator, each calling the next.
 *
 *   leaf ──push──► map ──► filter ──► mapPartitions (gathers) ──► stage end
 *                                          ▲ end(): no more records
 *
 * No array of records is built between operators, except by those that need their whole partition.
 * Synchronous throughout. Hot: a record costs one call per operator.
 * @module */
import { assert, present } from '../core/assert.ts';
import { roleOf } from '../dstream/graph.ts';
import type { GraphNode, KindOf } from '../dstream/graph.ts';
import { OperatorFailure, refusePromise } from './stage-failure.ts';
import type { Push } from './task-environment.ts';

export interface Chain {
  readonly push: Push;
  /** To be called once, after the last record. */
  end(): void;
}

/** Makes an operator's closure. `onEnd` registers what it still has to push at the end. */
type Compile = (node: GraphNode, next: Push, onEnd: (end: () => void) => void) => Push;

/** @param nodes narrow operators, from the leaf to the stage's end. */
export function compileChain(nodes: readonly GraphNode[], last: Push): Chain {
  const ends: (() => void)[] = [];
  // Built from the end; the ends run from the leaf on, because each may push to those after it.
  const push = nodes.reduceRight<Push>(
    (next, node) => compilerOf(node)(node, next, (end) => ends.unshift(end)),
    last,
  );
  return {
    push,
    end() {
      for (const end of ends) end();
    },
  };
}

function compilerOf({ id, kind }: GraphNode): Compile {
  assert(roleOf(kind) === 'narrow', `${id} cannot be fused`);
  return NARROW[kind as KindOf<'narrow'>];
}

const NARROW: Readonly<Record<KindOf<'narrow'>, Compile>> = {
  map(node, next) {
    const { id } = node;
    const f = functionOf<(record: unknown) => unknown>(node);
    return (record) => {
      let result: unknown;
      try {
        result = f(record);
      } catch (error) {
        throw new OperatorFailure(id, error);
      }
      if (typeof result === 'object' && result !== null) refusePromise(id, result);
      next(result);
    };
  },

  mapToPair(node, next) {
    const { id } = node;
    const f = functionOf<(record: unknown) => unknown>(node);
    return (record) => {
      let pair: unknown;
      try {
        pair = f(record);
      } catch (error) {
        throw new OperatorFailure(id, error);
      }
      next(pairOf(id, pair));
    };
  },

  keyBy(node, next) {
    const { id } = node;
    const f = functionOf<(record: unknown) => unknown>(node);
    return (record) => {
      let key: unknown;
      try {
        key = f(record);
      } catch (error) {
        throw new OperatorFailure(id, error);
      }
      if (typeof key === 'object' && key !== null) refusePromise(id, key);
      next([key, record]);
    };
  },

  mapValues(node, next) {
    const { id } = node;
    const f = functionOf<(value: unknown) => unknown>(node);
    return (record) => {
      const pair = pairOf(id, record);
      let value: unknown;
      try {
        value = f(pair[1]);
      } catch (error) {
        throw new OperatorFailure(id, error);
      }
      if (typeof value === 'object' && value !== null) refusePromise(id, value);
      next([pair[0], value]);
    };
  },

  filter(node, next) {
    const { id } = node;
    const f = functionOf<(record: unknown) => unknown>(node);
    return (record) => {
      let keeps: unknown;
      try {
        keeps = f(record);
      } catch (error) {
        throw new OperatorFailure(id, error);
      }
      if (keeps === true) next(record);
      else if (keeps !== false) refuseNonBoolean(id, keeps);
    };
  },

  flatMap(node, next) {
    const { id } = node;
    const f = functionOf<(record: unknown) => unknown>(node);
    return (record) => {
      let results: unknown;
      try {
        results = f(record);
      } catch (error) {
        throw new OperatorFailure(id, error);
      }
      pushEach(id, results, next);
    };
  },

  flatMapValues(node, next) {
    const { id } = node;
    const f = functionOf<(value: unknown) => unknown>(node);
    return (record) => {
      const pair = pairOf(id, record);
      let results: unknown;
      try {
        results = f(pair[1]);
      } catch (error) {
        throw new OperatorFailure(id, error);
      }
      pushEach(id, results, (result) => next([pair[0], result]));
    };
  },

  mapPartitions(node, next, onEnd) {
    const { id } = node;
    const f = functionOf<(records: Iterable<unknown>) => unknown>(node);
    return gathered(onEnd, (records) => {
      let results: unknown;
      try {
        results = f(records);
      } catch (error) {
        throw new OperatorFailure(id, error);
      }
      pushEach(id, results, next);
    });
  },

  glom: (_node, next, onEnd) => gathered(onEnd, next),
};

function gathered(onEnd: (end: () => void) => void, use: (records: unknown[]) => void): Push {
  const records: unknown[] = [];
  onEnd(() => use(records));
  return (record) => {
    records.push(record);
  };
}

/** The function of a node whose kind says what shape it has.
 * @param name of an operator with several functions. */
export function functionOf<F extends (...args: never[]) => unknown>(
  node: GraphNode,
  name?: string,
): F {
  const fn = name === undefined ? node.fn : node.fns?.[name];
  return present(fn, `the function ${name ?? ''} of ${node.id}`) as F;
}

/** A record as a pair. @throws {OperatorFailure} when it is none, naming the operator. */
export function pairOf(operatorId: string, record: unknown): readonly [unknown, unknown] {
  if (Array.isArray(record) && record.length === 2) return record as [unknown, unknown];
  if (typeof record === 'object' && record !== null) refusePromise(operatorId, record);
  throw new OperatorFailure(
    operatorId,
    new TypeError(`a [key, value] pair is needed, but the record is ${shapeOf(record)}`),
  );
}

function shapeOf(record: unknown): string {
  if (Array.isArray(record)) return `an array of ${record.length}`;
  return record === null ? 'null' : `of type ${typeof record}`;
}

/** For what a filter returned. @throws {OperatorFailure} */
export function refuseNonBoolean(id: string, value: unknown): never {
  if (typeof value === 'object' && value !== null) refusePromise(id, value);
  throw new OperatorFailure(
    id,
    new TypeError(`the function must return true or false, but returned ${shapeOf(value)}`),
  );
}

/** Pushes what a user's function yielded. */
function pushEach(id: string, results: unknown, next: Push): void {
  if (Array.isArray(results)) {
    for (let i = 0; i < results.length; i += 1) next(results[i]);
    return;
  }
  for (const result of guarded(id, results)) next(result);
}

/** Iterates a user's iterable. Failures of the iteration are the operator's, failures of what is
 * done with each result are not: those only close the iterator. */
function* guarded(id: string, results: unknown): Iterable<unknown> {
  if (typeof results === 'object' && results !== null) refusePromise(id, results);
  if (!isIterable(results)) {
    throw new OperatorFailure(
      id,
      new TypeError(`the function must return an iterable, but returned ${shapeOf(results)}`),
    );
  }
  try {
    yield* results;
  } catch (error) {
    throw new OperatorFailure(id, error);
  }
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return (
    typeof value === 'string' ||
    (typeof value === 'object' && value !== null && Symbol.iterator in value)
  );
}
