/** Over a simulated disk; only the lock is a real file. Recovery itself: recovery.test.ts.
 * @module */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LINES } from '../../test/support/block-samples.ts';
import { HomeRun } from '../../test/support/home-history.ts';
import type { RunPlace } from '../../test/support/home-history.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import type { CrashModel } from '../../test/support/memory-disk.ts';
import { BlockArena } from '../blocks/block-arena.ts';
import type { BlockInfo } from '../blocks/block-ref.ts';
import { blockKey } from '../core/ids.ts';
import { writeManifest } from '../checkpoint/manifest.ts';
import { EventBus } from '../core/events.ts';
import { resolveOptions } from '../core/options.ts';
import { seededRandom } from '../core/random.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { BlockMemory } from './block-memory.ts';
import { openHome, requireOwnManifest } from './home-directory.ts';
import type { Home } from './home-directory.ts';

let directory: string;
let disk: MemoryDisk;
let home: Home | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'home-'));
  disk = new MemoryDisk();
});

afterEach(async () => {
  await home?.lock.release();
  home = undefined;
  rmSync(directory, { recursive: true });
});

async function open(name = 'p'): Promise<Home> {
  const segments = { receiverSegmentBytes: 65_536, driverSegmentBytes: 65_536 };
  const options = resolveOptions({ module: { name, durability: 'flush', ...segments } });
  home = await openHome({
    disk: disk.attach(),
    clock: new ManualClock(),
    codec: msgpackCodec,
    events: new EventBus(),
    directory,
    options,
    accept: () => options,
    onPoison: () => {},
    stat: () => Promise.resolve({ magic: 0xef53, device: 1 }),
  });
  return home;
}

/** A run of the engine in the opened directory. */
async function start(): Promise<{ run: HomeRun<RunPlace>; opened: Home }> {
  const opened = await open();
  const { state, appliedLsn, driverLog, nextLsn, store, manifest } = opened;
  const place = { disk: disk.attach(), clock: new ManualClock(), directory, store };
  const run = new HomeRun(
    {
      ...place,
      epoch: manifest.epoch,
      logId: manifest.logId,
      logName: opened.logs.nameOf(0),
      examination: { state },
      recovered: { appliedLsn, driverLog, nextLsn },
    },
    'flush',
  );
  await run.begin();
  return { run, opened };
}

async function die(end: () => void): Promise<void> {
  end();
  await home?.lock.release();
  home = undefined;
}

const MODELS: CrashModel[] = ['journal', 'posix', 'keep-all', 'drop-all'];

describe('a log of the flush level', () => {
  /** What a task would find of the queued blocks: read back, or known to be lost. */
  async function readable(run: HomeRun<RunPlace>, { lastLsn, logs }: Home): Promise<string[]> {
    const arena = BlockArena.create(1024 * 1024);
    const memory = new BlockMemory(arena, { logs, lastLsn });
    const found: string[] = [];
    for (const block of run.tracker.state.queues.get(LINES) ?? []) {
      if (memory.locate(block) === undefined) continue;
      expect(await run.isReadable(block)).toBe(true);
      found.push(blockKey(block.blockId));
    }
    return found;
  }

  const keys = (blocks: readonly BlockInfo[]): string[] =>
    blocks.map(({ blockId }) => blockKey(blockId));

  it.each(MODELS)('may lose blocks to a power cut, and never more (%s)', async (model) => {
    for (let seed = 1; seed <= 8; seed += 1) {
      disk = new MemoryDisk();
      const first = await start();
      for (let block = 0; block < 4; block += 1) await first.run.register();
      await die(() => disk.crash(seededRandom(seed), model));
      const second = await start();
      const survived = await readable(second.run, second.opened);
      const blocks = [await second.run.register(), await second.run.register()];
      blocks.push(await second.run.receive());
      await die(() => disk.kill());
      const third = await start();
      expect(await readable(third.run, third.opened)).toEqual([...survived, ...keys(blocks)]);
      blocks.push(await third.run.register());
      await die(() => disk.kill());
      const fourth = await start();
      expect(await readable(fourth.run, fourth.opened)).toEqual([...survived, ...keys(blocks)]);
      await die(() => disk.kill());
    }
  });
});

