/** The log on its disk thread: it does not wait for the thread pool of the process, it ends with
 * whoever owns it, and nobody waits for ever when it dies. Real threads, so it needs a built dist/.
 * @module */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import type { Lsn } from '../../src/core/ids.ts';
import { crc32 } from '../../src/serde/crc32.ts';
import type { Disk } from '../../src/wal/disk.ts';
import type * as DiskThreadModule from '../../src/wal/disk-thread.ts';
import { scanLog } from '../../src/wal/log-scan.ts';
import { WriteAheadLog } from '../../src/wal/write-ahead-log.ts';
import { BlockedPool } from '../support/blocked-pool.ts';

const MODULE = new URL('../../dist/wal/disk-thread.js', import.meta.url).href;
const { DiskThread } = (await import(MODULE)) as typeof DiskThreadModule;

const PAGE = 4096;
/** Only what would wait for ever is cut off by it. */
const LIMIT_MS = 20_000;

let root = '';
let thread: DiskThreadModule.DiskThread | undefined;
let pool: BlockedPool | undefined;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-disk-thread-'));
});
afterEach(async () => {
  await pool?.release();
  await thread?.close();
  [pool, thread] = [undefined, undefined];
  rmSync(root, { recursive: true, force: true });
});

function openLog(disk: Disk, mode: 'buffered' | 'direct' = 'buffered'): Promise<WriteAheadLog> {
  return WriteAheadLog.open({
    disk,
    clock: systemClock,
    directory: join(root, 'log'),
    logId: '0123456789abcdef0123456789abcdef',
    epoch: 1,
    baseLsn: 1 as Lsn,
    segmentBytes: 8 * PAGE,
    mode,
    durability: 'sync',
  });
}

/** What `work` gives, or `'late'`. */
async function within<T>(work: Promise<T>): Promise<T | 'late'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), LIMIT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

describe('a log on a disk thread', () => {
  it('opens, commits, rolls, truncates and closes while the thread pool is blocked', async () => {
    const ownThread = new DiskThread('a test');
    thread = ownThread;
    // To load its module a thread needs the pool, as every thread does; from then on it does not.
    await ownThread.disk.list(root);
    pool = new BlockedPool(root);
    const work = async (): Promise<number> => {
      const log = await openLog(ownThread.disk);
      for (let n = 1; n <= 40; n += 1) await log.append(Buffer.alloc(3_000, n));
      await log.truncateBefore(30 as Lsn);
      await log.append(Buffer.alloc(3_000, 41));
      await log.close();
      return log.lastLsn;
    };
    expect(await within(work())).toBe(42); // the last one says that the log was closed
    expect(await pool.isBlocked()).toBe(true);
    await pool.release();
    const lsns: number[] = [];
    await scanLog(ownThread.disk, join(root, 'log'), ({ lsn }) => void lsns.push(lsn));
    expect(lsns.at(-1)).toBe(41);
    expect(lsns.length).toBeLessThan(41);
  });

  it('writes slots from shared memory, and other memory by a copy', async () => {
    const ownThread = new DiskThread('a test');
    thread = ownThread;
    const { disk } = ownThread;
    const mode = (await disk.supportsDirect(root)) ? 'direct' : 'buffered';
    const log = await openLog(disk, mode);
    const slot = disk.allocateAligned(2 * PAGE);
    slot.fill(0x61, 32, 5_032);
    const large = Buffer.alloc(64 * 1024, 'z').subarray(1_000, 9_000);
    await Promise.all([
      log.appendSlot(slot, 5_000, crc32(slot.subarray(32, 5_032))),
      log.append(large),
    ]);
    await log.close();
    const found: string[] = [];
    await scanLog(disk, join(root, 'log'), (_, payload) => void found.push(payload.toString()));
    expect(found.slice(0, 2)).toEqual(['a'.repeat(5_000), 'z'.repeat(8_000)]);
  });

  it('is poisoned when its thread dies: calls in flight and later ones reject', async () => {
    const started = new Promise<Worker>((resolve) => process.once('worker', resolve));
    const ownThread = new DiskThread('a test');
    thread = ownThread;
    const worker = await started;
    const log = await openLog(ownThread.disk);
    await log.append(Buffer.from('kept'));
    // The thread cannot come past the first call, and the append waits behind it.
    const fifo = join(root, 'fifo');
    expect(spawnSync('mkfifo', [fifo]).status).toBe(0);
    const calls = [ownThread.disk.openForReading(fifo), log.append(Buffer.from('a'))];
    const inFlight = Promise.allSettled(calls);
    await new Promise((resolve) => setImmediate(resolve));
    const terminated = worker.terminate();
    const releasing = openSync(fifo, 'r+'); // its call of the kernel ends; it makes no other
    expect(await within(inFlight)).toMatchObject([
      { status: 'rejected', reason: { code: 'DISK_FAILED' } },
      { status: 'rejected', reason: { code: 'WAL_POISONED' } },
    ]);
    await terminated;
    closeSync(releasing);
    await expect(log.append(Buffer.from('b'))).rejects.toMatchObject({
      code: 'WAL_POISONED',
      cause: { code: 'DISK_FAILED' },
    });
    await expect(ownThread.disk.list(root)).rejects.toMatchObject({ code: 'DISK_FAILED' });
    expect(await within(log.close().catch((error: { code: string }) => error.code))).toBe(
      'WAL_POISONED',
    );
  });

  it('ends with the thread that started it, and does not keep a process alive', async () => {
    const file = join(root, 'owner.mjs');
    writeFileSync(
      file,
      `import { parentPort } from 'node:worker_threads';
      import { DiskThread } from ${JSON.stringify(MODULE)};
      const { disk } = new DiskThread('a thread');
      const file = await disk.create(${JSON.stringify(join(root, 'file'))}, 'buffered');
      await file.write([Buffer.from('x')], 0);
      parentPort.postMessage('ready');
      if (process.argv[2] === 'stay') setInterval(() => {}, 1_000);`,
    );
    for (const argv of [['stay'], []]) {
      rmSync(join(root, 'file'), { force: true });
      const owner = new Worker(file, { argv });
      const exited = new Promise((resolve) => owner.once('exit', resolve));
      await new Promise((resolve) => owner.once('message', resolve));
      if (argv.length > 0) void owner.terminate();
      expect(await within(exited)).not.toBe('late');
    }
  });
});
