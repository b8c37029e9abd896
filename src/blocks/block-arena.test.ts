/** @module */
import { describe, expect, it } from 'vitest';
import { BlockArena } from './block-arena.ts';
import type { ArenaRegion } from './block-arena.ts';

const EXTENT = 64 * 1024;
/** 16 extents: 12 for receivers in runs of 3 at most, 4 for tasks in runs of 1. */
const SMALL_BYTES = 16 * EXTENT;
const ME = 7;
const OTHER = 8;

/** The cells of extent `index`, as the header of block-arena.ts draws them. */
function cells(arena: BlockArena, index: number) {
  const table = new Int32Array(arena.handle.table);
  const at = (offset: number) => ({
    get: () => table[offset + 3 * index],
    set: (value: number) => (table[offset + 3 * index] = value),
  });
  return { owner: at(1), references: at(2), run: at(3) };
}

function acquire(arena: BlockArena, extents = 1, owner = ME): number {
  const index = arena.acquire('receivers', owner, extents);
  if (index === undefined) throw new Error('no room');
  return index;
}

/** Takes single extents until there are no more. */
function fill(arena: BlockArena, region: ArenaRegion, owner = ME): number[] {
  const taken: number[] = [];
  for (;;) {
    const index = arena.acquire(region, owner, 1);
    if (index === undefined) return taken;
    taken.push(index);
  }
}

describe('BlockArena', () => {
  it.each([
    [16, 64 * 2 ** 10, 16],
    [256, 256 * 2 ** 10, 64],
    [8_192, 2 ** 20, 512],
  ])('divides %i × 64 KiB into extents of %i bytes', (units, extentBytes, extentCount) => {
    const arena = BlockArena.create(units * EXTENT);
    expect(arena.handle).toMatchObject({ extentBytes, extentCount });
    expect(arena.bytes.byteLength).toBe(extentBytes * extentCount);
    expect(arena.handle.receiverExtents).toBe(extentCount * 0.75);
  });

  it('gives each extent to one owner, and none of the other region', () => {
    const arena = BlockArena.create(SMALL_BYTES);
    expect(fill(arena, 'receivers').toSorted((a, b) => a - b)).toEqual([...Array(12).keys()]);
    expect(fill(arena, 'tasks').toSorted((a, b) => a - b)).toEqual([12, 13, 14, 15]);
    expect(arena.usedExtents('receivers')).toBe(12);
    expect(arena.usedExtents('tasks')).toBe(4);
  });

  it('finds room again wherever something was dropped', () => {
    const arena = BlockArena.create(SMALL_BYTES);
    const taken = fill(arena, 'receivers');
    for (const index of [taken[5], taken[0]]) arena.drop(index as number);
    expect(new Set(fill(arena, 'receivers'))).toEqual(new Set([taken[5], taken[0]]));
  });

  it('gives runs of neighbours, or nothing', () => {
    const arena = BlockArena.create(SMALL_BYTES);
    expect(arena.runExtentsMax('receivers')).toBe(3);
    const taken = fill(arena, 'receivers');
    for (const index of [1, 3, 4, 7]) arena.drop(index);
    expect(arena.acquire('receivers', ME, 3)).toBeUndefined();
    expect(arena.usedExtents('receivers')).toBe(taken.length - 4);
    arena.drop(2);
    expect(arena.acquire('receivers', ME, 3)).toBe(1);
    expect(arena.usedExtents('receivers')).toBe(taken.length - 2);
    arena.drop(1);
    expect(arena.usedExtents('receivers')).toBe(taken.length - 5);
  });

  it('never gives a run over the end of a region', () => {
    const arena = BlockArena.create(SMALL_BYTES);
    fill(arena, 'receivers');
    arena.drop(11);
    arena.drop(10);
    expect(arena.acquire('receivers', ME, 3)).toBeUndefined();
    expect(arena.usedExtents('tasks')).toBe(0);
  });

  it('keeps a run until its last reference is dropped', () => {
    const arena = BlockArena.create(SMALL_BYTES);
    const index = acquire(arena, 2);
    arena.hold(index);
    arena.drop(index);
    expect(arena.usedExtents('receivers')).toBe(2);
    arena.drop(index);
    expect(arena.usedExtents('receivers')).toBe(0);
  });

  it('refuses to free twice, and to hold what is free (I8)', () => {
    const arena = BlockArena.create(SMALL_BYTES);
    const index = acquire(arena);
    arena.drop(index);
    expect(() => arena.drop(index)).toThrow('freed twice');
    const other = acquire(arena);
    arena.drop(other);
    expect(() => arena.hold(other)).toThrow('after it was freed');
  });

  it('is one thing for all who attach', () => {
    const driver = BlockArena.create(SMALL_BYTES);
    const executor = BlockArena.attach(driver.handle);
    const [a, b] = [acquire(driver), acquire(executor, 1, OTHER)];
    expect(a).not.toBe(b);
    executor.bytes[b * EXTENT] = 0x42;
    expect(driver.bytes[b * EXTENT]).toBe(0x42);
    executor.hold(b);
    driver.drop(b);
    expect(driver.usedExtents('receivers')).toBe(2);
    driver.drop(b);
    expect(executor.usedExtents('receivers')).toBe(1);
  });
});

