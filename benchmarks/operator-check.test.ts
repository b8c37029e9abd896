/** Tests for what the pipelines of `pipelines` must print: against the same work done record by
 * record. @module */
import { expect, it } from 'vitest';
import { lineAt, makeLines } from '../src/sources/generator-lines.ts';
import {
  JSON_LINES,
  JOIN_SEEDS,
  RECORD_BYTES,
  firstWord,
  hasWord,
  jsonLine,
  wordWeight,
} from './generator-work.ts';
import type { Payment } from './generator-work.ts';
import { expectedLines } from './operator-check.ts';

/** An empty batch, less than a cycle of lines, and more than two. The last is a window apart. */
const SIZES = [0, 700, 2_500, 300];
const TIMES = [200, 400, 600, 1_600];
const BATCHES = SIZES.map((size, index) => ({
  batchTimeMs: TIMES[index] ?? 0,
  inputs: [size, 2 * size],
}));

/** The lines of each batch of an input. */
function linesOf(input: number): string[][] {
  const lines = makeLines(JOIN_SEEDS[input] ?? 0, RECORD_BYTES);
  let next = 0;
  return BATCHES.map(({ inputs }) =>
    Array.from({ length: inputs[input] ?? 0 }, () => lineAt(lines, next++)),
  );
}

function countWords(lines: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of lines.map(firstWord)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

it('search-count: those that have the word', () => {
  const counts = linesOf(0).map((lines) => String(lines.filter(hasWord).length));
  expect(expectedLines('search-count', BATCHES)).toEqual(counts);
  expect(Number(counts[1])).toBeGreaterThan(0);
});

it('small-state: the sum of all counts on the way, and nothing for an empty batch', () => {
  const states = new Map<string, number>();
  const sums = linesOf(0).map((lines) =>
    total(
      lines.map(firstWord).map((word) => {
        const count = (states.get(word) ?? 0) + 1;
        states.set(word, count);
        return count;
      }),
    ),
  );
  expect(expectedLines('small-state', BATCHES)).toEqual(sums.slice(1).map(String));
});

it('window: the batches of the last second', () => {
  const [none = [], second = [], third = [], last = []] = linesOf(0);
  const windows = [none, second, [...second, ...third], last]; // 600 is a second before 1,600
  const sums = windows.map((lines) => {
    const weights = lines.map(firstWord).map(wordWeight);
    return `sums ${lines.length} ${total(weights)}`;
  });
  expect(expectedLines('window', BATCHES)).toEqual(sums);
});

it('join: words that both inputs have in a batch', () => {
  const [left = [], right = []] = [linesOf(0), linesOf(1)].map((each) => each.map(countWords));
  const sums = left.map((counts, index) => {
    const others = right[index] ?? new Map<string, number>();
    const both = [...counts.keys()].filter((word) => others.has(word));
    const weighted = both.map(
      (word) => (counts.get(word) ?? 0) * wordWeight(word) + (others.get(word) ?? 0),
    );
    return `sums ${both.length} ${total(weighted)}`;
  });
  expect(expectedLines('join', BATCHES)).toEqual(sums);
});

it('json: amounts, and amounts by user', () => {
  let next = 0;
  const sums = SIZES.map((size) => {
    const payments = Array.from({ length: size }, () => {
      return JSON.parse(jsonLine(next++ % JSON_LINES)) as Payment;
    });
    const weighted = payments.map(({ user, amount }) => amount * Number(user.slice(5)));
    return `sums ${total(payments.map(({ amount }) => amount))} ${total(weighted)}`;
  });
  expect(expectedLines('json', BATCHES)).toEqual(sums);
});
