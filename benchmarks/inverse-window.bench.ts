/** Question: what does the length of a window cost, with an inverse function and without one?
 *
 * The same stream, its batches counted by key, over a window of some batches and over one that is
 * ten times as long. Read as: the time of a batch once the window is full. With an inverse function
 * it must hardly grow: what leaves and what enters is as much. What the last window holds is
 * checked, from the batch times that there were.
 * @module */
import { defineBenchmark } from './benchmark.ts';
import type { Sample } from './benchmark.ts';
import { withEngine } from './engine-process.ts';
import type { EngineProcess } from './engine-process.ts';

const INTERVAL_MS = 100;
const MEASURED_BATCHES = 40;
const KEYS = 2_000;
const RECORDS = 5_000;

export const inverseWindow = defineBenchmark({
  name: 'inverse-window',
  question: 'What does the length of a window cost, with an inverse function and without?',
  axes: { form: ['inverse', 'plain'], windowBatches: [15, 150] },
  smokeAxes: { form: ['inverse', 'plain'], windowBatches: [10] },
  seconds: 0, // as long as the batches take
  metrics: { batchMs: { unit: 'ms a batch', digits: 1 } },
  baseline: {
    metric: 'batchMs',
    of: ({ form, windowBatches }) =>
      windowBatches === 150 ? { form, windowBatches: 15 } : undefined,
  },
  async measure({ form, windowBatches }, { directory, isSmoke }) {
    const batches = windowBatches + (isSmoke ? 10 : MEASURED_BATCHES);
    const windowMs = windowBatches * INTERVAL_MS;
    const options = {
      pipeline: 'inverse-window.pipeline.ts',
      flags: ['--executors', '2', '--checkpoint', 'engine', '--batches', String(batches)],
      env: {
        BENCH_FORM: form,
        BENCH_KEYS: String(KEYS),
        BENCH_RECORDS: String(RECORDS),
        BENCH_BATCHES: String(batches),
        BENCH_WINDOW_MS: String(windowMs),
      },
      directory,
    };
    return withEngine(options, async (engine) => {
      await engine.completed(batches);
      await engine.ended();
      return readSample(engine, { windowBatches, windowMs });
    });
  },
});

function readSample(
  { lines, output }: EngineProcess,
  { windowBatches, windowMs }: { readonly windowBatches: number; readonly windowMs: number },
): Sample {
  const done = lines.filter(({ event }) => event === 'batch-completed');
  const times = done.map(({ batchTimeMs }) => Number(batchTimeMs));
  const lastMs = times.at(-1) ?? 0;
  const held = times.filter((time) => time > lastMs - windowMs).length * RECORDS;
  const printed = Number(output.findLast((line) => /^\d+$/.test(line)));
  if (printed !== held) throw new Error(`the last window holds ${printed}, and not ${held}`);
  const full = done.slice(windowBatches).map(({ processingMs }) => Number(processingMs));
  return { batchMs: full.toSorted((a, b) => a - b)[Math.floor(full.length / 2)] ?? Number.NaN };
}
