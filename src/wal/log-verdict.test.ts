/** Verdicts on logs whose files, rather than bytes, went wrong; and what becomes of torn tails.
 * Every bit and every cut: test/sim/wal-corruption-*.test.ts. @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import type { Lsn } from '../core/ids.ts';
import { seededRandom } from '../core/random.ts';
import { crc32 } from '../serde/crc32.ts';
import { scanLog } from './log-scan.ts';
import { damageError, judgeLog } from './log-verdict.ts';
import { readRecords } from './scanned-record.ts';
import { segmentName } from './segment-name.ts';
import { keepTornTail } from './torn-tail.ts';
import { WriteAheadLog } from './write-ahead-log.ts';
import type { WalOptions } from './wal-options.ts';

const DIRECTORY = '/logs/a';
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

/** Three records a segment; bases 1, 4, 7 … */
async function writeRecords(log: WriteAheadLog, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await log.append(Buffer.from(`record ${n}`));
}

const pathOf = (seq: number): string => `${DIRECTORY}/${segmentName(seq)}`;

async function verdictOf(witnessedLsn = 0): Promise<ReturnType<typeof judgeLog>> {
  return judgeLog(await scanLog(disk, DIRECTORY), witnessedLsn as Lsn);
}

describe('a log', () => {
  it('that never was is clean, unless somebody witnessed it', async () => {
    expect(await verdictOf()).toMatchObject({ kind: 'clean', nextBaseLsn: 1, suspects: [] });
    const lost = await verdictOf(5);
    expect(lost.kind).toBe('damaged');
    expect(damageError(lost)).toMatchObject({ code: 'WAL_CORRUPT', exitCode: 2 });
  });

  it('that ends below what others witnessed is damaged', async () => {
    await writeRecords(await open(), 4);
    expect(await verdictOf(4)).toMatchObject({ kind: 'clean', suspects: [] });
    const lost = await verdictOf(5);
    expect(lost).toMatchObject({ kind: 'damaged', lastLsn: 4, durableThrough: 5 });
    expect(lost.message).toMatch(/record 5 had been synced/);
  });

  it('without a segment in its middle is damaged', async () => {
    await writeRecords(await open(), 9);
    await disk.unlink(pathOf(2));
    const verdict = await verdictOf();
    expect(verdict).toMatchObject({ kind: 'damaged', lastLsn: 3 });
    expect(verdict.message).toMatch(/segment before .*03\.wal is missing/);
  });

  it('whose first segments were truncated is clean', async () => {
    await writeRecords(await open(), 9);
    await disk.unlink(pathOf(1));
    expect(await scanLog(disk, DIRECTORY)).toMatchObject({ firstLsn: 4, lastLsn: 9 });
    expect(await verdictOf(9)).toMatchObject({ kind: 'clean' });
  });

  it.each([1, 2, 3])('with a damaged header in segment %i is damaged', async (seq) => {
    await writeRecords(await open(), 9);
    disk.contentOf(pathOf(seq))[50] = 0x77;
    const verdict = await verdictOf();
    expect(verdict.kind).toBe('damaged');
    expect(verdict.message).toMatch(/header of the log segment .* is damaged/);
    await expect(open({ epoch: 2, baseLsn: 10 as Lsn })).rejects.toMatchObject({
      code: 'WAL_CORRUPT',
    });
  });

  it('with a segment of another log in it is damaged', async () => {
    await writeRecords(await open(), 9);
    const other = new MemoryDisk();
    const foreign = await open({ disk: other, logId: 'f'.repeat(32) });
    await writeRecords(foreign, 9);
    disk.overwrite(pathOf(2), other.contentOf(pathOf(2)));
    expect((await verdictOf()).message).toMatch(/does not continue/);
  });

  it('written by a newer version is refused as such', async () => {
    await writeRecords(await open(), 1);
    const page = Buffer.from(disk.contentOf(pathOf(1)).subarray(0, PAGE));
    page.writeUInt32LE(0x8000, 12); // a feature that this version does not know
    page.writeUInt32LE(crc32(page.subarray(0, PAGE - 4)), PAGE - 4);
    disk.contentOf(pathOf(1)).set(page);
    await expect(scanLog(disk, DIRECTORY)).rejects.toMatchObject({ code: 'FORMAT_UNKNOWN' });
  });

  it('that went on from below an unannounced segment has one history', async () => {
    await writeRecords(await open(), 8); // 4 to 8 were never announced: the thread died
    const second = await open({ epoch: 1, baseLsn: 4 as Lsn });
    await second.append(Buffer.from('another 4'));
    const found: string[] = [];
    const scan = await scanLog(disk, DIRECTORY, ({ lsn }, payload) => {
      found.push(`${lsn} ${payload.toString()}`);
    });
    expect(found).toEqual(['1 record 0', '2 record 1', '3 record 2', '4 another 4']);
    expect(judgeLog(scan, 4 as Lsn).kind).toBe('clean');
    expect(judgeLog(scan, 5 as Lsn).kind).toBe('damaged');
  });
});

