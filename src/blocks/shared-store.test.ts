/** @module */
import { existsSync, mkdtempSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BlockArena } from './block-arena.ts';
import type { SharedBytes } from './block-ref.ts';
import { SharedStore, freeShared, readShared } from './shared-store.ts';

const KIB = 1024;
const EXTENT = 64 * KIB;
let arena: BlockArena;
let directory: string;
let store: SharedStore;

beforeEach(() => {
  arena = BlockArena.create(16 * EXTENT); // the tasks' region: 4 extents, runs of 1
  directory = join(mkdtempSync(join(tmpdir(), 'store-')), 'spill');
  store = new SharedStore(arena, 5, directory);
});

afterEach(() => {
  rmSync(join(directory, '..'), { recursive: true });
});

/** Bytes that differ from those of another fill. */
function piece(length: number, fill: number): Uint8Array {
  return new Uint8Array(length).fill(fill);
}

function content(shared: SharedBytes): Buffer {
  return Buffer.from(readShared(arena, shared));
}

describe('SharedStore', () => {
  it('gives every piece its own bytes, in memory, aligned for number arrays', () => {
    const pieces = [3, 8, 0, 1_000].map((length, fill) => store.write(piece(length, fill + 1)));
    store.close();
    expect(pieces.map(content)).toEqual(
      [3, 8, 0, 1_000].map((length, fill) => Buffer.from(piece(length, fill + 1))),
    );
    for (const each of pieces) {
      expect(each.kind).toBe('arena');
      expect(each.offsetBytes % 8).toBe(0);
    }
    expect(existsSync(directory)).toBe(false);
  });

  it('frees the memory when the last piece is freed, not before', () => {
    const [a, b] = [store.write(piece(10, 1)), store.write(piece(10, 2))];
    store.close();
    freeShared(arena, a);
    expect(arena.usedExtents('tasks')).toBe(1);
    expect(content(b)).toEqual(Buffer.from(piece(10, 2)));
    freeShared(arena, b);
    expect(arena.usedExtents('tasks')).toBe(0);
  });

  it('holds nothing after close when nothing was written', () => {
    store.close();
    store.close();
    expect(arena.usedExtents('tasks')).toBe(0);
  });

  it('goes on in another extent when one is full, and gives up the old one', () => {
    const a = store.write(piece(EXTENT - 8, 1));
    const b = store.write(piece(100, 2));
    expect(a).not.toMatchObject({ extentIndex: (b as { extentIndex: number }).extentIndex });
    freeShared(arena, a);
    expect(arena.usedExtents('tasks')).toBe(1);
    freeShared(arena, b);
    store.close();
    expect(arena.usedExtents('tasks')).toBe(0);
  });

  it('takes a run of extents for a large piece', () => {
    const large = BlockArena.create(64 * EXTENT); // 16 extents for tasks, runs of 4
    const wide = new SharedStore(large, 5, directory);
    const shared = wide.write(piece(3 * EXTENT + 1, 9));
    wide.close();
    expect(shared.kind).toBe('arena');
    expect(large.usedExtents('tasks')).toBe(4);
    expect(Buffer.from(readShared(large, shared))).toEqual(Buffer.from(piece(3 * EXTENT + 1, 9)));
    freeShared(large, shared);
    expect(large.usedExtents('tasks')).toBe(0);
  });

  it('spills to a file what is too large or finds no room, and removes the file when freed', () => {
    const tooLarge = store.write(piece(EXTENT + 1, 1));
    const filling = [2, 3, 4, 5].map((fill) => store.write(piece(EXTENT, fill)));
    const noRoom = store.write(piece(20, 6));
    expect([tooLarge.kind, ...filling.map(({ kind }) => kind), noRoom.kind]).toEqual([
      'file',
      ...Array<string>(4).fill('arena'),
      'file',
    ]);
    expect(content(tooLarge)).toEqual(Buffer.from(piece(EXTENT + 1, 1)));
    expect(content(noRoom)).toEqual(Buffer.from(piece(20, 6)));
    expect(readdirSync(directory)).toHaveLength(2);
    for (const shared of [tooLarge, noRoom, ...filling]) freeShared(arena, shared);
    store.close();
    expect(readdirSync(directory)).toEqual([]);
    expect(arena.usedExtents('tasks')).toBe(0);
  });

  it('says so when a spill file has lost bytes', () => {
    const shared = store.write(piece(EXTENT + 1, 1));
    truncateSync((shared as { path: string }).path, 100);
    expect(() => readShared(arena, shared)).toThrow('shorter than written');
  });
});
