/** How a log is read where its files do not end in order: devices that give nothing back, files cut
 * off, windows that do not fit. Harmed bytes: test/sim/wal-corruption-*.test.ts. @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { FaultyReads } from '../../test/support/faulty-reads.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import { MillraceError } from '../core/errors.ts';
import type { Lsn } from '../core/ids.ts';
import type { Disk } from './disk.ts';
import { scanLog } from './log-scan.ts';
import type { LogScan } from './log-scan.ts';
import { damageError, judgeLog } from './log-verdict.ts';
import { lostBytesErrno } from './read-fault.ts';
import { encodeRecordHeader, headerSeed } from './record-header.ts';
import type { RecordType } from './record-header.ts';
import { readRecords } from './scanned-record.ts';
import { listLog } from './segment-list.ts';
import type { FoundSegment } from './segment-list.ts';
import { segmentName } from './segment-name.ts';
import { WriteAheadLog } from './write-ahead-log.ts';
import type { WalOptions } from './wal-options.ts';

const DIRECTORY = '/logs/read';
const PAGE = 4096;
const MIB = 1024 * 1024;
let disk = new MemoryDisk();

beforeEach(() => {
  disk = new MemoryDisk();
});

function open(options: Partial<WalOptions> = {}): Promise<WriteAheadLog> {
  return WriteAheadLog.open({
    disk: disk.attach(),
    clock: new ManualClock(),
    directory: DIRECTORY,
    logId: '00112233445566778899aabbccddeeff',
    epoch: 1,
    baseLsn: 1 as Lsn,
    segmentBytes: 4 * PAGE,
    mode: 'buffered',
    durability: 'sync',
    ...options,
  });
}

/** Three records a segment, a page each; bases 1, 4, 7 … */
async function writeRecords(count: number): Promise<void> {
  const log = await open();
  for (let n = 1; n <= count; n += 1) await log.append(Buffer.from(`record ${n}`));
}

const pathOf = (seq: number): string => `${DIRECTORY}/${segmentName(seq)}`;

async function read(from: Disk = disk): Promise<{ scan: LogScan; payloads: string[] }> {
  const payloads: string[] = [];
  const scan = await scanLog(from, DIRECTORY, (_, payload) => {
    payloads.push(payload.toString('latin1', 0, 8));
  });
  return { scan, payloads };
}

