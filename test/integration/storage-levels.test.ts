/** Batches that are late while the sources go on, at each storage level, with real threads: memory
 * is short, the log or the spill file has the rest, and what is read back is what was received.
 * Needs a built dist/.
 * @module */
import { closeSync, openSync, readSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lineAt, makeLines } from '../../src/sources/generator-lines.ts';
import type { PipelineRun, StartOptions } from '../support/pipeline-site.ts';
import { PipelineSite, failureOf } from '../support/pipeline-site.ts';

const MIB = 2 ** 20;
/** 30 MB, where 12 fit into memory. */
const RECORDS = 300_000;

/** What the pipeline's output waits for. */
const everyone = globalThis as typeof globalThis & { millraceGate?: Promise<void> };
let site: PipelineSite;
let openGate: () => void;

beforeEach(() => {
  site = new PipelineSite();
  everyone.millraceGate = new Promise((resolve) => (openGate = resolve));
});
afterEach(async () => {
  openGate();
  await site.close();
});

/** Counts lines; the first batch is not done before the gate opens. */
function lateOutput(input: string): void {
  site.pipeline(`const lines = ssc.generatorStream(${input});
    lines.foreachBatch(() => globalThis.millraceGate);
    keep('counts', lines.mapToPair((line) => [line, 1]).reduceByKey((a, b) => a + b));`);
}

/** The count of every line that the generator makes. */
function expected(): Map<string, number> {
  const lines = makeLines(1, 100);
  const counts = new Map<string, number>();
  for (let index = 0; index < RECORDS; index += 1) {
    const line = lineAt(lines, index);
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  return counts;
}

function counted(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [line, count] of site.records('counts') as [string, number][]) {
    counts.set(line, (counts.get(line) ?? 0) + count);
  }
  return counts;
}

/** Receives everything while the first batch waits, until more than `onDisk` bytes are on disk. The
 * end of the source is told before its last blocks are registered: nothing may depend on which of
 * the two is first. */
async function receiveAll(onDisk: number, options: StartOptions): Promise<PipelineRun> {
  const run = await site.start(options);
  await run.event('receiver-ended');
  await run.until('the first batch', () => run.of('batch-submitted').length > 0);
  const onDiskNow = (): number => run.context.totals.bytesOnDisk;
  await expect.poll(onDiskNow, { timeout: 60_000 }).toBeGreaterThan(onDisk);
  return run;
}

async function finish(run: PipelineRun): Promise<void> {
  openGate();
  await run.context.awaitTermination();
  expect(run.context.totals.bytesOnDisk).toBe(0);
  expect(run.of('warning')).not.toContainEqual(
    expect.objectContaining({ message: expect.stringContaining('stay in memory') as string }),
  );
  expect(counted()).toEqual(expected());
}

const scratch = (directory: string): string[] =>
  readdirSync(directory).filter((name) => name.startsWith('spill-'));

