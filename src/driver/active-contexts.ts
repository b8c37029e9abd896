/** Which contexts are active in this process: from the call of `start` until everything of theirs
 * is closed. One at a time, unless those that come later say that they may run beside it: signals,
 * standard output, memory and cores are the process's, not a context's.
 * @module */
import { MillraceError } from '../core/errors.ts';

export interface ActiveContext {
  /** The pipeline and its directory, for messages. */
  readonly description: string;
}

export class ActiveContexts<C extends ActiveContext> {
  readonly #contexts = new Set<C>();

  /** The one that has been active longest. */
  get first(): C | undefined {
    const [first] = this.#contexts;
    return first;
  }

  /** @param mayShare it may run beside others. @throws {MillraceError} CONTEXT_STATE. */
  enter(context: C, mayShare: boolean): void {
    const { first } = this;
    if (first !== undefined && !mayShare) {
      throw new MillraceError(
        'CONTEXT_STATE',
        `start() is not possible: ${first.description} is active in this process, and a process ` +
          'has one active context. Stop that one first (StreamingContext.getActive()), run this ' +
          'one in a process of its own, or open it with { allowOtherContexts: true }',
      );
    }
    this.#contexts.add(context);
  }

  leave(context: C): void {
    this.#contexts.delete(context);
  }
}
