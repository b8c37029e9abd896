/** @module */
import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import { settle } from '../../test/support/without-waiting.ts';
import { MillraceError } from '../core/errors.ts';
import type { Lsn } from '../core/ids.ts';
import { crc32 } from '../serde/crc32.ts';
import type { Disk, DiskFile } from './disk.ts';
import { scanLog } from './log-scan.ts';
import { judgeLog } from './log-verdict.ts';
import type { WalOptions } from './wal-options.ts';
import { WriteAheadLog } from './write-ahead-log.ts';

const DIRECTORY = '/logs/a';
const LOG_ID = '00112233445566778899aabbccddeeff';
const PAGE = 4096;

let disk = new MemoryDisk();
let clock = new ManualClock();

afterEach(() => {
  disk = new MemoryDisk();
  clock = new ManualClock();
});

function open(options: Partial<WalOptions> = {}): Promise<WriteAheadLog> {
  return WriteAheadLog.open({
    disk,
    clock,
    directory: DIRECTORY,
    logId: LOG_ID,
    epoch: 1,
    baseLsn: 1 as Lsn,
    segmentBytes: 8 * PAGE,
    mode: 'direct',
    durability: 'sync',
    ...options,
  });
}

function slotOf(payload: Uint8Array): Parameters<WriteAheadLog['appendSlot']> {
  const slot = disk.allocateAligned(Math.ceil((32 + payload.byteLength) / PAGE) * PAGE);
  slot.set(payload, 32);
  return [slot, payload.byteLength, crc32(payload)];
}

