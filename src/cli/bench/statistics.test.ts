/** @module */
import { expect, it } from 'vitest';
import { ackTimes, costsBetween, speedBetween } from './cell-sample.ts';
import type { Completion } from './cell-sample.ts';
import { quantile, spreadOf } from './statistics.ts';
import { table } from './text-table.ts';

it('takes a quantile between two values in proportion', () => {
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(quantile([7], 0.99)).toBe(7);
  expect(spreadOf([3, 1, 2])).toEqual({ min: 1, median: 2, max: 3 });
  expect(ackTimes([1, 2, 3])).toMatchObject({ count: 3, p50: 2, max: 3 });
});

function completion(atMs: number, recordCount: number): Completion {
  return { atMs, recordCount, engineCpuMs: atMs / 2 };
}

it('counts what was completed between two completions, and nothing of the first batch', () => {
  const completions = [completion(1_000, 9_999), completion(1_500, 100), completion(3_000, 300)];
  // 400 records in 2 s, in which the process used 1 s of CPU.
  expect(speedBetween(completions)).toEqual({ recordsPerSecond: 200, cpuNsPerRecord: 2.5e6 });
});

it('ends with the last batch that had records, and says nothing of too few', () => {
  const filled = [completion(0, 5), completion(1_000, 10), completion(2_000, 30)];
  const idle = [completion(9_000, 0), completion(9_500, 0)];
  expect(speedBetween([...filled, ...idle])?.recordsPerSecond).toBe(20);
  expect(speedBetween([completion(0, 0), completion(1, 0), completion(2, 5)])).toBeUndefined();
  expect(speedBetween([])).toBeUndefined();
});

it('takes differences of sums, and what others used apart from the engine', () => {
  const from = { atMs: 0, engineCpuMs: 50, machineCpuMs: 100, logBytes: 10, syncCounts: [1, 0] };
  const to = {
    atMs: 1e3,
    engineCpuMs: 1_550,
    machineCpuMs: 1_900,
    logBytes: 60,
    syncCounts: [3, 4],
  };
  expect(costsBetween(from, to)).toEqual({
    engineCores: 1.5,
    otherCores: expect.closeTo(0.3),
    logBytesPerSecond: 50,
    syncCounts: [2, 4],
  });
  // Clocks of the kernel tick coarsely: never less than nothing.
  expect(costsBetween(from, { ...to, machineCpuMs: 1_000 }).otherCores).toBe(0);
});

it('aligns columns', () => {
  expect(
    table([
      ['a', 'b'],
      ['long', 'c'],
      ['', 'd'],
    ]),
  ).toEqual(['a      b', 'long   c', '       d']);
});
