/** One thing at a time that can happen to a copy; all of them mixed: test/sim/two-copies.test.ts.
 * @module */
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { TwoCopies } from '../../test/support/two-copies.ts';
import type { Side } from '../../test/support/two-copies.ts';
import { readManifest, writeManifest } from '../checkpoint/manifest.ts';
import { seededRandom } from '../core/random.ts';
import { scanLog } from '../wal/log-scan.ts';

let copies: TwoCopies;
beforeEach(() => {
  copies = new TwoCopies(seededRandom(1));
});

async function lived(): Promise<void> {
  await copies.start([0, 1]);
  await copies.registerMany(3);
  await copies.allocate();
  await copies.checkpoint();
  await copies.registerMany(2);
}

/** Flips a byte of the last record of a log, which nothing behind it witnesses. */
async function rotLastRecord(side: Side, log: string): Promise<string> {
  const disk = copies.disks[side];
  let last = { path: '', at: 0 };
  await scanLog(disk, join(copies.directory(side), log), ({ path, offsetBytes }) => {
    last = { path, at: offsetBytes };
  });
  damage(side, last.path, last.at + 40);
  return last.path;
}

function damage(side: Side, path: string, at: number): void {
  const bytes = copies.disks[side].contentOf(path).slice();
  bytes[at] = (bytes[at] ?? 0) ^ 0x20;
  copies.disks[side].overwrite(path, bytes);
}

function restored(): string[] {
  return copies.events.flatMap((event) =>
    event.type === 'copy-restored' ? [event.directory] : [],
  );
}

describe('either copy', () => {
  it.each([0, 1] as const)('%d alone is enough', async (side) => {
    await lived();
    copies.cutPower();
    await copies.start([side]);
    expect(copies.acknowledgedCount).toBe(5);
  });

  it.each([0, 1] as const)('%d is made again when its disk is a new one', async (side) => {
    await lived();
    copies.cutPower();
    copies.loseDisk(side);
    await copies.start([0, 1]);
    expect(restored()).toEqual([copies.directory(side)]);
    await copies.registerMany(2);
    copies.cutPower();
    copies.loseDisk(side === 0 ? 1 : 0);
    await copies.start([side]);
  });

  it.each([0, 1] as const)('%d that rots in its last record has it back', async (side) => {
    for (const log of ['driver-log', 'receiver-log-0']) {
      copies = new TwoCopies(seededRandom(2));
      await lived();
      copies.kill();
      await rotLastRecord(side, log);
      await copies.start([0, 1]);
      expect(restored()).toEqual([copies.directory(side)]);
    }
  });

  it('that stayed away is made again from the one that went on', async () => {
    await lived();
    copies.kill();
    const away = copies.loseDisk(0);
    await copies.start([1]);
    await copies.registerMany(3);
    copies.cutPower();
    copies.disks[0] = away;
    await copies.start([0, 1]);
    const told = expect.stringContaining('it is of epoch 1, the other one of epoch 2') as string;
    expect(copies.events).toContainEqual(
      expect.objectContaining({ type: 'copy-restoring', reason: told }),
    );
  });

  it('that is not given any more is said to fall behind', async () => {
    await lived();
    copies.kill();
    await copies.start([1]);
    const message = expect.stringContaining('had a second copy') as string;
    expect(copies.events).toContainEqual({ type: 'warning', message });
  });
});

