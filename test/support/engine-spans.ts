/** Operators of a simulated engine whose batch follows from records of several batches: a window with
 * an inverse function, and a stream without repeats. A copy of the records, batch by batch, is the
 * oracle: it was committed once and never changes, whatever happened to the state since.
 * @module */
import type { Random } from '../../src/core/random.ts';
import type { DStream } from '../../src/dstream/dstream.ts';
import type { SimDatabase } from '../../src/testing/sim-sink.ts';

/** In batches. */
export interface SumsPlan {
  readonly windowBatches: number;
  readonly slideBatches: number;
  /** Words without records leave. */
  readonly isFiltered: boolean;
}

/** What a history has of them, in every run. */
export interface SpansPlan {
  readonly sums: SumsPlan | undefined;
  /** How long a word is remembered, in batches. */
  readonly withinBatches: number | undefined;
}

/** Records of each batch, by its time, in the order of times. */
type Batches = readonly (readonly [batchTimeMs: number, records: readonly string[]])[];

const SUMS_ID = 'sums';
const FIRSTS_ID = 'firsts';

export const NO_SPANS: SpansPlan = { sums: undefined, withinBatches: undefined };

export function drawSpans(random: Random): SpansPlan {
  const below = (count: number): number => Math.floor(random.next() * count);
  const hasSums = random.next() < 0.5;
  const sums = {
    windowBatches: 1 + below(6),
    slideBatches: 1 + below(3),
    isFiltered: random.next() < 0.5,
  };
  return {
    sums: hasSums ? sums : undefined,
    withinBatches: random.next() < 0.5 ? below(8) : undefined,
  };
}

export function hasSpans({ sums, withinBatches }: SpansPlan): boolean {
  return sums !== undefined || withinBatches !== undefined;
}

/** Adds them to a pipeline. */
export function addSpans(
  records: DStream<string>,
  { sums, withinBatches }: SpansPlan,
  { wordOf, batchMs }: { readonly wordOf: (record: string) => string; readonly batchMs: number },
): void {
  if (sums !== undefined) {
    const { windowBatches, slideBatches, isFiltered } = sums;
    records
      .map((record): [string, number] => [wordOf(record), 1], { id: 'ones' })
      .reduceByKeyAndWindow(
        (a, b) => a + b,
        (all, left) => all - left,
        windowBatches * batchMs,
        slideBatches * batchMs,
        { id: 'window-of-sums', ...(isFiltered ? { filter: ([, count]) => count > 0 } : {}) },
      )
      .saveAsTextFiles('/out/sums', undefined, { id: SUMS_ID });
  }
  if (withinBatches !== undefined) {
    // Shorter than a batch is a span of one batch.
    const within = Math.max(1, withinBatches * batchMs);
    records
      .dedupeBy(wordOf, { within, id: 'once' })
      .saveAsTextFiles('/out/firsts', undefined, { id: FIRSTS_ID });
  }
}

/** @param copyId the output that has all records. @throws when a batch is not what it should be. */
export function checkSpans(
  database: SimDatabase,
  { sums, withinBatches }: SpansPlan,
  { wordOf, batchMs, copyId }: SpansPlanOracle,
): void {
  const batchesOf = (outputId: string): Batches =>
    [...database.committed]
      .flatMap(([key, records]) => {
        const [of, timeMs] = key.split('@');
        return of === outputId ? [[Number(timeMs), records] as const] : [];
      })
      .toSorted(([a], [b]) => a - b);
  const words = batchesOf(copyId).map(([timeMs, records]) => {
    return [timeMs, records.map(wordOf)] as const;
  });
  if (sums !== undefined) checkSums(batchesOf(SUMS_ID), words, { ...sums, batchMs });
  if (withinBatches === undefined) return;
  const spanMs = withinBatches * batchMs;
  checkFirsts(batchesOf(FIRSTS_ID), { copy: batchesOf(copyId), wordOf, spanMs });
}

interface SpansPlanOracle {
  readonly wordOf: (record: string) => string;
  readonly batchMs: number;
  readonly copyId: string;
}

/** Each window has the words of its batches; without a filter words that had been in it stay at 0. */
function checkSums(
  found: Batches,
  words: Batches,
  { windowBatches, slideBatches, isFiltered, batchMs }: SumsPlan & { readonly batchMs: number },
): void {
  const [windowMs, slideMs] = [windowBatches * batchMs, slideBatches * batchMs];
  const due = words.map(([timeMs]) => timeMs).filter((timeMs) => timeMs % slideMs === 0);
  requireEqual('window times', [found.map(([timeMs]) => timeMs), due]);
  for (const [endMs, records] of found) {
    const counts = new Map<string, number>();
    for (const [timeMs, batch] of words) {
      if (timeMs <= endMs - windowMs || timeMs > endMs) continue;
      for (const word of batch) counts.set(word, (counts.get(word) ?? 0) + 1);
    }
    const wanted = [...counts].map(([word, count]) => `${word},${count}`);
    const is = isFiltered ? records : records.filter((pair) => !pair.endsWith(',0'));
    requireEqual(`the window that ends at ${endMs}`, [is.toSorted(), wanted.toSorted()]);
  }
}

/** Of the records with one word one passes, of a batch that has it, and none in the span after it. */
function checkFirsts(
  found: Batches,
  {
    copy,
    wordOf,
    spanMs,
  }: {
    readonly copy: Batches;
    readonly wordOf: (record: string) => string;
    readonly spanMs: number;
  },
): void {
  const passed = new Map<string, number>();
  const results = new Map(found);
  for (const [timeMs, records] of copy) {
    const isOver = (word: string): boolean => timeMs - (passed.get(word) ?? -Infinity) > spanMs;
    const wanted = [...new Set(records.map(wordOf))].filter(isOver).toSorted();
    for (const word of wanted) passed.set(word, timeMs);
    const is = results.get(timeMs) ?? [];
    requireEqual(`first words of batch ${timeMs}`, [is.map(wordOf).toSorted(), wanted]);
    const strange = is.find((record) => !records.includes(record));
    if (strange !== undefined) throw new Error(`${strange} is no record of batch ${timeMs} (I3)`);
  }
}

function requireEqual(
  what: string,
  [is, wanted]: readonly [readonly unknown[], readonly unknown[]],
): void {
  const [found, should] = [is.join(' '), wanted.join(' ')];
  if (found !== should) throw new Error(`${what}: '${found}', not '${should}' (I1, I2)`);
}
