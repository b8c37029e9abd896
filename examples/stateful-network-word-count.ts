/** Spark's StatefulNetworkWordCount: counts words from the first line on, not second by second.
 *
 *   nc -lk 9999
 *   npx millrace run examples/stateful-network-word-count.ts
 *
 * The counts are keyed state: kill the process and start it again, and it goes on counting.
 * @module */
import { definePipeline, seconds, stateSpec } from 'millrace';
import type { State } from 'millrace';

const INITIAL_STATE: [string, number][] = [
  ['hello', 1],
  ['world', 1],
];

/** Called for each word, with the count that it has so far; what it returns is printed. */
function countWord(word: string, one: number | undefined, state: State<number>): [string, number] {
  const sum = (one ?? 0) + (state.exists() ? state.get() : 0);
  state.update(sum);
  return [word, sum];
}

export default definePipeline(
  { name: 'stateful-network-word-count', batchInterval: seconds(1) },
  (ssc) => {
    const lines = ssc.socketTextStream('127.0.0.1', 9999);
    const words = lines.flatMap((line) => line.split(' ')).mapToPair((word) => [word, 1]);
    words.mapWithState(stateSpec(countWord).initialState(INITIAL_STATE)).print();
  },
);
