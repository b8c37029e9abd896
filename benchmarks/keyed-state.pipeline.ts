/** mapWithState over pairs that are made in the tasks: batch after batch the next keys in turn, so
 * that the first half of the batches makes all keys and the second half meets them again.
 * @module */
import { definePipeline } from 'millrace';

interface Range {
  readonly from: number;
  readonly to: number;
}

export default definePipeline({ name: 'keyed-state', batchInterval: '50ms' }, (ssc) => {
  const setting = (name: string): number => Number(process.env[`BENCH_${name}`]);
  const [keys, touched, perKey] = [setting('KEYS'), setting('TOUCHED'), setting('PER_KEY')];
  const turns = keys / touched;
  const batches = Array.from({ length: 2 * turns }, (_, batch): Range[] => {
    const from = (batch % turns) * touched;
    const middle = from + Math.floor(touched / 2);
    return [
      { from, to: middle },
      { from: middle, to: from + touched },
    ];
  });
  ssc
    .queueStream(batches)
    .flatMap(function* ({ from, to }): Generator<readonly [string, number]> {
      for (let round = 0; round < perKey; round += 1) {
        for (let key = from; key < to; key += 1) yield [`user-${key}`, 1];
      }
    })
    .mapToPair((pair) => pair)
    .mapWithState<string, number, number, number>((_key, one, state) => {
      const count = (state.exists() ? state.get() : 0) + (one ?? 0);
      state.update(count);
      return count;
    })
    .filter((count) => count === 2 * perKey)
    .count()
    .print();
});
