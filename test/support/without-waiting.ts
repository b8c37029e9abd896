/** For tests of what could wait for ever: they fail at once, and not at their time limit. @module */

/** More than anything takes that needs neither a timer nor another event. */
const TURNS = 20;

/** @returns what becomes of `promise`. @throws when nothing has, though all that could go on by
 * itself has gone on. */
export function withoutWaiting<T>(promise: T | Promise<T>): Promise<T> {
  return Promise.race([promise, failLater()]);
}

async function failLater(): Promise<never> {
  for (let turn = 0; turn < TURNS; turn += 1) await new Promise((next) => setImmediate(next));
  throw new Error('it waits, and nothing happens any more');
}
