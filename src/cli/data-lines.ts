/** Lines of data on their way to standard output: those of one turn of the event loop are written
 * by one call. What `print` writes of a batch is six lines or more, and each call of the system
 * costs the driver as much as making some dozen lines.
 *
 * Written in the microtask after the first line, so before anything that waits for the output goes
 * on: a batch is not done before its lines are with the system.
 * @module */

/** Past so many UTF-16 units they are written at once. */
const PENDING_LENGTH_MAX = 64 * 1024;

/** @param write writes whole lines. @returns a function that takes a line without its newline. */
export function dataLines(write: (text: string) => void): (line: string) => void {
  let pending = '';
  const flush = (): void => {
    const text = pending;
    pending = '';
    if (text !== '') write(text);
  };
  return (line) => {
    if (pending === '') void Promise.resolve().then(flush);
    pending += `${line}\n`;
    if (pending.length > PENDING_LENGTH_MAX) flush();
  };
}
