/** What a pool of spares does that a log at work does not show; the rest: full-disk.test.ts.
 * @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import { settle } from '../../test/support/without-waiting.ts';
import type { Disk } from './disk.ts';
import type { Shortage } from './shortage.ts';
import { SparePool } from './spare-pool.ts';
import type { SparePoolOptions } from './spare-pool.ts';

const DIRECTORY = '/logs/a';
const SEGMENT_BYTES = 4 * 4096;

let disk: MemoryDisk;
let clock: ManualClock;
let told: (Shortage | undefined)[];

beforeEach(async () => {
  disk = new MemoryDisk();
  clock = new ManualClock();
  told = [];
  await disk.makeDirectory(DIRECTORY);
});

function pool(options: Partial<SparePoolOptions> = {}): SparePool {
  return new SparePool({
    disk,
    clock,
    directory: DIRECTORY,
    mode: 'direct',
    segmentBytes: SEGMENT_BYTES,
    sparesMin: 1,
    sparesReserved: 0,
    onShortage: (shortage) => told.push(shortage),
    isGrowing: false,
    firstNumber: 1,
    leftovers: [],
    ...options,
  });
}

describe('the end of a pool', () => {
  it('ends the wait of who takes, on a disk that stays full', async () => {
    const spares = pool();
    disk.failAll('create', 'ENOSPC');
    const ended: unknown[] = [];
    const taken = spares.take().then((path) => ended.push(path));
    await settle();
    expect(ended).toEqual([]);
    await spares.close(true);
    await taken;
    expect(ended).toEqual([undefined]);
    expect(clock.pendingMs).toEqual([]);
  });

  it('sets no timer for a spare that found no room meanwhile', async () => {
    const spares = pool();
    disk.failAll('create', 'ENOSPC');
    let closing: Promise<void> | undefined;
    disk.watch(({ kind }) => {
      if (kind === 'create') closing ??= spares.close(true);
    });
    spares.prepare();
    await settle();
    await closing;
    expect(spares.failure).toMatchObject({ code: 'DISK_FULL' });
    expect(clock.pendingMs).toEqual([]);
    expect(told).toEqual([]);
  });
});

it('touches no file when it is closed, whoever still wishes for a spare', async () => {
  const leftover = `${DIRECTORY}/spare-1.tmp`;
  await (await disk.create(leftover, 'buffered')).close();
  const spares = pool({ leftovers: [leftover], firstNumber: 2 });
  await spares.close(false);
  spares.prepare();
  await settle();
  expect(await disk.list(DIRECTORY)).toEqual(['spare-1.tmp']);
});

describe('freed segments', () => {
  const SPARES_MIN = 2;

  /** Uses up `taken` spares, then frees as many, as a truncation does after each batch. */
  async function interval(spares: SparePool, taken: number, lengthMs = 200): Promise<void> {
    clock.advance(lengthMs);
    const paths: string[] = [];
    for (let n = 0; n < taken; n += 1) {
      paths.push((await spares.take()) as string);
      await settle(); // segments last longer than making a spare
    }
    spares.lookBack();
    for (const path of paths) {
      if (spares.hasRoom) {
        const freed = spares.nextPath();
        await disk.rename(path, freed);
        spares.offer(freed);
      } else await disk.unlink(path);
    }
    await spares.shrink();
    spares.prepare();
    await settle();
  }

  it('are kept, as many as were used up since the last time: none is made again', async () => {
    const spares = pool({ sparesMin: SPARES_MIN });
    for (let round = 0; round < 3; round += 1) await interval(spares, 6);
    const made = disk.counts.create;
    for (let round = 0; round < 5; round += 1) await interval(spares, 6);
    expect(disk.counts.create).toBe(made);
  });

  it('are kept, also when as many are used up now and then only', async () => {
    const spares = pool({ sparesMin: SPARES_MIN });
    const twenty = async (): Promise<void> => {
      for (let round = 1; round <= 20; round += 1) await interval(spares, round === 20 ? 2 : 1);
    };
    await twenty();
    const made = disk.counts.create;
    const kept = disk.counts.unlink;
    for (let seconds = 0; seconds < 60; seconds += 4) await twenty();
    expect(disk.counts.create).toBe(made);
    expect(disk.counts.unlink).toBe(kept);
  });

  it('are kept, also when a batch takes longer than a need is remembered', async () => {
    const spares = pool({ sparesMin: SPARES_MIN });
    const longBatch = 60_000;
    for (let round = 0; round < 4; round += 1) await interval(spares, 1 + (round % 2), longBatch);
    const made = disk.counts.create;
    for (let round = 0; round < 8; round += 1) await interval(spares, 1 + (round % 2), longBatch);
    expect(disk.counts.create).toBe(made);
  });

  it('are removed after a while when fewer are used up', async () => {
    const spares = pool({ sparesMin: SPARES_MIN });
    for (let round = 0; round < 3; round += 1) await interval(spares, 12);
    expect(spares.count).toBeGreaterThanOrEqual(12);
    const counts: number[] = [];
    for (let round = 0; round < 7; round += 1) {
      await interval(spares, 1, 4_000);
      counts.push(spares.count - SPARES_MIN);
    }
    expect(counts).toEqual([12, 12, 12, 12, 12, 1, 1]);
    expect(await disk.list(DIRECTORY)).toHaveLength(SPARES_MIN + 1);
  });
});

