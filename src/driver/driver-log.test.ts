/** @module */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GatedDisk } from '../../test/support/gated-disk.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import type { Lsn } from '../core/ids.ts';
import { scanLog } from '../wal/log-scan.ts';
import { DriverLog } from './driver-log.ts';

const EVENTS = '/d/driver-log';
const MIRROR = '/d/driver-log-mirror';

async function openLog() {
  const memory = new MemoryDisk();
  const disk = new GatedDisk(memory);
  const poisoned: string[] = [];
  const log = await DriverLog.open(
    {
      disk,
      clock: new ManualClock(),
      directory: EVENTS,
      logId: '00112233445566778899aabbccddeeff',
      epoch: 1,
      baseLsn: 1 as Lsn,
      segmentBytes: 64 * 1024,
      mode: 'buffered',
      durability: 'sync',
      onPoison: ({ message }) => poisoned.push(message),
    },
    { directory: MIRROR, baseLsn: 1 as Lsn, isDamaged: false },
  );
  await turns();
  disk.calls.length = 0;
  const settled: string[] = [];
  const append = (name: string, isMirrored = false): Promise<void> =>
    log.append(Buffer.from(name), isMirrored).then(
      () => void settled.push(name),
      (error: { code: string }) => void settled.push(`${name}: ${error.code}`),
    );
  return { memory, disk, log, append, settled, poisoned };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('an allocation', () => {
  it('counts only when the mirror is synced, and what comes behind it waits', async () => {
    const { disk, append, settled } = await openLog();
    const open = disk.holdSyncs('driver-log-mirror');
    const all = [append('added 1'), append('allocated', true), append('added 2')];
    await turns();
    expect(settled).toEqual(['added 1']);
    open();
    await Promise.all(all);
    expect(settled).toEqual(['added 1', 'allocated', 'added 2']);
  });

  it('is witnessed after its own sync and not before', async () => {
    const { disk, append, settled } = await openLog();
    const open = disk.holdSyncs('/driver-log/');
    const appended = append('allocated', true);
    await turns();
    expect(disk.calls.filter((call) => call.includes('mirror'))).toEqual([]);
    open();
    await appended;
    expect(settled).toEqual(['allocated']);
    const kinds = disk.calls.map((call) => call.replace(/\/d\/(.*)\/.*/, '$1'));
    expect(kinds).toEqual([
      'write driver-log',
      'sync driver-log',
      'write driver-log-mirror',
      'sync driver-log-mirror',
    ]);
  });

  it('costs one write and one sync of the mirror, a registered block none', async () => {
    const { disk, append } = await openLog();
    for (let batch = 0; batch < 5; batch += 1) {
      await append('added');
      await append('allocated', true);
      await append('cleaned');
    }
    expect(disk.calls.filter((call) => call.startsWith(`sync ${MIRROR}`))).toHaveLength(5);
    expect(disk.calls.filter((call) => call.startsWith(`write ${MIRROR}`))).toHaveLength(5);
  });

  it('is told by the mirror, whatever power cut follows', async () => {
    const { memory, append } = await openLog();
    await append('added');
    await append('allocated', true);
    memory.crash({ next: () => 0 }, 'drop-all');
    expect((await scanLog(memory, MIRROR)).peerWitness).toBe(2);
  });
});

describe('a mirror', () => {
  it.each(['sync', 'write'] as const)('whose %s fails ends the log', async (call) => {
    const { memory, log, append, settled, poisoned } = await openLog();
    await append('added 1');
    // The first call is the events', the second the mirror's.
    memory.failCall(call, 2, 'EIO');
    await Promise.all([append('allocated', true), append('added 2')]);
    await append('added 3');
    expect(settled).toEqual([
      'added 1',
      'allocated: WAL_POISONED',
      'added 2: WAL_POISONED',
      'added 3: WAL_POISONED',
    ]);
    expect(poisoned).toEqual([expect.stringContaining(MIRROR)]);
    await expect(log.close()).rejects.toMatchObject({ code: 'WAL_POISONED' });
  });

  it('is not asked when the sync of the events fails', async () => {
    const { memory, disk, append, settled } = await openLog();
    memory.failCall('sync', 1, 'EIO');
    await append('allocated', true);
    expect(settled).toEqual(['allocated: WAL_POISONED']);
    expect(disk.calls.filter((call) => call.includes('mirror'))).toEqual([]);
  });

  it('stays small, and keeps its newest witness', async () => {
    const { memory, log, append } = await openLog();
    for (let batch = 1; batch <= 100; batch += 1) {
      await append('allocated', true);
      if (batch % 10 === 0) await log.truncateBefore(batch as Lsn);
    }
    const segments = ((await memory.list(MIRROR)) ?? []).filter((name) => name.endsWith('.wal'));
    expect(segments.length).toBeLessThanOrEqual(2);
    memory.crash({ next: () => 0 }, 'drop-all');
    expect((await scanLog(memory, join(MIRROR))).peerWitness).toBe(100);
  });
});