describe('openHome', () => {
  it('counts the epochs, and keeps the identity', async () => {
    const first = (await open()).manifest;
    await die(() => disk.kill());
    const second = (await open()).manifest;
    const { logId, pipelineName, lives = [] } = first;
    expect(second).toMatchObject({ logId, pipelineName, epoch: first.epoch + 1 });
    expect(second.lives?.slice(0, -1)).toEqual(lives);
  });

  it('refuses a second engine', async () => {
    await open();
    const first = home;
    await expect(open()).rejects.toMatchObject({ code: 'DIRECTORY_LOCKED' });
    home = first;
  });

  it('refuses another pipeline, and gives the lock back', async () => {
    await open();
    await die(() => disk.kill());
    await expect(open('q')).rejects.toMatchObject({ code: 'CHECKPOINT_MISMATCH' });
    await open();
  });

  it('removes what a killed run spilled', async () => {
    await open();
    await die(() => disk.kill());
    await disk.makeDirectory(join(directory, 'spill-1'));
    await open();
    expect(await disk.list(directory)).not.toContain('spill-1');
  });
});

describe('a directory that another process has taken', () => {
  const LOST = { code: 'DIRECTORY_LOCKED' };
  const takeovers: Record<string, (lock: string) => void> = {
    'whose LOCK was removed': (lock) => rmSync(lock),
    'whose LOCK was replaced': (lock) => {
      writeFileSync(`${lock}.new`, '');
      renameSync(`${lock}.new`, lock);
    },
  };

  it.each(Object.keys(takeovers))('acknowledges nothing more: one %s', async (how) => {
    const { driverLog, lock } = await open();
    await driverLog.append(Buffer.from('before'));
    takeovers[how]?.(join(directory, 'LOCK'));
    const refused = { code: 'WAL_POISONED', cause: LOST };
    await expect(driverLog.append(Buffer.from('after'))).rejects.toMatchObject(refused);
    await expect(driverLog.append(Buffer.from('later'))).rejects.toMatchObject(refused);
    expect(lock.whyLost()).toMatchObject(LOST);
  });

  it('is changed no more', async () => {
    const { disk: owned, store } = await open();
    rmSync(join(directory, 'LOCK'));
    const path = join(directory, 'file');
    await expect(owned.create(path, 'buffered')).rejects.toMatchObject(LOST);
    await expect(owned.rename(path, `${path}-2`)).rejects.toMatchObject(LOST);
    await expect(owned.unlink(path)).rejects.toMatchObject(LOST);
    await expect(owned.removeTree(path)).rejects.toMatchObject(LOST);
    await expect(store.write(Buffer.from('checkpoint'))).rejects.toMatchObject(LOST);
    // Not even the directory, which the first checkpoint makes.
    expect(await owned.list(join(directory, 'checkpoints'))).toBeUndefined();
  });

  it.each([
    ['a higher epoch', { epoch: 7 }],
    ['another log', { logId: 'f'.repeat(32) }],
  ])('is noticed by MANIFEST too: %s', async (_, change) => {
    const opened = await open();
    await requireOwnManifest(opened);
    await writeManifest({ disk, directory }, { ...opened.manifest, ...change });
    await expect(requireOwnManifest(opened)).rejects.toMatchObject(LOST);
  });

  it('is noticed when MANIFEST is gone', async () => {
    const opened = await open();
    await disk.unlink(join(directory, 'MANIFEST'));
    await expect(requireOwnManifest(opened)).rejects.toMatchObject(LOST);
  });
});

