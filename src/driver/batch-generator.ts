/** Cuts batches on the epoch grid: at each multiple of the batch interval, what has been registered
 * since the last one becomes a batch (R4) and goes to the scheduler.
 *
 * The batch time is max(grid time of now, last allocated + interval): a clock that jumps back never
 * repeats a time. When too many batches are unfinished, a tick allocates nothing: the records stay
 * queued, in memory or, by their storage level, on disk; the next batch takes what has gathered.
 *
 * Batch times that were missed, in downtime or with too many unfinished batches, are left out, and
 * what is queued goes into the first batch after them; but a time at which a stream with a slide
 * has the batch that earlier ones wait for is never left out. With `catchUp: 'replay'` the times of
 * a downtime are made up: the first one has what an earlier process has left, those after it
 * nothing that was received since, but each the next element of a queue.
 * @module */
import type { Clock, Timer } from '../core/clock.ts';
import { toError } from '../core/errors.ts';
import type { EventBus } from '../core/events.ts';
import type { BatchTimeMs, StreamId } from '../core/ids.ts';
import type { Graph } from '../dstream/graph.ts';
import type { StreamTimes } from '../dstream/stream-times.ts';
import { FileGrowth } from '../sources/file-growth.ts';
import type { BatchScheduler } from './batch-scheduler.ts';
import { collectShares } from './batch-shares.ts';
import type { BlockTracker } from './block-tracker.ts';
import type { TrackedBatch } from './tracker-state.ts';
import { nextWindowEndMs } from './window-ends.ts';

/** Unfinished batches past which a tick allocates nothing. */
export const UNFINISHED_BATCHES_MAX: number = 16;
/** Down to which a backlog counts as over: one that stays at the bound is told once. */
const UNFINISHED_BATCHES_FEW = UNFINISHED_BATCHES_MAX / 2;

export interface BatchGeneratorOptions {
  readonly graph: Graph;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly tracker: BlockTracker;
  readonly scheduler: BatchScheduler;
  readonly times: StreamTimes;
  readonly executors: number;
  /** What becomes of batch times that were missed in downtime. @defaultValue `coalesce` */
  readonly catchUp?: 'coalesce' | 'replay';
  /** Bound of one input's part of an allocation's record. */
  readonly shareBytesMax: number;
  readonly codeHash: string;
  /** After each allocation. */
  readonly onAllocated: () => void;
  /** Nothing could be allocated: a source or the driver log failed. Called at most once. */
  readonly onFailed: (error: Error) => void;
}

export class BatchGenerator {
  readonly #options: BatchGeneratorOptions;
  #state: 'created' | 'running' | 'stopped' = 'created';
  readonly #growth: FileGrowth;
  #timer: Timer | undefined;
  /** The tick under way; a stop waits for it. */
  #ticking: Promise<void> = Promise.resolve();
  #isBacklogTold = false;
  /** The last batch time of the downtime, if those are to be made up. */
  #missedThroughMs = 0;
  /** The first of them has its batch. */
  #isMakingUp = false;