describe('waiting for room', () => {
  it('ends when another thread frees an extent', async () => {
    const arena = BlockArena.create(SMALL_BYTES);
    const [first] = fill(arena, 'receivers');
    const seen = arena.generation();
    const waiting = arena.waitForRoom(seen, 60_000);
    BlockArena.attach(arena.handle).drop(first as number);
    await waiting;
    expect(arena.generation()).toBeGreaterThan(seen);
  });

  it('ends at once when something was freed since the generation was read', async () => {
    const arena = BlockArena.create(SMALL_BYTES);
    const [first] = fill(arena, 'receivers');
    const seen = arena.generation();
    arena.drop(first as number);
    await arena.waitForRoom(seen, 60_000);
  });

  it('ends after the limit when nothing was', async () => {
    const arena = BlockArena.create(SMALL_BYTES);
    await arena.waitForRoom(arena.generation(), 1);
  });

  it('ends when a dead thread’s extents are given back', async () => {
    const arena = BlockArena.create(SMALL_BYTES);
    fill(arena, 'receivers', OTHER);
    const waiting = arena.waitForRoom(arena.generation(), 60_000);
    arena.reclaim(OTHER, new Map());
    await waiting;
  });
});

describe('demand', () => {
  it('tells the driver the longest run that receivers did not get, once', async () => {
    const arena = BlockArena.create(SMALL_BYTES);
    fill(arena, 'receivers');
    arena.acquire('receivers', OTHER, 3);
    arena.acquire('receivers', OTHER, 2);
    expect(await arena.demand(60_000)).toBe(3);
    expect(await arena.demand(1)).toBe(0);
  });

  it('ends the driver’s wait, from whatever thread it comes', async () => {
    const arena = BlockArena.create(SMALL_BYTES);
    const asked = arena.demand(60_000);
    fill(BlockArena.attach(arena.handle), 'receivers');
    expect(await asked).toBe(1);
  });

  it('ends without one when it is woken', async () => {
    const arena = BlockArena.create(SMALL_BYTES);
    const asked = arena.demand(60_000);
    arena.wakeDemand();
    expect(await asked).toBe(0);
  });

  it('is none of a task, which spills', async () => {
    const arena = BlockArena.create(SMALL_BYTES);
    fill(arena, 'tasks');
    expect(await arena.demand(1)).toBe(0);
  });

  it('knows whether a run is free', () => {
    const arena = BlockArena.create(SMALL_BYTES);
    fill(arena, 'receivers');
    for (const index of [2, 3, 5]) arena.drop(index);
    expect([1, 2, 3].map((extents) => arena.hasRun('receivers', extents))).toEqual([
      true,
      true,
      false,
    ]);
    arena.drop(4);
    expect(arena.hasRun('receivers', 4)).toBe(true);
  });
});

