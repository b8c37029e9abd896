/** The real disk where the operating system has no direct I/O. @module */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { allocatePages } from '../core/shared-memory.ts';
import { diskOver } from './node-disk.ts';
import { pooledCall } from './system-calls.ts';
import type { RunCall } from './system-calls.ts';

vi.mock(import('./system-calls.ts'), async (original) => ({ ...(await original()), O_DIRECT: 0 }));

it('says so without a try, and writes through the page cache', async () => {
  const root = await mkdtemp(join(tmpdir(), 'millrace-buffered-'));
  let count = 0;
  const run: RunCall = (call) => {
    count += 1;
    return pooledCall(call);
  };
  const disk = diskOver(run, allocatePages);
  try {
    expect(await disk.supportsDirect(root)).toBe(false);
    expect(count).toBe(0);
    const file = await disk.create(join(root, 'a'), 'direct');
    expect(await file.write([Buffer.from('abc')], 0)).toBe(3); // neither aligned nor whole
    await file.close();
    expect(await readdir(root)).toEqual(['a']);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