describe('a copy that comes back', () => {
  it('after a life that another disk was the second place of is made again', async () => {
    await lived();
    copies.kill();
    const away = copies.loseDisk(1);
    await copies.start([0, 1]);
    await copies.registerMany(3);
    copies.kill();
    copies.disks[1] = away;
    await copies.start([0, 1]);
    const told = copies.events.filter(({ type }) => type === 'copy-restoring');
    expect(told).toMatchObject([
      { directory: copies.directory(1), reason: 'it is empty' },
      { directory: copies.directory(1), reason: 'it is of epoch 1, the other one of epoch 2' },
    ]);
  });

  it.each([0, 1] as const)('gets a life with a name, when place %d dies', async (side) => {
    for (let renames = 1, isDone = false; !isDone; renames += 1) {
      copies = new TwoCopies(seededRandom(renames));
      await copies.start([0]);
      await copies.registerMany(3);
      copies.kill();
      const place = { disk: copies.disks[0], directory: copies.directory(0) };
      const manifest = await readManifest(place);
      if (manifest === undefined) throw new Error('a start leaves a MANIFEST');
      await writeManifest(place, { ...manifest, lives: [] });
      copies.disks[side].failCall('rename', renames, 'crash');
      const cut = copies.disks[side].untilCrash().then(() => false);
      isDone = await Promise.race([copies.start([0, 1]).then(() => true), cut]);
      copies.kill();
      await copies.start([0, 1]);
    }
  });

  it('keeps no scratch and no marker, whichever of the two is read', async () => {
    await lived();
    copies.kill();
    for (const side of [0, 1] as const) {
      const [disk, directory] = [copies.disks[side], copies.directory(side)];
      await disk.makeDirectory(join(directory, `removed-${side}`));
      await (await disk.create(join(directory, 'MANIFEST.incomplete'), 'buffered')).close();
    }
    await copies.start([0, 1]);
    for (const side of [0, 1] as const) {
      const names = (await copies.disks[side].list(copies.directory(side))) ?? [];
      expect(names.filter((name) => /removed|incomplete/.test(name))).toEqual([]);
    }
  });
});

describe('a start with two copies is refused', () => {
  it('when each went on alone', async () => {
    await lived();
    copies.kill();
    const away = copies.loseDisk(0);
    await copies.start([1]);
    copies.kill();
    const other = copies.loseDisk(1);
    copies.disks[0] = away;
    await copies.start([0]);
    await copies.register();
    copies.kill();
    copies.disks[1] = other;
    for (const sides of [[0, 1] as const, [1, 0] as const]) {
      await expect(copies.start(sides)).rejects.toMatchObject({ code: 'CHECKPOINT_MISMATCH' });
    }
  });

  it('when both are damaged in the same log, and names both', async () => {
    await lived();
    await copies.idle();
    copies.kill();
    const paths = await Promise.all(
      ([0, 1] as const).map((side) => segmentOf(side, 'receiver-log-0')),
    );
    for (const side of [0, 1] as const) damage(side, paths[side] ?? '', 4096 + 50);
    const failure = await copies.start([0, 1]).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'WAL_CORRUPT' });
    for (const path of paths) expect(String(failure)).toContain(path);
  });

  it('when one is damaged and the other cut short, as only the first tells', async () => {
    await copies.start([0, 1]);
    for (let block = 0; block < 4; block += 1) await copies.register();
    await copies.idle();
    copies.kill();
    const [cut, rotten] = [await segmentOf(0, 'driver-log'), await segmentOf(1, 'driver-log')];
    const bytes = copies.disks[0].contentOf(cut).slice();
    copies.disks[0].overwrite(cut, bytes.fill(0, 4096 + 4096));
    damage(1, rotten, 4096 + 50);
    for (const sides of [[0, 1] as const, [1, 0] as const]) {
      await expect(copies.start(sides)).rejects.toMatchObject({ code: 'WAL_CORRUPT' });
    }
  });

  it('when one has lost a log and the other one of it is damaged', async () => {
    await copies.start([0, 1]);
    for (let block = 0; block < 4; block += 1) await copies.register();
    copies.kill();
    await copies.disks[0].removeTree(join(copies.directory(0), 'driver-log'));
    damage(1, await segmentOf(1, 'driver-log'), 4096 + 50);
    for (const sides of [[0, 1] as const, [1, 0] as const]) {
      await expect(copies.start(sides)).rejects.toMatchObject({ code: 'WAL_CORRUPT' });
    }
  });

  it('when one with a damaged MANIFEST may be ahead, and a marker was left in it', async () => {
    await lived();
    copies.kill();
    const away = copies.loseDisk(0);
    await copies.start([1]);
    await copies.registerMany(3);
    copies.kill();
    copies.disks[0] = away;
    const directory = copies.directory(1);
    const marker = join(directory, 'MANIFEST.incomplete');
    await (await copies.disks[1].create(marker, 'buffered')).close();
    damage(1, join(directory, 'MANIFEST'), 20);
    await expect(copies.start([0, 1])).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
  });

  it('of another pipeline, by the name of the copy that says so', async () => {
    await lived();
    copies.kill();
    copies.loseDisk(0); // the checkpoint directory is new, the second one is somebody's
    copies.pipelineName = 'q';
    await expect(copies.start([0, 1])).rejects.toMatchObject({
      code: 'CHECKPOINT_MISMATCH',
      message: expect.stringContaining(`${copies.directory(1)} belongs to the`) as string,
    });
  });

  it('while a log elsewhere is still needed', async () => {
    await lived();
    copies.kill();
    await copies.start([0]);
    copies.kill();
    const place = { disk: copies.disks[0], directory: copies.directory(0) };
    const manifest = await readManifest(place);
    if (manifest === undefined) throw new Error('a start leaves a MANIFEST');
    const quarantined = [{ log: 'receiver-log-0.2q', directory: '/third/receiver-log-0.2q' }];
    await writeManifest(place, { ...manifest, quarantined });
    for (const sides of [[0, 1] as const, [1, 0] as const]) {
      await expect(copies.start(sides)).rejects.toMatchObject({ code: 'CHECKPOINT_MISMATCH' });
    }
  });

  it('when the newer one is damaged: an older one has not what was acknowledged', async () => {
    await lived();
    copies.kill();
    const away = copies.loseDisk(0);
    await copies.start([1]);
    await copies.registerMany(3);
    await copies.idle();
    copies.kill();
    copies.disks[0] = away;
    damage(1, await segmentOf(1, 'receiver-log-0'), 4096 + 50);
    await expect(copies.start([0, 1])).rejects.toMatchObject({ code: 'WAL_CORRUPT' });
  });
});

