/** The end of a task that changes keyed state: calls the user's function, and writes what changed.
 *
 *     pairs ──push──► cells of touched keys ──finish──► keys that time out ──► delta, output
 *
 * Reads the state as it was after the batch before and changes nothing there, so that a retried
 * task gives the same. Costs as much as it has records, touched keys and timers that are due.
 * Mirrors Spark's MapWithStateRDDRecord, but for timeouts: they fire in the batch where they are
 * due.
 * @module */
import { inspect } from 'node:util';
import { isSliding } from '../dstream/graph.ts';
import type { GraphNode } from '../dstream/graph.ts';
import type { StateUpdateAction, TaskSpec } from '../dstream/task-spec.ts';
import { PieceWriter } from './shuffle-piece.ts';
import { combinerOf } from './shuffle-map.ts';
import { functionOf, pairOf, refuseNonBoolean } from './stage-chain.ts';
import { OperatorFailure, refusePromise } from './stage-failure.ts';
import { deduplicating } from './state-dedupe.ts';
import { StateTask } from './state-task.ts';
import { TouchedState } from './touched-state.ts';
import type { Cell } from './touched-state.ts';
import type { Push, StageEnd, TaskEnvironment } from './task-environment.ts';

export function openStateUpdate(
  action: StateUpdateAction,
  spec: TaskSpec,
  env: TaskEnvironment,
): StageEnd {
  const node = env.graph.node(action.operatorId);
  const task = new StateTask(node, { action, spec, env });
  if (isSliding(node.kind)) return sliding(task);
  if (node.kind === 'dedupeBy') return deduplicating(task);
  return node.kind === 'updateStateByKey' ? updating(task) : mapping(task);
}

/** A window that moves: each record has a key, what leaves for it and what enters. */
function sliding(task: StateTask): StageEnd {
  const { id, fns } = task.node;
  const combine = combinerOf(task.node);
  const inverse = combinerOf(task.node, 'inverse');
  const isKept = fns?.['filter'] === undefined ? () => true : filterOf(task.node);
  return {
    push(record) {
      const [key, [leaving, entering]] = record as WindowRecord;
      const keyNumber = task.touched.touch(key);
      const cell = task.load(keyNumber);
      let { exists, value } = cell;
      if (leaving.length > 0) {
        if (!exists) throw new OperatorFailure(id, nothingToLeave(key));
        value = inverse(value, leaving[0]);
      }
      if (entering.length > 0) value = exists ? combine(value, entering[0]) : entering[0];
      exists = isKept(key, value);
      task.save(keyNumber, { ...cell, exists, value, isChanged: true }, false);
    },
    finish: () => task.finish(undefined),
  };
}

type WindowRecord = readonly [
  key: unknown,
  change: readonly [leaving: readonly unknown[], entering: readonly unknown[]],
];

function filterOf(node: GraphNode): (key: unknown, value: unknown) => boolean {
  const { id } = node;
  const filter = functionOf<(pair: readonly [unknown, unknown]) => unknown>(node, 'filter');
  return (key, value) => {
    let keeps: unknown;
    try {
      keeps = filter([key, value]);
    } catch (error) {
      throw new OperatorFailure(id, error);
    }
    return keeps === true || (keeps !== false && refuseNonBoolean(id, keeps));
  };
}

function nothingToLeave(key: unknown): Error {
  return new Error(
    `a value of the key ${inspect(key, { depth: 2, breakLength: Infinity })} leaves the window, ` +
      'and the window holds nothing for this key: its filter may drop a key only when all of ' +
      'its values have left',
  );
}

function updating(task: StateTask): StageEnd {
  const { id } = task.node;
  const f = functionOf<(values: unknown[], state: unknown) => unknown>(task.node);
  /** By the number of the key. */
  const groups: unknown[][] = [];
  return {
    push(record) {
      const pair = pairOf(id, record);
      const keyNumber = task.touched.touch(pair[0]);
      const group = groups[keyNumber];
      if (group === undefined) groups.push([pair[1]]);
      else group.push(pair[1]);
    },
    finish() {
      for (const [keyNumber, values] of groups.entries()) {
        const cell = task.load(keyNumber);
        let state: unknown;
        try {
          state = f(values, cell.value);
        } catch (error) {
          throw new OperatorFailure(id, error);
        }
        if (typeof state === 'object' && state !== null) refusePromise(id, state);
        cell.exists = state !== undefined;
        cell.value = state;
        cell.isChanged = true;
        task.save(keyNumber, cell, false);
      }
      return task.finish(undefined);
    },
  };
}

function mapping(task: StateTask): StageEnd {
  const { id } = task.node;
  /** By the number of the key. */
  const cells: Cell[] = [];
  const output = isRead(task) ? new PieceWriter(task.env.codec) : undefined;
  const state = new TouchedState();
  const call = calling(task.node, state, (record) => output?.add(record));
  return {
    push(record) {
      const pair = pairOf(id, record);
      const keyNumber = task.touched.touch(pair[0]);
      let cell = cells[keyNumber];
      if (cell === undefined) {
        cell = task.load(keyNumber);
        cells.push(cell);
      }
      state.begin(cell);
      call(pair[0], pair[1]);
    },
    finish() {
      const { isTimed } = task;
      for (const [keyNumber, cell] of cells.entries()) task.save(keyNumber, cell, isTimed);
      task.expire((address) => {
        state.beginTimeout(task.loadAt(address));
        call(task.env.codec.unpack(task.reader.keyOf(address)), undefined);
      });
      return task.finish(output);
    },
  };
}

/** Whether anybody reads more of the operator than its state. */
function isRead({ node, env }: StateTask): boolean {
  return env.graph.nodes.some(
    ({ kind, parents }) => kind !== 'stateSnapshots' && parents.includes(node.id),
  );
}

function calling(
  node: GraphNode,
  state: TouchedState,
  push: Push,
): (key: unknown, value: unknown) => void {
  const { id } = node;
  const f = functionOf<(key: unknown, value: unknown, state: TouchedState) => unknown>(node);
  return (key, value) => {
    let result: unknown;
    try {
      result = f(key, value, state);
    } catch (error) {
      throw new OperatorFailure(id, error);
    } finally {
      state.end();
    }
    if (typeof result === 'object' && result !== null) refusePromise(id, result);
    if (result !== undefined) push(result);
  };
}
