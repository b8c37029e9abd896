/** Collects the operators of one pipeline while its function runs; sealed afterwards.
 *
 * Gives ids: `<kind>-<n>`, n counting the operators of that kind in order of creation, or the
 * user's own. A user's own id does not shift the numbers of the others.
 * State: open → sealed.
 * @module */
import { MillraceError } from '../core/errors.ts';
import { Graph } from './graph.ts';
import type { GraphNode, NodeOptions, OperatorKind, UserFunction } from './graph.ts';

/** What is asked for; the builder completes it. */
export interface NodeRequest {
  readonly kind: OperatorKind;
  readonly parents: readonly string[];
  readonly id: string | undefined;
  readonly options?: NodeOptions;
  readonly fn?: UserFunction;
  readonly batches?: GraphNode['batches'];
  readonly initialState?: GraphNode['initialState'];
}

/** Ids stand in file names, in shuffle ids before a `:` and in block ids before a `/`. */
const ID_PATTERN = /^[A-Za-z0-9._-]{1,128}$/;

export class GraphBuilder {
  readonly #pipelineName: string;
  readonly #nodes = new Map<string, GraphNode>();
  readonly #counts = new Map<OperatorKind, number>();
  #isSealed = false;

  constructor(pipelineName: string) {
    this.#pipelineName = pipelineName;
  }

  /** @returns the id of the new operator.
   * @throws {MillraceError} CONTEXT_STATE after `seal`, PIPELINE_INVALID for a bad or taken id. */
  add(request: NodeRequest): string {
    const { kind, parents, options = {}, fn, batches, initialState } = request;
    if (this.#isSealed) {
      throw new MillraceError(
        'CONTEXT_STATE',
        `pipeline ${this.#pipelineName}: ${kind} was called after the graph was built; ` +
          'add operators only while the function given to definePipeline runs',
      );
    }
    const id = this.#idFor(kind, request.id);
    this.#nodes.set(
      id,
      Object.freeze({
        id,
        kind,
        parents: Object.freeze([...parents]),
        options: Object.freeze({ ...options }),
        ...(fn === undefined ? {} : { fn }),
        ...(batches === undefined ? {} : { batches }),
        ...(initialState === undefined ? {} : { initialState }),
      }),
    );
    return id;
  }

  /** The finished graph; nothing can be added any more. */
  seal(): Graph {
    this.#isSealed = true;
    return new Graph(Object.freeze([...this.#nodes.values()]));
  }

  #idFor(kind: OperatorKind, given: string | undefined): string {
    const n = this.#counts.get(kind) ?? 0;
    this.#counts.set(kind, n + 1);
    const id = given ?? `${kind}-${n}`;
    if (typeof id !== 'string' || !ID_PATTERN.test(id)) {
      throw new MillraceError(
        'PIPELINE_INVALID',
        `pipeline ${this.#pipelineName}: ${JSON.stringify(id)} cannot be the id of ${kind}: ` +
          'use 1 to 128 letters, digits, dots, dashes and underscores',
      );
    }
    if (this.#nodes.has(id)) {
      throw new MillraceError(
        'PIPELINE_INVALID',
        `pipeline ${this.#pipelineName}: two operators have the id ${id}: give one of them another`,
      );
    }
    return id;
  }
}