describe('reclaim, after the death of a thread', () => {
  it('gives back what it held, and nothing of others', () => {
    const arena = BlockArena.create(SMALL_BYTES);
    const mine = acquire(arena, 2);
    acquire(arena, 3, OTHER);
    acquire(arena, 1, OTHER);
    arena.acquire('tasks', OTHER, 1);
    arena.reclaim(OTHER, new Map());
    expect(arena.usedExtents('receivers')).toBe(2);
    expect(arena.usedExtents('tasks')).toBe(0);
    arena.drop(mine);
    expect(arena.usedExtents('receivers')).toBe(0);
  });

  it('keeps runs as often as the driver’s books name them', () => {
    const arena = BlockArena.create(SMALL_BYTES);
    const [a, b] = [acquire(arena, 2, OTHER), acquire(arena, 1, OTHER)];
    for (let blocks = 0; blocks < 5; blocks += 1) arena.hold(a);
    arena.reclaim(OTHER, new Map([[a, 2]]));
    expect(cells(arena, b).owner.get()).toBe(0);
    arena.drop(a);
    expect(arena.usedExtents('receivers')).toBe(2);
    arena.drop(a);
    expect(arena.usedExtents('receivers')).toBe(0);
  });

  /** How far an acquisition of two extents, or its release, had come. */
  it.each<[string, (arena: BlockArena) => void]>([
    ['it had taken the first of two extents', (arena) => cells(arena, 0).owner.set(OTHER)],
    [
      'it had taken both, and written nothing else',
      (arena) => {
        cells(arena, 0).owner.set(OTHER);
        cells(arena, 1).owner.set(OTHER);
      },
    ],
    [
      'it had written the reference, and not the run',
      (arena) => {
        cells(arena, 0).owner.set(OTHER);
        cells(arena, 1).owner.set(OTHER);
        cells(arena, 0).references.set(1);
      },
    ],
    ['it had all', (arena) => void acquire(arena, 2, OTHER)],
    [
      'it had dropped the last reference',
      (arena) => cells(arena, acquire(arena, 2, OTHER)).references.set(0),
    ],
    [
      'it had ended the run, and freed none of its extents',
      (arena) => {
        const index = acquire(arena, 2, OTHER);
        cells(arena, index).references.set(0);
        cells(arena, index).run.set(0);
      },
    ],
    [
      'it had freed the first of two extents',
      (arena) => {
        const index = acquire(arena, 2, OTHER);
        cells(arena, index).references.set(0);
        cells(arena, index).run.set(0);
        cells(arena, index).owner.set(0);
      },
    ],
  ])('when %s: all of it is free, and whole', (_name, die) => {
    const arena = BlockArena.create(SMALL_BYTES);
    die(arena);
    const neighbour = acquire(arena, 2);
    arena.reclaim(OTHER, new Map());
    expect(arena.usedExtents('receivers')).toBe(2);
    arena.drop(neighbour);
    const late = BlockArena.attach(arena.handle); // looks from the start
    const again = [3, 3, 3, 3].map((extents) => acquire(late, extents));
    expect(again.toSorted((a, b) => a - b)).toEqual([0, 3, 6, 9]);
    for (const index of again) arena.drop(index);
    expect(arena.usedExtents('receivers')).toBe(0);
  });

  it('wakes who waits, also when the thread died before it had written its run', async () => {
    const arena = BlockArena.create(SMALL_BYTES);
    fill(arena, 'receivers');
    cells(arena, 4).owner.set(OTHER);
    cells(arena, 4).references.set(0);
    cells(arena, 4).run.set(0);
    const seen = arena.generation();
    arena.reclaim(OTHER, new Map());
    expect(arena.generation()).toBeGreaterThan(seen);
  });
});
