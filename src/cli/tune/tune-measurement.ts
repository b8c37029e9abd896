/** Takes one sample of a setting: runs the pipeline in this process, for as long as it was told.
 *
 *      start ─ first records ─ warm-up ─ measured ─ end
 *
 * Measured from the end of one batch to the end of another. Ends with the engine stopped where it
 * stands; its directory is for the caller to remove. @module */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { cpus } from 'node:os';
import { performance } from 'node:perf_hooks';
import { BroadcastChannel } from 'node:worker_threads';
import { systemClock } from '../../core/clock.ts';
import { MillraceError, toError } from '../../core/errors.ts';
import type { EngineEvent } from '../../core/events.ts';
import type { RunOptions } from '../../driver/run-options.ts';
import { StreamingContext } from '../../driver/stream-context.ts';
import { LATENCY_BOUNDS_MS } from '../../wal/latency-window.ts';
import type { ReceiverExecutorStats } from '../../workers/protocol.ts';
import { machineCpuMs } from '../bench/environment.ts';
import { quantile } from '../bench/statistics.ts';
import { awaitFirstRecords } from './first-records.ts';
import { ACK_CHANNEL, DROPPED_CHANNEL } from './tune-protocol.ts';
import type { AckMessage, Dropped, TuneTask } from './tune-protocol.ts';
import { speedAndDelay } from './tune-sample.ts';
import type { DoneBatch, SpeedAndDelay, TuneLoad, TuneSample } from './tune-sample.ts';

const POLL_MS = 20;
/** For batches that take long. */
const PATIENCE_MS = 60_000;
const ACK_ANSWER_MS = 1_000;

/** @param tell says something to the user, meanwhile.
 * @throws {MillraceError} what ended the engine; RECEIVER_FAILED when the source gave nothing. */
export async function measureSetting(
  task: TuneTask,
  tell: (text: string) => void,
): Promise<TuneSample> {
  const measurement = new Measurement(task, tell);
  try {
    return await measurement.run();
  } finally {
    await measurement.close();
  }
}

/** A moment of a run: sums since its start. */
interface TuneMoment {
  readonly atMs: number;
  readonly engineCpuMs: number;
  readonly machineCpuMs: number;
  /** Of the driver's thread. */
  readonly driver: ReturnType<typeof performance.eventLoopUtilization>;
  readonly executors: readonly ReceiverExecutorStats[];
  readonly droppedCount: number;
}

class Measurement {
  readonly #task: TuneTask;
  readonly #tell: (text: string) => void;
  readonly #channel = new BroadcastChannel(ACK_CHANNEL);
  readonly #batches: DoneBatch[] = [];
  #ackMs: number[] = [];
  #ackAnswers = 0;
  #droppedCount = 0;
  #failure: Error | undefined;
  #isEnded = false;
  /** What a receiver has told last. */
  #receiverError: string | undefined;
  #context: StreamingContext | undefined;

  constructor(task: TuneTask, tell: (text: string) => void) {
    this.#task = task;
    this.#tell = tell;
    subscribe(DROPPED_CHANNEL, this.#onDropped);
    this.#channel.onmessage = (event: unknown) => {
      const { data } = event as { readonly data: AckMessage };
      if (data.kind !== 'acks') return;
      for (const each of data.ackMs) this.#ackMs.push(each);
      this.#ackAnswers += 1;
    };
  }

