/** Logs that cannot be opened: options that are wrong, and disks that fail at any call of it.
 * @module */
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { FaultyReads } from '../../test/support/faulty-reads.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import type { Lsn } from '../core/ids.ts';
import type { CallKind, FaultEffect } from '../testing/fault-plan.ts';
import { scanLog } from './log-scan.ts';
import { judgeLog } from './log-verdict.ts';
import { readRecords } from './scanned-record.ts';
import { segmentName } from './segment-name.ts';
import { WriteAheadLog } from './write-ahead-log.ts';
import type { WalOptions } from './wal-options.ts';

const DIRECTORY = '/logs/open';
const PAGE = 4096;
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
    segmentBytes: 3 * PAGE, // half of it is no whole page
    mode: 'buffered',
    durability: 'sync',
    ...options,
  });
}

it('options that contradict the format are refused together', async () => {
  const carryOver = [{ lsn: 3 as Lsn, type: 1, payload: Buffer.from('x') } as const];
  const wrong = { logId: 'x', epoch: -1, baseLsn: 0 as Lsn, segmentBytes: PAGE, carryOver };
  const refused = open(wrong);
  await expect(refused).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
  for (const said of [/32 hex/, /epoch/, /baseLsn/, /segmentBytes/, /consecutive/]) {
    await expect(open(wrong)).rejects.toThrow(said);
  }
});

/** Two records that nobody witnessed, of a process that is gone. */
async function suspects(): Promise<Partial<WalOptions>> {
  const log = await open();
  await Promise.all([log.append(Buffer.from('one')), log.append(Buffer.from('two'))]);
  disk.kill();
  const verdict = judgeLog(await scanLog(disk, DIRECTORY), 0 as Lsn);
  const carryOver = await readRecords(disk, verdict.suspects);
  return { epoch: 2, baseLsn: verdict.nextBaseLsn, carryOver };
}

describe.each<[CallKind, FaultEffect]>([
  ['write', 'short'],
  ['write', 'EIO'],
  ['sync', 'EIO'],
  ['rename', 'EIO'],
  ['create', 'ENOSPC'],
  ['syncDirectory', 'EIO'],
])('an opening of which a %s fails (%s)', (kind, effect) => {
  it('says so, and the log is what it was', async () => {
    let failures = 0;
    for (let k = 1; k < 20; k += 1) {
      disk = new MemoryDisk();
      const options = await suspects();
      const before = await scanLog(disk, DIRECTORY);
      disk.failCall(kind, k, effect);
      const opened = await open(options).catch((error: unknown) => error);
      disk.kill();
      const after = await scanLog(disk, DIRECTORY);
      expect(after.lastLsn).toBe(before.lastLsn);
      if (opened instanceof WriteAheadLog) continue; // it went on, or was never asked
      failures += 1;
      const code = effect === 'ENOSPC' ? 'DISK_FULL' : 'DISK_FAILED';
      expect(opened).toMatchObject({ code });
    }
    expect(failures).toBeGreaterThan(0);
    expect(failures).toBeLessThan(19);
  });
});

it('a file that can be neither made nor removed tells both failures', async () => {
  disk.failCall('write', 1, 'EIO');
  disk.failAll('unlink', 'EIO');
  const failure = await open().catch((error: unknown) => error);
  expect(failure).toMatchObject({
    code: 'DISK_FAILED',
    message: expect.stringMatching(/write.*; nor could .* be removed: unlink/s),
    cause: { errors: { length: 2 } },
  });
});

it('a log that is closed makes no more spares', async () => {
  const clock = new ManualClock();
  disk.failCall('create', 2, 'ENOSPC');
  const log = await open({ clock, sparesMin: 1 });
  await log.close();
  clock.advance(60_000); // when a full disk is tried again
  expect(log.stats().spares).toBe(0);
});

it('a log that is closed at once does not finish its spare', async () => {
  const log = await open({ segmentBytes: 64 * 1024 * 1024, sparesMin: 1 });
  await log.close();
  const names = (await disk.list(DIRECTORY)) ?? [];
  expect(names.filter((name) => name.startsWith('spare-'))).toEqual([]);
});

it('a header that the device does not give back is not called damaged', async () => {
  const log = await open();
  await log.close();
  const path = join(DIRECTORY, segmentName(1));
  const refused = open({ disk: new FaultyReads(disk, { path, fromBytes: 0, errno: 'EIO' }) });
  await expect(refused).rejects.toThrow(/header of the log segment .* cannot be read \(EIO\)/);
});
