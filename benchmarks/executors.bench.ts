/** Question: how much faster is word count with a second task executor?
 *
 * Lines are made in the tasks, from a `queueStream` of their numbers: no receiver and no log take a
 * core away, and the driver has next to nothing to do, so on two cores two executors have one each.
 * Read as: the ratio to one executor OF THE SAME RUN, in lines per second of processing; what is
 * missing to 2 is what the two wait for each other, and the driver. The words of all batches are
 * checked.
 * @module */
import { defineBenchmark } from './benchmark.ts';
import type { Sample } from './benchmark.ts';
import { withEngine } from './engine-process.ts';
import type { EngineProcess } from './engine-process.ts';
import { expectedSums, printedSums } from './generator-check.ts';
import { machineCpuMs, ownCpuMs } from './process-cost.ts';

const LINES = 400_000;
const SMOKE_LINES = 20_000;
/** Until the compiler has seen the hot loops. */
const WARM_UP_BATCHES = 5;
const MEASURED_BATCHES = 15;

export const executors = defineBenchmark({
  name: 'executors',
  question: 'How much faster is word count with a second task executor?',
  axes: { executors: [1, 2] },
  smokeAxes: { executors: [1, 2] },
  seconds: 0, // as long as the batches take
  metrics: {
    linesPerSecond: { unit: 'M lines/s', digits: 2, divisor: 1e6 },
    batchMs: { unit: 'ms a batch', digits: 0 },
    otherCores: { unit: 'cores taken by others', digits: 2 },
  },
  baseline: {
    metric: 'linesPerSecond',
    of: (point) => (point.executors === 1 ? undefined : { executors: 1 }),
  },
  async measure({ executors: count }, { directory, isSmoke }) {
    const lines = isSmoke ? SMOKE_LINES : LINES;
    const batches = isSmoke ? 3 : WARM_UP_BATCHES + MEASURED_BATCHES;
    const options = {
      pipeline: 'executors.pipeline.ts',
      flags: ['--executors', String(count), '--wal', 'off', '--batches', String(batches)],
      env: { BENCH_LINES: String(lines), BENCH_BATCHES: String(batches) },
      directory,
    };
    const [before, beforeMs] = [othersCpuMs(), Date.now()];
    const speed = await withEngine(options, async (engine) => {
      await engine.completed(batches);
      await engine.ended();
      checkWords(engine, { lines, batches });
      return speedOf(engine, lines, isSmoke ? 1 : WARM_UP_BATCHES);
    });
    const [after, afterMs] = [othersCpuMs(), Date.now()];
    if (before === undefined || after === undefined) return speed;
    return { ...speed, otherCores: (after - before) / (afterMs - beforeMs) };
  },
});

/** Of everything but this process and its engines, which are counted when they have ended. */
function othersCpuMs(): number | undefined {
  const [machine, own] = [machineCpuMs(), ownCpuMs()];
  return machine === undefined || own === undefined ? undefined : machine - own;
}

function speedOf({ lines: told }: EngineProcess, lines: number, skipped: number): Sample {
  const times = told
    .filter(({ event }) => event === 'batch-completed')
    .slice(skipped)
    .map(({ processingMs }) => Number(processingMs));
  const batchMs = times.reduce((sum, ms) => sum + ms, 0) / times.length;
  return { linesPerSecond: lines / (batchMs / 1_000), batchMs };
}

/** Both halves of a batch begin with the first line. */
function checkWords(
  { output }: EngineProcess,
  { lines, batches }: { readonly lines: number; readonly batches: number },
): void {
  const half = expectedSums('word-count', lines / 2);
  const found = printedSums('word-count', output);
  for (const [name, sum] of Object.entries(half)) {
    const expected = sum * 2 * batches;
    if (found[name] === expected) continue;
    throw new Error(`${found[name]} ${name}, but ${expected} were there`);
  }
}