  async run(): Promise<TuneSample> {
    const { warmUpMs, wantedRate, isSourceEndless } = this.#task;
    const context = await this.#start();
    await awaitFirstRecords({
      task: this.#task,
      hasCome: () => this.#batches.some(hasRecords),
      until: (isSo, limitMs) => this.#until(isSo, limitMs),
      receiverError: () => this.#receiverError,
      tell: this.#tell,
    });
    await this.#pass(warmUpMs);
    this.#post({ kind: 'begin' });
    const from = await momentOf(context, this.#droppedCount);
    const measured = await this.#measured(this.#batches.length);
    const to = await momentOf(context, this.#droppedCount);
    const engineCores = (to.engineCpuMs - from.engineCpuMs) / (to.atMs - from.atMs);
    const machineCores = (to.machineCpuMs - from.machineCpuMs) / (to.atMs - from.atMs);
    const otherCores = Math.max(0, machineCores - engineCores);
    const dropped = to.droppedCount - from.droppedCount;
    return {
      ...(wantedRate === undefined ? {} : { wantedRate }),
      ...measured.speed,
      engineCores,
      otherCores,
      outputRecordsPerSecond: dropped / ((to.atMs - from.atMs) / 1_000),
      load: {
        ...threadLoads(from, to),
        tasks: runningShare(measured.batches),
        cores: Math.min(1, engineCores / Math.max(0.1, cpus().length - otherCores)),
      },
      isSourceEndless,
      ...(await this.#acks()),
    };
  }

  async close(): Promise<void> {
    this.#channel.close();
    unsubscribe(DROPPED_CHANNEL, this.#onDropped);
    await this.#context?.stop({ graceful: false });
  }

  async #start(): Promise<StreamingContext> {
    const { setting, pipeline, checkpointDir, options } = this.#task;
    const context = await StreamingContext.getOrCreate(checkpointDir, pipeline, {
      ...options,
      batchInterval: setting.batchIntervalMs,
      blockInterval: setting.blockIntervalMs,
      receiverExecutors: setting.receiverExecutors,
      executors: setting.executors,
      ...rateOptions(this.#task),
      printLine: () => undefined,
      onEvent: (event) => this.#hear(event),
    });
    this.#context = context;
    await context.start();
    context.awaitTermination().then(
      () => {
        this.#isEnded = true;
      },
      (error: unknown) => {
        this.#failure ??= toError(error);
      },
    );
    return context;
  }

  readonly #onDropped = (message: unknown): void => {
    this.#droppedCount += (message as Dropped).recordCount;
  };

  #hear(event: EngineEvent): void {
    switch (event.type) {
      case 'batch-completed': {
        const { batchTimeMs, recordCount, schedulingDelayMs, processingMs } = event;
        const done = { atMs: systemClock.monotonicMs(), engineCpuMs: engineCpuMs() };
        this.#batches.push({ ...done, batchTimeMs, recordCount, schedulingDelayMs, processingMs });
        return;
      }
      case 'receiver-error':
        this.#receiverError = `${event.message}: ${event.error ?? event.streamId}`;
        return; // it may go on
      case 'executor-died':
        this.#failure ??= failed('RECEIVER_FAILED', `${event.executor}: ${event.error}`);
        return;
      case 'sources-held':
        this.#failure ??= failed(
          'DISK_FULL',
          `a log of the sample has no room for more (${event.directory}): give --dir on a disk ` +
            'with more',
        );
        return;
      default: // the rest is no matter of a measurement
    }
  }

  /** From the next end of a batch on. Resolves when the time is over and enough has ended in it. */
  async #measured(firstIndex: number): Promise<{ speed: SpeedAndDelay; batches: DoneBatch[] }> {
    const { setting, measureMs } = this.#task;
    await this.#pass(measureMs);
    let speed: SpeedAndDelay | undefined;
    const isKnown = (): boolean => {
      speed = speedAndDelay(this.#batches.slice(firstIndex), setting, this.#task);
      return speed !== undefined;
    };
    await this.#until(isKnown, PATIENCE_MS + 3 * setting.batchIntervalMs);
    if (speed !== undefined) return { speed, batches: this.#batches.slice(firstIndex) };
    throw failed(
      'RECEIVER_FAILED',
      'records came for one batch only: the source has to give some in every batch interval',
    );
  }

  #post(message: AckMessage): void {
    if (this.#task.hasAckTimes) this.#channel.postMessage(message);
  }

  async #acks(): Promise<Pick<TuneSample, 'ackMs'>> {
    if (!this.#task.hasAckTimes) return {};
    this.#post({ kind: 'tell' });
    await this.#until(() => this.#ackAnswers >= this.#task.receivers, ACK_ANSWER_MS);
    const times = this.#ackMs;
    if (times.length === 0) return {};
    return { ackMs: { p50: quantile(times, 0.5), p99: quantile(times, 0.99) } };
  }

  async #pass(ms: number): Promise<void> {
    await this.#until(() => false, ms);
  }

  /** Until `isSo`, or for so long. @throws what has failed meanwhile. */
  async #until(isSo: () => boolean, limitMs: number): Promise<void> {
    const lastMs = systemClock.monotonicMs() + limitMs;
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const leftMs = lastMs - systemClock.monotonicMs();
      if (isSo() || leftMs <= 0) return;
      if (this.#isEnded) throw hasEnded(this.#task);
      const waitMs = Math.min(POLL_MS, leftMs);
      await new Promise<void>((resolve) => void systemClock.after(waitMs, resolve));
    }
  }
}

