/** @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import { settle } from '../../test/support/receiver-side.ts';
import { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import { EventBus } from '../core/events.ts';
import type { EngineEvent } from '../core/events.ts';
import type { Lsn } from '../core/ids.ts';
import type { Disk } from '../wal/disk.ts';
import { Checkpointer } from './checkpointer.ts';
import type { CheckpointerOptions, Forgettable } from './checkpointer.ts';

const INTERVAL_MS = 1_000;
const DIRECTORY = '/the-home/checkpoints';

let disk: MemoryDisk;
let clock: ManualClock;
/** The engine's moment: what a snapshot taken now says. */
let now: number;
let forgettable: Forgettable[];
let failures: string[];
let events: EngineEvent[];
let makeRoom: (() => Promise<boolean>) | undefined;
let checkpointer: Checkpointer;
let store: CheckpointStore;
/** While it is set, files cannot be made: writes wait for it. */
let writeGate: Promise<void> | undefined;
/** Why the directory is another process's by now. */
let lossOfDirectory: Error | undefined;

beforeEach(async () => {
  disk = new MemoryDisk();
  clock = new ManualClock();
  now = 1;
  forgettable = [];
  failures = [];
  events = [];
  makeRoom = undefined;
  writeGate = undefined;
  lossOfDirectory = undefined;
  await disk.makeDirectory('/home');
  const slow: Disk = { ...disk.attach(), create: createWhenOpen };
  store = await CheckpointStore.open({ disk: slow, directory: DIRECTORY, keep: 2 });
  checkpointer = newCheckpointer();
});

async function createWhenOpen(...args: Parameters<Disk['create']>): ReturnType<Disk['create']> {
  await writeGate;
  return disk.create(...args);
}

function newCheckpointer(options: Partial<CheckpointerOptions> = {}): Checkpointer {
  const bus = new EventBus();
  bus.subscribe((event) => events.push(event));
  return new Checkpointer({
    store,
    clock,
    events: bus,
    makeRoom: async () => makeRoom?.() ?? false,
    intervalMs: INTERVAL_MS,
    keep: 2,
    check: async () => {
      if (lossOfDirectory !== undefined) throw lossOfDirectory;
    },
    takeSnapshot: () => ({
      payload: Buffer.from(String(now)),
      settledThroughMs: now * 10,
      appliedLsn: now as Lsn,
    }),
    onForgettable: async (facts) => {
      forgettable.push(facts);
    },
    onFailed: (error) => failures.push(error.message),
    ...options,
  });
}

/** Lets writes wait. @returns lets them go on. */
function holdWrites(): () => void {
  let open = (): void => {};
  writeGate = new Promise((resolve) => (open = resolve));
  return () => {
    writeGate = undefined;
    open();
  };
}

/** What the kept checkpoints hold, oldest first. */
async function kept(): Promise<string[]> {
  const found: string[] = [];
  for (const seq of store.list()) found.push(Buffer.from(await store.load(seq)).toString());
  return found;
}

describe('request', () => {
  it('writes at once when the last one is an interval ago', async () => {
    checkpointer.request();
    await settle();
    expect(await kept()).toEqual(['1']);
    clock.advance(INTERVAL_MS);
    now = 2;
    checkpointer.request();
    await settle();
    expect(await kept()).toEqual(['1', '2']);
  });

  it('writes nothing into a directory that is another process’s by now', async () => {
    lossOfDirectory = new Error('lost');
    checkpointer.request();
    await settle();
    expect([await kept(), failures]).toEqual([[], ['lost']]);
  });

  it('waits for the interval, and then takes the state of that moment, once', async () => {
    checkpointer.request();
    await settle();
    clock.advance(400);
    for (now = 2; now < 9; now += 1) checkpointer.request();
    expect(clock.pendingMs).toEqual([600]);
    clock.advance(599);
    await settle();
    expect(await kept()).toEqual(['1']);
    clock.advance(1);
    await settle();
    expect(await kept()).toEqual(['1', '9']);
    clock.advance(10 * INTERVAL_MS);
    await settle();
    expect(store.list()).toEqual([1, 2]);
  });

  it('that can wait waits for a second, but not when one comes that cannot', async () => {
    checkpointer = newCheckpointer({ intervalMs: 10 });
    checkpointer.request(true);
    await settle();
    checkpointer.request(true);
    checkpointer.request(true);
    expect(clock.pendingMs).toEqual([1_000]);
    checkpointer.request();
    checkpointer.request(true);
    expect(clock.pendingMs).toEqual([10]);
    clock.advance(10);
    await settle();
    expect(store.list()).toEqual([1, 2]);
    expect(clock.pendingMs).toEqual([]);
  });

  it('while one is being written is no later than the most urgent of them', async () => {
    checkpointer = newCheckpointer({ intervalMs: 10 });
    const release = holdWrites();
    checkpointer.request();
    await settle();
    checkpointer.request(true);
    checkpointer.request();
    checkpointer.request(true);
    release();
    await settle();
    expect(clock.pendingMs).toEqual([10]);
  });

  it('while one is being written asks for the next', async () => {
    const release = holdWrites();
    checkpointer.request();
    await settle();
    now = 2;
    clock.advance(5 * INTERVAL_MS);
    checkpointer.request();
    checkpointer.request();
    expect(store.list()).toEqual([]);
    release();
    await settle();
    expect(await kept()).toEqual(['1', '2']);
    expect(clock.pendingMs).toEqual([]);
  });
});

