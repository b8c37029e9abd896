/** The whole engine on one thread, from one seed: driver, receivers, tasks, logs and checkpoints over
 * a simulated disk, killed, cut off, starved and started again, until a run comes to its end. Then
 * every record is where it was promised to be. MILLRACE_SEED=n begins with the history n, so a
 * failing one is the first of its replay. @module */
import { describe, expect, it } from 'vitest';
import { EngineHistory } from '../support/engine-history.ts';
import { HISTORIES, playHistories } from '../support/engine-suite.ts';
import type { Tally } from '../support/engine-suite.ts';
import { scaled, scaledTimeoutMs, seedNote, simSeed } from '../support/sim-runs.ts';

/** Something of each kind has to happen, or the histories show less than they claim. */
const HAS_TO_HAPPEN = [
  'kill',
  'power cut',
  'kill at',
  'power cut at',
  'stop',
  'killed in recovery',
  'adopted',
  'dropped',
  'torn',
  'executor-died',
  'task-failed',
  'sources-held',
  'checkpoint-postponed',
  'receiver-restarting',
  'WAL_POISONED',
  'DISK_FAILED',
  'DISK_FULL',
  'state-snapshot-written',
  'state-restored',
  'rate-changed',
  'state is migrated',
  'state is dropped',
  'a window with an inverse is checked',
  'a stream without repeats is checked',
];
/** So many histories have all of them. */
const HISTORIES_FOR_ALL = 500;

describe(`an engine that dies and starts again (${seedNote})`, () => {
  it(
    'loses nothing that it promised, and invents nothing',
    {
      timeout: scaledTimeoutMs(),
    },
    async () => {
      const count = scaled(HISTORIES);
      const tally: Tally = await playHistories(0, count);
      if (count < HISTORIES_FOR_ALL) return;
      expect(HAS_TO_HAPPEN.filter((name) => !tally.has(name))).toEqual([]);
    },
  );

  it('does the same from the same seed, event by event', async () => {
    for (let n = 0; n < 10; n += 1) {
      const [first, second] = [new EngineHistory(simSeed + n), new EngineHistory(simSeed + n)];
      const outcome = await first.run();
      expect(await second.run()).toEqual(outcome);
      expect(outcome.steps).toBeGreaterThan(100);
    }
  });
});
