/** The second half of the histories of engine-histories.test.ts, in a process of its own, so that two
 * cores share them. @module */
import { describe, it } from 'vitest';
import { HISTORIES, playHistories } from '../support/engine-suite.ts';
import { scaled, scaledTimeoutMs, seedNote } from '../support/sim-runs.ts';

describe(`an engine that dies and starts again, once more (${seedNote})`, () => {
  it('keeps its promises in other histories', { timeout: scaledTimeoutMs() }, async () => {
    await playHistories(HISTORIES, scaled(HISTORIES));
  });
});
