/** A log on a disk that is full, and on one that has room again. @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import { settle, withoutWaiting } from '../../test/support/without-waiting.ts';
import type { Lsn } from '../core/ids.ts';
import type { Disk } from './disk.ts';
import { scanLog } from './log-scan.ts';
import { judgeLog } from './log-verdict.ts';
import { readRecords } from './scanned-record.ts';
import type { Shortage } from './shortage.ts';
import type { WalOptions } from './wal-options.ts';
import { WriteAheadLog } from './write-ahead-log.ts';

const DIRECTORY = '/logs/a';
const PAGE = 4096;
const SEGMENT_BYTES = 4 * PAGE; // three pages of records

let disk: MemoryDisk;
let clock: ManualClock;
let told: (Shortage | undefined)[];

beforeEach(() => {
  disk = new MemoryDisk();
  clock = new ManualClock();
  told = [];
});

async function open(options: Partial<WalOptions> = {}): Promise<WriteAheadLog> {
  const log = await WriteAheadLog.open({
    disk,
    clock,
    directory: DIRECTORY,
    logId: '00112233445566778899aabbccddeeff',
    epoch: 1,
    baseLsn: 1 as Lsn,
    segmentBytes: SEGMENT_BYTES,
    mode: 'direct',
    durability: 'sync',
    onShortage: (shortage) => told.push(shortage),
    ...options,
  });
  await settle();
  return log;
}

/** A record of one page, header included. */
function page(text: string): Uint8Array {
  return Buffer.alloc(PAGE - 32, text);
}

async function found(): Promise<string[]> {
  const texts: string[] = [];
  await scanLog(disk, DIRECTORY, (_, payload) => texts.push(payload.toString('latin1', 0, 1)));
  return texts;
}

interface Waiting {
  readonly last: Promise<unknown>;
  isDone: boolean;
}

/** Appends pages until one has to wait. */
async function fill(log: WriteAheadLog): Promise<Waiting> {
  for (let count = 0; count < 100; count += 1) {
    const last = log.append(page('x'));
    const waiting: Waiting = { last, isDone: false };
    void last.catch(() => undefined).finally(() => (waiting.isDone = true));
    await settle();
    if (!waiting.isDone) return waiting;
  }
  throw new Error('the disk is not full');
}

/** The same disk, with so much room. */
function withRoom(freeBytes: () => number): Disk {
  return { ...disk.attach(), freeBytes: () => Promise.resolve(freeBytes()) };
}

const SHORT: Shortage = {
  directory: DIRECTORY,
  wantedBytes: SEGMENT_BYTES,
  missingBytes: SEGMENT_BYTES,
};