async function payloads(): Promise<string[]> {
  const found: string[] = [];
  await scanLog(disk, DIRECTORY, (record, payload) => {
    found.push(`${record.lsn}:${payload.toString('latin1').slice(0, 8)}`);
  });
  return found;
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe('appending', () => {
  it('resolves in call order with contiguous LSNs, and reads back equal', async () => {
    const log = await open();
    const order: number[] = [];
    const appends = ['a', 'b', 'c'].map(async (text) => {
      const { lsn } = await log.append(bytes(text));
      order.push(lsn);
    });
    await Promise.all(appends);
    expect(order).toEqual([1, 2, 3]);
    expect(await payloads()).toEqual(['1:a', '2:b', '3:c']);
  });

  it('puts the appends of one turn into one group, with one sync', async () => {
    const log = await open();
    const before = disk.counts.sync;
    await Promise.all([log.append(bytes('a')), log.append(bytes('b')), log.append(bytes('c'))]);
    expect(log.stats()).toMatchObject({ groups: 1, records: 3, durableLsn: 3, pendingBytes: 0 });
    // The spare in the background syncs once too.
    expect(disk.counts.sync - before).toBeLessThanOrEqual(2);
  });

  it('starts each group and each slot on a page', async () => {
    const log = await open();
    const [small, slot, tail] = await Promise.all([
      log.append(bytes('small')),
      log.appendSlot(...slotOf(Buffer.alloc(5_000, 's'))),
      log.append(bytes('tail')),
    ]);
    const next = await log.append(bytes('next group'));
    expect([small, slot, tail, next].map((position) => position.offsetBytes / PAGE)).toEqual([
      1, 2, 4, 5,
    ]);
    expect(await payloads()).toEqual(['1:small', '2:ssssssss', '3:tail', '4:next gro']);
  });

  it('writes a slot from where it lies', async () => {
    const log = await open();
    const [slot, length, crc] = slotOf(Buffer.alloc(100, 'x'));
    const { offsetBytes } = await log.appendSlot(slot, length, crc);
    expect(slot.subarray(0, 4)).not.toEqual(new Uint8Array(4)); // the header is in the slot itself
    const file = disk.contentOf(`${DIRECTORY}/0000000000000001.wal`);
    expect(file.subarray(offsetBytes, offsetBytes + PAGE)).toEqual(slot);
  });

  it('does not resolve before the sync has returned', async () => {
    const log = await open();
    await settle();
    disk.failCall('sync', 1, 'crash');
    let isResolved = false;
    void log.append(bytes('a')).then(() => (isResolved = true));
    await settle();
    expect(isResolved).toBe(false);
  });

  it('writes and syncs in one call where the disk can, and checks its count', async () => {
    let lostBytes = 0;
    const calls: string[] = [];
    const withBoth = (file: DiskFile): DiskFile => ({
      path: file.path,
      write: (views, at) => (calls.push('write'), file.write(views, at)),
      async writeSynced(views, at) {
        calls.push('both');
        const taken = await file.write(views, at);
        if (lostBytes === 0) await file.sync();
        return taken - lostBytes;
      },
      read: (into, at) => file.read(into, at),
      sync: () => (calls.push('sync'), file.sync()),
      syncAll: () => file.syncAll(),
      sizeBytes: () => file.sizeBytes(),
      close: () => file.close(),
    });
    const plain = disk.attach();
    const both: Disk = {
      ...plain,
      create: async (path, mode) => withBoth(await plain.create(path, mode)),
    };
    const log = await open({ disk: both, sparesMin: 0 });
    await settle();
    calls.length = 0;
    await log.append(bytes('a'));
    expect(calls).toEqual(['both']);
    expect(log.durableLsn).toBe(1);
    lostBytes = 1;
    await expect(log.append(bytes('b'))).rejects.toMatchObject({ code: 'WAL_POISONED' });
    expect(log.durableLsn).toBe(1);
  });

  it('at the flush level resolves without a sync, and the idle log syncs', async () => {
    const log = await open({ durability: 'flush' });
    await settle();
    const before = disk.counts.sync;
    await log.append(bytes('a'));
    expect(disk.counts.sync).toBe(before);
    expect(log.durableLsn).toBe(0);
    await settle();
    clock.advance(50);
    clock.advance(50);
    await settle();
    expect(log.durableLsn).toBe(2);
  });
});

describe('refusing', () => {
  it('refuses a record that is larger than a segment, and stays usable', async () => {
    const log = await open();
    await expect(log.append(new Uint8Array(8 * PAGE))).rejects.toMatchObject({
      code: 'RECORD_TOO_LARGE',
    });
    const largest = 8 * PAGE - PAGE - 32;
    await expect(log.append(new Uint8Array(largest))).resolves.toMatchObject({ lsn: 1 });
  });

  it('refuses appends after close', async () => {
    const log = await open();
    await log.close();
    await expect(log.append(bytes('a'))).rejects.toMatchObject({ code: 'WAL_CLOSED' });
    await expect(log.truncateBefore(1 as Lsn)).rejects.toMatchObject({ code: 'WAL_CLOSED' });
  });

  it('refuses a watermark after close', async () => {
    const log = await open();
    await log.close();
    await expect(log.witnessPeer(3 as Lsn)).rejects.toMatchObject({ code: 'WAL_CLOSED' });
    expect(await scanLog(disk, DIRECTORY)).toMatchObject({ peerWitness: 0 });
  });

  it('refuses a slot that is off its page, or too short for the zeros behind it', async () => {
    const log = await open();
    const memory = disk.allocateAligned(3 * PAGE);
    const wrong = { code: 'BROKEN_INVARIANT' };
    await expect(log.appendSlot(memory.subarray(8), 100, 0)).rejects.toMatchObject(wrong);
    const short = memory.subarray(0, PAGE);
    await expect(log.appendSlot(short, PAGE - 31, 0)).rejects.toMatchObject(wrong);
    const fits = slotOf(Buffer.alloc(PAGE - 32, 'x'));
    await expect(log.appendSlot(...fits)).resolves.toMatchObject({ lsn: 1 });
  });

  it('refuses more than the bound of what may wait', async () => {
    const log = await open({ pendingBytesMax: 100 });
    const first = log.append(new Uint8Array(60));
    await expect(log.append(new Uint8Array(60))).rejects.toMatchObject({
      code: 'BROKEN_INVARIANT',
    });
    await first;
  });

  it('names all wrong options at once', async () => {
    const wrong = open({ logId: 'x', segmentBytes: 5_000 });
    await expect(wrong).rejects.toThrow(/logId .*segmentBytes/);
  });
});

describe('poison', () => {
  const effects = [
    ['write', 'EIO'],
    ['write', 'short'],
    ['write', 'ENOSPC'],
    ['sync', 'EIO'],
  ] as const;

  it.each(effects)('a failed %s (%s) ends the log for good', async (kind, effect) => {
    const told: MillraceError[] = [];
    const log = await open({ onPoison: (error) => told.push(error) });
    await settle();
    disk.failCall(kind, 1, effect);
    const waiters = [log.append(bytes('a')), log.append(bytes('b'))];
    for (const waiter of waiters) {
      await expect(waiter).rejects.toMatchObject({ code: 'WAL_POISONED' });
    }
    disk.heal();
    await expect(log.append(bytes('c'))).rejects.toMatchObject({ code: 'WAL_POISONED' });
    await expect(log.truncateBefore(1 as Lsn)).rejects.toMatchObject({ code: 'WAL_POISONED' });
    await expect(log.close()).rejects.toMatchObject({ code: 'WAL_POISONED' });
    expect(told).toHaveLength(1);
    expect(told[0]?.cause).toBeInstanceOf(MillraceError);
  });

  it('rejects what forms the next group, too', async () => {
    const log = await open();
    await settle();
    disk.failCall('sync', 1, 'EIO');
    const first = log.append(bytes('a'));
    await Promise.resolve();
    await Promise.resolve();
    const second = log.append(bytes('b'));
    await expect(first).rejects.toMatchObject({ code: 'WAL_POISONED' });
    await expect(second).rejects.toMatchObject({ code: 'WAL_POISONED' });
    expect(log.pendingBytes).toBe(0);
  });

  it('of a truncation that cannot be made durable', async () => {
    const log = await open();
    await fillSegments(log, 3);
    disk.failCall('syncDirectory', 1, 'EIO');
    await expect(log.truncateBefore(log.lastLsn)).rejects.toMatchObject({ code: 'WAL_POISONED' });
    await expect(log.append(bytes('a'))).rejects.toMatchObject({ code: 'WAL_POISONED' });
  });
});

async function fillSegments(log: WriteAheadLog, count: number): Promise<void> {
  while (log.stats().segments < count) await log.append(new Uint8Array(2 * PAGE));
}

describe('rolling', () => {
  it('goes on in the next segment and reads back as one log', async () => {
    const log = await open();
    for (let n = 0; n < 20; n += 1) await log.append(bytes(`record ${n}`.padEnd(6_000)));
    expect(log.stats().segments).toBeGreaterThan(5);
    const found = await payloads();
    expect(found).toHaveLength(20);
    expect(judgeLog(await scanLog(disk, DIRECTORY), 20 as Lsn).kind).toBe('clean');
  });

  it('at the flush level syncs a segment before the next one begins', async () => {
    const log = await open({ durability: 'flush' });
    await fillSegments(log, 2);
    expect(log.durableLsn).toBe(log.lastLsn - 1);
    disk.crash({ next: () => 0 }, 'drop-all');
    expect((await payloads()).map((found) => found.split(':')[0])).toEqual(['1', '2']);
    const verdict = judgeLog(await scanLog(disk, DIRECTORY), 0 as Lsn);
    expect(verdict).toMatchObject({ kind: 'clean', durableThrough: 2 });
  });

  it('keeps one spare at first, more after the first use', async () => {
    const log = await open({ sparesMin: 2 });
    await settle();
    expect(log.stats().spares).toBe(1);
    await fillSegments(log, 2);
    await settle();
    expect(log.stats().spares).toBe(2);
  });

  it('survives a full disk until a spare is needed, and tries once more then', async () => {
    disk.failCall('write', 3, 'ENOSPC'); // header page and zeros of the first segment come before
    const log = await open();
    await settle();
    expect(log.stats()).toMatchObject({ spares: 0 });
    expect(log.stats().spareFailure).toMatch(/is full: 32KiB are missing/);
    await fillSegments(log, 3);
    await expect(log.append(bytes('a'))).resolves.toBeDefined();
  });

  it('says that the disk is full when what did not fit cannot be removed either', async () => {
    disk.failCall('write', 1, 'ENOSPC');
    disk.failCall('unlink', 1, 'EIO');
    await expect(open()).rejects.toMatchObject({ code: 'DISK_FULL' });
  });
});

describe('truncating', () => {
  it('frees the segments below, oldest first, and never the active one', async () => {
    const log = await open();
    await fillSegments(log, 4);
    const positions = await log.append(bytes('last'));
    expect(await log.truncateBefore(positions.lsn)).toBe(3);
    expect(log.stats().segments).toBe(1);
    expect((await payloads()).at(-1)).toBe(`${positions.lsn}:last`);
    expect(await log.truncateBefore((positions.lsn + 1_000) as Lsn)).toBe(0);
  });

  it('keeps a segment that holds the LSN itself', async () => {
    const log = await open();
    const { lsn } = await log.append(bytes('first'));
    await fillSegments(log, 3);
    expect(await log.truncateBefore(lsn)).toBe(0);
  });

  it('uses as many freed segments again as it used up; old records stay dead', async () => {
    const log = await open({ sparesMin: 1 });
    await fillSegments(log, 6);
    await settle();
    await log.truncateBefore(log.lastLsn);
    await settle();
    expect(log.stats().spares).toBe(6); // one, and the five that followed the first segment
    const created = disk.counts.create;
    await fillSegments(log, 2);
    expect(disk.counts.create).toBe(created);
    const { lsn } = await log.append(bytes('end'));
    const found = await payloads();
    expect(found.at(-1)).toBe(`${lsn}:end`);
    expect(judgeLog(await scanLog(disk, DIRECTORY), lsn).kind).toBe('clean');
  });

  it('unlinks segments of an earlier open', async () => {
    const first = await open();
    await fillSegments(first, 3);
    const base = (first.lastLsn + 2) as Lsn; // its CLOSED record too
    await first.close();
    const second = await open({ epoch: 2, baseLsn: base });
    await settle();
    const spares = second.stats().spares;
    expect(await second.truncateBefore(base)).toBe(3);
    await settle();
    expect(second.stats()).toMatchObject({ segments: 1, spares });
  });
});

describe('witnessing', () => {
  it('an idle log witnesses its last group, once', async () => {
    const log = await open();
    await log.append(bytes('a'));
    for (let n = 0; n < 10; n += 1) {
      clock.advance(50);
      await settle();
    }
    const scan = await scanLog(disk, DIRECTORY);
    expect(scan).toMatchObject({ lastLsn: 2, durableLsn: 1 });
    expect(clock.pendingMs).toEqual([]); // and then it rests
  });

  it('a log that rested witnesses what comes later, too', async () => {
    const log = await open();
    for (const text of ['a', 'b']) {
      await log.append(bytes(text));
      for (let n = 0; n < 10; n += 1) {
        clock.advance(50);
        await settle();
      }
      expect(clock.pendingMs).toEqual([]);
    }
    expect(await scanLog(disk, DIRECTORY)).toMatchObject({ lastLsn: 4, durableLsn: 3 });
  });

  it('ends a group with what is new of the peer, and follows it while idle', async () => {
    let peerLsn = 7 as Lsn;
    const log = await open({ peerDurableLsn: () => peerLsn });
    await log.append(bytes('a'));
    expect(await scanLog(disk, DIRECTORY)).toMatchObject({ lastLsn: 2, peerWitness: 7 });
    peerLsn = 9 as Lsn;
    clock.advance(50);
    clock.advance(50);
    await settle();
    expect(await scanLog(disk, DIRECTORY)).toMatchObject({ peerWitness: 9 });
  });

  it('a closed log says so and has witnessed everything', async () => {
    const log = await open({ peerDurableLsn: () => 5 as Lsn });
    await Promise.all([log.append(bytes('a')), log.append(bytes('b'))]);
    await log.close();
    const scan = await scanLog(disk, DIRECTORY);
    expect(scan).toMatchObject({ isClosed: true, peerWitness: 5, lastLsn: 4, durableLsn: 3 });
    expect(clock.pendingMs).toEqual([]);
    expect((await disk.list(DIRECTORY))?.filter((name) => name.startsWith('spare'))).toEqual([]);
  });
});
