/** @module */
import { expect, it } from 'vitest';
import { batchIntervalOf, cellText, cellsOf } from './cell.ts';
import { inRound } from './rounds.ts';

it('has a cell for each combination, those that differ in the log alone side by side', () => {
  const cells = cellsOf({
    wal: ['off', 'sync'],
    receivers: [1, 2],
    blockIntervalsMs: [50],
    recordBytes: [100, 1_000],
  });
  expect(cells.map(cellText)).toEqual([
    'off, 1 receiver, 50 ms, 100 B',
    'sync, 1 receiver, 50 ms, 100 B',
    'off, 1 receiver, 50 ms, 1000 B',
    'sync, 1 receiver, 50 ms, 1000 B',
    'off, 2 receivers, 50 ms, 100 B',
    'sync, 2 receivers, 50 ms, 100 B',
    'off, 2 receivers, 50 ms, 1000 B',
    'sync, 2 receivers, 50 ms, 1000 B',
  ]);
});

it('has one batch interval for all cells, which all block intervals divide', () => {
  expect(batchIntervalOf([50, 200])).toBe(200);
  expect(batchIntervalOf([5])).toBe(200);
  expect(batchIntervalOf([30, 70])).toBe(210);
  expect(batchIntervalOf([2_000])).toBe(2_000);
  expect(batchIntervalOf([300, 700])).toBeUndefined();
});

it('takes every second round backwards, each whole', () => {
  const rounds = [0, 1, 2].map((round) => inRound(['a', 'b', 'c'], round).join(''));
  expect(rounds).toEqual(['abc', 'cba', 'abc']);
});
