/** Collects the operators of one pipeline while its function runs; sealed afterwards.
 *
 * Gives ids: `<kind>-<n>`, n counting the operators of that kind in order of creation, or the
 * user's own. A user's own id does not shift the numbers of the others.
 * State: open → sealed.
 * @module */
import { present } from '../core/assert.ts';
import { MillraceError } from '../core/errors.ts';
import { Graph, roleOf } from './graph.ts';
import type { GraphNode, NodeOptions, OperatorKind, OperatorRole, UserFunction } from './graph.ts';

/** What is asked for; the builder completes it. */
export interface NodeRequest {
  readonly kind: OperatorKind;
  readonly parents: readonly string[];
  readonly id: string | undefined;
  /** Instead: an id that `reserveId` gave, or one made from it. */
  readonly reservedId?: string;
  readonly options?: NodeOptions;
  readonly fn?: UserFunction | undefined;
  readonly fns?: GraphNode['fns'];
  readonly batches?: GraphNode['batches'];
  readonly sink?: GraphNode['sink'];
  readonly initialState?: GraphNode['initialState'];
}

/** Behind the id of an operator that is several: the one of them that has its window. */
export const WINDOW_SUFFIX = '.window';

/** Operators whose result for a batch depends on that batch alone. */
const STATELESS_ROLES: ReadonlySet<OperatorRole> = new Set(['narrow', 'union', 'shuffle']);

/** Ids stand in file names, in shuffle ids before a `:` and in block ids before a `/`. */
const ID_PATTERN = /^[A-Za-z0-9._-]{1,128}$/;

export class GraphBuilder {
  readonly #pipelineName: string;
  readonly #nodes = new Map<string, GraphNode>();
  readonly #counts = new Map<string, number>();
  /** Given here, and not by the user. */
  readonly #placedIds = new Set<string>();
  #isSealed = false;
  /** The operator whose function adds operators now. */
  #transforming: string | undefined;

  constructor(pipelineName: string) {
    this.#pipelineName = pipelineName;
  }

  /** @returns the id of the new operator.
   * @throws {MillraceError} CONTEXT_STATE after `seal`, PIPELINE_INVALID for a bad or taken id. */
  add(request: NodeRequest): string {
    const { kind, parents, options = {}, fn, fns, batches, sink, initialState } = request;
    if (this.#isSealed) {
      throw new MillraceError(
        'CONTEXT_STATE',
        `pipeline ${this.#pipelineName}: ${kind} was called after the graph was built; ` +
          'add operators only while the function given to definePipeline runs',
      );
    }
    this.#refuseInTransform(kind);
    const id = request.reservedId ?? this.reserveId(kind, request.id);
    this.#refuseTaken(id);
    // Parts of an operator have its id with a suffix.
    const isPlaced = this.#placedIds.has(id.split('.', 1)[0] ?? id);
    this.#nodes.set(
      id,
      Object.freeze({
        id,
        kind,
        parents: Object.freeze([...parents]),
        options: Object.freeze({ ...options }),
        ...(fn === undefined ? {} : { fn }),
        ...(fns === undefined ? {} : { fns: Object.freeze({ ...fns }) }),
        ...(batches === undefined ? {} : { batches }),
        ...(sink === undefined ? {} : { sink }),
        ...(initialState === undefined ? {} : { initialState }),
        ...(isPlaced ? { isPlaced } : {}),
      }),
    );
    return id;
  }

  /** Says how often state is to be kept, of the operator that makes a stream. A stream without
   * state has nothing to keep: the interval is only checked. @throws {MillraceError} CONTEXT_STATE
   * after `seal`. */
  setCheckpoint(streamId: string, checkpointMs: number): void {
    const node = this.#stateOf(streamId);
    if (this.#isSealed) {
      throw new MillraceError(
        'CONTEXT_STATE',
        `pipeline ${this.#pipelineName}: checkpoint of ${streamId} was called after the graph ` +
          'was built; call it while the function given to definePipeline runs',
      );
    }
    const options = Object.freeze({ ...node.options, checkpointMs });
    this.#nodes.set(node.id, Object.freeze({ ...node, options }));
  }

  /** The operator whose state a stream is: itself, or one that it is a view of or a part of. */
  #stateOf(streamId: string): GraphNode {
    const node = present(this.#nodes.get(streamId), `operator ${streamId}`);
    if (roleOf(node.kind) === 'view') return this.#stateOf(present(node.parents[0], 'a parent'));
    const inner = this.#nodes.get(`${streamId}${WINDOW_SUFFIX}`);
    return inner !== undefined && roleOf(inner.kind) === 'state' ? inner : node;
  }

  /** Runs a function that may add stateless operators only.
   * @param caller whose function it is, for messages. */
  transforming<R>(caller: string, build: () => R): R {
    const outer = this.#transforming;
    this.#transforming = caller;
    try {
      return build();
    } finally {
      this.#transforming = outer;
    }
  }

  /** The finished graph; nothing can be added any more. */
  seal(): Graph {
    this.#isSealed = true;
    return new Graph(Object.freeze([...this.#nodes.values()]));
  }

  #refuseInTransform(kind: OperatorKind): void {
    const caller = this.#transforming;
    if (caller === undefined || STATELESS_ROLES.has(roleOf(kind))) return;
    throw new MillraceError(
      'PIPELINE_INVALID',
      `pipeline ${this.#pipelineName}: ${kind} was called inside the function given to ` +
        `${caller}, which may use stateless operators only; call it on the result instead`,
    );
  }

  /** The id of an operator that is added later, from other operators.
   * @param name what the number in it counts. @throws {MillraceError} PIPELINE_INVALID. */
  reserveId(name: string, given: string | undefined): string {
    const n = this.#counts.get(name) ?? 0;
    this.#counts.set(name, n + 1);
    const id = given ?? `${name}-${n}`;
    if (given === undefined) this.#placedIds.add(id);
    if (typeof id !== 'string' || !ID_PATTERN.test(id)) {
      throw new MillraceError(
        'PIPELINE_INVALID',
        `pipeline ${this.#pipelineName}: ${JSON.stringify(id)} cannot be the id of ${name}: ` +
          'use 1 to 128 letters, digits, dots, dashes and underscores',
      );
    }
    return id;
  }

  #refuseTaken(id: string): void {
    if (!this.#nodes.has(id)) return;
    throw new MillraceError(
      'PIPELINE_INVALID',
      `pipeline ${this.#pipelineName}: two operators have the id ${id}: give one of them another`,
    );
  }
}
