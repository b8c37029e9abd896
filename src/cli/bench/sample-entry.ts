/** The inside of a process in which one sample is taken: gets its task as a message, answers, ends.
 *
 * Whoever started it ends it when a signal comes: a terminal sends SIGINT and SIGHUP to both. It
 * ends by itself when nobody is left to hear the answer. @module */
import { toWireError } from '../../serde/wire-error.ts';
import type { WireError } from '../../serde/wire-error.ts';

export type SampleAnswer<S> =
  | { readonly kind: 'measured'; readonly sample: S }
  | { readonly kind: 'failed'; readonly error: WireError };

/** Any number of notices, then an answer. */
export type SampleMessage<S> =
  | SampleAnswer<S>
  | {
      readonly kind: 'notice';
      /** For the user, one line. */
      readonly text: string;
    };

/** Call once, when the module of the process is loaded. @param measure may tell notices. */
export function answerTask<T, S>(
  measure: (task: T, tell: (text: string) => void) => Promise<S>,
): void {
  const tell = (text: string): void => {
    process.send?.({ kind: 'notice', text } satisfies SampleMessage<S>);
  };

  for (const name of ['SIGINT', 'SIGHUP']) process.on(name, () => undefined);
  process.on('disconnect', () => process.exit(1));
  process.once('message', (task) => {
    void answer(() => measure(task as T, tell));
  });
}

async function answer<S>(measure: () => Promise<S>): Promise<void> {
  let found: SampleAnswer<S>;
  try {
    found = { kind: 'measured', sample: await measure() };
  } catch (error) {
    found = { kind: 'failed', error: toWireError(error) };
  }
  process.send?.(found, undefined, undefined, () => process.exit(0));
}