describe('a torn tail', () => {
  async function tear(): Promise<void> {
    const log = await open();
    await log.append(Buffer.from('whole'));
    await log.append(Buffer.from('torn'));
    disk.crash(seededRandom(1), 'drop-all');
    const bytes = disk.contentOf(pathOf(1));
    bytes[2 * PAGE + 33] = 0;
  }

  it('is kept aside, and recovery run twice gives the same', async () => {
    await tear();
    const first = await verdictOf();
    expect(first).toMatchObject({ kind: 'torn', lastLsn: 1, suspects: [{ lsn: 1 }] });
    expect(first.message).toMatch(/interrupted at byte 8192/);
    const kept = await keepTornTail(disk, first);
    expect(kept).toBe(`${pathOf(1)}.torn`);
    expect(Buffer.from(disk.contentOf(kept ?? '')).toString('latin1', 32, 36)).toBe('t\0rn');
    expect(await keepTornTail(disk, await verdictOf())).toBe(kept);
    expect(await verdictOf()).toEqual(first);
  });

  it('leaves no more than two copies behind, and no half ones', async () => {
    await tear();
    for (const name of ['0000000000000007', '0000000000000008', '0000000000000009']) {
      await disk.create(`${DIRECTORY}/${name}.wal.torn`, 'buffered');
    }
    await disk.create(`${DIRECTORY}/0000000000000009.wal.torn.part`, 'buffered');
    await disk.create(`${DIRECTORY}/notes.torn`, 'buffered');
    await keepTornTail(disk, await verdictOf());
    const names = (await disk.list(DIRECTORY)) ?? [];
    expect(names.filter((name) => name.includes('.torn'))).toEqual([
      '0000000000000008.wal.torn',
      '0000000000000009.wal.torn',
      'notes.torn',
    ]);
  });

  it('is copied up to 16 MiB, and a copy that is cut short is an error', async () => {
    await open().then((log) => log.append(Buffer.from('whole')));
    const bytes = Buffer.alloc(20 * MIB, 0xee);
    bytes.set(disk.contentOf(pathOf(1)).subarray(0, 2 * PAGE));
    bytes.fill(0, 4 * MIB, 8 * MIB);
    bytes.set(bytes.subarray(PAGE, PAGE + 32), 2 * PAGE); // as if a write had begun there
    bytes[2 * PAGE + 16] = 2;
    disk.overwrite(pathOf(1), bytes);
    const verdict = await verdictOf();
    expect(verdict.kind).toBe('torn');
    disk.kill(); // nobody else writes any more
    disk.failCall('write', 2, 'short');
    await expect(keepTornTail(disk, verdict)).rejects.toMatchObject({ code: 'DISK_FAILED' });
    const kept = await keepTornTail(disk, verdict);
    expect(disk.contentOf(kept ?? '').byteLength).toBe(16 * MIB);
  });

  it('is void once the log goes on', async () => {
    await tear();
    const { nextBaseLsn, suspects } = await verdictOf();
    const carryOver = await readRecords(disk, suspects);
    const log = await open({ epoch: 2, baseLsn: nextBaseLsn, carryOver });
    await log.append(Buffer.from('new'));
    expect(await verdictOf(2)).toMatchObject({ kind: 'clean', lastLsn: 2 });
  });

  it('that somebody witnessed is damage, and nothing is kept aside of it', async () => {
    await tear();
    const verdict = await verdictOf(2);
    expect(verdict.kind).toBe('damaged');
    expect(await keepTornTail(disk, verdict)).toBeUndefined();
    expect(damageError(verdict).details).toMatchObject({ firstMissingLsn: 2, fromBytes: 8192 });
  });
});

describe('suspects', () => {
  it('move into the new log and are durable there', async () => {
    const log = await open({ durability: 'flush' });
    await writeRecords(log, 2);
    const before = await verdictOf();
    expect(before.suspects.map(({ lsn }) => lsn)).toEqual([1, 2]);
    const carryOver = await readRecords(disk, before.suspects);
    const second = await open({ epoch: 2, baseLsn: before.nextBaseLsn, carryOver });
    expect(second.carriedOver).toEqual([
      { lsn: 1, segmentSeq: 2, offsetBytes: PAGE },
      { lsn: 2, segmentSeq: 2, offsetBytes: PAGE + 40 },
    ]);
    disk.crash(seededRandom(1), 'drop-all');
    expect(await verdictOf()).toMatchObject({ kind: 'clean', lastLsn: 2, durableThrough: 2 });
  });

  it('that rot before they are read again are refused', async () => {
    await writeRecords(await open(), 1);
    const { suspects } = await verdictOf();
    disk.contentOf(pathOf(1))[PAGE + 33] = 0;
    await expect(readRecords(disk, suspects)).rejects.toMatchObject({ code: 'WAL_CORRUPT' });
  });
});
