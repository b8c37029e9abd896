/** Question: how long is it after a kill until new batches are done, with so much left in the log?
 *
 * A run whose first batch is held stores all its records, synced, and is killed by SIGKILL. The
 * next one reads its log, does what was left, and goes on. Read as: bytes of records left in the
 * log over the time from the start of the process until the first batch of the new run is done; so
 * the process's own start is in it, and so is the work on every record. With records of 1,000
 * bytes it is the log that counts, with those of 100 bytes it is the records. `recovered` is the
 * time until the log has been read. All records are counted exactly once.
 * @module */
import { defineBenchmark } from './benchmark.ts';
import type { Sample } from './benchmark.ts';
import { EngineProcess, withEngine } from './engine-process.ts';
import type { EngineProcessOptions } from './engine-process.ts';
import { expectedSums } from './generator-check.ts';

const MIB = 2 ** 20;
/** Of which three quarters are for blocks, and hold all that is left. */
const MEMORY = { small: '128MiB', large: '2GiB' } as const;

export const recovery = defineBenchmark({
  name: 'recovery',
  question: 'How long is it after a kill until new batches are done, with so much left in the log?',
  axes: { leftMiB: [256, 1024], recordBytes: [100, 1_000] },
  smokeAxes: { leftMiB: [16], recordBytes: [100] },
  seconds: 0, // as long as it takes
  metrics: {
    bytesPerSecond: { unit: 'GiB/s', digits: 2, divisor: 2 ** 30 },
    recoveredMs: { unit: 'ms until recovered', digits: 0 },
    firstBatchMs: { unit: 'ms until the first new batch', digits: 0 },
  },
  async measure({ leftMiB, recordBytes }, { directory, isSmoke }) {
    const total = Math.floor((leftMiB * MIB) / recordBytes);
    const options = {
      pipeline: 'recovery.pipeline.ts',
      flags: ['--batch-interval', '200ms', '--memory', isSmoke ? MEMORY.small : MEMORY.large],
      directory,
    };
    const env = { BENCH_TOTAL: String(total), BENCH_RECORD_BYTES: String(recordBytes) };
    await fillAndDie({ ...options, env: { ...env, BENCH_HOLD: 'yes' } });
    return withEngine({ ...options, env }, async (engine) => {
      const sample = await measureRecovery(engine, total * recordBytes);
      await engine.stop();
      checkCounts(engine, { total, recordBytes });
      return sample;
    });
  },
});

async function fillAndDie(options: EngineProcessOptions): Promise<void> {
  const engine = new EngineProcess(options);
  try {
    await engine.line('receiver-ended'); // every record is durable
    if (engine.batches.length > 0) throw new Error('a batch that was held has been done');
  } finally {
    await engine.kill();
  }
}

async function measureRecovery(engine: EngineProcess, leftBytes: number): Promise<Sample> {
  const recovered = await engine.line('engine-recovered');
  const first = await engine.line('batch-completed', (line) => {
    return Number(line['batchTimeMs']) > engine.startedMs;
  });
  const firstBatchMs = first.time - engine.startedMs;
  return {
    bytesPerSecond: leftBytes / (firstBatchMs / 1_000),
    recoveredMs: recovered.time - engine.startedMs,
    firstBatchMs,
  };
}

function checkCounts(
  { output, recordCount }: EngineProcess,
  { total, recordBytes }: { readonly total: number; readonly recordBytes: number },
): void {
  const printed = output.filter((line) => /^\d+$/.test(line)).map(Number);
  const selected = printed.reduce((sum, count) => sum + count, 0);
  const expected = expectedSums('filter-count', total, recordBytes)['selected'];
  if (recordCount === total && selected === expected) return;
  throw new Error(
    `${recordCount} of ${total} records came back, ${selected} of ${expected} were selected`,
  );
}
