/** What the log promises, held against a list under random scripts of appends, crashes and
 * recoveries; and that this test notices when the log breaks its rules.
 *
 * MILLRACE_SEED replays a run. @module */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MillraceError } from '../../src/core/errors.ts';
import type { Lsn } from '../../src/core/ids.ts';
import type { Disk, DiskFile } from '../../src/wal/disk.ts';
import { scanLog } from '../../src/wal/log-scan.ts';
import type { LogScan } from '../../src/wal/log-scan.ts';
import { judgeLog } from '../../src/wal/log-verdict.ts';
import type { LogVerdict } from '../../src/wal/log-verdict.ts';
import type { CallKind, CrashModel, FaultEffect } from '../support/memory-disk.ts';
import { DIRECTORY, MachineDied, WalHistory } from '../support/wal-history.ts';
import type { HistoryOptions } from '../support/wal-history.ts';

const seed = Number(process.env['MILLRACE_SEED'] ?? 20_260_101);
const RUNS = 400;

const model = fc.constantFrom<CrashModel>('journal', 'posix', 'keep-all', 'drop-all');
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('append'),
      bytes: fc.integer({ min: 8, max: 6_000 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('slot'), bytes: fc.integer({ min: 8, max: 9_000 }) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('settle') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('idle') }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('truncate'),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen') }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('crash-at'),
      calls: fc.integer({ min: 1, max: 60 }),
      model,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('fault'),
      call: fc.constantFrom<CallKind>('write', 'sync', 'sync', 'syncDirectory', 'rename', 'create'),
      k: fc.integer({ min: 1, max: 6 }),
      effect: fc.constantFrom<FaultEffect>('EIO', 'EIO', 'ENOSPC', 'short'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('power-cut'), model }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('kill') }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('interrupt'),
      calls: fc.integer({ min: 1, max: 30 }),
      model,
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const script = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 50 }),
  seed: fc.nat(),
  durability: fc.constantFrom<'sync' | 'flush'>('sync', 'sync', 'flush'),
});

async function run(
  { steps, ...options }: { steps: readonly Step[] } & HistoryOptions,
  sabotage: Partial<HistoryOptions> = {},
): Promise<void> {
  const history = new WalHistory({ ...options, ...sabotage });
  await history.recover();
  let armed: CrashModel = 'posix';
  for (const next of steps) {
    try {
      if (next.kind === 'crash-at') armed = next.model;
      if (next.kind === 'interrupt') await history.interruptedRecovery(next.calls, next.model);
      else await history.orCrash(() => play(history, next));
    } catch (thrown) {
      if (thrown instanceof MachineDied) await history.powerCut(armed);
      else if (isDiskTrouble(thrown)) await history.kill();
      else throw thrown;
    }
  }
  await history.powerCut('drop-all');
}

/** What ends the engine with exit code 74. */
function isDiskTrouble(thrown: unknown): boolean {
  return thrown instanceof MillraceError && thrown.exitCode === 74;
}

function play(
  history: WalHistory,
  next: Exclude<Step, { kind: 'interrupt' }>,
): Promise<void> | void {
  switch (next.kind) {
    case 'append':
      return history.append(next.bytes);
    case 'slot':
      return history.appendSlot(next.bytes);
    case 'settle':
      return history.settle();
    case 'idle':
      return history.idle();
    case 'truncate':
      return history.truncate(next.share);
    case 'reopen':
      return history.reopen();
    case 'crash-at':
      return history.crashAt(next.calls);
    case 'fault':
      return history.failCall(next.call, next.k, next.effect);
    case 'power-cut':
      return history.powerCut(next.model);
    case 'kill':
      return history.kill();
    default:
      throw new Error(`unknown step ${JSON.stringify(next satisfies never)}`);
  }
}

describe(`the log under crashes (MILLRACE_SEED=${seed})`, () => {
  it('gives back what it acknowledged, in order, without holes, and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(script, (given) => run(given)),
      { seed, numRuns: RUNS },
    );
  });
});

/** True when the property does not hold with the break in place. */
async function isCaught(sabotage: Partial<HistoryOptions>): Promise<boolean> {
  const details = await fc.check(
    fc.asyncProperty(script, (given) => run(given, sabotage)),
    { seed, numRuns: RUNS, endOnFailure: true },
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
    const history = new WalHistory({ durability: 'sync', seed });
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
