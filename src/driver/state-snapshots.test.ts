/** @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import { StateRun, timeOf } from '../../test/support/state-run.ts';
import type { Duration } from '../core/duration.ts';
import { EventBus } from '../core/events.ts';
import type { EngineEvent } from '../core/events.ts';
import { seededRandom } from '../core/random.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import {
  SNAPSHOT_BATCHES,
  StateSnapshots,
  restoreState,
  soundSnapshots,
} from './state-snapshots.ts';
import type { StatePointer } from './state-snapshots.ts';

const HOME = '/the-home';
const STATE = '/the-home/state';
/** Batches that change something all the while; quiet ones follow. */
const BUSY = 40;

let disk: MemoryDisk;
let run: StateRun;
let snapshots: StateSnapshots;
let events: EngineEvent[];
let failures: Error[];
let written: number;
let nextBatch: number;

beforeEach(async () => {
  disk = new MemoryDisk();
  await disk.makeDirectory(HOME);
  events = [];
  failures = [];
  written = 0;
  nextBatch = 0;
  run = newRun();
  snapshots = openSnapshots();
});

function newRun(interval?: Duration): StateRun {
  const batches = Array.from({ length: BUSY }, (_, n) => [[`k${n % 7}`, n] as const]);
  return new StateRun(batches, (pairs, keep) => {
    const f = (values: number[], state: number | undefined): number =>
      values.reduce((a, b) => a + b, state ?? 0);
    const sums = pairs.updateStateByKey(f, { id: 'sums' });
    keep('out', interval === undefined ? sums : sums.checkpoint(interval));
  });
}

function openSnapshots(restored?: StatePointer): StateSnapshots {
  const bus = new EventBus();
  bus.subscribe((event) => events.push(event));
  return new StateSnapshots({
    state: run.state,
    disk,
    directory: HOME,
    logId: 'log',
    codec: msgpackCodec,
    events: bus,
    restored,
    onWritten: () => (written += 1),
    onFailed: (error) => failures.push(error),
  });
}

/** Runs batches, and lets what they begin in the background end. */
async function batches(count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    await run.run(nextBatch, nextBatch);
    snapshots.completed(timeOf(nextBatch));
    nextBatch += 1;
    await settled();
  }
}

/** The simulated disk answers in microtasks. */
async function settled(): Promise<void> {
  for (let n = 0; n < 500; n += 1) await Promise.resolve();
}

async function contentAfter(pointer: StatePointer | undefined): Promise<unknown> {
  if (pointer === undefined) throw new Error('there is no snapshot');
  const next = newRun();
  await restoreState(next.state, pointer, { disk, directory: HOME, codec: msgpackCodec });
  // A batch without records shows what is there.
  await next.run(BUSY, BUSY);
  return new Map(next.records('out', BUSY) as [string, number][]);
}

