/** Segments that grow by appending, for file systems that never overwrite in place. Under random
 * scripts: test/sim/wal-durability.test.ts. @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import type { Lsn } from '../core/ids.ts';
import { scanLog } from './log-scan.ts';
import { judgeLog } from './log-verdict.ts';
import { decodeSegmentHeader } from './segment-header.ts';
import { segmentName } from './segment-name.ts';
import type { Shortage } from './shortage.ts';
import type { WalOptions } from './wal-options.ts';
import { WriteAheadLog } from './write-ahead-log.ts';

const DIRECTORY = '/logs/a';
const PAGE = 4096;
let disk: MemoryDisk;

beforeEach(() => {
  disk = new MemoryDisk();
});

function open(isGrowing = true, more: Partial<WalOptions> = {}): Promise<WriteAheadLog> {
  return WriteAheadLog.open({
    disk: disk.attach(),
    clock: new ManualClock(),
    directory: DIRECTORY,
    logId: '00112233445566778899aabbccddeeff',
    epoch: 1,
    baseLsn: 1 as Lsn,
    segmentBytes: 8 * PAGE,
    mode: 'buffered',
    isGrowing,
    durability: 'sync',
    ...more,
  });
}

async function write(log: WriteAheadLog, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await log.append(Buffer.from(`record ${n}`));
}

const pathOf = (seq: number): string => `${DIRECTORY}/${segmentName(seq)}`;
const sizeOf = (seq: number): number => disk.contentOf(pathOf(seq)).byteLength;

function cut(seq: number, bytes: number): void {
  disk.overwrite(pathOf(seq), disk.contentOf(pathOf(seq)).slice(0, bytes));
}

async function verdict(witnessedLsn = 0) {
  return judgeLog(await scanLog(disk, DIRECTORY), witnessedLsn as Lsn);
}

describe('a growing segment', () => {
  it('is made only while the disk has room for all of it', async () => {
    const shortages: (Shortage | undefined)[] = [];
    let freeBytes = 100 * PAGE;
    const full = { ...disk.attach(), freeBytes: () => Promise.resolve(freeBytes) };
    const log = await open(true, { disk: full, onShortage: (each) => shortages.push(each) });
    await write(log, 1);
    freeBytes = 7 * PAGE;
    await write(log, 8); // into the spare, and no next one can be made
    await log.close();
    expect(shortages).toMatchObject([{ missingBytes: PAGE }]);
  });

  it('is as long as what was written, says so in its header, and is sound', async () => {
    const log = await open();
    await write(log, 3);
    expect(sizeOf(1)).toBe(4 * PAGE);
    const page = Buffer.from(disk.contentOf(pathOf(1)).subarray(0, PAGE));
    expect(decodeSegmentHeader(page, 'x')?.header).toMatchObject({
      isGrowing: true,
      segmentBytes: 8 * PAGE,
    });
    expect(page.readUInt32LE(12)).toBe(1);
    disk.kill();
    expect(await verdict()).toMatchObject({ kind: 'clean', lastLsn: 3 });
  });

  it('rolls, and is removed instead of used again', async () => {
    const log = await open();
    await write(log, 20);
    expect(log.stats().segments).toBe(3);
    expect(await log.truncateBefore(15 as Lsn)).toBe(2);
    const names = (await disk.list(DIRECTORY)) ?? [];
    expect(names.filter((name) => name.endsWith('.wal'))).toEqual([segmentName(3)]);
    await write(log, 20);
    disk.kill();
    expect(await verdict()).toMatchObject({ kind: 'clean', lastLsn: 40 });
  });

  it('that was cut at its end is torn, or damaged as far as anybody witnessed it', async () => {
    await write(await open(), 4);
    disk.kill();
    cut(1, 4 * PAGE + 36);
    expect(await verdict()).toMatchObject({ kind: 'torn', lastLsn: 3 });
    expect((await verdict(3)).kind).toBe('torn');
    expect((await verdict(4)).kind).toBe('damaged');
    cut(1, 3 * PAGE);
    expect((await verdict(4)).kind).toBe('damaged');
  });

  it('that was cut and is not the last is damaged', async () => {
    await write(await open(), 10);
    disk.kill();
    cut(1, 5 * PAGE);
    expect((await verdict()).kind).toBe('damaged');
  });

  it('is the exception: another one that is cut short is damaged', async () => {
    await write(await open(false), 4);
    disk.kill();
    expect(sizeOf(1)).toBe(8 * PAGE);
    cut(1, 6 * PAGE);
    expect((await verdict()).kind).toBe('damaged');
  });
});
