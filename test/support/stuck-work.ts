/** Work on a simulated disk that waits for something that only time brings, or another hand.
 * @module */
import type { SimDisk } from '../../src/testing/sim-disk.ts';

export const STUCK: unique symbol = Symbol('stuck');

/** More than any test lets pass without a call of the disk while it works. */
const QUIET_TURNS = 40;

/** Waits for `work`, or until the disk has had no call for so many turns of the event loop that
 * none will come: calls of a simulated disk settle in the turn in which they are made. */
export async function orStuck<T>(work: Promise<T>, disk: SimDisk): Promise<T | typeof STUCK> {
  const ended = work.then(
    () => true,
    () => true,
  );
  let calls = disk.counts.any;
  for (let quiet = 0; quiet < QUIET_TURNS; quiet += 1) {
    if (await Promise.race([ended, oneTurn()])) return work;
    if (disk.counts.any !== calls) quiet = 0;
    calls = disk.counts.any;
  }
  return STUCK;
}

function oneTurn(): Promise<false> {
  return new Promise((resolve) => setImmediate(() => resolve(false)));
}