describe('StateSnapshots', () => {
  it('writes one after some batches, which has the state of its batch', async () => {
    await batches(SNAPSHOT_BATCHES - 1);
    expect([snapshots.newest, written]).toEqual([undefined, 0]);
    await batches(1);
    expect(snapshots.newest).toMatchObject({ batchTimeMs: timeOf(9), operators: [['sums', 7, 1]] });
    expect(written).toBe(1);
    const sums = [0 + 7, 1 + 8, 2 + 9, 3, 4, 5, 6].map((sum, n) => [`k${n}`, sum] as const);
    expect(await contentAfter(snapshots.newest)).toEqual(new Map(sums));
    expect(events).toMatchObject([{ type: 'state-snapshot-written', keyCount: 7 }]);
  });

  it('writes one as often as the stream says, seldom or often', async () => {
    run = newRun('3s');
    snapshots = openSnapshots();
    const of = async (count: number): Promise<number[]> => {
      const seen = new Set<number>();
      for (let n = 0; n < count; n += 1) {
        await batches(1);
        seen.add(snapshots.newest?.batchTimeMs ?? 0);
      }
      return [...seen];
    };
    expect(await of(10)).toEqual([0, 3_000, 6_000, 9_000]);
    run = newRun('15s');
    nextBatch = 0;
    snapshots = openSnapshots();
    expect(await of(31)).toEqual([0, 15_000, 30_000]);
    // What was found full counts from its own moment: the next one is due with the next interval.
    disk.setCapacity(0);
    const later = openSnapshots(snapshots.newest);
    snapshots = later;
    await batches(8);
    disk.setCapacity(undefined);
    expect(later.newest?.batchTimeMs).toBe(30_000);
  });

  it('points to it only when name and content survive a power cut', async () => {
    const pointers: (StatePointer | undefined)[] = [];
    disk.watch(() => pointers.push(snapshots.newest));
    await batches(SNAPSHOT_BATCHES);
    expect(new Set(pointers)).toEqual(new Set([undefined]));
    disk.crash(seededRandom(1), 'drop-all');
    expect(await soundSnapshots({ disk, directory: HOME }, msgpackCodec)).toEqual([timeOf(9)]);
  });

  it('goes on with the same file while nothing changes', async () => {
    await batches(BUSY);
    await snapshots.force();
    const file = snapshots.newest?.name;
    await batches(3);
    expect(snapshots.newest).toMatchObject({ name: file, batchTimeMs: timeOf(BUSY + 2) });
    const content = await contentAfter({
      ...(snapshots.newest as StatePointer),
      batchTimeMs: timeOf(0),
    });
    expect(content).toHaveProperty('size', 7);
  });

  it('writes what there is when it is forced, once', async () => {
    await batches(3);
    await snapshots.force();
    expect(snapshots.newest?.batchTimeMs).toBe(timeOf(2));
    const calls = disk.counts.any;
    await snapshots.force();
    expect(disk.counts.any).toBe(calls);
  });

  it('removes what no checkpoint points to, and what a crash has left', async () => {
    await batches(3);
    await snapshots.force();
    const first = snapshots.newest;
    await (await disk.create(`${STATE}/state-0000000000000001.snapshot.tmp`, 'buffered')).close();
    run.kept.length = 0;
    snapshots = openSnapshots(first);
    await batches(2);
    await snapshots.force();
    expect(await disk.list(STATE)).toHaveLength(2);
    await snapshots.forget(first);
    expect(await disk.list(STATE)).toHaveLength(2);
    await snapshots.forget(snapshots.newest);
    expect(await disk.list(STATE)).toEqual([snapshots.newest?.name]);
    await snapshots.forget(undefined);
    expect(await disk.list(STATE)).toHaveLength(1);
  });

  it('lets the older one stand while the disk is full, and tries again', async () => {
    await batches(SNAPSHOT_BATCHES);
    const first = snapshots.newest;
    disk.setCapacity(0);
    await batches(SNAPSHOT_BATCHES);
    expect(snapshots.newest).toEqual(first);
    expect(events.at(-1)).toMatchObject({ type: 'warning' });
    expect(failures).toEqual([]);
    disk.setCapacity(undefined);
    await batches(SNAPSHOT_BATCHES);
    expect(snapshots.newest?.batchTimeMs).toBe(timeOf(29));
    expect(await disk.list(STATE)).toHaveLength(2);
  });

  it('does not take an older one for the state when the last changes found no room', async () => {
    await batches(BUSY - SNAPSHOT_BATCHES);
    const last = snapshots.newest;
    disk.setCapacity(0);
    await batches(SNAPSHOT_BATCHES + 3);
    expect(snapshots.newest).toEqual(last);
    disk.setCapacity(undefined);
    await batches(SNAPSHOT_BATCHES);
    expect(snapshots.newest?.batchTimeMs).toBeGreaterThan(timeOf(BUSY));
  });

  it('does not take an older one for state that has begun anew', async () => {
    await batches(3);
    await snapshots.force();
    const pointer = snapshots.newest as StatePointer;
    run = newRun();
    await restoreState(run.state, pointer, { disk, directory: HOME, codec: msgpackCodec });
    snapshots = openSnapshots(pointer);
    run.state.beginAnew('sums');
    nextBatch = BUSY;
    await batches(1);
    expect(snapshots.newest).toEqual(pointer);
    await snapshots.force();
    const newest = { ...(snapshots.newest as StatePointer), batchTimeMs: timeOf(0) };
    expect(await contentAfter(newest)).toEqual(new Map());
  });

  it('does not take an older one for the initial state of an operator that is new', async () => {
    await batches(3);
    await snapshots.force();
    const pointer = { ...(snapshots.newest as StatePointer), operators: [] };
    run = new StateRun([], (pairs, keep) => {
      const counted = pairs.mapWithState<unknown, number, number, void>(() => 1, {
        id: 'counted',
        initialState: [['first', 1]],
      });
      keep('out', counted);
    });
    snapshots = openSnapshots(pointer);
    await batches(1);
    expect(snapshots.newest).toEqual(pointer);
    await snapshots.force();
    expect(snapshots.newest?.operators).toEqual([['counted', 1, 1]]);
  });

  it('gives up what is being written when the run ends', async () => {
    await batches(SNAPSHOT_BATCHES - 1);
    await run.run(nextBatch, nextBatch);
    snapshots.completed(timeOf(nextBatch));
    await snapshots.close();
    expect([snapshots.newest, failures, written]).toEqual([undefined, [], 0]);
    expect(await disk.list(STATE)).toEqual([]);
  });

  it('ends the run when the disk fails', async () => {
    disk.failCall('sync', 1, 'EIO');
    await batches(SNAPSHOT_BATCHES);
    expect(failures).toMatchObject([{ code: 'DISK_FAILED' }]);
    expect(snapshots.newest).toBeUndefined();
    await batches(SNAPSHOT_BATCHES);
    await snapshots.force();
    expect(failures).toHaveLength(1);
  });
});

