/** What a run in a checkpoint directory has promised so far, and whether a later start keeps it.
 *
 * `playHome` does a bit of everything that an engine writes: blocks, an allocation, checkpoints,
 * cleaning, recycling, orphans, silence. Each promise is noted when its call has returned. @module */
import type { BlockInfo } from '../../src/blocks/block-ref.ts';
import { blockKey } from '../../src/core/ids.ts';
import type { BatchTimeMs, Lsn } from '../../src/core/ids.ts';
import { lowestNeededLsns } from '../../src/driver/cleaning.ts';
import { blocksOf } from '../../src/driver/tracker-state.ts';
import type { TrackerState } from '../../src/driver/tracker-state.ts';
import { LINES, shareOf } from './block-samples.ts';
import { RECEIVER_LOG } from './home-history.ts';
import type { BlockWish, HomeRun } from './home-history.ts';
import { check } from './sim-runs.ts';

export class HomePromises {
  /** Registered, by key. */
  readonly #blocks = new Map<string, BlockInfo>();
  /** Blocks that were begun to be stored: more must not come back. */
  #begun = 0;
  /** Shares by batch time. */
  readonly #shares = new Map<number, readonly string[]>();
  /** Batches up to this one may be forgotten. */
  #cleanedMs = 0;

  get count(): number {
    return this.#blocks.size;
  }

  async register(run: HomeRun, wish: BlockWish = {}): Promise<void> {
    this.#begun += 1;
    const block = await run.register(wish);
    this.#blocks.set(blockKey(block.blockId), block);
  }

  /** A block that is in the log and that the driver never hears of. */
  async receive(run: HomeRun, wish: BlockWish = {}): Promise<void> {
    this.#begun += 1;
    await run.receive(wish);
  }

  /** Gives all queued blocks to a batch. */
  async allocate(run: HomeRun, timeMs: number): Promise<void> {
    const blocks = run.tracker.state.queues.get(LINES) ?? [];
    const keys = blocks.map(({ blockId }) => blockKey(blockId));
    await run.tracker.allocate(shareOf(timeMs, [...blocks]));
    this.#shares.set(timeMs, keys);
  }

  async clean(run: HomeRun, timeMs: number): Promise<void> {
    this.#cleanedMs = timeMs; // may take effect without an answer
    await run.tracker.clean(timeMs as BatchTimeMs);
  }

  /** Holds a new start against all that was promised. @throws when something is broken. */
  async check(run: HomeRun): Promise<void> {
    const { state } = run.tracker;
    const found = allBlocks(state);
    for (const [timeMs, keys] of this.#shares) {
      if (timeMs <= Math.max(this.#cleanedMs, state.cleanedThroughMs)) continue;
      const share = shareOfBatch(state, timeMs);
      check(share.join() === keys.join(), `batch ${timeMs} has another share (I5)`);
    }
    const forgotten = new Set(
      [...this.#shares].flatMap(([timeMs, keys]) => (timeMs <= this.#cleanedMs ? keys : [])),
    );
    for (const key of this.#blocks.keys()) {
      check(found.has(key) || forgotten.has(key), `block ${key} is lost (I1)`);
    }
    for (const block of found.values()) {
      check(await run.isReadable(block), `block ${blockKey(block.blockId)} is not readable (I1)`);
    }
    check(found.size <= this.#begun, 'more blocks came back than were stored (I3)');
  }
}

/** What must not depend on how often a recovery was tried: all but places in files. */
export function outcomeOf(state: TrackerState): string {
  return JSON.stringify({
    queued: (state.queues.get(LINES) ?? []).map(({ blockId }) => blockKey(blockId)),
    batches: [...state.batches.keys()].map((timeMs) => [timeMs, shareOfBatch(state, timeMs)]),
    positions: [...(state.positions.get(LINES) ?? [])],
    receivers: [...state.receivers],
  });
}

/** A bit of everything. With small segments, both logs roll. */
export async function playHome(run: HomeRun, promises: HomePromises): Promise<void> {
  const base = run.home.epoch * 10_000;
  await Promise.all([promises.register(run), promises.register(run), promises.register(run)]);
  await promises.allocate(run, base);
  await promises.register(run, { isBuffered: false });
  await run.checkpoint();
  await Promise.all([run.checkpoint(), promises.register(run), promises.register(run)]);
  await run.idle();
  await promises.allocate(run, base + 1_000);
  for (let block = 0; block < 4; block += 1) await promises.register(run);
  const finished = run.tracker.state.batches.get(base as BatchTimeMs);
  if (finished !== undefined) finished.isDone = true;
  const { appliedLsn } = run.tracker;
  await run.checkpoint();
  await run.checkpoint();
  await promises.clean(run, base);
  await forget(run, (appliedLsn + 1) as Lsn);
  await Promise.all([promises.register(run), promises.receive(run), promises.register(run)]);
  await promises.receive(run, { isBuffered: false });
  await promises.receive(run);
}

/** R9. */
async function forget(run: HomeRun, driverLsn: Lsn): Promise<void> {
  const lowest = lowestNeededLsns(run.tracker.state).get(RECEIVER_LOG);
  if (lowest !== undefined) await run.log.truncateBefore(lowest);
  await run.home.recovered.driverLog.truncateBefore(driverLsn);
}

function allBlocks(state: TrackerState): Map<string, BlockInfo> {
  const found = new Map<string, BlockInfo>();
  const add = (block: BlockInfo): void => void found.set(blockKey(block.blockId), block);
  for (const queue of state.queues.values()) queue.forEach(add);
  for (const { share } of state.batches.values()) for (const block of blocksOf(share)) add(block);
  return found;
}

function shareOfBatch(state: TrackerState, timeMs: number): readonly string[] {
  const inputs = state.batches.get(timeMs as BatchTimeMs)?.share.inputs ?? [];
  return [...blocksOf({ inputs })].map(({ blockId }) => blockKey(blockId));
}
