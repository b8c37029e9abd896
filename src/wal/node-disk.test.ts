/** @module */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../core/clock.ts';
import type { Lsn } from '../core/ids.ts';
import { allocateSharedPages } from '../core/shared-memory.ts';
import { crc32 } from '../serde/crc32.ts';
import type { WriteMode } from './disk.ts';
import { scanLog } from './log-scan.ts';
import { judgeLog } from './log-verdict.ts';
import { nodeDisk } from './node-disk.ts';
import { readRecords } from './scanned-record.ts';
import { WriteAheadLog } from './write-ahead-log.ts';

const PAGE = 4096;
const LOG_ID = '0123456789abcdef0123456789abcdef';

// The working tree's file system rather than a tmpfs, which may refuse direct I/O.
let root = '';
let isDirect = false;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-disk-'));
  isDirect = await nodeDisk.supportsDirect(root);
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('the real disk', () => {
  it('makes directories with their parents, and lists names in order', async () => {
    const directory = join(root, 'a', 'b', 'c');
    await nodeDisk.makeDirectory(directory);
    await nodeDisk.makeDirectory(directory);
    await writeFile(join(directory, '2'), '');
    await writeFile(join(directory, '1'), '');
    expect(await nodeDisk.list(directory)).toEqual(['1', '2']);
    expect(await nodeDisk.list(join(root, 'none'))).toBeUndefined();
  });

  it('creates only what is not there, and says what failed', async () => {
    const path = join(root, 'once');
    await (await nodeDisk.create(path, 'buffered')).close();
    await expect(nodeDisk.create(path, 'buffered')).rejects.toMatchObject({
      code: 'DISK_FAILED',
      details: { path, call: 'open', errno: 'EEXIST' },
    });
    await expect(nodeDisk.open(join(root, 'none'), 'buffered')).rejects.toMatchObject({
      code: 'DISK_FAILED',
      details: { errno: 'ENOENT' },
    });
  });

  it('writes more views than one call of the kernel takes', async () => {
    const path = join(root, 'views');
    const file = await nodeDisk.create(path, 'buffered');
    const views = Array.from({ length: 2_500 }, (_, n) => Buffer.from([n & 255, n >> 8]));
    expect(await file.write(views, 10)).toBe(5_000);
    expect(await file.writeSynced?.(views, 10)).toBe(5_000);
    expect(await file.sizeBytes()).toBe(5_010);
    await file.close();
    expect((await readFile(path)).subarray(10)).toEqual(Buffer.concat(views));
  });

  it('reads short only at the end of the file', async () => {
    const path = join(root, 'short');
    await writeFile(path, 'abcdef');
    const file = await nodeDisk.openForReading(path);
    const into = Buffer.alloc(10);
    expect(await file.read(into, 2)).toBe(4);
    expect(into.toString('latin1', 0, 4)).toBe('cdef');
    await file.close();
  });

  it('reads past the page cache, to the end of a file that does not end on a page', async () => {
    const path = join(root, 'past-cache');
    const content = Buffer.alloc(10_001, 'abcdefg');
    await writeFile(path, content);
    const file = await nodeDisk.openForReading(path, 'direct');
    const into = nodeDisk.allocateAligned(12_288);
    expect(await file.read(into, 0)).toBe(10_001);
    expect(content.equals(into.subarray(0, 10_001))).toBe(true);
    expect(await file.read(into.subarray(0, 4_096), 8_192)).toBe(1_809);
    expect(await file.sizeBytes()).toBe(10_001);
    await file.close();
  });

  it('reads a whole file, refuses a larger one, knows a missing one', async () => {
    const path = join(root, 'whole');
    await writeFile(path, 'abc');
    expect(Buffer.from((await nodeDisk.readWhole(path, 3)) ?? []).toString()).toBe('abc');
    await expect(nodeDisk.readWhole(path, 2)).rejects.toMatchObject({ code: 'DISK_FAILED' });
    expect(await nodeDisk.readWhole(join(root, 'none'), 3)).toBeUndefined();
  });

  it('renames over a target; removing what is gone is no error', async () => {
    const [from, to] = [join(root, 'from'), join(root, 'to')];
    await writeFile(from, 'new');
    await writeFile(to, 'old');
    await nodeDisk.rename(from, to);
    expect(await readFile(to, 'utf8')).toBe('new');
    await nodeDisk.unlink(from);
    await nodeDisk.removeTree(join(root, 'none'));
    await nodeDisk.syncDirectory(root);
  });

  it('leaves nothing behind when it tries direct I/O', async () => {
    const directory = join(root, 'probe');
    await nodeDisk.makeDirectory(directory);
    await nodeDisk.supportsDirect(directory);
    expect(await nodeDisk.list(directory)).toEqual([]);
  });
});

describe.each<WriteMode>(['buffered', 'direct'])('a log on the real disk, %s', (mode) => {
  it('rolls, closes, reopens with carried records and reads back', async (context) => {
    if (mode === 'direct' && !isDirect) context.skip();
    const directory = join(root, `log-${mode}`);
    const arena = new Uint8Array(allocateSharedPages(16 * PAGE));
    const options = {
      disk: nodeDisk,
      clock: systemClock,
      directory,
      logId: LOG_ID,
      epoch: 1,
      baseLsn: 1 as Lsn,
      segmentBytes: 16 * PAGE,
      mode,
      durability: 'sync' as const,
    };
    const log = await WriteAheadLog.open(options);
    const written: string[] = [];
    for (let n = 0; n < 12; n += 1) {
      const payload = `slot ${n} `.repeat(900);
      const slot = arena.subarray(0, 2 * PAGE);
      slot.fill(0).set(Buffer.from(payload), 32);
      const crc = crc32(Buffer.from(payload));
      await Promise.all([
        log.appendSlot(slot, payload.length, crc),
        log.append(Buffer.from(`small ${n}`)),
      ]);
      written.push(payload, `small ${n}`);
    }
    expect((await stat(join(directory, '0000000000000001.wal'))).size).toBe(16 * PAGE);
    expect(log.stats().segments).toBeGreaterThan(2);
    await log.close();

    const found: string[] = [];
    const scan = await scanLog(nodeDisk, directory, (_, payload) => {
      found.push(payload.toString('latin1'));
    });
    expect(found).toEqual(written);
    const verdict = judgeLog(scan, 24 as Lsn);
    expect(verdict).toMatchObject({ kind: 'clean', lastLsn: 25, durableThrough: 24 });
    const carryOver = await readRecords(nodeDisk, verdict.suspects);
    const { nextBaseLsn: baseLsn } = verdict;
    const second = await WriteAheadLog.open({ ...options, epoch: 2, baseLsn, carryOver });
    expect(second.carriedOver).toMatchObject([{ lsn: 25, offsetBytes: PAGE }]);
    expect(await second.append(Buffer.from('more'))).toMatchObject({ lsn: 26 });
    await second.close();
    expect(await scanLog(nodeDisk, directory)).toMatchObject({ lastLsn: 27, epoch: 2 });
  });
});
