/** Life after life of one checkpoint directory in two places, on two simulated disks that lose
 * power together and fail one at a time. Beside it stands what was acknowledged: all of it has to come
 * back from every start, byte for byte, with every batch's share as it was.
 * @module */
import { join } from 'node:path';
import { expect } from 'vitest';
import type { BlockInfo } from '../../src/blocks/block-ref.ts';
import { EventBus } from '../../src/core/events.ts';
import type { EngineEvent } from '../../src/core/events.ts';
import { blockKey } from '../../src/core/ids.ts';
import { resolveOptions } from '../../src/core/options.ts';
import type { Random } from '../../src/core/random.ts';
import { openLockedHome } from '../../src/driver/home-directory.ts';
import type { Home } from '../../src/driver/home-directory.ts';
import { blocksOf } from '../../src/driver/tracker-state.ts';
import type { TrackerState } from '../../src/driver/tracker-state.ts';
import { msgpackCodec } from '../../src/serde/msgpack-codec.ts';
import { LINES, shareOf } from './block-samples.ts';
import { HomeRun } from './home-history.ts';
import type { RunPlace } from './home-history.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryDisk } from './memory-disk.ts';
import type { CrashModel } from './memory-disk.ts';

export type Side = 0 | 1;
/** Which places a start is given, in this order. */
export type Sides = readonly Side[];

const DIRECTORIES = ['/disk-one/copy', '/disk-two/copy'] as const;
const SEGMENT_BYTES = 64 * 1024;
const MODELS: readonly CrashModel[] = ['journal', 'posix', 'keep-all', 'drop-all'];
const ENTRIES = ['driver-log', 'driver-log-mirror', 'receiver-log-0', 'checkpoints'];

/** The power is gone in the middle of something; `cutPower` comes next. */
export class PowerLost extends Error {}

