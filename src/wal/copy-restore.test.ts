/** @module */
import { describe, expect, it } from 'vitest';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import { seededRandom } from '../core/random.ts';
import { restoreDirectory } from './copy-restore.ts';

const FROM = { name: 'log', directory: '/a' };
const TO = { name: 'log', directory: '/b' };
const MIB = 1024 * 1024;

async function fill(disk: MemoryDisk, at: string, files: Record<string, Uint8Array>) {
  await disk.makeDirectory(`${at}/log`);
  for (const [name, bytes] of Object.entries(files)) {
    const file = await disk.create(`${at}/log/${name}`, 'buffered');
    await file.write([bytes], 0);
    await file.sync();
  }
  await disk.syncDirectory(`${at}/log`);
}

const random = (seed: number, length: number): Uint8Array => {
  const numbers = seededRandom(seed);
  return Uint8Array.from({ length }, () => numbers.next() * 256);
};

const SOURCE = {
  one: random(1, 100),
  two: random(2, MIB + 5_000),
  three: random(3, MIB),
  no: Buffer.alloc(0),
};

async function setUp(target: Record<string, Uint8Array> | undefined) {
  const [from, to] = [new MemoryDisk(), new MemoryDisk()];
  await fill(from, FROM.directory, { ...SOURCE, 'spare-1.tmp': Buffer.alloc(9) });
  if (target !== undefined) await fill(to, TO.directory, target);
  const restore = async (isForced = false): Promise<{ changed: number; bytes: number }> => {
    let bytes = 0;
    const changed = await restoreDirectory(
      {
        from: { disk: from, directory: FROM.directory },
        to: { disk: to, directory: TO.directory },
        isForced,
        onCopied: (copied) => (bytes += copied),
      },
      'log',
    );
    return { changed, bytes };
  };
  const content = async (): Promise<Record<string, Uint8Array>> => {
    const names = (await to.list('/b/log')) ?? [];
    return Object.fromEntries(names.map((name) => [name, to.contentOf(`/b/log/${name}`)]));
  };
  return { from, to, restore, content };
}

function expectEqual(found: Record<string, Uint8Array>): void {
  expect(Object.keys(found)).toEqual(Object.keys(SOURCE).toSorted());
  for (const [name, bytes] of Object.entries(SOURCE)) {
    expect(Buffer.from(found[name] ?? []).equals(bytes), name).toBe(true);
  }
}

describe('a directory that is made equal', () => {
  it('leaves no temporary file, in the place it was read from either', async () => {
    const { from, restore, content } = await setUp({ 'spare-2.tmp': Buffer.alloc(9) });
    await restore();
    expectEqual(await content());
    expect(await from.list('/a/log')).toEqual(Object.keys(SOURCE).toSorted());
  });

  it.each<[string, Record<string, Uint8Array> | undefined]>([
    ['is not there', undefined],
    ['is empty', {}],
    [
      'has more, less and other files',
      { one: random(9, 100), four: random(4, 10), 'x.tmp': random(5, 5) },
    ],
    ['has a shorter file', { two: SOURCE.two.subarray(0, MIB) }],
    ['has a longer file', { three: random(3, MIB + 1) }],
  ])('is the same, durably, when it %s', async (_what, target) => {
    const { to, restore, content } = await setUp(target);
    await restore();
    to.crash(seededRandom(1), 'drop-all');
    expectEqual(await content());
  });

  it('is left alone where it is equal, and written all the same when asked for', async () => {
    const { to, restore } = await setUp(SOURCE);
    const { write } = to.counts;
    expect(await restore()).toEqual({ changed: 0, bytes: 0 });
    expect(to.counts.write).toBe(write);
    expect(await restore(true)).toEqual({ changed: 4, bytes: 2 * MIB + 5_100 });
  });

  it('goes when the source has none', async () => {
    const { from, to, restore } = await setUp({ one: random(1, 1) });
    await from.removeTree('/a/log');
    expect((await restore()).changed).toBe(1);
    expect(await to.list('/b/log')).toBeUndefined();
    expect((await restore()).changed).toBe(0);
  });

  it('stays away when neither has it, and nothing was changed', async () => {
    const { from, to, restore } = await setUp(undefined);
    await from.removeTree('/a/log');
    expect(await restore()).toEqual({ changed: 0, bytes: 0 });
    expect(await to.list('/b/log')).toBeUndefined();
  });

  it('fails when the target takes a part only, and goes on from there', async () => {
    const { to, restore, content } = await setUp({});
    to.failCall('write', 2, 'short');
    await expect(restore()).rejects.toMatchObject({
      code: 'DISK_FAILED',
      message: expect.stringMatching(/\.copy\.tmp took \d+ of \d+ bytes/) as string,
    });
    const whole = Object.keys(await content()).filter((name) => !name.endsWith('.tmp'));
    expect(whole).toEqual(['no', 'one']); // what came before, and no half of the third
    expect((await restore()).changed).toBe(2);
    expectEqual(await content());
  });

  it('is copied over where the target cannot be read', async () => {
    const { to, restore, content } = await setUp(SOURCE);
    to.failCall('read', 1, 'EIO');
    expect((await restore()).changed).toBe(1);
    expectEqual(await content());
  });

  it('fails when the source cannot be read', async () => {
    const { from, restore } = await setUp(SOURCE);
    from.failCall('read', 1, 'EIO');
    await expect(restore()).rejects.toMatchObject({ code: 'DISK_FAILED' });
  });

  it('has whole files only, wherever the power fails', async () => {
    const old = { one: random(9, 100), two: random(8, MIB + 5_000), four: random(4, 10) };
    let cuts = 0;
    for (let call = 1; ; call += 1) {
      const { to, restore, content } = await setUp(old);
      to.failCall('any', call, 'crash');
      const end = await Promise.race([restore(), to.untilCrash().then(() => 'cut' as const)]);
      if (end !== 'cut') break;
      cuts += 1;
      to.crash(seededRandom(call), call % 2 === 0 ? 'posix' : 'journal');
      for (const [name, bytes] of Object.entries(await content())) {
        if (name.endsWith('.tmp')) continue;
        const whole = [SOURCE, old].map((files: Record<string, Uint8Array>) => files[name]);
        expect(whole.some((each) => each !== undefined && Buffer.from(bytes).equals(each))).toBe(
          true,
        );
      }
      await restore();
      expectEqual(await content());
    }
    expect(cuts).toBeGreaterThan(20);
  });
});