it('damage in different logs of the two is healed', async () => {
  await lived();
  await copies.idle();
  copies.kill();
  damage(0, await segmentOf(0, 'receiver-log-0'), 4096 + 50);
  damage(1, await segmentOf(1, 'driver-log'), 4096 + 50);
  await copies.start([0, 1]);
  expect(restored().toSorted()).toEqual([copies.directory(0), copies.directory(1)]);
});

it('a copy that is half made cannot be started alone, stale as it was', async () => {
  let halfMade = 0;
  for (let calls = 20; calls < 120; calls += 7) {
    copies = new TwoCopies(seededRandom(calls));
    await lived();
    copies.kill();
    const away = copies.loseDisk(1);
    await copies.start([0]);
    await copies.registerMany(3);
    copies.kill();
    copies.disks[1] = away;
    away.failCall('any', calls, 'crash');
    const cut = away.untilCrash().then(() => 'cut' as const);
    if ((await Promise.race([copies.start([0, 1]), cut])) !== 'cut') break;
    copies.cutPower();
    const names = (await away.list(copies.directory(1))) ?? [];
    if (names.includes('MANIFEST')) continue; // not begun, or whole already
    halfMade += 1;
    await expect(copies.start([1])).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
    copies.kill();
    await copies.start([0, 1]);
  }
  expect(halfMade).toBeGreaterThan(5);
});

async function segmentOf(side: Side, log: string): Promise<string> {
  const directory = join(copies.directory(side), log);
  const names = (await copies.disks[side].list(directory)) ?? [];
  return join(directory, names.findLast((name) => name.endsWith('.wal')) ?? '');
}
