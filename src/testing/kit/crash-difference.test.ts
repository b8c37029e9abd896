/** @module */
import { expect, it } from 'vitest';
import { CapturedBatches } from './captured-batches.ts';
import { crashDifference } from './crash-difference.ts';

const NONE = { observed: undefined };

function differenceOf(
  actual: CapturedBatches,
  expected: CapturedBatches,
  compareBy: (record: unknown) => unknown = (record) => record,
): string | undefined {
  const [got, wanted] = [actual, expected].map((captured) => ({ captured, ...NONE }));
  return crashDifference(got!, wanted!, { outputIds: ['out'], options: { compareBy } });
}

function captured(...commits: readonly (readonly [number, readonly unknown[]])[]): CapturedBatches {
  const batches = new CapturedBatches();
  for (const [batchTimeMs, records] of commits) batches.add('out', batchTimeMs, records);
  return batches;
}

it('takes the records of a batch in any order, and as often as they are there', () => {
  const expected = captured([1000, ['a', 'a', 'b']]);
  expect(differenceOf(captured([1000, ['b', 'a', 'a']]), expected)).toBe(undefined);
  expect(differenceOf(captured([1000, ['b', 'b', 'a']]), expected)).toBe(
    "out, the batch with the time 1000:\n  missing (1): 'a'\n  too much (1): 'b'",
  );
});

it('takes a batch that ran again with the same records, and with no others', () => {
  const expected = captured([1000, ['a']], [2000, ['b']]);
  const same = captured([1000, ['a']], [1000, ['a']], [2000, ['b']]);
  expect(same.rerunCount).toBe(1);
  expect(differenceOf(same, expected)).toBe(undefined);
  const other = captured([1000, ['a']], [2000, ['b']], [2000, ['c']]);
  expect(differenceOf(other, expected)).toBe(
    'out, the batch with the time 2000, when it ran again:\n' +
      "  missing (1): 'b'\n  too much (1): 'c'",
  );
});

it('misses a batch that is not there, and sees one that nobody expects', () => {
  expect(differenceOf(captured(), captured([1000, ['a']]))).toMatch(/1000:\n {2}missing \(1\)/);
  expect(differenceOf(captured([1000, ['a']]), captured())).toMatch(/1000:\n {2}too much \(1\)/);
  expect(differenceOf(captured([1000, []]), captured())).toBe(undefined);
});

it('shows the first few records', () => {
  const many = Array.from({ length: 8 }, (_, n) => n);
  expect(differenceOf(captured([1000, []]), captured([1000, many]))).toBe(
    'out, the batch with the time 1000:\n  missing (8): 0, 1, 2, 3, 4 and 3 more',
  );
});

it('compares what it is told to', () => {
  const [actual, expected] = [captured([1000, [0.1 + 0.2]]), captured([1000, [0.3]])];
  expect(differenceOf(actual, expected)).toMatch(/missing/);
  expect(differenceOf(actual, expected, (sum) => (sum as number).toFixed(3))).toBe(undefined);
});

it('compares what was observed', () => {
  const empty = new CapturedBatches();
  const actual = { captured: empty, observed: [2] };
  const expected = { captured: empty, observed: [1] };
  const outputs = { outputIds: [], options: { compareBy: (record: unknown) => record } };
  expect(crashDifference(actual, expected, outputs)).toBe(
    'what observe() returns differs:\n  undisturbed: [ 1 ]\n  this time:   [ 2 ]',
  );
  expect(crashDifference(actual, actual, outputs)).toBe(undefined);
});
