/** Question: does memory stay within the `memory` option and a fixed amount, and does it stay flat?
 *
 * Read as: MB of resident memory above the `memory` option at the highest, and how much the
 * straight line through the second half of the run rises from its beginning to its end.
 * `--minutes 10` for the floor; shorter runs still see the compiler and the segments settle. Linux
 * only. @module */
import { setTimeout as delay } from 'node:timers/promises';
import { defineBenchmark } from './benchmark.ts';
import type { Sample } from './benchmark.ts';
import { withEngine } from './engine-process.ts';
import type { EngineProcess } from './engine-process.ts';
import { checkOutput } from './generator-check.ts';
import { residentBytes } from './process-cost.ts';

const MIB = 2 ** 20;
const SAMPLE_MS = 1_000;

export const memory = defineBenchmark({
  name: 'memory',
  question: 'Does memory stay within the option and a fixed amount, and does it stay flat?',
  axes: { pipeline: ['filter-count', 'word-count'], batchInterval: ['1s'], memoryMiB: [512] },
  smokeAxes: { pipeline: ['filter-count'], batchInterval: ['200ms'], memoryMiB: [64] },
  repetitions: 1,
  seconds: 60,
  metrics: {
    overBytes: { unit: 'MB over the option', digits: 0, divisor: 1e6 },
    riseBytes: { unit: 'MB rise in the second half', digits: 1, divisor: 1e6 },
    recordsPerSecond: { unit: 'M records/s', digits: 2, divisor: 1e6 },
    minutes: { unit: 'minutes', digits: 1 },
  },
  measure({ pipeline, batchInterval, memoryMiB }, { directory, seconds }) {
    const flags = ['--batch-interval', batchInterval, '--memory', `${memoryMiB}MiB`];
    const options = { pipeline: `${pipeline}.pipeline.ts`, flags, directory };
    return withEngine(options, async (engine) => {
      await engine.line('engine-started');
      const sizes = await watch(engine, seconds);
      const recordsPerSecond = engine.recordCount / seconds;
      await engine.stop();
      checkOutput(pipeline, engine);
      const minutes = seconds / 60;
      return { recordsPerSecond, minutes, ...judge(sizes, memoryMiB * MIB) };
    });
  },
});

/** Resident bytes once a second. */
async function watch(engine: EngineProcess, seconds: number): Promise<number[]> {
  const sizes: number[] = [];
  const endMs = Date.now() + seconds * 1_000;
  while (Date.now() < endMs) {
    await delay(Math.min(SAMPLE_MS, seconds * 100));
    const bytes = residentBytes(engine.pid);
    if (bytes !== undefined) sizes.push(bytes);
  }
  return sizes;
}

function judge(sizes: readonly number[], optionBytes: number): Sample {
  if (sizes.length < 4) return {};
  const half = sizes.slice(Math.floor(sizes.length / 2)).map((y, x) => ({ x, y }));
  return {
    overBytes: Math.max(...sizes) - optionBytes,
    riseBytes: slopeOf(half) * (half.length - 1),
  };
}

/** Slope of the straight line with the least squared distances. @param points two or more. */
function slopeOf(points: readonly { readonly x: number; readonly y: number }[]): number {
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / points.length;
  let products = 0;
  let squares = 0;
  for (const { x, y } of points) {
    products += (x - meanX) * (y - meanY);
    squares += (x - meanX) ** 2;
  }
  return products / squares;
}
