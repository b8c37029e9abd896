/** For tests of what needs no timer: it goes on by itself, or waits for ever. @module */

/** More than anything takes that needs neither a timer nor another event. */
const TURNS = 20;

/** Lets all work that needs no timer come to its end. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) await new Promise((next) => setImmediate(next));
}

/** Fails at once where a test would wait until its time limit.
 * @returns what becomes of `promise`. @throws when nothing has, though all that could go on by
 * itself has gone on. */
export function withoutWaiting<T>(promise: T | Promise<T>): Promise<T> {
  return Promise.race([promise, failLater()]);
}

async function failLater(): Promise<never> {
  await settle();
  throw new Error('it waits, and nothing happens any more');
}