describe('a log elsewhere', () => {
  const ELSEWHERE = '/other-disk';
  let events: EventBus;
  beforeEach(() => {
    events = new EventBus();
  });

  async function openWith(quarantineDir: string): Promise<Home> {
    const module = { name: 'p', onWalFailure: 'quarantine', quarantineDir } as const;
    const options = resolveOptions({ module });
    home = await openHome({
      disk: disk.attach(),
      clock: new ManualClock(),
      codec: msgpackCodec,
      events,
      directory,
      options,
      accept: () => options,
      onPoison: () => {},
      stat: () => Promise.resolve({ magic: 0xef53, device: 1 }),
    });
    return home;
  }

  it('is found by the next start, which writes in the checkpoint directory again', async () => {
    const first = await openWith(ELSEWHERE);
    const path = await first.logs.move(0, ELSEWHERE);
    await die(() => disk.kill());
    const second = await open();
    expect([...second.oldLogs]).toEqual(['receiver-log-0.1q']);
    expect(second.logs.directoryOf('receiver-log-0.1q')).toBe(path);
    expect(second.logs.nameOf(0)).toBe('receiver-log-0');
  });

  it('that is not there refuses the start: its disk may not be mounted', async () => {
    const first = await openWith(ELSEWHERE);
    const path = await first.logs.move(0, ELSEWHERE);
    await die(() => disk.kill());
    await disk.removeTree(path);
    await expect(open()).rejects.toMatchObject({
      code: 'WAL_CORRUPT',
      message: expect.stringContaining(`${path} is missing`) as string,
    });
  });

  it('that an interrupted removal has left goes at the next start', async () => {
    const first = await openWith(ELSEWHERE);
    const left = join(ELSEWHERE, first.manifest.logId, 'receiver-log-0.1q');
    await disk.makeDirectory(left);
    await die(() => disk.kill());
    await openWith(ELSEWHERE);
    expect(await disk.list(left)).toBeUndefined();
  });

  it('has to be outside of the checkpoint directory', async () => {
    for (const wrong of [join(directory, 'q'), directory, join(directory, '..'), '/']) {
      await expect(openWith(wrong)).rejects.toMatchObject({
        code: 'OPTIONS_INVALID',
        message: expect.stringContaining('must lie side by side') as string,
      });
    }
    expect(await disk.list(join(directory, 'driver-log'))).toBeUndefined();
  });

  it('on the same disk is told: it would fail with the log', async () => {
    const messages: string[] = [];
    events.subscribe((event) => {
      if (event.type === 'warning') messages.push(event.message);
    });
    await openWith(ELSEWHERE);
    expect(messages).toEqual([
      expect.stringMatching(/and \/other-disk are on the same file system.* go on with it$/),
    ]);
  });

  it('cannot be a file, which is told before anything is written', async () => {
    await file('/other');
    for (const wrong of ['/other', '/other/q']) {
      await expect(openWith(wrong)).rejects.toMatchObject({
        code: 'OPTIONS_INVALID',
        message: expect.stringContaining(`quarantineDir ${wrong} cannot be a directory`) as string,
      });
    }
    expect(await disk.list(join(directory, 'driver-log'))).toBeUndefined();
  });
});

describe('a path that is a file', () => {
  it('is a wrong option, of the directory and of its second copy', async () => {
    const options = resolveOptions({ module: { name: 'p' } });
    const given = { disk: disk.attach(), clock: new ManualClock(), codec: msgpackCodec, options };
    const more = { events: new EventBus(), accept: () => options, onPoison: () => {} };
    await file('/file');
    for (const wrong of ['/file', '/file/x']) {
      await expect(openHome({ ...given, ...more, directory: wrong })).rejects.toMatchObject({
        code: 'OPTIONS_INVALID',
        message: expect.stringContaining(`checkpointDir ${wrong} cannot be a dir`) as string,
      });
      const mirror = { disk: disk.attach(), directory: wrong };
      await expect(openHome({ ...given, ...more, directory, mirror })).rejects.toMatchObject({
        code: 'OPTIONS_INVALID',
        message: expect.stringContaining(`mirrorDir ${wrong} cannot be a directory`) as string,
      });
    }
  });
});

async function file(path: string): Promise<void> {
  await (await disk.create(path, 'buffered')).close();
}
