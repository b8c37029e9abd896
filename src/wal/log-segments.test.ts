/** Which calls of the disk stand between a freed segment and its next use. @module */
import { expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import type { Lsn } from '../core/ids.ts';
import type { Disk } from './disk.ts';
import { WriteAheadLog } from './write-ahead-log.ts';

const DIRECTORY = '/logs/a';
const PAGE = 4096;

/** A disk that writes down what is done to names. */
function traced(disk: Disk, calls: string[]): Disk {
  const trace = <A extends readonly unknown[], R>(name: string, call: (...args: A) => R) => {
    return (...args: A): R => {
      calls.push(`${name} ${args.filter((each) => typeof each === 'string').join(' ')}`);
      return call(...args);
    };
  };
  return {
    makeDirectory: (path) => disk.makeDirectory(path),
    list: (path) => disk.list(path),
    create: (path, mode) => disk.create(path, mode),
    openForReading: (path, mode) => disk.openForReading(path, mode),
    readWhole: (path, bytesMax) => disk.readWhole(path, bytesMax),
    removeTree: (path) => disk.removeTree(path),
    supportsDirect: (path) => disk.supportsDirect(path),
    allocateAligned: (bytes) => disk.allocateAligned(bytes),
    open: trace('open', (path, mode) => disk.open(path, mode)),
    rename: trace('rename', (from, to) => disk.rename(from, to)),
    unlink: trace('unlink', (path) => disk.unlink(path)),
    syncDirectory: trace('syncDirectory', (path) => disk.syncDirectory(path)),
  };
}

it('a freed segment is used again only when its new name is durable', async () => {
  const calls: string[] = [];
  const log = await WriteAheadLog.open({
    disk: traced(new MemoryDisk(), calls),
    clock: new ManualClock(),
    directory: DIRECTORY,
    logId: '00112233445566778899aabbccddeeff',
    epoch: 1,
    baseLsn: 1 as Lsn,
    segmentBytes: 4 * PAGE,
    mode: 'direct',
    durability: 'sync',
  });
  for (let round = 0; round < 12; round += 1) {
    const { lsn } = await log.append(Buffer.alloc(2 * PAGE, round));
    await log.truncateBefore(lsn);
  }
  await log.close();
  const freed = calls.flatMap((call, index) => {
    const [, spare] = /^rename \S+\.wal (\S+\.tmp)$/.exec(call) ?? [];
    return spare === undefined ? [] : [{ index, spare }];
  });
  const used = freed.filter(({ spare }) => calls.some((call) => call.startsWith(`open ${spare}`)));
  expect(used.length).toBeGreaterThan(2);
  for (const { index, spare } of used) {
    const opened = calls.findIndex((call) => call.startsWith(`open ${spare}`));
    expect(calls.slice(index + 1, opened)).toContain(`syncDirectory ${DIRECTORY}`);
    // Nothing else comes first: another call would give a crash the time to show the old name.
    expect(calls[index + 1]).toBe(`syncDirectory ${DIRECTORY}`);
  }
});
