/** @module */
import { expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import type { BatchTimeMs, MonotonicMs } from '../core/ids.ts';
import { ProgressMeter, RateWindow } from './progress.ts';
import type { Progress, ProgressSource } from './progress.ts';

const noRecords = {
  recordCount: 0,
  batchCount: 0,
  unfinishedBatches: 0,
  queuedBlocks: 0,
  heldReceivers: 0,
  bytesOnDisk: 0,
};

it('takes the rate over the window, not over the last second alone', () => {
  const window = new RateWindow(3_000);
  const at = (atMs: number, recordCount: number): number =>
    window.add({ atMs: atMs as MonotonicMs, recordCount });
  expect(at(0, 0)).toBe(0);
  expect(at(1_000, 0)).toBe(0);
  expect(at(2_000, 0)).toBe(0);
  expect(at(3_000, 900)).toBe(300); // a batch interval of three seconds
  expect(at(4_000, 900)).toBe(300);
  expect(at(5_000, 900)).toBe(300);
  expect(at(6_000, 900)).toBe(0);
});

it('copes with timers that come a little early or late', () => {
  const window = new RateWindow(1_000);
  const at = (atMs: number): number => window.add({ atMs: atMs as MonotonicMs, recordCount: atMs });
  expect([at(0), at(999), at(2_003), at(3_001)]).toEqual([0, 1_000, 1_000, 1_000]);
});

/** Runs a meter over `seconds` and returns what it said. */
async function measure(source: ProgressSource, seconds: number): Promise<Progress[]> {
  const clock = new ManualClock();
  const said: Progress[] = [];
  const onProgress = (progress: Progress): number => said.push(progress);
  const meter = new ProgressMeter({ clock, batchIntervalMs: 500, onProgress });
  meter.start(source);
  meter.hear({
    type: 'batch-completed',
    batchTimeMs: 500 as BatchTimeMs,
    recordCount: 1,
    schedulingDelayMs: 1.239,
    processingMs: 7,
  });
  for (let second = 0; second < seconds; second += 1) {
    await clock.timers();
    clock.advance(1_000);
  }
  await clock.timers();
  meter.stop();
  expect(clock.pendingMs).toEqual([]);
  return said;
}

it('says once a second how the run is doing, with the slowest log', async () => {
  const sizes = { groups: 1, bytes: 1, pendingBytes: 0, segments: 1 };
  const log = { ...sizes, syncMsP50: 0.5, syncCounts: [] };
  const executor = { recordCount: 1, blockCount: 1, inFlightBytes: 0 };
  const said = await measure(
    {
      totals: {
        recordCount: 10,
        batchCount: 2,
        unfinishedBatches: 1,
        queuedBlocks: 3,
        heldReceivers: 2,
        bytesOnDisk: 9,
      },
      executorStats: () =>
        Promise.resolve([
          { ...executor, log: { ...log, syncMsP99: 1.5 } },
          executor,
          { ...executor, log: { ...log, syncMsP50: 0.7, syncMsP99: 2.499 } },
        ]),
    },
    2,
  );
  expect(said).toHaveLength(2);
  expect(said[1]).toEqual({
    recordsPerSecond: 0,
    recordCount: 10,
    batchCount: 2,
    unfinishedBatches: 1,
    queuedBlocks: 3,
    heldReceivers: 2,
    bytesOnDisk: 9,
    schedulingDelayMs: 1.24,
    processingMs: 7,
    syncMsP50: 0.7,
    syncMsP99: 2.5,
  });
});

it('goes on when a thread cannot answer, and says nothing of a log that is off', async () => {
  const said = await measure(
    { totals: noRecords, executorStats: () => Promise.reject(new Error('died')) },
    2,
  );
  expect(said).toHaveLength(2);
  expect(said[0]).not.toHaveProperty('syncMsP99');
});