describe('a snapshot', () => {
  async function written4(): Promise<StatePointer> {
    await batches(4);
    await snapshots.force();
    return snapshots.newest as StatePointer;
  }

  it('leaves out what its pointer does not name', async () => {
    const pointer = await written4();
    expect(await contentAfter({ ...pointer, operators: [] })).toEqual(new Map());
  });

  it('is refused wherever a bit of it has changed', async () => {
    const pointer = await written4();
    const path = `${STATE}/${pointer.name}`;
    const sound = disk.contentOf(path).slice();
    for (let at = 0; at < sound.byteLength; at += 1) {
      const harmed = sound.slice();
      harmed[at] = (harmed[at] as number) ^ (1 << (at % 8));
      disk.overwrite(path, harmed);
      await expect(contentAfter(pointer), `byte ${at}`).rejects.toMatchObject({
        code: 'CHECKPOINT_CORRUPT',
        details: { path },
      });
    }
    expect(await soundSnapshots({ disk, directory: HOME }, msgpackCodec)).toEqual([]);
    disk.overwrite(path, sound);
    expect(await contentAfter(pointer)).toHaveProperty('size', 4);
  });

  it('is refused wherever it is cut off', async () => {
    const pointer = await written4();
    const path = `${STATE}/${pointer.name}`;
    const sound = disk.contentOf(path).slice();
    for (let length = 0; length < sound.byteLength; length += 1) {
      disk.overwrite(path, sound.slice(0, length));
      await expect(contentAfter(pointer), `${length} bytes`).rejects.toMatchObject({
        code: 'CHECKPOINT_CORRUPT',
      });
    }
  });

  it('is refused when it is missing, or another one under its name', async () => {
    const pointer = await written4();
    const missing = { ...pointer, name: 'state-0000000000000009.snapshot' };
    await expect(contentAfter(missing)).rejects.toThrow(/state-0000000000000009.*is missing/);
    await disk.rename(`${STATE}/${pointer.name}`, `${STATE}/${missing.name}`);
    await expect(contentAfter(missing)).rejects.toThrow(/not of the one in its name/);
  });
});