export class TwoCopies {
  /** Of the next start. */
  pipelineName = 'p';
  readonly disks: [MemoryDisk, MemoryDisk] = [new MemoryDisk(), new MemoryDisk()];
  readonly events: EngineEvent[] = [];
  readonly #random: Random;
  readonly #acknowledged: BlockInfo[] = [];
  readonly #batches = new Map<number, readonly string[]>();
  #lastBatchMs = 0;
  #run: HomeRun<RunPlace> | undefined;
  #home: Home | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  get acknowledgedCount(): number {
    return this.#acknowledged.length;
  }

  directory(side: Side): string {
    return DIRECTORIES[side];
  }

  /** Recovers and begins a life; compares what came back. @throws what refuses the start. */
  async start(sides: Sides): Promise<void> {
    const [first, second] = sides.map((side) => ({
      disk: this.disks[side].attach(),
      directory: DIRECTORIES[side],
    }));
    if (first === undefined) throw new Error('a start needs a place');
    for (const { disk, directory } of [first, second ?? first]) await disk.makeDirectory(directory);
    const events = new EventBus();
    events.subscribe((event) => this.events.push(event));
    const segments = { receiverSegmentBytes: SEGMENT_BYTES, driverSegmentBytes: SEGMENT_BYTES };
    const options = resolveOptions({ module: { name: this.pipelineName, ...segments } });
    const file = { directory: first.directory, path: 'LOCK', device: 0n, inode: 0n };
    const held = { whyLost: () => undefined, release: () => Promise.resolve() };
    const lock = { directory: first.directory, file, ...held };
    const home = await openLockedHome(
      {
        ...first,
        ...(second === undefined ? {} : { mirror: second }),
        clock: new ManualClock(),
        codec: msgpackCodec,
        events,
        options,
        accept: () => options,
        onPoison: () => {},
        stat: (directory) => Promise.resolve({ magic: 0xef53, device: directory.length }),
      },
      lock,
    );
    this.#home = home;
    this.#run = new HomeRun(placeOf(home), 'sync');
    await this.#run.begin();
    await this.#compare(home.state, sides);
  }

  /** R1 to R3: acknowledged when it resolves. */
  async register(): Promise<void> {
    this.#acknowledged.push(await this.#running().register());
  }

  /** Several at once, so that they share groups. */
  async registerMany(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.register()));
  }

  /** R4, of everything that is queued. */
  async allocate(): Promise<void> {
    const { tracker } = this.#running();
    const blocks = [...(tracker.state.queues.get(LINES) ?? [])];
    this.#lastBatchMs = Math.max(this.#lastBatchMs, tracker.state.lastAllocatedMs) + 1_000;
    const timeMs = this.#lastBatchMs;
    await tracker.allocate(shareOf(timeMs, blocks));
    this.#batches.set(timeMs, blocks.map(keyOf));
  }

  checkpoint(): Promise<void> {
    return this.#running().checkpoint();
  }

  idle(): Promise<void> {
    return this.#running().idle();
  }

  async close(): Promise<void> {
    await this.#running().log.close();
    await this.#home?.driverLog.close();
  }

  /** Does `work`, unless the power goes at the `calls`-th call of one of the disks.
   * @throws {PowerLost} */
  async orLosePower(work: () => Promise<void>, calls: number): Promise<void> {
    const side: Side = this.#random.next() < 0.5 ? 0 : 1;
    this.disks[side].failCall('any', calls, 'crash');
    const lost = this.disks[side].untilCrash().then(() => {
      throw new PowerLost();
    });
    await Promise.race([work(), lost]);
  }

  /** Each disk keeps of what was not synced what it likes. */
  cutPower(): void {
    for (const disk of this.disks) disk.crash(this.#random, this.#pick(MODELS));
  }

  kill(): void {
    for (const disk of this.disks) disk.kill();
  }

  /** A new, empty disk stands where this one was. @returns the old one. */
  loseDisk(side: Side): MemoryDisk {
    const old = this.disks[side];
    this.disks[side] = new MemoryDisk();
    return old;
  }

  /** One bit of what was written on this side flips. @returns where. */
  async rot(side: Side): Promise<string> {
    const paths: string[] = [];
    for (const entry of ['', ...ENTRIES]) {
      const directory = join(DIRECTORIES[side], entry);
      for (const name of (await this.disks[side].list(directory)) ?? []) {
        if (/\.wal$|\.ckpt$|^MANIFEST$/.test(name)) paths.push(join(directory, name));
      }
    }
    const path = this.#pick(paths);
    const bytes = this.disks[side].contentOf(path).slice();
    const written = bytes.findLastIndex((byte) => byte !== 0) + 1;
    const at = Math.floor(this.#random.next() * written);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(this.#random.next() * 8));
    this.disks[side].overwrite(path, bytes);
    return `${path} at ${at}`;
  }

  #pick<T>(list: readonly T[]): T {
    const chosen = list[Math.floor(this.#random.next() * list.length)];
    if (chosen === undefined) throw new Error('there is nothing to choose from');
    return chosen;
  }

  async #compare(state: TrackerState, sides: Sides): Promise<void> {
    const held = new Map<string, BlockInfo>();
    for (const block of state.queues.get(LINES) ?? []) held.set(keyOf(block), block);
    for (const [timeMs, { share }] of state.batches) {
      const blocks = [...blocksOf(share)];
      for (const block of blocks) held.set(keyOf(block), block);
      const before = this.#batches.get(timeMs);
      if (before !== undefined) expect(blocks.map(keyOf)).toEqual(before);
      this.#batches.set(timeMs, blocks.map(keyOf));
    }
    expect([...this.#batches.keys()].filter((time) => !state.batches.has(time as never))).toEqual(
      [],
    );
    for (const acknowledged of this.#acknowledged) {
      const block = held.get(keyOf(acknowledged));
      expect(block, `${keyOf(acknowledged)} was acknowledged and is gone`).toBeDefined();
      for (const side of sides) {
        const place = { disk: this.disks[side], directory: DIRECTORIES[side] };
        const isThere = block !== undefined && (await isReadable(block, place));
        expect(isThere, `${keyOf(acknowledged)} on disk ${side}`).toBe(true);
      }
    }
  }

  #running(): HomeRun<RunPlace> {
    if (this.#run === undefined) throw new Error('nothing was started');
    return this.#run;
  }
}

function placeOf(home: Home): RunPlace {
  const { disk, directory, manifest, store, state, appliedLsn, driverLog, nextLsn } = home;
  return {
    disk,
    clock: new ManualClock(),
    directory,
    logId: manifest.logId,
    epoch: manifest.epoch,
    store,
    logName: home.logs.nameOf(0),
    examination: { state },
    recovered: { appliedLsn, driverLog, nextLsn },
  };
}

function isReadable(
  block: BlockInfo,
  place: { readonly disk: MemoryDisk; readonly directory: string },
): Promise<boolean> {
  return HomeRun.prototype.isReadable.call({ home: place }, block);
}

function keyOf({ blockId }: BlockInfo): string {
  return blockKey(blockId);
}
