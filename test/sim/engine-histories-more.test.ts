/** Three times as many histories as in engine-histories.test.ts, in a process of their own, so that
 * two cores share the simulations. @module */
import { describe, it } from 'vitest';
import { HISTORIES, playHistories } from '../support/engine-suite.ts';
import { scaled, scaledTimeoutMs, seedNote } from '../support/sim-runs.ts';

describe(`an engine that dies and starts again, once more (${seedNote})`, () => {
  it.each([1, 2, 3])(
    'keeps its promises in other histories (part %i)',
    { timeout: scaledTimeoutMs() },
    async (part) => {
      await playHistories(part * HISTORIES, scaled(HISTORIES));
    },
  );
});
