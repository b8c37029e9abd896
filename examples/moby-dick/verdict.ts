/** What the output directories hold, compared with what was sent.
 * @module */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Delivered {
  readonly batches: number;
  readonly lineCount: number;
  readonly wordCounts: ReadonlyMap<string, number>;
}

export interface Comparison {
  readonly wordsExpected: number;
  readonly wordsDelivered: number;
  readonly wordsLost: number;
  /** Counted more often than they were sent, or never sent at all. */
  readonly wordsTooMany: number;
  /** Some of the words that differ: `word: expected 3, delivered 2`. */
  readonly differences: readonly string[];
}

const DIFFERENCES_SHOWN_MAX = 10;

/** Sums over all complete batches below `outputFolder`. */
export function readDelivered(outputFolder: string): Delivered {
  const wordCounts = new Map<string, number>();
  const wordBatches = completeBatches(outputFolder, 'words-');
  for (const line of linesOf(wordBatches)) {
    // A word may hold commas and parentheses; the count after the last comma holds none.
    const comma = line.lastIndexOf(',');
    const count = Number(line.slice(comma + 1, -1));
    if (!line.startsWith('(') || !line.endsWith(')') || !(Number.isInteger(count) && count > 0)) {
      throw new Error(`a line of the output is no (word,count): ${line}`);
    }
    const word = line.slice(1, comma);
    wordCounts.set(word, (wordCounts.get(word) ?? 0) + count);
  }
  let lineCount = 0;
  for (const line of linesOf(completeBatches(outputFolder, 'lines-'))) lineCount += Number(line);
  return { batches: wordBatches.length, lineCount, wordCounts };
}

/** @param expected of one repetition of the text. */
export function compare(
  expected: ReadonlyMap<string, number>,
  repetitions: number,
  delivered: ReadonlyMap<string, number>,
): Comparison {
  const differences: string[] = [];
  let wordsExpected = 0;
  let wordsDelivered = 0;
  let wordsLost = 0;
  let wordsTooMany = 0;
  for (const word of new Set([...expected.keys(), ...delivered.keys()])) {
    const wanted = (expected.get(word) ?? 0) * repetitions;
    const got = delivered.get(word) ?? 0;
    wordsExpected += wanted;
    wordsDelivered += got;
    wordsLost += Math.max(wanted - got, 0);
    wordsTooMany += Math.max(got - wanted, 0);
    if (wanted !== got && differences.length < DIFFERENCES_SHOWN_MAX) {
      differences.push(`${word}: expected ${wanted}, delivered ${got}`);
    }
  }
  return { wordsExpected, wordsDelivered, wordsLost, wordsTooMany, differences };
}

/** The value at or above which 1 − `share` of the sample lies; `undefined` for an empty one. */
export function percentile(sample: readonly number[], share: number): number | undefined {
  const sorted = sample.toSorted((a, b) => a - b);
  return sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)];
}

/** Directories that say they are complete; others belong to a batch that did not finish. */
function completeBatches(outputFolder: string, prefix: string): string[] {
  return readdirSync(outputFolder)
    .filter((name) => name.startsWith(prefix))
    .map((name) => join(outputFolder, name))
    .filter((directory) => existsSync(join(directory, '_SUCCESS')));
}

function* linesOf(directories: readonly string[]): Generator<string> {
  for (const directory of directories) {
    for (const name of readdirSync(directory)) {
      if (!name.startsWith('part-')) continue;
      for (const line of readFileSync(join(directory, name), 'utf8').split('\n')) {
        if (line !== '') yield line;
      }
    }
  }
}