describe('bytes that the device does not give back', () => {
  it('are damage, never the end of the log: what is in front of them is read', async () => {
    await writeRecords(3);
    const faulty = new FaultyReads(disk, { path: pathOf(1), fromBytes: 3 * PAGE, errno: 'EIO' });
    const { scan, payloads } = await read(faulty);
    expect(payloads).toEqual(['record 1', 'record 2']);
    expect(scan).toMatchObject({ lastLsn: 2, durableLsn: 1 });
    const place = { path: pathOf(1), fromBytes: 3 * PAGE, toBytes: 4 * PAGE };
    expect(scan.end).toEqual({ kind: 'unreadable', ...place, errno: 'EIO', isBroken: true });
    const verdict = judgeLog(scan, 0 as Lsn);
    expect(verdict).toMatchObject({ kind: 'damaged', suspects: [] });
    expect(verdict.message).toMatch(/bytes 12288 to 16384 of .*01\.wal cannot be read.*EIO/);
    expect(damageError(verdict)).toMatchObject({
      exitCode: 2,
      details: { ...place, errno: 'EIO', firstMissingLsn: 3, lastMissingLsn: 3 },
    });
  });

  it('are damage also where nothing was written yet', async () => {
    await writeRecords(1);
    const faulty = new FaultyReads(disk, { path: pathOf(1), fromBytes: 3 * PAGE, errno: 'EIO' });
    const { scan, payloads } = await read(faulty);
    expect(payloads).toEqual(['record 1']);
    expect(judgeLog(scan, 0 as Lsn).kind).toBe('damaged');
  });

  it('are damage in the middle of a log too, and records go on behind', async () => {
    await writeRecords(8);
    const faulty = new FaultyReads(disk, { path: pathOf(2), fromBytes: PAGE, errno: 'EIO' });
    const { scan, payloads } = await read(faulty);
    expect(payloads).toHaveLength(3);
    expect(scan.end).toMatchObject({ kind: 'unreadable', lastLsn: 6 });
    expect(judgeLog(scan, 0 as Lsn).lost).toEqual({ firstLsn: 4, lastLsn: 6 });
  });

  it('are damage where a header was', async () => {
    await writeRecords(8);
    const faulty = new FaultyReads(disk, { path: pathOf(2), fromBytes: 0, errno: 'EIO' });
    const { scan } = await read(faulty);
    expect(scan).toMatchObject({ lastLsn: 3 });
    expect(scan.end).toMatchObject({ kind: 'unreadable', errno: 'EIO', toBytes: PAGE, lastLsn: 6 });
    expect(judgeLog(scan, 0 as Lsn).kind).toBe('damaged');
  });

  it('are damage also when they can be read the second time', async () => {
    await writeRecords(3);
    const fault = { path: pathOf(1), fromBytes: PAGE, errno: 'EIO', isOnce: true } as const;
    const { scan, payloads } = await read(new FaultyReads(disk, fault));
    expect(payloads).toHaveLength(3);
    expect(scan.end).toMatchObject({ kind: 'unreadable', fromBytes: PAGE, toBytes: 4 * PAGE });
    expect(judgeLog(scan, 0 as Lsn).kind).toBe('damaged');
  });

  it('are not what a file is that we may not read: that says nothing of its bytes', async () => {
    await writeRecords(3);
    for (const fromBytes of [0, PAGE]) {
      const faulty = new FaultyReads(disk, { path: pathOf(1), fromBytes, errno: 'EACCES' });
      await expect(read(faulty)).rejects.toMatchObject({ code: 'DISK_FAILED', exitCode: 74 });
    }
  });

  it('refuse the records that are to be written again', async () => {
    await writeRecords(2);
    const { suspects } = judgeLog(await scanLog(disk, DIRECTORY), 0 as Lsn);
    const at = { path: pathOf(1), fromBytes: 2 * PAGE };
    const lost = readRecords(new FaultyReads(disk, { ...at, errno: 'EIO' }), suspects);
    await expect(lost).rejects.toMatchObject({ code: 'WAL_CORRUPT', details: { lsn: 2 } });
    const denied = readRecords(new FaultyReads(disk, { ...at, errno: 'EMFILE' }), suspects);
    await expect(denied).rejects.toMatchObject({ code: 'DISK_FAILED' });
  });
});

describe('a file that is shorter than its header says', () => {
  it('is damage also when only its unused rest is gone, in the middle of a log', async () => {
    const log = await open();
    await log.append(Buffer.alloc(PAGE, 'a'));
    await log.append(Buffer.alloc(3 * PAGE - 100, 'b')); // does not fit: rolls
    const bytes = disk.contentOf(pathOf(1));
    disk.overwrite(pathOf(1), bytes.subarray(0, 3 * PAGE));
    const { scan, payloads } = await read();
    expect(payloads).toEqual(['aaaaaaaa']);
    expect(scan.end).toMatchObject({ kind: 'segment-short', toBytes: 3 * PAGE });
    expect(judgeLog(scan, 0 as Lsn).message).toMatch(/was cut off at byte 12288/);
  });

  it('that ends in the middle of a payload gives nothing of it', async () => {
    await open().then((log) => log.append(Buffer.alloc(2 * PAGE, 'a')));
    disk.overwrite(pathOf(1), disk.contentOf(pathOf(1)).subarray(0, 2 * PAGE));
    const { scan, payloads } = await read();
    expect(payloads).toEqual([]);
    expect(scan.end).toMatchObject({ kind: 'segment-short', fromBytes: PAGE, toBytes: 2 * PAGE });
  });

  it('that became shorter while it was read does not hang the reader', async () => {
    await writeRecords(2);
    const faulty = new FaultyReads(disk, { path: pathOf(1), fromBytes: 2 * PAGE, errno: 'end' });
    const { scan, payloads } = await read(faulty);
    expect(payloads).toEqual(['record 1']);
    expect(scan.end).toMatchObject({ kind: 'record', isBroken: false });
  });
});

