/** Over a simulated disk; only the lock file is real. @module */
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import type { Disk, DiskFile } from './disk.ts';
import { isInPlace, lockFileOf } from './lock-file.ts';
import type { LockFile } from './lock-file.ts';
import { ownedDisk } from './owned-disk.ts';

const LOST = { code: 'DIRECTORY_LOCKED' };

let directory: string;
let fd: number;
let lock: LockFile;
let disk: MemoryDisk;
let owned: Disk;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'owned-'));
  const path = join(directory, 'LOCK');
  fd = openSync(path, 'w');
  lock = lockFileOf(fd, { directory, path });
  disk = new MemoryDisk();
  await disk.makeDirectory('/log');
  owned = ownedDisk(disk.attach(), lock);
});

afterEach(() => {
  closeSync(fd);
  rmSync(directory, { recursive: true, force: true });
});

function lose(): void {
  rmSync(lock.path);
}

it('passes everything on while the lock file is in its place', async () => {
  const file = await owned.create('/log/a', 'buffered');
  expect('writeSynced' in file).toBe(false); // nor has the disk below
  expect(await file.write([Buffer.from('abc')], 0)).toBe(3);
  await file.sync();
  await file.syncAll();
  const into = Buffer.alloc(3);
  expect([await file.read(into, 0), into.toString(), await file.sizeBytes()]).toEqual([
    3,
    'abc',
    3,
  ]);
  await file.close();
  await owned.rename('/log/a', '/log/b');
  await owned.syncDirectory('/log');
  expect(await owned.list('/log')).toEqual(['b']);
  expect(Buffer.from((await owned.readWhole('/log/b', 10)) ?? []).toString()).toBe('abc');
  expect((await owned.openForReading('/log/b')).path).toBe('/log/b');
  expect(await owned.supportsDirect('/log')).toBe(true);
  expect(owned.allocateAligned(4096).byteLength).toBe(4096);
  await owned.unlink('/log/b');
  await owned.makeDirectory('/log/c');
  await owned.removeTree('/log/c');
});

it('tells the room of the disk where that is known', async () => {
  const roomy: Disk = { ...disk.attach(), freeBytes: () => Promise.resolve(7) };
  expect(await ownedDisk(roomy, lock).freeBytes?.('/log')).toBe(7);
  expect('freeBytes' in owned).toBe(false);
});

it('refuses every change before it is made, and says why', async () => {
  const file = await owned.create('/log/a', 'buffered');
  lose();
  const { write, create, rename, unlink } = { ...disk.counts };
  await expect(file.write([Buffer.from('x')], 0)).rejects.toMatchObject(LOST);
  for (const change of [
    () => owned.create('/log/b', 'buffered'),
    () => owned.open('/log/a', 'buffered'),
    () => owned.rename('/log/a', '/log/b'),
    () => owned.unlink('/log/a'),
    () => owned.removeTree('/log'),
    () => owned.makeDirectory('/log/c'),
    () => owned.supportsDirect('/log'),
  ]) {
    await expect(change()).rejects.toMatchObject(LOST);
  }
  expect(disk.counts).toMatchObject({ write, create, rename, unlink });
  expect(await owned.list('/log')).toEqual(['a']);
});

it.each(['sync', 'syncAll'] as const)('fails a %s that ended after the loss', async (call) => {
  const slow: Disk = {
    ...disk.attach(),
    create: async (path, mode) => {
      const file = await disk.create(path, mode);
      const late = async (): Promise<void> => {
        await file.sync();
        lose();
      };
      return { ...plain(file), sync: late, syncAll: late };
    },
  };
  const file = await ownedDisk(slow, lock).create('/log/a', 'buffered');
  await file.write([Buffer.from('x')], 0);
  await expect(file[call]()).rejects.toMatchObject(LOST);
});

it('guards the call that writes and syncs before and after', async () => {
  let losesIt = false;
  const quick: Disk = {
    ...disk.attach(),
    create: async (path, mode) => {
      const file = await disk.create(path, mode);
      const writeSynced: DiskFile['write'] = async (views, positionBytes) => {
        const taken = await file.write(views, positionBytes);
        await file.sync();
        if (losesIt) lose();
        return taken;
      };
      return { ...plain(file), writeSynced };
    },
  };
  const file = await ownedDisk(quick, lock).create('/log/a', 'buffered');
  expect(await file.writeSynced?.([Buffer.from('abc')], 0)).toBe(3);
  losesIt = true;
  await expect(file.writeSynced?.([Buffer.from('de')], 3)).rejects.toMatchObject(LOST);
  const { write } = disk.counts;
  await expect(file.writeSynced?.([Buffer.from('f')], 5)).rejects.toMatchObject(LOST);
  expect(disk.counts.write).toBe(write); // not even begun
});

it('fails the sync of a directory that ended after the loss', async () => {
  const slow: Disk = { ...disk.attach(), syncDirectory: async () => lose() };
  await expect(ownedDisk(slow, lock).syncDirectory('/log')).rejects.toMatchObject(LOST);
});

it('takes a lock file that cannot be looked at for lost', () => {
  expect(isInPlace(lock)).toBe(true);
  expect(isInPlace({ ...lock, path: join(lock.path, 'below-a-file') })).toBe(false);
  expect(isInPlace({ ...lock, inode: lock.inode + 1n })).toBe(false);
});

function plain(file: Awaited<ReturnType<Disk['create']>>): typeof file {
  return {
    path: file.path,
    write: (views, positionBytes) => file.write(views, positionBytes),
    read: (into, positionBytes) => file.read(into, positionBytes),
    sync: () => file.sync(),
    syncAll: () => file.syncAll(),
    sizeBytes: () => file.sizeBytes(),
    close: () => file.close(),
  };
}
