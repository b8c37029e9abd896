/** @module */
import { expect, it } from 'vitest';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import { readDroppedBlocks } from './dropped-blocks.ts';

async function write(disk: MemoryDisk, name: string, text: string): Promise<void> {
  const file = await disk.create(`/home/${name}`, 'buffered');
  await file.write([Buffer.from(text)], 0);
  await file.close();
}

it('are read from the files that a repair has left, and from no others', async () => {
  const disk = new MemoryDisk();
  await disk.makeDirectory('/home');
  expect(await readDroppedBlocks({ disk, directory: '/home' })).toEqual(new Set());
  const loss = (...blocks: string[]): string =>
    JSON.stringify({ format: 'millrace-loss', blocks: blocks.map((block) => ({ block, lsn: 1 })) });
  await write(disk, 'loss-receiver-log-0-1-2.json', loss('a', 'b'));
  await write(disk, 'loss-receiver-log-1-7-7.json', loss('c'));
  await write(disk, 'loss-receiver-log-2-1-1.json', '{ cut off');
  await write(disk, 'loss-receiver-log-3-1-1.json', '{"blocks": 3}');
  await write(disk, 'notes.json', loss('d'));
  expect(await readDroppedBlocks({ disk, directory: '/home' })).toEqual(new Set(['a', 'b', 'c']));
});
