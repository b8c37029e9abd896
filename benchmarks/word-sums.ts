/** Word count, and the two sums that each batch of it prints. Part of a pipeline's bundle.
 * @module */
import type { Batch, DStream } from 'millrace';
import { wordWeight } from './generator-work.ts';

/** No wrong count of a word leaves both sums as they are. */
export function printWordSums(lines: DStream<string>): void {
  lines
    .flatMap((line) => line.split(' '))
    .mapToPair((word) => [word, 1])
    .reduceByKey((a: number, b: number) => a + b)
    .foreachBatch((counts) => printSums('words', counts));
}

/** @param name what the line begins with. */
export async function printSums(
  name: string,
  counts: Batch<readonly [string, number]>,
): Promise<void> {
  let [records, weighted] = [0, 0];
  for (const [word, count] of await counts.collect()) {
    records += count;
    weighted += count * wordWeight(word);
  }
  console.log(`${name} ${records} ${weighted}`);
}
