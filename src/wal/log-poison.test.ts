/** A log that fails more than once: while it rolls, while it truncates, at its end. One failure,
 * and one poison, is named in write-ahead-log.test.ts. @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import { settle } from '../../test/support/without-waiting.ts';
import type { MillraceError } from '../core/errors.ts';
import type { Lsn } from '../core/ids.ts';
import { scanLog } from './log-scan.ts';
import { judgeLog } from './log-verdict.ts';
import { WriteAheadLog } from './write-ahead-log.ts';

const DIRECTORY = '/logs/a';
const PAGE = 4096;
const POISONED = { code: 'WAL_POISONED' };

let disk: MemoryDisk;
let clock: ManualClock;
let told: MillraceError[];

beforeEach(() => {
  disk = new MemoryDisk();
  clock = new ManualClock();
  told = [];
});

/** A log whose segments have three pages of records. */
async function open(): Promise<WriteAheadLog> {
  const log = await WriteAheadLog.open({
    disk,
    clock,
    directory: DIRECTORY,
    logId: '00112233445566778899aabbccddeeff',
    epoch: 1,
    baseLsn: 1 as Lsn,
    segmentBytes: 4 * PAGE,
    mode: 'direct',
    durability: 'sync',
    onPoison: (error) => told.push(error),
  });
  await settle();
  return log;
}

/** Appends records of one page each. */
async function write(log: WriteAheadLog, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await log.append(Buffer.alloc(PAGE - 32, 'x'));
  await settle();
}

it('a roll that fails is told to who waits for it, and to nobody who was told before', async () => {
  const log = await open();
  disk.failCall('rename', 1, 'EIO');
  const rejected: unknown[] = [];
  const hear = (reason: unknown): void => void rejected.push(reason);
  process.on('unhandledRejection', hear);
  try {
    const page = Buffer.alloc(PAGE - 32, 'x');
    const outcomes = await Promise.allSettled([1, 2, 3, 4].map(() => log.append(page)));
    await settle();
    const fulfilled = outcomes.map(({ status }) => status === 'fulfilled');
    expect(fulfilled).toEqual([true, true, true, false]);
    expect(rejected).toEqual([]); // which would end the process
  } finally {
    process.off('unhandledRejection', hear);
  }
});

describe('two failures at once', () => {
  it('are one poison, and all callers hear the same', async () => {
    const log = await open();
    await write(log, 4);
    disk.failCall('sync', 1, 'EIO');
    disk.failCall('rename', 1, 'EIO');
    const outcomes = await Promise.allSettled([
      log.append(Buffer.from('a')),
      log.truncateBefore(log.lastLsn),
    ]);
    await settle(); // callers hear of the first, while the other is still under way
    expect(disk.struckCalls.map(({ kind }) => kind).toSorted()).toEqual(['rename', 'sync']);
    expect(told).toHaveLength(1);
    const heard = { status: 'rejected', reason: told[0] };
    expect(outcomes).toEqual([heard, heard]);
    expect(log.pendingBytes).toBe(0);
  });

  it('leave the first one as the cause when a truncation fails during a roll', async () => {
    const log = await open();
    await write(log, 6);
    disk.failCall('rename', 1, 'EIO');
    let truncated: Promise<unknown> | undefined;
    disk.watch(({ kind }) => {
      // The roll opens its spare now.
      if (kind === 'open')
        truncated ??= log.truncateBefore(5 as Lsn).catch((error: unknown) => error);
    });
    await expect(log.append(Buffer.from('next segment'))).rejects.toMatchObject(POISONED);
    disk.watch(undefined);
    expect(await truncated).toBe(told[0]);
    await settle();
    expect(told).toHaveLength(1);
    expect(told[0]?.cause).toMatchObject({ code: 'DISK_FAILED', details: { call: 'rename' } });
    await expect(log.close()).rejects.toBe(told[0]);
    // The roll came to its end: the record that waited for it is in no segment.
    const verdict = judgeLog(await scanLog(disk, DIRECTORY), 6 as Lsn);
    expect(verdict).toMatchObject({ kind: 'clean', lastLsn: 6 });
  });
});

describe('a poisoned log', () => {
  it('witnesses nothing more, and sets no timer', async () => {
    const log = await open();
    await write(log, 1);
    disk.failCall('sync', 1, 'EIO');
    await expect(log.append(Buffer.from('a'))).rejects.toMatchObject(POISONED);
    const calls = disk.counts.any;
    clock.advance(1_000);
    await settle();
    expect(disk.counts.any).toBe(calls);
    expect(clock.pendingMs).toEqual([]);
  });

  it('tells its poison at its end, whatever else fails then', async () => {
    const log = await open();
    disk.failCall('sync', 1, 'EIO');
    await expect(log.append(Buffer.from('a'))).rejects.toMatchObject(POISONED);
    disk.failAll('close', 'EIO');
    await expect(log.close()).rejects.toBe(told[0]);
    expect(disk.struckCalls.map(({ kind }) => kind)).toEqual(['sync', 'close']);
  });
});

describe('a log that is not poisoned', () => {
  it('fails at its end when a file cannot be closed, and has all its records', async () => {
    const log = await open();
    await write(log, 2);
    disk.failCall('close', 1, 'EIO');
    const failed = { code: 'DISK_FAILED', details: { call: 'close' } };
    await expect(log.close()).rejects.toMatchObject(failed);
    expect(await scanLog(disk, DIRECTORY)).toMatchObject({ lastLsn: 3, isClosed: true });
  });
});
