/** The second half of the random scripts of wal-durability.test.ts, in a process of its own, so that
 * two cores share them. @module */
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { scaled, scaledTimeoutMs, seedNote, simSeed } from '../support/sim-runs.ts';
import { playScript, walScript } from '../support/wal-script.ts';

const RUNS = 10_000;

describe(`the log under crashes, once more (${seedNote})`, () => {
  it('keeps its promises under other scripts', { timeout: scaledTimeoutMs() }, async () => {
    await fc.assert(
      fc.asyncProperty(walScript, (given) => playScript(given)),
      { seed: simSeed + 1, numRuns: scaled(RUNS) },
    );
  });
});
