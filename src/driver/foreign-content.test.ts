/** @module */
import { beforeEach, expect, it } from 'vitest';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import { refuseForeignContent } from './foreign-content.ts';

let disk: MemoryDisk;
beforeEach(async () => {
  disk = new MemoryDisk();
  await disk.makeDirectory('/checkpoint');
});

it('takes a new directory, and what a killed first start left', async () => {
  await refuseForeignContent(disk, '/nowhere');
  await refuseForeignContent(disk, '/checkpoint');
  for (const name of ['LOCK', 'LOCK.1', 'MANIFEST.tmp', 'lost+found']) {
    await disk.create(`/checkpoint/${name}`, 'buffered');
  }
  await disk.makeDirectory('/checkpoint/driver-log');
  await refuseForeignContent(disk, '/checkpoint');
});

it('refuses a directory with other things in it, naming some', async () => {
  for (const name of ['a', 'b', 'c', 'd']) await disk.create(`/checkpoint/${name}`, 'buffered');
  await expect(refuseForeignContent(disk, '/checkpoint')).rejects.toMatchObject({
    code: 'CHECKPOINT_MISMATCH',
    message: expect.stringContaining('(a, b, c and 1 more)') as string,
  });
});

it('leaves a directory with a MANIFEST to who reads it', async () => {
  for (const name of ['MANIFEST', 'notes.txt'])
    await disk.create(`/checkpoint/${name}`, 'buffered');
  await refuseForeignContent(disk, '/checkpoint');
});
