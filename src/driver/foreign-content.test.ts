/** @module */
import { beforeEach, expect, it } from 'vitest';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import { refuseForeignContent } from './foreign-content.ts';

let disk: MemoryDisk;
beforeEach(async () => {
  disk = new MemoryDisk();
  await disk.makeDirectory('/home');
});

it('takes a new directory, and what a killed first start left', async () => {
  await refuseForeignContent(disk, '/nowhere');
  await refuseForeignContent(disk, '/home');
  for (const name of ['LOCK', 'LOCK.1', 'MANIFEST.tmp', 'lost+found']) {
    await disk.create(`/home/${name}`, 'buffered');
  }
  await disk.makeDirectory('/home/driver-log');
  await refuseForeignContent(disk, '/home');
});

it('refuses a directory with other things in it, naming some', async () => {
  for (const name of ['a', 'b', 'c', 'd']) await disk.create(`/home/${name}`, 'buffered');
  await expect(refuseForeignContent(disk, '/home')).rejects.toMatchObject({
    code: 'CHECKPOINT_MISMATCH',
    message: expect.stringContaining('(a, b, c and 1 more)') as string,
  });
});

it('leaves a directory with a MANIFEST to who reads it', async () => {
  for (const name of ['MANIFEST', 'notes.txt']) await disk.create(`/home/${name}`, 'buffered');
  await refuseForeignContent(disk, '/home');
});
