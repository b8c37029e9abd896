/** Checks what the generator pipelines printed. Generated lines are known in advance, so every
 * count of every sample can be checked exactly. @module */
import { LINE_COUNT, makeLines } from '../src/sources/generator-lines.ts';
import type { EngineProcess } from './engine-process.ts';
import { RECORD_BYTES, isSelected, wordWeight } from './generator-work.ts';

/** @throws when what was printed is not what the records that went through must give. */
export function checkOutput(pipeline: 'filter-count' | 'word-count', engine: EngineProcess): void {
  const lines = makeLines(1, RECORD_BYTES);
  const expected = (valueOf: (line: string) => number): number =>
    sumOverRecords(lines, engine.recordCount, valueOf);
  if (pipeline === 'filter-count') {
    const counts = engine.output.filter((line) => /^\d+$/.test(line)).map(Number);
    checkEqual(
      'selected lines',
      sum(counts),
      expected((line) => (isSelected(line) ? 1 : 0)),
    );
    return;
  }
  const sums = engine.output.flatMap((line) => {
    const [, words, weighted] = /^words (\d+) (\d+)$/.exec(line) ?? [];
    return words === undefined ? [] : [{ words: Number(words), weighted: Number(weighted) }];
  });
  const wordsOf = (line: string): string[] => line.split(' ');
  const words = sum(sums.map((each) => each.words));
  checkEqual(
    'words',
    words,
    expected((line) => wordsOf(line).length),
  );
  const weighted = sum(sums.map((each) => each.weighted));
  checkEqual(
    'weighted words',
    weighted,
    expected((line) => sum(wordsOf(line).map(wordWeight))),
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function checkEqual(what: string, found: number, expected: number): void {
  if (found !== expected) throw new Error(`${found} ${what}, but ${expected} were sent`);
}

/** Sums `valueOf` over the first `count` records: line n of 1,024 is record n, and then again. */
function sumOverRecords(
  lines: readonly string[],
  count: number,
  valueOf: (line: string) => number,
): number {
  const values = lines.map(valueOf);
  const whole = Math.floor(count / LINE_COUNT);
  return whole * sum(values) + sum(values.slice(0, count % LINE_COUNT));
}
