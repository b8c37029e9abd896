/** Question: how many small streams a second does the test kit run?
 *
 * Read as: what a test with `testStream` costs besides its own work; a suite of a thousand takes
 * so many seconds. Three batches each, in one process, without threads and files.
 * @module */
import type * as TestStreamModule from '../src/testing/kit/test-stream.ts';
import { defineBenchmark } from './benchmark.ts';

const MODULE = new URL('../dist/testing/kit/test-stream.js', import.meta.url).href;
const { testStream, testStream2 } = (await import(MODULE)) as typeof TestStreamModule;

const WORDS = [['a', 'b', 'a'], ['b'], []];
const PAIRS: [string, number][][] = [[['a', 1]], [['b', 2]], []];

/** Runs one stream. @returns how many records came out. */
const STREAMS = {
  map: async () => (await testStream(WORDS, (s) => s.map((word) => word + word))).flat().length,
  countByValue: async () => (await testStream(WORDS, (s) => s.countByValue())).flat().length,
  join: async () => (await testStream2(PAIRS, PAIRS, (l, r) => l.join(r))).flat().length,
} as const;
const RECORDS = { map: 4, countByValue: 3, join: 2 } as const;
const WARM_UP_STREAMS = 500;

export const testStreams = defineBenchmark({
  name: 'test-streams',
  question: 'How many small streams a second does the test kit run?',
  axes: { operator: ['map', 'countByValue', 'join'] },
  smokeAxes: { operator: ['countByValue'] },
  seconds: 3,
  metrics: { streamsPerSecond: { unit: 'streams/s', digits: 0 } },
  async measure({ operator }, { seconds, isSmoke }) {
    const name: keyof typeof STREAMS = operator;
    const run = async (): Promise<void> => {
      const records = await STREAMS[name]();
      if (records !== RECORDS[name]) throw new Error(`${name} gave ${records} records`);
    };
    for (let n = 0; n < (isSmoke ? 1 : WARM_UP_STREAMS); n += 1) await run();
    const startMs = performance.now();
    const endMs = startMs + seconds * 1_000;
    let streams = 0;
    for (; performance.now() < endMs; streams += 1) await run();
    return { streamsPerSecond: (1_000 * streams) / (performance.now() - startMs) };
  },
});