  constructor(options: BatchGeneratorOptions) {
    this.#options = options;
    this.#growth = new FileGrowth((message) => {
      options.events.emit({ type: 'warning', message });
    });
  }

  /** Allocates the first batch time that was missed, before anything is received: what an earlier
   * process has left belongs to it, and not what comes now. It is for the engine to submit, behind
   * the batches that are not done. */
  async makeUp(): Promise<void> {
    const { catchUp, tracker } = this.#options;
    if (catchUp !== 'replay' || tracker.state.lastAllocatedMs === 0) return;
    this.#missedThroughMs = this.#gridMs();
    const { batches } = tracker.state;
    const unfinished = [...batches.values()].filter(({ isDone }) => !isDone);
    if (unfinished.length < UNFINISHED_BATCHES_MAX && this.#isBehind()) await this.#share();
  }

  start(): void {
    this.#state = 'running';
    this.#arm();
  }

  /** Ends the ticks. @param isLastWanted allocate what is left, as one more batch, or as many as it
   * takes. */
  async stop(isLastWanted: boolean): Promise<void> {
    this.#state = 'stopped';
    this.#timer?.cancel();
    await this.#ticking;
    while (isLastWanted && this.#hasQueued()) {
      this.#isMakingUp = false; // what is queued has to go into a batch now
      await this.#allocate();
    }
  }

  #arm(): void {
    const { clock, times } = this.#options;
    const { batchIntervalMs } = times;
    const nowMs = clock.wallMs();
    const nextMs = (Math.floor(nowMs / batchIntervalMs) + 1) * batchIntervalMs;
    // Who is behind looks more often than once an interval whether there is room.
    const soonMs = Math.ceil(batchIntervalMs / UNFINISHED_BATCHES_MAX);
    const delayMs = this.#isBehind() ? Math.min(nextMs - nowMs, soonMs) : nextMs - nowMs;
    this.#timer = clock.after(delayMs, () => {
      this.#ticking = this.#tick();
    });
  }

  async #tick(): Promise<void> {
    try {
      if (this.#hasRoom()) await this.#allocate();
      while (this.#mayMakeUp()) await this.#allocate();
    } catch (error) {
      this.#state = 'stopped';
      this.#options.onFailed(toError(error));
    }
    if (this.#state === 'running') this.#arm();
  }

  /** More batch times were missed, and their batches can be made now. */
  #mayMakeUp(): boolean {
    const { unfinishedCount } = this.#options.scheduler;
    const hasRoom = unfinishedCount < UNFINISHED_BATCHES_MAX;
    return this.#state === 'running' && hasRoom && this.#isBehind();
  }

  /** The next batch is one that was missed, and is to be made up. */
  #isBehind(): boolean {
    const { tracker, times } = this.#options;
    return tracker.state.lastAllocatedMs + times.batchIntervalMs <= this.#missedThroughMs;
  }

  #gridMs(): number {
    const { clock, times } = this.#options;
    return Math.floor(clock.wallMs() / times.batchIntervalMs) * times.batchIntervalMs;
  }

  #hasRoom(): boolean {
    const { scheduler, events } = this.#options;
    const { unfinishedCount } = scheduler;
    const isFull = unfinishedCount >= UNFINISHED_BATCHES_MAX;
    if (isFull && !this.#isBacklogTold) {
      const message =
        `${UNFINISHED_BATCHES_MAX} batches are unfinished: processing takes longer than the ` +
        'batch interval; records wait, on disk or in a full memory that holds sources back';
      events.emit({ type: 'warning', message });
    }
    if (isFull || unfinishedCount <= UNFINISHED_BATCHES_FEW) this.#isBacklogTold = isFull;
    return !isFull;
  }

  async #allocate(): Promise<void> {
    const batch = await this.#share();
    if (batch !== undefined) this.#options.scheduler.submit(batch);
    this.#options.onAllocated();
  }

  /** R4. */
  async #share(): Promise<TrackedBatch | undefined> {
    const { graph, tracker, executors, codeHash } = this.#options;
    const isMissed = this.#isBehind();
    const inputs = await collectShares(graph, tracker.state, {
      ...this.#options,
      growth: this.#growth,
      isMadeUp: isMissed && this.#isMakingUp,
    });
    this.#isMakingUp = isMissed;
    const batchTimeMs = this.#nextBatchTime();
    await tracker.allocate({ batchTimeMs, inputs, partitions: executors, codeHash });
    return tracker.state.batches.get(batchTimeMs);
  }

  #nextBatchTime(): BatchTimeMs {
    const { times, tracker } = this.#options;
    const { batchIntervalMs } = times;
    const { lastAllocatedMs } = tracker.state;
    if (this.#isBehind()) return (lastAllocatedMs + batchIntervalMs) as BatchTimeMs;
    const gridMs = this.#gridMs();
    const timeMs = Math.max(gridMs, lastAllocatedMs + batchIntervalMs);
    return Math.min(timeMs, nextWindowEndMs(tracker.state, times)) as BatchTimeMs;
  }

  #hasQueued(): boolean {
    const { graph, tracker } = this.#options;
    const { queues } = tracker.state;
    return graph.inputs.some(({ id }) => (queues.get(id as StreamId)?.length ?? 0) > 0);
  }
}
