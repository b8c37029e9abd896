/** Cuts batches on the epoch grid: at each multiple of the batch interval, what has been registered
 * since the last one becomes a batch (R4) and goes to the scheduler.
 *
 * The batch time is max(grid time of now, last allocated + interval): a clock that jumps back never
 * repeats a time. When too many batches are unfinished, a tick allocates nothing: the records stay
 * queued, in memory or, by their storage level, on disk; the next batch takes what has gathered.
 * Downtime is not replayed tick by tick; what is queued goes into the first batch after it. But a
 * time at which a stream with a slide has the batch that earlier ones wait for is never left out.
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

  constructor(options: BatchGeneratorOptions) {
    this.#options = options;
    this.#growth = new FileGrowth((message) => {
      options.events.emit({ type: 'warning', message });
    });
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
    while (isLastWanted && this.#hasQueued()) await this.#allocate();
  }

  #arm(): void {
    const { clock, times } = this.#options;
    const { batchIntervalMs } = times;
    const nowMs = clock.wallMs();
    const nextMs = (Math.floor(nowMs / batchIntervalMs) + 1) * batchIntervalMs;
    this.#timer = clock.after(nextMs - nowMs, () => {
      this.#ticking = this.#tick();
    });
  }

  async #tick(): Promise<void> {
    try {
      if (this.#hasRoom()) await this.#allocate();
    } catch (error) {
      this.#state = 'stopped';
      this.#options.onFailed(toError(error));
    }
    if (this.#state === 'running') this.#arm();
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
    const { graph, tracker, scheduler, executors, codeHash, onAllocated } = this.#options;
    const inputs = await collectShares(graph, tracker.state, {
      ...this.#options,
      growth: this.#growth,
    });
    const batchTimeMs = this.#nextBatchTime();
    await tracker.allocate({ batchTimeMs, inputs, partitions: executors, codeHash });
    const batch = tracker.state.batches.get(batchTimeMs);
    if (batch !== undefined) scheduler.submit(batch);
    onAllocated();
  }

  #nextBatchTime(): BatchTimeMs {
    const { clock, times, tracker } = this.#options;
    const { batchIntervalMs } = times;
    const { lastAllocatedMs } = tracker.state;
    const gridMs = Math.floor(clock.wallMs() / batchIntervalMs) * batchIntervalMs;
    const timeMs = Math.max(gridMs, lastAllocatedMs + batchIntervalMs);
    return Math.min(timeMs, nextWindowEndMs(tracker.state, times)) as BatchTimeMs;
  }

  #hasQueued(): boolean {
    const { graph, tracker } = this.#options;
    const { queues } = tracker.state;
    return graph.inputs.some(({ id }) => (queues.get(id as StreamId)?.length ?? 0) > 0);
  }
}
