/** Checks what the pipelines of `pipelines` printed, batch by batch. Their lines are known in
 * advance and one receiver stores them in order: so how many records a batch has says which.
 * Pure. @module */
import { LINE_COUNT, makeLines } from '../src/sources/generator-lines.ts';
import { batchesOf } from './batch-records.ts';
import type { BatchRecords } from './batch-records.ts';
import type { EngineProcess } from './engine-process.ts';
import {
  JSON_LINES,
  JOIN_SEEDS,
  RECORD_BYTES,
  firstWord,
  hasWord,
  isSelected,
  jsonLine,
  wordWeight,
} from './generator-work.ts';
import type { Payment } from './generator-work.ts';

export const OPERATOR_PIPELINES = [
  'filter-count',
  'search-count',
  'small-state',
  'window',
  'join',
  'json',
] as const;
export type OperatorPipeline = (typeof OPERATOR_PIPELINES)[number];

/** The records of one input in one batch, by their numbers: from `from` on, before `to`. */
interface Range {
  readonly from: number;
  readonly to: number;
}

export const WINDOW_MS = 1_000;

/** @throws when a batch printed something else than its records must give. */
export function checkOperator(pipeline: OperatorPipeline, engine: EngineProcess): void {
  const printed = engine.output.filter((line) => /^(?:\d+|sums \d+ \d+)$/.test(line));
  const expected = expectedLines(pipeline, batchesOf(engine));
  const wrong = expected.findIndex((line, index) => line !== printed[index]);
  if (wrong !== -1) {
    throw new Error(`line ${wrong + 1} is ${printed[wrong]}, and should be ${expected[wrong]}`);
  }
  if (printed.length > expected.length) {
    throw new Error(`${printed.length} lines were printed, and ${expected.length} are right`);
  }
}

/** What each batch must print, in their order. */
export function expectedLines(
  pipeline: OperatorPipeline,
  batches: readonly BatchRecords[],
): string[] {
  const lines = makeLines(JOIN_SEEDS[0], RECORD_BYTES);
  switch (pipeline) {
    case 'filter-count':
      return ranges(batches, 0).map((range) => String(selectedIn(lines, range, isSelected)));
    case 'search-count':
      return ranges(batches, 0).map((range) => String(selectedIn(lines, range, hasWord)));
    case 'small-state':
      return expectedStates(lines.map(firstWord), ranges(batches, 0));
    case 'window':
      return expectedWindows(lines.map(firstWord), batches);
    case 'join':
      return expectedJoins(batches);
    default:
      return ranges(batches, 0).map(expectedPayments);
  }
}

/** Which records each batch has of an input. */
function ranges(batches: readonly BatchRecords[], input: number): Range[] {
  let to = 0;
  return batches.map(({ inputs }) => {
    const from = to;
    to += inputs[input] ?? 0;
    return { from, to };
  });
}

/** Sums over the records of a range; number n has the value at n modulo their count. */
function sumIn(values: readonly number[], { from, to }: Range): number {
  const whole = Math.floor((to - from) / values.length);
  let sum = whole === 0 ? 0 : whole * values.reduce((all, value) => all + value, 0);
  for (let n = from + whole * values.length; n < to; n += 1) sum += values[n % values.length] ?? 0;
  return sum;
}

function selectedIn(
  lines: readonly string[],
  range: Range,
  isWanted: (line: string) => boolean,
): number {
  return sumIn(
    lines.map((line) => (isWanted(line) ? 1 : 0)),
    range,
  );
}

/** How often each word comes in a range of lines that begin with `words`. */
function countsIn(words: readonly string[], { from, to }: Range): Map<string, number> {
  const counts = new Map<string, number>();
  const whole = Math.floor((to - from) / LINE_COUNT);
  const rest = (to - from) % LINE_COUNT;
  for (let n = 0; n < LINE_COUNT; n += 1) {
    const word = words[(from + n) % LINE_COUNT] ?? '';
    const count = whole + (n < rest ? 1 : 0);
    if (count > 0) counts.set(word, (counts.get(word) ?? 0) + count);
  }
  return counts;
}

/** Sum of the numbers that each word's count went through; an empty batch has none. */
function expectedStates(words: readonly string[], batches: readonly Range[]): string[] {
  const states = new Map<string, number>();
  return batches.flatMap((range) => {
    if (range.from === range.to) return [];
    let sum = 0;
    for (const [word, count] of countsIn(words, range)) {
      const before = states.get(word) ?? 0;
      sum += count * before + (count * (count + 1)) / 2;
      states.set(word, before + count);
    }
    return [String(sum)];
  });
}

function expectedWindows(words: readonly string[], batches: readonly BatchRecords[]): string[] {
  const values = words.map(wordWeight);
  const all = ranges(batches, 0);
  return batches.map(({ batchTimeMs }) => {
    let [records, weighted] = [0, 0];
    for (const [index, range] of all.entries()) {
      const age = batchTimeMs - (batches[index]?.batchTimeMs ?? Number.NaN);
      if (age < 0 || age >= WINDOW_MS) continue;
      records += range.to - range.from;
      weighted += sumIn(values, range);
    }
    return `sums ${records} ${weighted}`;
  });
}

function expectedJoins(batches: readonly BatchRecords[]): string[] {
  const [left = [], right = []] = JOIN_SEEDS.map((seed, input) => {
    const words = makeLines(seed, RECORD_BYTES).map(firstWord);
    return ranges(batches, input).map((range) => countsIn(words, range));
  });
  return left.map((inLeft, index) => {
    const inRight = right[index] ?? new Map<string, number>();
    const both = [...inLeft].filter(([word]) => inRight.has(word));
    const weighted = both.reduce(
      (sum, [word, count]) => sum + count * wordWeight(word) + (inRight.get(word) ?? 0),
      0,
    );
    return `sums ${both.length} ${weighted}`;
  });
}

function expectedPayments(range: Range): string {
  const payments = Array.from({ length: JSON_LINES }, (_, n) => JSON.parse(jsonLine(n)) as Payment);
  const amounts = payments.map(({ amount }) => amount);
  const weighted = payments.map(({ user, amount }) => amount * Number(user.slice('user-'.length)));
  return `sums ${sumIn(amounts, range)} ${sumIn(weighted, range)}`;
}