it('a sound record of a kind that nobody knows was written by a newer version', async () => {
  await writeRecords(1);
  const { header } = (await listLog(disk, DIRECTORY)).segments[0] as FoundSegment;
  const unknown = { type: 9 as RecordType, isRoundedUp: true, payloadBytes: 0, payloadCrc: 0 };
  const lsns = { lsn: 2 as Lsn, durableLsn: 1 as Lsn };
  const bytes = encodeRecordHeader({ ...unknown, ...lsns }, headerSeed(header.salt, 2 * PAGE));
  disk.contentOf(pathOf(1)).set(bytes, 2 * PAGE);
  const place = { path: pathOf(1), offsetBytes: 2 * PAGE };
  await expect(read()).rejects.toMatchObject({ code: 'FORMAT_UNKNOWN', details: place });
});

it('records that nobody witnessed are all suspects, however many, and only they', async () => {
  const log = await open({ durability: 'flush', segmentBytes: 1024 * PAGE });
  const small = Array.from({ length: 9_000 }, (_, n) => log.append(Buffer.from([n % 256])));
  await Promise.all(small);
  expect((await read()).scan.unwitnessed.map(({ lsn }) => lsn)).toEqual(
    small.map((_, index) => index + 1),
  );
  await log.close(); // synced before its last record, which says so
  expect((await read()).scan).toMatchObject({ isClosed: true, unwitnessed: [{ lsn: 9_001 }] });
});

it('only what a device says of its bytes counts as lost bytes', () => {
  const failed = (errno: string, call = 'read') =>
    new MillraceError('DISK_FAILED', errno, { details: { errno, call } });
  for (const errno of ['EIO', 'ENODATA', 'Unknown system error -117']) {
    expect(lostBytesErrno(failed(errno))).toBe(errno);
  }
  expect(lostBytesErrno(failed('EMFILE'))).toBeUndefined();
  expect(lostBytesErrno(failed('EIO', 'close'))).toBeUndefined();
  expect(lostBytesErrno(new Error('EIO'))).toBeUndefined();
});

describe('memory', () => {
  it('is bounded for files that are longer, and all of them is read', async () => {
    const log = await open({ segmentBytes: 20 * MIB });
    const payloads = Array.from({ length: 15 }, (_, n) =>
      Buffer.alloc(MIB + n, `block ${n + 10}MRMRMRMR`),
    );
    for (const payload of payloads) await log.append(payload);
    const { scan, payloads: found } = await read();
    expect(found).toEqual(payloads.map((payload) => payload.toString('latin1', 0, 8)));
    expect(scan.windowBytes).toBe(12 * MIB);
    // Far behind a bad record, several windows on, headers are still found.
    disk.contentOf(pathOf(1))[PAGE + 40] = 0;
    expect(await read()).toMatchObject({ payloads: [], scan: { durableLsn: 14 } });
  });

  it('grows for a record that is larger than the window', async () => {
    const log = await open({ segmentBytes: 16 * MIB });
    await log.append(Buffer.alloc(10 * MIB, 'large'));
    const { scan, payloads } = await read();
    expect(payloads).toEqual(['largelar']);
    expect(scan.windowBytes).toBe(18 * MIB + PAGE);
  });
});

it('an error of the visitor ends the scan', async () => {
  await writeRecords(1);
  const failure = new MillraceError('BROKEN_INVARIANT', 'enough');
  const scanned = scanLog(disk, DIRECTORY, () => {
    throw failure;
  });
  await expect(scanned).rejects.toBe(failure);
});
