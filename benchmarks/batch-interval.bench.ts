/** Question: how short may the batch interval be before batches wait for each other?
 *
 * A modest rate, synced, two blocks a batch. Read as: a batch interval is stable when the delay
 * from a batch's time to its start does not grow. `growth` is the median delay of the last quarter
 * of the run less that of the first: an interval that is 1 % too short gains 10 ms each second. A
 * batch time is left out while too many batches are unfinished; a pause of the machine does that
 * too, and shows in the maxima. All records are counted.
 * @module */
import { setTimeout as delay } from 'node:timers/promises';
import { spreadOf } from '../src/cli/bench/statistics.ts';
import { defineBenchmark } from './benchmark.ts';
import type { Sample } from './benchmark.ts';
import { withEngine } from './engine-process.ts';
import type { EngineProcess } from './engine-process.ts';
import { checkOutput } from './generator-check.ts';

const RECORDS_PER_SECOND = 100_000;
const WARM_UP_MS = 2_000;

export const batchInterval = defineBenchmark({
  name: 'batch-interval',
  question: 'How short may the batch interval be before batches wait for each other?',
  axes: { batchIntervalMs: [10, 20, 50, 100] },
  smokeAxes: { batchIntervalMs: [10] },
  seconds: 10,
  metrics: {
    delayMsMedian: { unit: 'ms delay', digits: 1 },
    delayMsMax: { unit: 'ms at most', digits: 1 },
    growthMs: { unit: 'ms growth', digits: 1 },
    processingMsMedian: { unit: 'ms processing', digits: 1 },
    processingMsMax: { unit: 'ms at most', digits: 1 },
    keptShare: { unit: 'of the batch times', digits: 2 },
  },
  measure({ batchIntervalMs }, { directory, seconds, isSmoke }) {
    const intervals = ['--batch-interval', `${batchIntervalMs}ms`];
    intervals.push('--block-interval', `${batchIntervalMs / 2}ms`);
    const options = {
      pipeline: 'paced-count.pipeline.ts',
      flags: [...intervals, '--checkpoint', 'engine'],
      env: { BENCH_RATE: String(RECORDS_PER_SECOND) },
      directory,
    };
    return withEngine(options, async (engine) => {
      await engine.line('engine-started');
      await delay(isSmoke ? 200 : WARM_UP_MS);
      const fromMs = Date.now();
      await delay(seconds * 1_000);
      const sample = delaysSince(engine, { fromMs, batchIntervalMs });
      await engine.stop();
      checkOutput('filter-count', engine);
      return sample;
    });
  },
});

function delaysSince(
  { lines }: EngineProcess,
  { fromMs, batchIntervalMs }: { readonly fromMs: number; readonly batchIntervalMs: number },
): Sample {
  const done = lines.filter(({ event, time }) => event === 'batch-completed' && time >= fromMs);
  const delays = done.map(({ schedulingDelayMs }) => Number(schedulingDelayMs));
  const quarter = Math.floor(delays.length / 4);
  const [first, last] = [done[0], done.at(-1)];
  if (quarter === 0 || first === undefined || last === undefined) {
    throw new Error(`only ${done.length} batches were done`);
  }
  const delaySpread = spreadOf(delays);
  const processing = spreadOf(done.map(({ processingMs }) => Number(processingMs)));
  return {
    delayMsMedian: delaySpread.median,
    delayMsMax: delaySpread.max,
    growthMs: spreadOf(delays.slice(-quarter)).median - spreadOf(delays.slice(0, quarter)).median,
    processingMsMedian: processing.median,
    processingMsMax: processing.max,
    keptShare: ((done.length - 1) * batchIntervalMs) / (last.time - first.time),
  };
}
