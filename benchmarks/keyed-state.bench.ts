/** Question: what does keyed state cost, and how long does it take to come back?
 *
 * Each batch touches a tenth of the keys, which are made once and then met again; only batches that
 * meet them count. Read as: records that went through shuffle and mapWithState in a second of
 * processing, with snapshots of the state in the background; and from the start of a process until
 * the state is back, that process's own start included. The last batch's count is checked.
 * @module */
import { defineBenchmark } from './benchmark.ts';
import type { Sample } from './benchmark.ts';
import { withEngine } from './engine-process.ts';
import type { EngineProcess } from './engine-process.ts';
import { residentBytes } from './process-cost.ts';

const TURNS = 10;
const BATCHES = 2 * TURNS;

export const keyedState = defineBenchmark({
  name: 'keyed-state',
  question: 'What does keyed state cost, and how long does it take to come back?',
  axes: { keys: [1_000_000, 10_000_000], recordsPerKey: [1, 10] },
  smokeAxes: { keys: [10_000], recordsPerKey: [1] },
  isWanted: ({ keys, recordsPerKey }) => keys < 10_000_000 || recordsPerKey === 1,
  seconds: 0, // as long as the batches take
  metrics: {
    recordsPerSecond: { unit: 'M records/s', digits: 2, divisor: 1e6 },
    restoreMs: { unit: 's until the state is back', digits: 1, divisor: 1_000 },
    residentBytes: { unit: 'MB resident', digits: 0, divisor: 1e6 },
  },
  async measure({ keys, recordsPerKey }, { directory }) {
    const touched = keys / TURNS;
    const options = {
      pipeline: 'keyed-state.pipeline.ts',
      flags: ['--executors', '2', '--checkpoint', 'engine', '--graceful-stop-timeout', '10m'],
      env: {
        BENCH_KEYS: String(keys),
        BENCH_TOUCHED: String(touched),
        BENCH_PER_KEY: String(recordsPerKey),
      },
      directory,
    };
    const speed = await withEngine(options, async (engine) => {
      const sample = await measureSpeed(engine, touched * recordsPerKey);
      await engine.stop();
      checkLast(engine, touched);
      return sample;
    });
    return { ...speed, ...(await withEngine(options, measureRestore)) };
  },
});

async function measureSpeed(engine: EngineProcess, batchRecords: number): Promise<Sample> {
  for (let done = 1; done <= BATCHES; done += 1) await engine.completed(done);
  const times = engine.lines
    .filter(({ event }) => event === 'batch-completed')
    .slice(TURNS, BATCHES)
    .map(({ processingMs }) => Number(processingMs));
  const sumMs = times.reduce((sum, ms) => sum + ms, 0);
  const resident = residentBytes(engine.pid);
  return {
    recordsPerSecond: (batchRecords * times.length * 1_000) / sumMs,
    ...(resident === undefined ? {} : { residentBytes: resident }),
  };
}

async function measureRestore(engine: EngineProcess): Promise<Sample> {
  const { time, keyCount, replayedBatches } = await engine.line('state-restored');
  if (Number(keyCount) === 0 || replayedBatches !== 0) {
    throw new Error(`${String(keyCount)} keys were restored from a snapshot that is not the last`);
  }
  return { restoreMs: time - engine.startedMs };
}

/** Each key of the last batch was met as often as it should have been. */
function checkLast({ output }: EngineProcess, touched: number): void {
  const counts = output.filter((line) => /^\d+$/.test(line)).map(Number);
  const expected = [...new Array<number>(TURNS).fill(0), ...new Array<number>(TURNS).fill(touched)];
  if (counts.slice(0, BATCHES).join() !== expected.join()) {
    throw new Error(`the counts are ${counts.join(', ')}, and not ${expected.join(', ')}`);
  }
}
