/** @module */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { blockOf } from '../../test/support/block-samples.ts';
import { BlockArena } from '../blocks/block-arena.ts';
import type { BlockInfo, BlockRef, SpilledBin } from '../blocks/block-ref.ts';
import { SpillFile, readSpilled } from '../blocks/spill-file.ts';
import type { Lsn } from '../core/ids.ts';
import type { StorageLevel } from '../core/storage-level.ts';
import { BlockMemory } from './block-memory.ts';
import type { BlockMemoryOptions } from './block-memory.ts';

const EXTENT = 64 * 1024;
/** 48 extents for receivers; 12 of them are the reserve, 24 are free after it was touched. */
const ARENA_BYTES = 64 * EXTENT;
const RECEIVER_EXTENTS = 48;
const OWNER = 7;

let arena: BlockArena;
let memory: BlockMemory;
let warnings: string[];
let failed: Set<string>;
let directory: string;
let spill: WatchedSpill;

/** A spill file that says when its latest write has settled. */
class WatchedSpill extends SpillFile {
  latest: Promise<unknown> = Promise.resolve();

  override write(bin: Uint8Array): Promise<SpilledBin> {
    const writing = super.write(bin);
    this.latest = writing.catch(() => undefined);
    return writing;
  }
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'block-memory-'));
  warnings = [];
  failed = new Set();
});

afterEach(async () => {
  await memory.close();
  rmSync(directory, { recursive: true });
});

function setUp(
  level: StorageLevel,
  more: Partial<BlockMemoryOptions> = {},
  fileDirectory = directory,
): void {
  arena = BlockArena.create(ARENA_BYTES);
  spill = new WatchedSpill(fileDirectory, 'spill-1.blocks');
  memory = new BlockMemory(arena, {
    logs: { directoryOf: (log) => `/engine/${log}`, hasFailed: (log) => failed.has(log) },
    lastLsn: new Map(),
    levelOf: () => level,
    spill,
    warn: (message) => void warnings.push(message),
    ...more,
  });
}

/** Registers block `seq`, which fills an extent of its own. */
function keep(seq: number, block: BlockInfo = blockOf(seq, { lsn: seq + 1 })): BlockInfo {
  const extentIndex = arena.acquire('receivers', OWNER, 1);
  if (extentIndex === undefined) throw new Error(`no room for block ${seq}`);
  const offsetBytes = extentIndex * EXTENT;
  arena.bytes.fill(seq + 1, offsetBytes, offsetBytes + EXTENT);
  memory.keep(block, { kind: 'arena', extentIndex, offsetBytes, lengthBytes: EXTENT });
  return block;
}

const keepAll = (count: number): BlockInfo[] => Array.from({ length: count }, (_, n) => keep(n));
const place = (block: BlockInfo): string | undefined => memory.locate(block)?.bytes.kind;
const inArena = (blocks: readonly BlockInfo[]): number[] =>
  blocks.filter((block) => place(block) === 'arena').map(({ blockId }) => blockId.seq);

function pin(block: BlockInfo): BlockRef {
  const ref = memory.pin(block);
  if (ref === undefined) throw new Error('the block is nowhere');
  return ref;
}

/** Waits for one write after the other until something holds. */
async function spilled(until: () => boolean): Promise<void> {
  while (!until()) {
    const { latest } = spill;
    await latest;
    await new Promise((resolve) => setImmediate(resolve)); // who waited for it has gone on
    if (!until()) expect(spill.latest, 'a write after the last one').not.toBe(latest);
  }
}

describe('level memory', () => {
  it('keeps all, until the batch is done', () => {
    setUp('memory');
    const blocks = keepAll(RECEIVER_EXTENTS);
    expect(inArena(blocks)).toHaveLength(RECEIVER_EXTENTS);
    expect(arena.acquire('receivers', OWNER, 1)).toBeUndefined();
    for (const block of blocks) memory.free(block);
    expect(arena.usedExtents('receivers')).toBe(0);
    expect(memory.bytesOnDisk).toBe(0);
  });

  it('lets go what was read and is in a log, when nobody reads it again', () => {
    setUp('memory', { isReadOnce: true });
    const unread = keep(0);
    const logged = Array.from({ length: RECEIVER_EXTENTS - 2 }, (_, n) => keep(n + 1));
    const unlogged = keep(RECEIVER_EXTENTS - 1, blockOf(RECEIVER_EXTENTS - 1));
    memory.unpin([...logged, unlogged].map((block) => pin(block)));
    const left = inArena([unread, ...logged, unlogged]);
    expect(left.length).toBeLessThan(RECEIVER_EXTENTS / 2 + 2);
    expect(left).toEqual(expect.arrayContaining([0, RECEIVER_EXTENTS - 1]));
  });

  it('keeps what was read when another output reads it too', () => {
    setUp('memory');
    const blocks = keepAll(RECEIVER_EXTENTS);
    memory.unpin(blocks.map((block) => pin(block)));
    expect(inArena(blocks)).toHaveLength(RECEIVER_EXTENTS);
  });
});

