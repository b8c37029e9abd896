/** What the log promises, held against a list under random scripts of appends, crashes, faults and
 * recoveries; and that this test notices when the log breaks its rules.
 *
 * MILLRACE_SEED replays a run, MILLRACE_RUNS scales how many there are. @module */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Lsn } from '../../src/core/ids.ts';
import type { Disk, DiskFile } from '../../src/wal/disk.ts';
import { scanLog } from '../../src/wal/log-scan.ts';
import type { LogScan } from '../../src/wal/log-scan.ts';
import { judgeLog } from '../../src/wal/log-verdict.ts';
import type { LogVerdict } from '../../src/wal/log-verdict.ts';
import { scaled, scaledTimeoutMs, seedNote, simSeed } from '../support/sim-runs.ts';
import { DIRECTORY, WalHistory } from '../support/wal-history.ts';
import type { HistoryOptions } from '../support/wal-history.ts';
import { playScript, walScript } from '../support/wal-script.ts';

const RUNS = 10_000;
/** Of a log that breaks its rules: none needed more than 300. */
const SABOTAGED_RUNS = 1_000;

describe(`the log under crashes (${seedNote})`, () => {
  it(
    'gives back what it acknowledged, in order, without holes, and nothing else',
    { timeout: scaledTimeoutMs() },
    async () => {
      await fc.assert(
        fc.asyncProperty(walScript, (given) => playScript(given)),
        { seed: simSeed, numRuns: scaled(RUNS) },
      );
    },
  );
});

/** True when the property does not hold with the break in place. */
async function isCaught(sabotage: Partial<HistoryOptions>): Promise<boolean> {
  const details = await fc.check(
    fc.asyncProperty(walScript, (given) => playScript(given, sabotage)),
    { seed: simSeed, numRuns: SABOTAGED_RUNS, endOnFailure: true },
  );
  return details.failed;
}

/** A disk whose files have `change` applied. */
function withFiles(disk: Disk, change: (file: DiskFile) => Partial<DiskFile>): Disk {
  const wrapped = async (opening: Promise<DiskFile>): Promise<DiskFile> => {
    const file = await opening;
    return { ...file, ...change(file) };
  };
  return {
    ...disk,
    create: (path, mode) => wrapped(disk.create(path, mode)),
    open: (path, mode) => wrapped(disk.open(path, mode)),
  };
}

/** As judgeLog, but deaf to witnesses: it cuts at the first bad record, as many logs do. */
function judgeWithoutWitness(scan: LogScan): LogVerdict {
  const verdict = judgeLog({ ...scan, durableLsn: 0 as Lsn }, 0 as Lsn);
  return { ...verdict, nextBaseLsn: (scan.lastLsn + 1) as Lsn, suspects: [] };
}

describe('the test catches', () => {
  it('nothing when the wrapped disk is left as it is', async () => {
    const wrapDisk = (disk: Disk): Disk => withFiles({ ...disk }, () => ({}));
    expect(await isCaught({ wrapDisk })).toBe(false);
  });

  it('a sync that is skipped', async () => {
    const wrapDisk = (disk: Disk, isRunning: () => boolean): Disk =>
      withFiles(disk, (file) => ({ sync: async () => (isRunning() ? undefined : file.sync()) }));
    expect(await isCaught({ wrapDisk })).toBe(true);
  });

  it('a directory that is not synced when the log rolls', async () => {
    const wrapDisk = (disk: Disk, isRunning: () => boolean): Disk => ({
      ...disk,
      syncDirectory: async (path) => (isRunning() ? undefined : disk.syncDirectory(path)),
    });
    expect(await isCaught({ wrapDisk })).toBe(true);
  });

  it('a short write that counts as a whole one', async () => {
    let calls = 0;
    const wrapDisk = (disk: Disk, isRunning: () => boolean): Disk =>
      withFiles(disk, (file) => ({
        async write(views, positionBytes) {
          calls += 1;
          const bytes = Buffer.concat(views);
          if (!isRunning() || calls % 7 !== 0) return file.write(views, positionBytes);
          const half = Buffer.alloc(bytes.byteLength).fill(
            bytes.subarray(0, bytes.byteLength / 2),
            0,
            bytes.byteLength / 2,
          );
          await file.write([new Uint8Array(half)], positionBytes);
          return bytes.byteLength;
        },
      }));
    expect(await isCaught({ wrapDisk })).toBe(true);
  });

  it('suspects that are believed without being written again', async () => {
    const judge = (scan: LogScan, witnessedLsn: Lsn): LogVerdict => {
      const verdict = judgeLog(scan, witnessedLsn);
      return { ...verdict, suspects: [], nextBaseLsn: (verdict.lastLsn + 1) as Lsn };
    };
    expect(await isCaught({ judge })).toBe(true);
  });

  it('a verdict that does not ask the witnesses', async () => {
    const history = new WalHistory({ durability: 'sync', seed: simSeed });
    await history.recover();
    history.append(100);
    await history.settle();
    history.append(100);
    await history.settle();
    const path = `${DIRECTORY}/0000000000000001.wal`;
    const rotten = history.disk.contentOf(path).slice();
    rotten[4096 + 50] = (rotten[4096 + 50] ?? 0) ^ 4;
    history.disk.overwrite(path, rotten);
    const scan = await scanLog(history.disk, DIRECTORY);
    expect(judgeLog(scan, 0 as Lsn).kind).toBe('damaged');
    expect(judgeWithoutWitness(scan).kind).toBe('torn'); // a silent loss of an acknowledged record
  });
});