function hasRecords({ recordCount }: DoneBatch): boolean {
  return recordCount > 0;
}

/** A wanted rate is spread over all receivers. Full speed is what backpressure comes to: without it
 * memory, or a disk, would first fill with what tasks have not done yet, and batches of seconds
 * would be all that is seen. What the pipeline says of backpressure itself stays. */
function rateOptions({ wantedRate, receivers, initialRate, options }: TuneTask): RunOptions {
  if (wantedRate !== undefined) {
    return { maxRate: Math.max(1, Math.ceil(wantedRate / receivers)), backpressure: false };
  }
  return { backpressure: options.backpressure ?? { initialRate } };
}

async function momentOf(context: StreamingContext, droppedCount: number): Promise<TuneMoment> {
  return {
    executors: await context.executorStats(),
    atMs: systemClock.monotonicMs(),
    engineCpuMs: engineCpuMs(),
    machineCpuMs: machineCpuMs(),
    driver: performance.eventLoopUtilization(),
    droppedCount,
  };
}

function threadLoads(
  from: TuneMoment,
  to: TuneMoment,
): Pick<TuneLoad, 'receiver' | 'disk' | 'driver'> {
  const ms = to.atMs - from.atMs;
  const active = to.executors.map(({ activeMs = 0 }, index) => {
    return (activeMs - (from.executors[index]?.activeMs ?? 0)) / ms;
  });
  const syncing = to.executors.map((stats, index) => {
    return (syncingMs(stats) - syncingMs(from.executors[index])) / ms;
  });
  return {
    receiver: Math.min(1, Math.max(0, ...active)),
    disk: Math.min(1, Math.max(0, ...syncing)),
    driver: performance.eventLoopUtilization(to.driver, from.driver).utilization,
  };
}

/** Writing and syncing groups, from their histogram: each one took about its bucket. */
function syncingMs(stats: ReceiverExecutorStats | undefined): number {
  const counts = stats?.log?.syncCounts ?? [];
  return counts.reduce((sum, count, index) => {
    return sum + count * (LATENCY_BOUNDS_MS[index] ?? LATENCY_BOUNDS_MS.at(-1) ?? 0);
  }, 0);
}

/** Of the time between the first end and the last one. */
function runningShare(batches: readonly DoneBatch[]): number {
  const [first, ...rest] = batches;
  const last = rest.at(-1);
  if (first === undefined || last === undefined) return 0;
  const runningMs = rest.reduce((sum, { processingMs }) => sum + processingMs, 0);
  return Math.min(1, runningMs / (last.atMs - first.atMs));
}

function engineCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function failed(code: 'RECEIVER_FAILED' | 'DISK_FULL', message: string): MillraceError {
  return new MillraceError(code, message);
}

function hasEnded({ takesLines }: TuneTask): MillraceError {
  return failed(
    'RECEIVER_FAILED',
    'all inputs have ended before the sample was over: give them more records' +
      (takesLines ? ', or --lines FILE, whose lines never end' : ''),
  );
}
