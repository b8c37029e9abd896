/** Spark's RecoverableNetworkWordCount: counts words, leaves some out, and goes on after a crash.
 *
 *   nc -lk 9999
 *   npx millrace run examples/recoverable-network-word-count.ts
 *   kill -9 it, and run it again: batches that were cut short come first, with the same times
 *
 * `run` is Spark's getOrCreate: what is in .millrace/recoverable-network-word-count goes on. As in
 * Spark, a batch that is cut short while it is written out is appended again: compare the times.
 * @module */
import { appendFile } from 'node:fs/promises';
import { definePipeline, seconds } from 'millrace';

const OUTPUT_FILE = 'recoverable-counts.txt';

/** Spark broadcasts it. Every thread imports this module, so each one has it anyway. */
const EXCLUDED: ReadonlySet<string> = new Set(['a', 'b', 'c']);

/** Spark's accumulator, which begins at 0 after a restart too. A variable is enough, because
 * `foreachBatch` runs on the driver only; a count that has to last belongs into keyed state. */
let droppedWordCount = 0;

export default definePipeline(
  { name: 'recoverable-network-word-count', batchInterval: seconds(1) },
  (ssc) => {
    const lines = ssc.socketTextStream('127.0.0.1', 9999);
    const words = lines.flatMap((line) => line.split(' '));
    const wordCounts = words.mapToPair((word) => [word, 1]).reduceByKey((a, b) => a + b);
    wordCounts.foreachBatch(async (batch, { batchTime }) => {
      const kept: string[] = [];
      for (const [word, count] of await batch.collect()) {
        if (EXCLUDED.has(word)) droppedWordCount += count;
        else kept.push(`(${word},${count})`);
      }
      const output = `Counts at time ${batchTime} ms [${kept.join(', ')}]`;
      console.log(output);
      console.log(`Dropped ${droppedWordCount} word(s) totally`);
      console.log(`Appending to ${OUTPUT_FILE}`);
      await appendFile(OUTPUT_FILE, `${output}\n`);
    });
  },
);