describe('blocks that only windows still look at', () => {
  it('leave memory before all others, at level memory too, and are read from the log', () => {
    setUp('memory');
    const blocks = keepAll(RECEIVER_EXTENTS);
    memory.letGo(blocks.slice(0, 30));
    expect(inArena(blocks)).toHaveLength(24);
    expect(inArena(blocks.slice(30))).toHaveLength(18);
    expect(place(blocks[0] as BlockInfo)).toBe('log');
    for (const block of blocks) memory.free(block);
    expect([arena.usedExtents('receivers'), memory.bytesOnDisk]).toEqual([0, 0]);
  });

  it('stay while there is room, or while a task reads them', () => {
    setUp('memory');
    const [first, second] = [keep(0), keep(1)];
    memory.letGo([first, second, blockOf(99)]);
    expect(inArena([first, second])).toEqual([0, 1]);
    const ref = pin(first);
    for (let seq = 2; seq < RECEIVER_EXTENTS; seq += 1) keep(seq);
    memory.letGo([]);
    expect(inArena([first, second])).toEqual([0]);
    memory.unpin([ref]);
    expect(inArena([first])).toEqual([]);
  });
});

describe('level memory-and-disk', () => {
  it('drops what comes last when the reserve is touched, and reads it back from the log', () => {
    setUp('memory-and-disk');
    const blocks = keepAll(37);
    // The 37th left 11 free: the newest go until 24 are.
    expect(inArena(blocks)).toEqual(Array.from({ length: 24 }, (_, n) => n));
    expect(memory.locate(blocks[36] as BlockInfo)?.bytes).toEqual({
      kind: 'log',
      path: '/engine/receiver-log-0/0000000000000001.wal',
      offsetBytes: 4096 * 37 + 32,
      lengthBytes: 400,
      crc: 37,
      lsn: 37,
    });
    expect(memory.bytesOnDisk).toBe(13 * 300);
    for (const block of blocks) memory.free(block);
    expect([arena.usedExtents('receivers'), memory.bytesOnDisk]).toEqual([0, 0]);
  });

  it('never drops a block that a task reads (I8)', () => {
    setUp('memory-and-disk');
    const blocks = keepAll(36);
    const refs = blocks.slice(20).map(pin);
    for (let seq = 36; seq < 60; seq += 1) blocks.push(keep(seq));
    expect(inArena(blocks)).toEqual(expect.arrayContaining(refs.map((_, n) => 20 + n)));
    expect(refs.every(({ bytes }) => bytes.kind === 'arena')).toBe(true);
    expect(() => memory.free(blocks[20] as BlockInfo)).toThrow('while a task reads it (I8)');
    memory.unpin(refs);
    for (const block of blocks) memory.free(block);
    expect(arena.usedExtents('receivers')).toBe(0);
  });

  it('pins as often as tasks read, and is unpinned as often', () => {
    setUp('memory-and-disk');
    const blocks = keepAll(36);
    const last = blocks[35] as BlockInfo;
    const [first, second] = [pin(last), pin(last)];
    memory.unpin([first]);
    for (let seq = 36; seq < 60; seq += 1) blocks.push(keep(seq));
    expect(place(last)).toBe('arena');
    memory.unpin([second]);
    for (let seq = 60; seq < 80; seq += 1) keep(seq);
    expect(() => memory.unpin([second])).toThrow('is not being read');
  });

  it('leaves alone what an executor still writes into', () => {
    setUp('memory-and-disk');
    const blocks = keepAll(36);
    const open = memory.locate(blocks[35] as BlockInfo)?.bytes;
    if (open?.kind !== 'arena') throw new Error('not in memory');
    arena.hold(open.extentIndex);
    for (let seq = 36; seq < 40; seq += 1) blocks.push(keep(seq));
    expect(inArena(blocks)).toContain(35);
    arena.drop(open.extentIndex);
  });

  it('drops what was read before all else when it is read once', () => {
    setUp('memory-and-disk', { isReadOnce: true });
    const blocks = keepAll(36);
    memory.unpin(blocks.slice(0, 10).map(pin));
    for (let seq = 36; seq < 40; seq += 1) blocks.push(keep(seq));
    const left = Array.from({ length: 24 }, (_, n) => 10 + n);
    expect(inArena(blocks)).toEqual([...left, 37, 38, 39]);
  });

  it('makes a run of extents for a receiver that wants one', async () => {
    setUp('memory-and-disk');
    const blocks = keepAll(36);
    const refs = blocks.filter(({ blockId }) => blockId.seq % 16 === 0).map(pin);
    expect(arena.acquire('receivers', OWNER, 1)).toBe(36); // an executor's: 11 are free behind it
    expect(arena.acquire('receivers', OWNER, 12)).toBeUndefined();
    void memory.serveDemand();
    const seen = arena.generation();
    await arena.waitForRoom(seen, 10_000);
    memory.unpin(refs);
    expect(arena.acquire('receivers', OWNER, 12)).toBeDefined();
  });

  it('knows how much of the last run waits, and reads it from the log', () => {
    const lastLsn = new Map([['receiver-log-0', 2 as Lsn]]);
    setUp('memory-and-disk', { lastLsn });
    const blocks = [1, 2, 3].map((lsn) => blockOf(lsn, { lsn, durability: 'flush' }));
    memory.recovered(blocks);
    expect(blocks.map(place)).toEqual(['log', 'log', undefined]); // the third was lost
    expect(memory.bytesOnDisk).toBe(600);
    expect(arena.usedExtents('receivers')).toBe(0);
    for (const block of blocks) memory.free(block);
    expect(memory.bytesOnDisk).toBe(0);
  });
});