describe('a wish for spares', () => {
  it('is heard in the turn in which a preparation ends', async () => {
    const spares = pool();
    expect(await spares.take()).toBe(`${DIRECTORY}/spare-1.tmp`); // waits for the last one made
    await settle();
    expect(spares.count).toBe(1);
  });

  it('is heard while a preparation finds no room: there may be some since', async () => {
    const real = disk.attach();
    const roomBytes = [0, 10 * SEGMENT_BYTES];
    const asked: number[] = [];
    const spares: SparePool = pool({
      disk: {
        ...real,
        create: (path, mode) => real.create(path, mode),
        freeBytes: async () => {
          const free = roomBytes[asked.length] ?? 0;
          asked.push(free);
          if (free === 0) spares.prepare(); // as a truncation does
          return Promise.resolve(free);
        },
      },
    });
    spares.prepare();
    await settle();
    expect(asked).toEqual(roomBytes);
    expect([spares.count, spares.failure]).toEqual([1, undefined]);
    expect(clock.pendingMs).toEqual([]);
    expect(told).toEqual([]);
  });

  it('leads to one more try each, and then to the wait for room', async () => {
    const spares = pool();
    disk.failAll('create', 'ENOSPC');
    let wishes = 3;
    disk.watch(({ kind }) => {
      if (kind !== 'create' || wishes === 0) return;
      wishes -= 1;
      spares.prepare();
      spares.prepare();
    });
    spares.prepare();
    await settle();
    expect(disk.counts.create).toBe(4);
    expect(clock.pendingMs).toEqual([1_000]);
    expect(told).toHaveLength(1);
  });
});

describe('a spare that cannot be made', () => {
  it('because writes take less and less than a page is a matter of room', async () => {
    const spares = pool();
    disk.failAll('write', 'short');
    spares.prepare();
    await settle();
    expect(disk.counts.write).toBeGreaterThan(0);
    expect(told).toMatchObject([{ directory: DIRECTORY, wantedBytes: SEGMENT_BYTES }]);
    expect(told[0]?.missingBytes).toBeGreaterThan(0);
    expect(await disk.list(DIRECTORY)).toEqual([]);
    disk.heal();
    clock.advance(1_000);
    await settle();
    expect(spares.count).toBe(1);
    expect(told.at(-1)).toBeUndefined();
  });

  it('for any other reason is told with that of its remains, and nobody is held', async () => {
    const odd: Disk = {
      ...disk.attach(),
      create: async (path, mode) => ({
        ...(await disk.create(path, mode)),
        write: () => Promise.reject(new TypeError('an odd failure')),
      }),
    };
    const spares = pool({ disk: odd });
    disk.failAll('unlink', 'EIO');
    spares.prepare();
    await settle();
    expect(spares.failure).toMatchObject({
      code: 'DISK_FAILED',
      message: expect.stringMatching(
        /an odd failure; nor could .*spare-1\.tmp be removed/,
      ) as string,
      details: { path: `${DIRECTORY}/spare-1.tmp` },
    });
    expect(told).toEqual([]);
    expect(clock.pendingMs).toEqual([]);
  });

  it('because even a removal needs room says which file, and is tried again', async () => {
    const leftover = `${DIRECTORY}/spare-0.tmp`;
    await (await disk.create(leftover, 'buffered')).close();
    const spares = pool({ leftovers: [leftover] });
    disk.failCall('unlink', 1, 'EDQUOT'); // a file system that never overwrites may say so
    spares.prepare();
    await settle();
    expect(told).toEqual([{ directory: leftover, wantedBytes: 0, missingBytes: 0 }]);
    clock.advance(1_000);
    await settle();
    expect(await disk.list(DIRECTORY)).toEqual(['spare-1.tmp']);
    expect(told.at(-1)).toBeUndefined();
  });
});