describe('a batch that is late, with more to come than memory holds', () => {
  it.each(['memory-and-disk', 'disk'] as const)('%s: the log has it', async (storageLevel) => {
    lateOutput(`{ total: ${RECORDS}, storageLevel: '${storageLevel}' }`);
    const onDisk = storageLevel === 'disk' ? 30 * 1e6 : 15 * MIB;
    const run = await receiveAll(onDisk, { executors: 2 });
    await finish(run);
    expect(scratch(site.checkpointDir)).toEqual([]);
  });

  it.each(['memory-and-disk', 'disk'] as const)(
    '%s, without a log: a file without a name has it',
    async (storageLevel) => {
      lateOutput(`{ total: ${RECORDS} }`);
      const run = await receiveAll(15 * MIB, { durability: 'off', storageLevel, executors: 2 });
      expect(scratch(site.checkpointDir).filter((name) => name.endsWith('.blocks'))).toEqual([]);
      await finish(run);
      expect(scratch(site.checkpointDir)).toEqual([]);
    },
  );

  it('memory-and-disk, without a directory: the same, in the system’s temporary one', async () => {
    lateOutput(`{ total: ${RECORDS}, storageLevel: 'memory-and-disk' }`);
    const temporary = process.env['TMPDIR'];
    process.env['TMPDIR'] = site.directory;
    try {
      const run = await receiveAll(15 * MIB, { checkpointDir: false });
      await finish(run);
    } finally {
      process.env['TMPDIR'] = temporary;
      if (temporary === undefined) delete process.env['TMPDIR'];
    }
    expect(scratch(site.directory)).toEqual([]);
  });

  it('memory: the source waits, and nothing goes to disk', async () => {
    lateOutput(`{ total: ${RECORDS} }`);
    const run = await site.start();
    await run.until('16 batches', () =>
      run
        .of('warning')
        .some(({ message }) => message.includes('processing takes longer than the batch interval')),
    );
    expect(run.of('receiver-ended')).toEqual([]);
    expect(run.context.totals.bytesOnDisk).toBe(0);
    await finish(run);
  });
});

it('blocks on disk keep their segments, while segments are recycled behind them', async () => {
  // 1 MiB each: the log rolls 30 times, and cleaning follows one batch behind the other. One batch
  // takes longer than the checkpoints of two seconds: all that was done before it is cleaned.
  site.pipeline(
    `const lines = ssc.generatorStream({ total: ${RECORDS}, recordsPerSecond: 300_000 });
    let calls = 0;
    lines.foreachBatch(() => {
      calls += 1;
      return new Promise((resolve) => setTimeout(resolve, calls === 3 ? 2_500 : 100));
    });
    keep('counts', lines.mapToPair((line) => [line, 1]).reduceByKey((a, b) => a + b));`,
    { options: { receiverSegmentBytes: '1MiB', storageLevel: 'disk' } },
  );
  const run = await site.finish();
  expect(run.of('batch-completed').length).toBeGreaterThan(1);
  expect(counted()).toEqual(expected());
});

describe('a block that is damaged while it waits', () => {
  /** Flips a bit in the first block of each segment. */
  function damage(): void {
    const log = join(site.checkpointDir, 'receiver-log-0');
    for (const name of readdirSync(log).filter((each) => each.endsWith('.wal'))) {
      const fd = openSync(join(log, name), 'r+');
      const byte = Buffer.alloc(1);
      const at = 4096 + 32 + 8 + 5_000;
      readSync(fd, byte, 0, 1, at);
      byte[0] = (byte[0] ?? 0) ^ 1;
      writeSync(fd, byte, 0, 1, at);
      closeSync(fd);
    }
  }

  it('ends the run with what is damaged, and where (I11)', async () => {
    lateOutput(`{ total: ${RECORDS}, storageLevel: 'disk' }`);
    const run = await receiveAll(30 * 1e6, { maxTaskFailures: 3 });
    damage();
    openGate();
    const error = await failureOf(run.context.awaitTermination());
    expect(error).toMatchObject({ code: 'WAL_CORRUPT', exitCode: 2 });
    expect(error.message).toMatch(
      /block generatorStream-0\/0\/1\.1\/\d+ \(record \d+, bytes \d+ to \d+ of .*\.wal\)/,
    );
    // Another try on the same bytes is no cure.
    expect(run.of('task-failed').map(({ attempt }) => attempt)).not.toContain(1);
  });

  it('is whole again at the next start, when there is a second copy', async () => {
    lateOutput(`{ total: ${RECORDS}, storageLevel: 'disk' }`);
    const mirrorDir = join(site.directory, 'mirror');
    const run = await receiveAll(30 * 1e6, { mirrorDir });
    damage();
    openGate();
    expect(await failureOf(run.context.awaitTermination())).toMatchObject({ code: 'WAL_CORRUPT' });
    await site.finish({ mirrorDir });
    expect(counted()).toEqual(expected());
  });
});
