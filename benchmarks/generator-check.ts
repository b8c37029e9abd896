/** Checks what the generator pipelines printed. Generated lines are known in advance, so every
 * count of every sample can be checked exactly. @module */
import { LINE_COUNT, makeLines } from '../src/sources/generator-lines.ts';
import { inputCounts } from './batch-records.ts';
import type { EngineProcess } from './engine-process.ts';
import { RECORD_BYTES, isSelected, isText, wordWeight } from './generator-work.ts';

/** Pipelines over generated lines whose sums do not depend on how its records fall into batches. */
export type SummedPipeline = 'count' | 'filter-count' | 'word-count';

/** What a pipeline's results add up to. */
export type Sums = Readonly<Record<string, number>>;

/** Of the first `count` records of an input.
 * @returns `selected` lines, or `words` and their `weighted` sum. */
export function expectedSums(
  pipeline: SummedPipeline,
  count: number,
  recordBytes = RECORD_BYTES,
): Sums {
  const lines = makeLines(1, recordBytes);
  const over = (valueOf: (line: string) => number): number => sumOverRecords(lines, count, valueOf);
  if (pipeline !== 'word-count') {
    const isWanted = pipeline === 'count' ? isText : isSelected;
    return { selected: over((line) => (isWanted(line) ? 1 : 0)) };
  }
  return {
    words: over((line) => line.split(' ').length),
    weighted: over((line) => sum(line.split(' ').map(wordWeight))),
  };
}

/** @throws when what was printed is not what the records that went through must give. */
export function checkOutput(pipeline: SummedPipeline, engine: EngineProcess): void {
  const ofInputs = inputCounts(engine).map((count) => expectedSums(pipeline, count));
  for (const [name, found] of Object.entries(printedSums(pipeline, engine.output))) {
    const expected = sum(ofInputs.map((sums) => sums[name] ?? Number.NaN));
    if (found === expected) continue;
    throw new Error(`${found} ${name}, but ${expected} were sent`);
  }
}

/** What the batches printed, added up. */
export function printedSums(pipeline: SummedPipeline, output: readonly string[]): Sums {
  if (pipeline !== 'word-count') {
    return { selected: sum(output.filter((line) => /^\d+$/.test(line)).map(Number)) };
  }
  const batches = output.flatMap((line) => {
    const [, words, weighted] = /^words (\d+) (\d+)$/.exec(line) ?? [];
    return words === undefined ? [] : [{ words: Number(words), weighted: Number(weighted) }];
  });
  return {
    words: sum(batches.map(({ words }) => words)),
    weighted: sum(batches.map(({ weighted }) => weighted)),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
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
