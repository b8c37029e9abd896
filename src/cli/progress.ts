/** How a run is doing, sampled once a second: rates, delays, queues, the log's sync times.
 *
 * Reads the context's sums, the batch events and the receiver executors' counters; owns one timer.
 * A sample that is still under way when the next is due delays it: they never overlap.
 * @module */
import type { Clock, Timer } from '../core/clock.ts';
import type { EngineEvent } from '../core/events.ts';
import type { MonotonicMs } from '../core/ids.ts';
import type { EngineTotals } from '../driver/engine.ts';
import type { ReceiverExecutorStats } from '../workers/protocol.ts';

export interface Progress {
  /** Of completed batches, over the last second or batch interval, whichever is longer. */
  readonly recordsPerSecond: number;
  /** In completed batches of this run. */
  readonly recordCount: number;
  readonly batchCount: number;
  readonly unfinishedBatches: number;
  readonly queuedBlocks: number;
  /** Receivers that take nothing, because a disk is full. */
  readonly heldReceivers: number;
  /** Of blocks that wait outside of memory. */
  readonly bytesOnDisk: number;
  /** Of the last completed batch; absent before one. */
  readonly schedulingDelayMs?: number;
  readonly processingMs?: number;
  /** Writing a group and syncing it, of the slowest receiver log; absent with the log off. */
  readonly syncMsP50?: number;
  readonly syncMsP99?: number;
}

/** What is sampled: the part of StreamingContext that this needs. */
export interface ProgressSource {
  readonly totals: EngineTotals;
  executorStats(): Promise<readonly ReceiverExecutorStats[]>;
}

const SAMPLE_INTERVAL_MS = 1_000;

interface Sample {
  readonly atMs: MonotonicMs;
  readonly recordCount: number;
}

/** Records per second between the newest sample and one about `spanMs` before it. */
export class RateWindow {
  readonly #spanMs: number;
  #samples: readonly Sample[] = [];

  constructor(spanMs: number) {
    this.#spanMs = spanMs;
  }

  /** @returns the rate, 0 for the first sample. */
  add(sample: Sample): number {
    const samples = [...this.#samples, sample];
    // Timers are late by some milliseconds: a sample that is nearly old enough counts as that.
    const edge = samples.findLastIndex(({ atMs }) => sample.atMs - atMs >= this.#spanMs * 0.95);
    this.#samples = samples.slice(Math.max(edge, 0));
    const oldest = this.#samples[0] ?? sample;
    const seconds = (sample.atMs - oldest.atMs) / 1_000;
    return seconds === 0 ? 0 : Math.round((sample.recordCount - oldest.recordCount) / seconds);
  }
}

export interface ProgressMeterOptions {
  readonly clock: Clock;
  readonly batchIntervalMs: number;
  readonly onProgress: (progress: Progress) => void;
}

export class ProgressMeter {
  readonly #options: ProgressMeterOptions;
  readonly #rate: RateWindow;
  #lastBatch: Pick<Progress, 'schedulingDelayMs' | 'processingMs'> = {};
  #lastSync: Pick<Progress, 'syncMsP50' | 'syncMsP99'> = {};
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: ProgressMeterOptions) {
    this.#options = options;
    this.#rate = new RateWindow(Math.max(SAMPLE_INTERVAL_MS, options.batchIntervalMs));
  }

  /** Takes note of completed batches. */
  hear(event: EngineEvent): void {
    if (event.type !== 'batch-completed') return;
    const { schedulingDelayMs, processingMs } = event;
    this.#lastBatch = {
      schedulingDelayMs: hundredths(schedulingDelayMs),
      processingMs: hundredths(processingMs),
    };
  }

  start(source: ProgressSource): void {
    if (this.#isStopped) return;
    const sampleAndGoOn = async (): Promise<void> => {
      await this.#sample(source);
      this.start(source);
    };
    this.#timer = this.#options.clock.after(SAMPLE_INTERVAL_MS, () => void sampleAndGoOn());
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #sample(source: ProgressSource): Promise<void> {
    try {
      this.#lastSync = slowestSync(await source.executorStats());
    } catch {
      // A thread is being replaced or the run is ending; both are told by events of their own.
    }
    if (this.#isStopped) return;
    const { totals } = source;
    const { recordCount } = totals;
    const atMs = this.#options.clock.monotonicMs();
    const recordsPerSecond = this.#rate.add({ atMs, recordCount });
    this.#options.onProgress({
      recordsPerSecond,
      ...totals,
      ...this.#lastBatch,
      ...this.#lastSync,
    });
  }
}

function slowestSync(
  executors: readonly ReceiverExecutorStats[],
): Pick<Progress, 'syncMsP50' | 'syncMsP99'> {
  const logs = executors.flatMap(({ log }) => (log === undefined ? [] : log));
  const slowest = logs.toSorted((a, b) => b.syncMsP99 - a.syncMsP99)[0];
  return slowest === undefined
    ? {}
    : { syncMsP50: hundredths(slowest.syncMsP50), syncMsP99: hundredths(slowest.syncMsP99) };
}

function hundredths(ms: number): number {
  return Math.round(ms * 100) / 100;
}
