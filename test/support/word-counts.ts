/** The word count whose result is known: `generatorStream` into counts per batch, and what their sum
 * has to be. @module */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { lineAt, makeLines } from '../../src/sources/generator-lines.ts';
import { readBatches } from './batch-output.ts';
import type { CrashSite } from './crash-site.ts';

export interface WordCountInput {
  readonly total: number;
  readonly recordsPerSecond: number;
  readonly recordBytes?: number;
  readonly seed?: number;
  readonly receivers?: number;
}

/** Body of a pipeline that counts the words of each batch. */
export function wordCountPipeline(input: WordCountInput, outputPrefix: string): string {
  return `ssc.generatorStream(${JSON.stringify(input)})
    .flatMap((line) => line.split(' '))
    .mapToPair((word) => [word, 1])
    .reduceByKey((a, b) => a + b)
    .saveAsTextFiles(${JSON.stringify(outputPrefix)});`;
}

/** An input beside the word count, of a tick now and then, that ends when `release` is called: until
 * then the engine runs and has tasks, however long the machine takes for what a test does meanwhile.
 * @param eachTick code that a task runs for each tick. */
export function heldInput(site: CrashSite, eachTick = '') {
  const file = join(site.directory, 'released');
  const head = `import { existsSync as isThere } from 'node:fs';
class Held extends Receiver {
  onStart() {
    this.timer = setInterval(() => this.tick().catch(() => undefined), 10);
  }
  async tick() {
    if (isThere(${JSON.stringify(file)})) return this.end();
    await this.store('tick');
  }
  onStop() {
    clearInterval(this.timer);
  }
}`;
  const body = `ssc.receiverStream(() => new Held())
    .map((tick) => { ${eachTick} return tick; })
    .foreachBatch(async (batch) => { await batch.count(); });`;
  return { head, body, release: () => writeFileSync(file, '') };
}

/** Every word's count in the records that the input makes. */
export function expectedCounts({ total, seed = 1, recordBytes = 100 }: WordCountInput) {
  const lines = makeLines(seed, recordBytes);
  const counts = new Map<string, number>();
  for (let index = 0; index < total; index += 1) {
    for (const word of lineAt(lines, index).split(' ')) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  return counts;
}

/** Sums the batches and compares: nothing lost, nothing twice, nothing invented. */
export function checkWordCounts(input: WordCountInput, outputPrefix: string): void {
  const counts = new Map<string, number>();
  for (const { lines } of readBatches(outputPrefix)) {
    for (const line of lines) {
      const [, word = '', count] = /^\((w\d+),(\d+)\)$/.exec(line) ?? [];
      expect(count, `a line that nobody wrote: ${line}`).toBeDefined();
      counts.set(word, (counts.get(word) ?? 0) + Number(count));
    }
  }
  expect(difference(counts, expectedCounts(input))).toEqual([]);
}

/** Words whose counts differ, `word: found instead of expected`, a few of them. */
function difference(found: ReadonlyMap<string, number>, expected: ReadonlyMap<string, number>) {
  const words = new Set([...found.keys(), ...expected.keys()]);
  return [...words]
    .filter((word) => found.get(word) !== expected.get(word))
    .slice(0, 10)
    .map((word) => `${word}: ${found.get(word) ?? 0} instead of ${expected.get(word) ?? 0}`);
}