describe('level disk', () => {
  it('drops a block as soon as it is registered', () => {
    setUp('disk');
    const blocks = keepAll(3);
    expect(arena.usedExtents('receivers')).toBe(0);
    expect(blocks.map(place)).toEqual(['log', 'log', 'log']);
    expect(memory.bytesOnDisk).toBe(900);
  });

  it('without a log writes it to the spill file first', async () => {
    setUp('disk');
    const blocks = [0, 1, 2].map((seq) => keep(seq, blockOf(seq)));
    expect(blocks.map(place)).toEqual(['arena', 'arena', 'arena']);
    await spilled(() => arena.usedExtents('receivers') === 0);
    expect(blocks.map(place)).toEqual(['spill', 'spill', 'spill']);
    for (const block of blocks) memory.free(block);
    expect([spill.usedBytes, spill.lengthBytes, memory.bytesOnDisk]).toEqual([0, 0, 0]);
  });
});

describe('blocks of a log that has failed', () => {
  it('are written to the spill file before they leave, and read from there', async () => {
    setUp('memory-and-disk');
    const before = keepAll(36);
    failed.add('receiver-log-0');
    const last = keep(36);
    expect(inArena([...before, last])).toHaveLength(37);
    await spilled(() => arena.usedExtents('receivers') <= 36);
    expect(place(last)).toBe('spill');
    for (const block of [...before, last]) memory.free(block);
    await memory.close();
    expect([arena.usedExtents('receivers'), memory.bytesOnDisk]).toEqual([0, 0]);
  });

  it('are still read from it when they are nowhere else', () => {
    setUp('disk');
    const block = keep(0);
    failed.add('receiver-log-0');
    expect(place(block)).toBe('log');
  });
});

describe('blocks without a log', () => {
  /** Fills memory with blocks that no log has. */
  function unlogged(count: number): BlockInfo[] {
    return Array.from({ length: count }, (_, seq) => keep(seq, blockOf(seq)));
  }

  it('leave memory only when they are written, byte for byte', async () => {
    setUp('memory-and-disk');
    const blocks = unlogged(37);
    expect(inArena(blocks)).toHaveLength(37); // nothing has been written yet
    await spilled(() => arena.usedExtents('receivers') <= 36);
    const last = blocks[36] as BlockInfo;
    const bytes = memory.locate(last)?.bytes;
    if (bytes?.kind !== 'spill') throw new Error('not in the spill file');
    const content = Buffer.alloc(EXTENT);
    await readSpilled(bytes.fd, content, bytes.offsetBytes);
    expect(content.equals(Buffer.alloc(EXTENT, 37))).toBe(true);
  });

  it('stay when a task begins to read them while they are written', async () => {
    setUp('memory-and-disk');
    const blocks = unlogged(37);
    const ref = pin(blocks[36] as BlockInfo);
    await spilled(() => arena.usedExtents('receivers') <= 36);
    expect(place(blocks[36] as BlockInfo)).toBe('arena');
    memory.unpin([ref]);
  });

  it('give their place back when their batch ends while they are written', async () => {
    setUp('memory-and-disk');
    const blocks = unlogged(37);
    for (const block of blocks) memory.free(block);
    await memory.close();
    expect(spill.usedBytes).toBe(0);
    expect(arena.usedExtents('receivers')).toBe(0);
  });

  it('stay in memory when they cannot be written, which is told once', async () => {
    setUp('memory-and-disk', {}, join(directory, 'gone'));
    const blocks = unlogged(37);
    await spilled(() => warnings.length > 0);
    for (let seq = 37; seq < 48; seq += 1) blocks.push(keep(seq, blockOf(seq)));
    await memory.close();
    expect(inArena(blocks)).toHaveLength(48);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('blocks stay in memory, which holds sources back');
  });
});
