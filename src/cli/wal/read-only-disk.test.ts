/** @module */
import { expect, it } from 'vitest';
import { MemoryDisk } from '../../../test/support/memory-disk.ts';
import { readOnlyDisk } from './read-only-disk.ts';

it('reads and counts, and refuses everything that could write', async () => {
  const memory = new MemoryDisk();
  await memory.makeDirectory('/d');
  const made = await memory.create('/d/a', 'buffered');
  await made.write([Buffer.from('abc')], 0);
  await made.close();
  let count = 0;
  const disk = readOnlyDisk(memory.attach(), (bytes) => (count += bytes));
  const file = await disk.openForReading('/d/a');
  expect(await file.read(new Uint8Array(3), 0)).toBe(3);
  expect([count, await file.sizeBytes()]).toEqual([3, 3]);
  const writes = [
    () => disk.makeDirectory('/e'),
    () => disk.syncDirectory('/d'),
    () => disk.create('/d/b', 'buffered'),
    () => disk.open('/d/a', 'buffered'),
    () => disk.rename('/d/a', '/d/b'),
    () => disk.unlink('/d/a'),
    () => disk.removeTree('/d'),
    () => file.write([Buffer.from('x')], 0),
    () => file.sync(),
    () => file.syncAll(),
  ];
  for (const write of writes) {
    await expect(write()).rejects.toMatchObject({ code: 'BROKEN_INVARIANT' });
  }
  await file.close();
  expect(await disk.list('/d')).toEqual(['a']);
});