describe('force', () => {
  it('writes now, whatever the interval says', async () => {
    checkpointer.request();
    await settle();
    now = 2;
    await checkpointer.force();
    expect(await kept()).toEqual(['1', '2']);
  });

  it('does what was asked for, so that nothing waits any more', async () => {
    checkpointer.request();
    await settle();
    checkpointer.request();
    await checkpointer.force();
    expect(clock.pendingMs).toEqual([]);
  });

  it('waits for the write under way, and takes the state after it', async () => {
    const release = holdWrites();
    checkpointer.request();
    await settle();
    const forced = checkpointer.force();
    await settle();
    now = 2;
    release();
    await forced;
    expect(await kept()).toEqual(['1', '2']);
  });

  it('and requests while it writes never write at the same time', async () => {
    const release = holdWrites();
    const forced = checkpointer.force();
    clock.advance(INTERVAL_MS);
    checkpointer.request();
    const again = checkpointer.force();
    await settle();
    release();
    await Promise.all([forced, again]);
    clock.advance(INTERVAL_MS);
    await settle();
    expect(failures).toEqual([]);
    expect((await kept()).length).toBe(2);
  });

  it('tells its caller, and only its caller, that it failed', async () => {
    disk.failCall('create', 1, 'EIO');
    await expect(checkpointer.force()).rejects.toThrow('EIO');
    expect(failures).toEqual([]);
  });
});

describe('what may be forgotten', () => {
  it('is told by the oldest kept one, once this run has written them all', async () => {
    for (now = 1; now <= 4; now += 1) await checkpointer.force();
    expect(forgettable).toEqual([
      { settledThroughMs: 10, appliedLsn: 1 },
      { settledThroughMs: 20, appliedLsn: 2 },
      { settledThroughMs: 30, appliedLsn: 3 },
    ]);
    expect(await kept()).toEqual(['3', '4']);
  });

  it('is what every kept checkpoint can do without', async () => {
    for (now = 1; now <= 3; now += 1) await checkpointer.force();
    const oldest = Number((await kept())[0]);
    expect(forgettable.at(-1)?.appliedLsn).toBe(oldest);
  });
});

describe('a failure', () => {
  it('is told once, and ends the writing', async () => {
    disk.failAll('create', 'EIO');
    checkpointer.request();
    await settle();
    clock.advance(INTERVAL_MS);
    checkpointer.request();
    await settle();
    await checkpointer.force();
    expect(failures).toHaveLength(1);
    expect(disk.counts.create).toBe(1);
  });

  it('for want of room is none: it is told, and tried again, ever later', async () => {
    disk.failAll('create', 'ENOSPC');
    checkpointer.request();
    await settle();
    for (const retryMs of [1_000, 2_000, 4_000]) {
      expect(events.at(-1)).toMatchObject({ type: 'checkpoint-postponed', retryMs });
      expect(clock.pendingMs).toEqual([retryMs]);
      clock.advance(retryMs);
      await settle();
    }
    expect(failures).toEqual([]);
    expect(forgettable).toEqual([]);
    disk.heal();
    now = 7;
    clock.advance(8_000);
    await settle();
    expect(await kept()).toEqual(['7']);
  });

  it('for want of room gets what others can give', async () => {
    let asked = 0;
    makeRoom = async () => {
      asked += 1;
      disk.heal();
      return true;
    };
    disk.failAll('create', 'ENOSPC');
    checkpointer.request();
    await settle();
    expect(asked).toBe(1);
    expect(await kept()).toEqual(['1']);
    expect(events.map(({ type }) => type)).toEqual(['checkpoint-written']);
  });

  it('for want of room is told to who forces it, who may try again', async () => {
    disk.failCall('create', 1, 'ENOSPC');
    await expect(checkpointer.force()).rejects.toMatchObject({ code: 'DISK_FULL' });
    await checkpointer.force();
    expect(await kept()).toEqual(['1']);
  });

  it('of the cleaning after it counts as one', async () => {
    checkpointer = newCheckpointer({
      onForgettable: () => Promise.reject(new Error('the log is poisoned')),
    });
    await checkpointer.force();
    clock.advance(INTERVAL_MS);
    checkpointer.request();
    await settle();
    expect(failures).toEqual(['the log is poisoned']);
  });
});

describe('close', () => {
  it('waits for the write under way', async () => {
    const release = holdWrites();
    checkpointer.request();
    await settle();
    let isClosed = false;
    const closed = checkpointer.close().then(() => (isClosed = true));
    await settle();
    expect(isClosed).toBe(false);
    release();
    await closed;
    expect(await kept()).toEqual(['1']);
  });

  it('ends the timer, and later requests', async () => {
    await checkpointer.force();
    checkpointer.request();
    await checkpointer.close();
    checkpointer.request();
    expect(clock.pendingMs).toEqual([]);
    clock.advance(10 * INTERVAL_MS);
    await settle();
    expect(await kept()).toEqual(['1']);
  });
});