describe('a full disk', () => {
  it('is told when the last spare is in use, before a roll needs the next', async () => {
    const log = await open({ sparesMin: 1 });
    disk.failAll('create', 'ENOSPC');
    for (const text of ['a', 'b', 'c']) await log.append(page(text));
    await settle();
    expect(told).toEqual([]);
    await log.append(page('d')); // the first of the last spare
    await settle();
    expect(told).toEqual([SHORT]);
    expect(log.shortage).toEqual(SHORT);
    await log.append(page('e'));
    expect(await found()).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('lets appends wait, neither acknowledged nor lost, and goes on with room', async () => {
    const log = await open();
    disk.failAll('create', 'ENOSPC');
    const waiting = await fill(log);
    const also = log.append(page('y'));
    clock.advance(10_000);
    await settle();
    expect(waiting.isDone).toBe(false);
    expect(log.stats().durableLsn).toBeLessThan(log.lastLsn + 1);
    disk.heal();
    clock.advance(60_000);
    await expect(withoutWaiting(waiting.last)).resolves.toBeDefined();
    await expect(also).resolves.toBeDefined();
    await settle();
    expect(told.at(-1)).toBeUndefined();
    expect((await found()).at(-1)).toBe('y');
    expect(judgeLog(await scanLog(disk, DIRECTORY), log.lastLsn).kind).toBe('clean');
  });

  it('is tried again ever later, from 1 s to 30 s', async () => {
    disk.failCall('create', 2, 'ENOSPC');
    await open();
    disk.failAll('create', 'ENOSPC');
    const delays: number[] = [];
    for (let round = 0; round < 7; round += 1) {
      const delayMs = Math.max(...clock.pendingMs);
      delays.push(delayMs);
      clock.advance(delayMs);
      await settle();
    }
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    expect(told).toEqual([SHORT]);
  });

  it('goes on with a segment that was freed, without any room', async () => {
    const log = await open();
    disk.failAll('create', 'ENOSPC');
    const { last } = await fill(log);
    expect(await log.truncateBefore(4 as Lsn)).toBe(1);
    await expect(last).resolves.toBeDefined();
    expect(log.shortage).toEqual(SHORT); // that was the last spare again
  });

  it('does not begin a file that cannot fit, and says what is missing', async () => {
    let freeBytes = 10 * SEGMENT_BYTES;
    const log = await open({ disk: withRoom(() => freeBytes), sparesMin: 1 });
    freeBytes = SEGMENT_BYTES - 100;
    const before = disk.counts.create;
    const { last } = await fill(log);
    expect(disk.counts.create).toBe(before);
    expect(told).toEqual([{ ...SHORT, missingBytes: 100 }]);
    freeBytes = SEGMENT_BYTES;
    clock.advance(60_000);
    await expect(last).resolves.toBeDefined();
  });

  it('says what is missing when a file grows no more, and removes it', async () => {
    const log = await open({ sparesMin: 1 });
    disk.failAll('write', 'ENOSPC');
    // Only the preparation writes now.
    await log.releaseSpare();
    clock.advance(1_000);
    await settle();
    expect(told).toEqual([SHORT]);
    expect(await disk.list(DIRECTORY)).toEqual(['0000000000000001.wal']);
  });

  it('is told one spare earlier to those who can be held back', async () => {
    const log = await open({ sparesReserved: 1 });
    expect(log.stats().spares).toBe(2);
    disk.failAll('create', 'ENOSPC');
    for (let count = 0; count < 4; count += 1) await log.append(page('x'));
    await settle();
    expect(log.stats().spares).toBe(1);
    expect(told).toEqual([SHORT]);
    for (let count = 0; count < 5; count += 1) await log.append(page('x'));
    expect(log.stats()).toMatchObject({ spares: 0, segments: 3 });
  });

  it('gets the room of a spare back, for a file that needs it more', async () => {
    const log = await open({ sparesReserved: 1 });
    expect(await log.releaseSpare()).toBe(true);
    expect(await log.releaseSpare()).toBe(true);
    expect(await log.releaseSpare()).toBe(false);
    expect(await disk.list(DIRECTORY)).toEqual(['0000000000000001.wal']);
  });

  it('lets a log be opened with a short first segment', async () => {
    const freeBytes = 300 * 1024;
    const log = await open({ disk: withRoom(() => freeBytes), segmentBytes: 1024 * 1024 });
    expect(disk.contentOf(`${DIRECTORY}/0000000000000001.wal`)).toHaveLength(PAGE + 256 * 1024);
    await log.append(page('a'));
    expect(await found()).toEqual(['a']);
    expect(log.shortage).toMatchObject({ missingBytes: 1024 * 1024 - freeBytes });
  });

  it('has the spares of an earlier opening removed before anything is made', async () => {
    await open();
    disk.kill();
    const spare = `${DIRECTORY}/spare-2.tmp`;
    expect(disk.contentOf(spare)).toHaveLength(SEGMENT_BYTES);
    const isThere = async (): Promise<boolean> =>
      ((await disk.list(DIRECTORY)) ?? []).includes('spare-2.tmp');
    const seen: boolean[] = [];
    const watching: Disk = {
      ...disk.attach(),
      create: async (path, mode) => {
        seen.push(await isThere());
        return disk.create(path, mode);
      },
    };
    await open({ disk: watching, epoch: 2 });
    expect(seen[0]).toBe(false);
  });
});

describe('the end of a log that waits', () => {
  it('refuses what found no room, and is no failure', async () => {
    const log = await open();
    disk.failAll('create', 'ENOSPC');
    const { last } = await fill(log);
    const refused = expect(last).rejects.toMatchObject({ code: 'DISK_FULL' });
    const lastLsn = log.lastLsn;
    await log.close();
    await refused;
    expect(judgeLog(await scanLog(disk, DIRECTORY), lastLsn).kind).toBe('clean');
    expect(clock.pendingMs).toEqual([]);
    expect(log.pendingBytes).toBe(0);
  });

  it('writes its last record where a page is left', async () => {
    const log = await open({ sparesMin: 1 });
    disk.failAll('create', 'ENOSPC');
    for (let count = 0; count < 5; count += 1) await log.append(page('x'));
    await log.close();
    expect((await scanLog(disk, DIRECTORY)).isClosed).toBe(true);
  });

  it('by poison rejects what waits', async () => {
    const log = await open();
    disk.failAll('create', 'ENOSPC');
    const { last } = await fill(log);
    const rejected = expect(last).rejects.toMatchObject({ code: 'WAL_POISONED' });
    disk.failCall('syncDirectory', 1, 'EIO');
    await expect(log.truncateBefore(4 as Lsn)).rejects.toMatchObject({ code: 'WAL_POISONED' });
    await rejected;
    await expect(log.close()).rejects.toMatchObject({ code: 'WAL_POISONED' });
  });
});

describe('a disk that fails', () => {
  it('poisons when a spare fails twice for another reason than room', async () => {
    const log = await open();
    disk.failAll('create', 'EIO');
    await fill(log).catch(() => undefined);
    await expect(log.append(page('z'))).rejects.toMatchObject({ code: 'WAL_POISONED' });
  });

  it('is told with the name that the segment has now', async () => {
    const log = await open();
    for (let count = 0; count < 4; count += 1) await log.append(page('x'));
    await settle();
    disk.failCall('sync', 1, 'EIO');
    const failure = await log.append(page('y')).catch((thrown: unknown) => thrown);
    expect(String(failure)).toContain(`${DIRECTORY}/0000000000000002.wal`);
    expect(String(failure)).not.toContain('spare-');
  });
});

describe('the start after a failed sync', () => {
  /** A log whose second record was written, and whose sync has failed. */
  async function poisoned(): Promise<void> {
    const log = await open();
    await log.append(page('a'));
    disk.failCall('sync', 1, 'EIO');
    await expect(log.append(page('b'))).rejects.toMatchObject({ code: 'WAL_POISONED' });
  }

  const surviving = async (): Promise<string[]> => {
    const { suspects, kind } = judgeLog(await scanLog(disk, DIRECTORY), 1 as Lsn);
    expect(kind).not.toBe('damaged');
    const carryOver = await readRecords(disk, suspects);
    await open({ disk: disk.attach(), epoch: 2, baseLsn: 2 as Lsn, carryOver });
    return found();
  };
  const nothing = { next: () => 0 };

  it('rewrites what only the page cache has (ext4 keeps it), before it counts', async () => {
    await poisoned();
    disk.kill();
    expect(await surviving()).toEqual(['a', 'b']);
    disk.crash(nothing, 'drop-all');
    expect(await found()).toEqual(['a', 'b']);
  });

  it('goes on without what the page cache has given up (Btrfs reverts it)', async () => {
    await poisoned();
    disk.crash(nothing, 'drop-all'); // to what the device has, which is what the cache shows then
    expect(await surviving()).toEqual(['a']);
    disk.crash(nothing, 'drop-all');
    expect(await found()).toEqual(['a']);
  });
});
