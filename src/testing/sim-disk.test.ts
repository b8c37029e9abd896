import { beforeEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../core/random.ts';
import type { DiskFile } from '../wal/disk.ts';
import { chosenSurvival } from './crash-survival.ts';
import type { CrashModel } from './crash-survival.ts';
import { SimDisk } from './sim-disk.ts';

const SECTOR = 512;
let disk: SimDisk;

beforeEach(async () => {
  disk = new SimDisk();
  await disk.makeDirectory('/d');
});

function filled(byte: number, sectors = 1): Uint8Array {
  return new Uint8Array(sectors * SECTOR).fill(byte);
}

/** A file of four sectors of 1s, durable, name included. */
async function durableFile(): Promise<DiskFile> {
  const file = await disk.create('/d/f', 'buffered');
  await file.write([filled(1, 4)], 0);
  await file.sync();
  await disk.syncDirectory('/d');
  return file;
}

/** What every sector begins with after a power cut, over many seeds. */
async function outcomes(
  prepare: (file: DiskFile) => Promise<void>,
  model: CrashModel,
): Promise<Set<string>> {
  const found = new Set<string>();
  for (let seed = 1; seed <= 300; seed += 1) {
    disk = new SimDisk({ seed });
    await disk.makeDirectory('/d');
    await prepare(await durableFile());
    disk.crash(seededRandom(seed), model);
    const bytes = disk.contentOf('/d/f');
    const sectors = Array.from({ length: bytes.byteLength / SECTOR }, (_, sector) => {
      const [first, last] = [bytes[sector * SECTOR], bytes[sector * SECTOR + SECTOR - 1]];
      return first === last ? `${first}` : 'torn';
    });
    found.add(sectors.join(' '));
  }
  return found;
}

describe('a power cut', () => {
  it('leaves what was synced', async () => {
    expect(await outcomes(() => Promise.resolve(), 'posix')).toEqual(new Set(['1 1 1 1']));
  });

  it('keeps, drops and tears sectors of a write independently of each other', async () => {
    const found = await outcomes(async (file) => {
      await file.write([filled(2, 2)], SECTOR);
    }, 'posix');
    for (const sectors of ['1 1 1 1', '1 2 2 1', '1 1 2 1', '1 2 1 1', '1 2 torn 1']) {
      expect(found).toContain(sectors);
    }
    for (const sectors of found) expect(sectors).toMatch(/^1 \S+ \S+ 1$/);
  });

  it('may leave the middle version of a sector that was written twice', async () => {
    const found = await outcomes(async (file) => {
      await file.write([filled(2)], 0);
      await file.write([filled(3)], 0);
    }, 'posix');
    for (const sectors of ['1 1 1 1', '2 1 1 1', '3 1 1 1']) expect(found).toContain(sectors);
  });

  it('may leave a length without its data', async () => {
    const found = await outcomes(async (file) => {
      await file.write([filled(2)], 4 * SECTOR);
    }, 'posix');
    for (const sectors of ['1 1 1 1', '1 1 1 1 0', '1 1 1 1 2']) expect(found).toContain(sectors);
  });

  it('tears sectors of 4096 bytes as a whole, older neighbours included', async () => {
    disk = new SimDisk({ sectorBytes: 4096 });
    await disk.makeDirectory('/d');
    const file = await durableFile();
    await file.write([filled(2)], 0);
    expect(disk.pendingCounts()).toEqual({ names: 0, sectors: 1 });
  });

  it('leaves names as a prefix of their changes, or as any subset', async () => {
    const names = async (model: CrashModel): Promise<Set<string>> => {
      const found = new Set<string>();
      for (let seed = 1; seed <= 100; seed += 1) {
        disk = new SimDisk();
        await disk.makeDirectory('/d');
        await durableFile();
        await disk.create('/d/g', 'buffered');
        await disk.rename('/d/f', '/d/h');
        disk.crash(seededRandom(seed), model);
        found.add(((await disk.list('/d')) ?? []).join(' '));
      }
      return found;
    };
    expect(await names('journal')).toEqual(new Set(['f', 'f g', 'g h']));
    expect(await names('posix')).toEqual(new Set(['f', 'f g', 'h', 'g h']));
    expect(await names('drop-all')).toEqual(new Set(['f']));
    expect(await names('keep-all')).toEqual(new Set(['g h']));
  });

  it('ends the calls of before', async () => {
    const file = await durableFile();
    const dead = disk.attach();
    disk.crash(seededRandom(1), 'keep-all');
    let settled = 0;
    const count = (): void => void (settled += 1);
    file.write([filled(9)], 0).then(count, count);
    dead.unlink('/d/f').then(count, count);
    await new Promise((resolve) => setImmediate(resolve));
    expect(settled).toBe(0);
    expect(disk.contentOf('/d/f')).toEqual(filled(1, 4));
  });

  it('can be chosen sector by sector', async () => {
    const file = await durableFile();
    await file.write([filled(2, 2)], 0);
    await disk.unlink('/d/f');
    const copy = disk.fork();
    copy.crashWith(chosenSurvival({ names: [false], sectors: [false, true] }));
    expect(copy.contentOf('/d/f')[0]).toBe(1);
    expect(copy.contentOf('/d/f')[SECTOR]).toBe(2);
    expect(await disk.list('/d')).toEqual([]); // the original went on
  });
});

describe('a fork', () => {
  it('has the same dirt, and changes nothing of the original', async () => {
    const file = await durableFile();
    await file.write([filled(2)], 0);
    const copy = disk.fork();
    expect(copy.pendingCounts()).toEqual({ names: 0, sectors: 1 });
    const other = await copy.open('/d/f', 'buffered');
    await other.write([filled(3, 2)], 0);
    await other.sync();
    expect(disk.contentOf('/d/f')[0]).toBe(2);
    disk.crash(seededRandom(1), 'drop-all');
    expect(disk.contentOf('/d/f')).toEqual(filled(1, 4));
    expect(copy.contentOf('/d/f')[SECTOR]).toBe(3);
  });
});

describe('a failed sync', () => {
  it.each(['keeps-new', 'reverts'] as const)(
    'loses data, and the next succeeds (%s)',
    async (after) => {
      const seen = new Set<number | undefined>();
      for (let seed = 1; seed <= 50; seed += 1) {
        disk = new SimDisk({ afterFailedSync: after, seed });
        await disk.makeDirectory('/d');
        const file = await durableFile();
        await file.write([filled(2)], 0);
        disk.failCall('sync', 1, 'EIO');
        await expect(file.sync()).rejects.toMatchObject({ code: 'DISK_FAILED' });
        const cached = disk.contentOf('/d/f')[0];
        await file.sync();
        disk.crash(seededRandom(1), 'keep-all');
        const durable = disk.contentOf('/d/f')[0];
        expect(cached).toBe(after === 'keeps-new' ? 2 : durable);
        seen.add(durable);
      }
      expect(seen).toEqual(new Set([1, 2])); // by chance the device has got it
      expect(disk.failedSyncs).toEqual(['/d/f']);
    },
  );

  it('may tell it one sync late', async () => {
    disk = new SimDisk({ seed: 2 });
    await disk.makeDirectory('/d');
    const file = await durableFile();
    await file.write([filled(2)], 0);
    disk.failCall('sync', 1, 'late');
    await file.sync();
    await expect(file.sync()).rejects.toMatchObject({ details: { errno: 'EIO' } });
    await file.sync();
  });

  it('shows in the cache until its pages leave it', async () => {
    disk = new SimDisk({ seed: 2 });
    await disk.makeDirectory('/d');
    const file = await durableFile();
    await file.write([filled(2, 4)], 0);
    disk.failCall('sync', 1, 'EIO');
    await file.sync().catch(() => undefined);
    await file.write([filled(3)], 0);
    expect(disk.contentOf('/d/f')).toContain(2);
    disk.dropCaches();
    expect(disk.contentOf('/d/f')[0]).toBe(3); // dirty pages stay
    expect(disk.contentOf('/d/f')).toContain(1);
  });
});

describe('faults', () => {
  it('strike the k-th call of a kind, once or for good', async () => {
    const file = await durableFile();
    disk.failCall('size', 2, 'EIO');
    await file.sizeBytes();
    await expect(file.sizeBytes()).rejects.toMatchObject({ details: { errno: 'EIO' } });
    await file.sizeBytes();
    disk.order({ kind: 'any', k: 2, effect: 'EDQUOT', isSticky: true });
    await file.sizeBytes();
    for (let call = 0; call < 2; call += 1) {
      await expect(file.sizeBytes()).rejects.toMatchObject({ code: 'DISK_FULL' });
    }
    disk.heal();
    await file.sizeBytes();
    expect(disk.struckCalls.map(({ kind }) => kind)).toEqual(['size', 'size', 'size']);
  });

  it('let a write take a part', async () => {
    const file = await durableFile();
    disk.failCall('write', 1, 'short');
    expect(await file.write([filled(2, 4)], 0)).toBeLessThan(4 * SECTOR);
  });

  it('let reads lie', async () => {
    const file = await durableFile();
    await file.write([filled(2, 2)], 0);
    const into = new Uint8Array(SECTOR);
    disk.failCall('read', 1, 'flip');
    await file.read(into, 0);
    const wrong = into.filter((byte) => byte !== 2);
    expect(wrong).toHaveLength(1);
    disk.failCall('read', 1, 'misdirect');
    await file.read(into, 2 * SECTOR - SECTOR);
    disk.failCall('read', 1, 'EIO');
    await expect(file.read(into, 0)).rejects.toMatchObject({ code: 'DISK_FAILED' });
    await file.read(into, 0);
    expect(into).toEqual(filled(2));
  });

  it('read from a neighbouring sector', async () => {
    const file = await durableFile();
    await file.write([filled(2)], 0);
    const into = new Uint8Array(SECTOR);
    disk.failCall('read', 1, 'misdirect');
    await file.read(into, 0);
    expect(into).toEqual(filled(1));
  });
});

describe('a full disk', () => {
  it('takes what fits, then nothing, and goes on when there is room again', async () => {
    const file = await disk.create('/d/f', 'buffered');
    disk.setCapacity(2 * 4096);
    expect(await file.write([filled(1, 24)], 0)).toBe(2 * 4096);
    await expect(file.write([filled(1)], 2 * 4096)).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(await file.write([filled(2, 16)], 0)).toBe(2 * 4096); // over what exists
    disk.setCapacity(3 * 4096);
    expect(await file.write([filled(1)], 2 * 4096)).toBe(SECTOR);
  });

  it('has room again when a file is removed', async () => {
    const first = await disk.create('/d/f', 'buffered');
    await first.write([filled(1, 8)], 0);
    disk.setCapacity(4096);
    const second = await disk.create('/d/g', 'buffered');
    await expect(second.write([filled(1)], 0)).rejects.toMatchObject({ code: 'DISK_FULL' });
    await disk.unlink('/d/f');
    expect(await second.write([filled(1)], 0)).toBe(SECTOR);
    expect(disk.usedBytes).toBe(4096);
  });
});
