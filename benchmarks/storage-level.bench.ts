/** Question: what does it cost when a batch does not fit into memory, and its blocks wait on disk?
 *
 * A fixed number of records as fast as they come, in batches of 1 s, so that a batch is several
 * times larger than the small memory. Read as: M records/s relative to `memory` with the LARGE
 * memory of the same run, where nothing waits; intake is how fast the source was taken, which is
 * what the levels with disk are for. Every count is checked. @module */
import { defineBenchmark } from './benchmark.ts';
import type { Sample } from './benchmark.ts';
import { withEngine } from './engine-process.ts';
import type { EngineProcess, EventLine } from './engine-process.ts';
import { checkOutput } from './generator-check.ts';
import { residentBytes } from './process-cost.ts';

const MIB = 2 ** 20;
const TOTAL = 10_000_000;
const SMOKE_TOTAL = 400_000;

export const storageLevel = defineBenchmark({
  name: 'storage-level',
  question: 'What does it cost when blocks wait on disk instead of in memory?',
  axes: {
    memoryMiB: [512, 32],
    level: ['memory', 'memory-and-disk', 'disk'],
    wal: ['sync', 'off'],
  },
  smokeAxes: { memoryMiB: [16], level: ['memory', 'memory-and-disk', 'disk'], wal: ['sync'] },
  seconds: 0, // as long as the records take
  metrics: {
    recordsPerSecond: { unit: 'M records/s', digits: 2, divisor: 1e6 },
    takenPerSecond: { unit: 'M records/s intake', digits: 2, divisor: 1e6 },
    onDiskBytes: { unit: 'MB on disk at most', digits: 0, divisor: 1e6 },
    overBytes: { unit: 'MB over the option', digits: 0, divisor: 1e6 },
  },
  baseline: {
    metric: 'recordsPerSecond',
    of: (point) =>
      point.level === 'memory' && point.memoryMiB === 512
        ? undefined
        : { ...point, level: 'memory', memoryMiB: 512 },
  },
  measure({ memoryMiB, level, wal }, { directory, isSmoke }) {
    const total = isSmoke ? SMOKE_TOTAL : TOTAL;
    const flags = ['--storage-level', level, '--memory', `${memoryMiB}MiB`, '--wal', wal];
    const options = {
      pipeline: 'storage-level.pipeline.ts',
      flags: [...flags, '--checkpoint', 'engine'],
      env: { BENCH_TOTAL: String(total) },
      directory,
    };
    return withEngine(options, async (engine) => {
      const sample = await measureAll(engine, { total, optionBytes: memoryMiB * MIB });
      checkOutput('filter-count', engine);
      return sample;
    });
  },
});

async function measureAll(
  engine: EngineProcess,
  { total, optionBytes }: { readonly total: number; readonly optionBytes: number },
): Promise<Sample> {
  const started = await engine.line('receiver-started');
  const taken = await engine.line('receiver-ended');
  await engine.line('engine-stopping'); // every record has its batch
  const residentAtEnd = residentBytes(engine.pid);
  await engine.stop();
  const doneMs = engine.batches.at(-1)?.atMs;
  if (doneMs === undefined || engine.recordCount !== total) {
    throw new Error(`${engine.recordCount} records went through, but ${total} were sent`);
  }
  const perSecond = (endMs: number): number => (total / (endMs - started.time)) * 1_000;
  return {
    recordsPerSecond: perSecond(doneMs),
    takenPerSecond: perSecond(taken.time),
    onDiskBytes: Math.max(0, ...engine.lines.map(bytesOnDisk)),
    ...(residentAtEnd === undefined ? {} : { overBytes: residentAtEnd - optionBytes }),
  };
}

function bytesOnDisk({ event, bytesOnDisk: bytes }: EventLine): number {
  return event === 'progress' ? Number(bytes) : 0;
}
