/** Takes one sample: runs an engine on one cell, in this process. The order of things is that of
 * run-plan.ts.
 *
 * Every batch's count is checked: a wrong count fails the sample, for a fast wrong answer is none.
 * Ends with the engine stopped where it stands; its directory is for the caller to remove.
 * @module */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { BroadcastChannel } from 'node:worker_threads';
import { systemClock } from '../../core/clock.ts';
import { MillraceError } from '../../core/errors.ts';
import type { EngineEvent } from '../../core/events.ts';
import { StreamingContext } from '../../driver/stream-context.ts';
import { makeLines } from '../../sources/generator-lines.ts';
import { LATENCY_BOUNDS_MS } from '../../wal/latency-window.ts';
import type { CellTask } from './cell-protocol.ts';
import { ackTimes, costsBetween, speedBetween } from './cell-sample.ts';
import type { CellSample, Completion, Moment, Speed } from './cell-sample.ts';
import { machineCpuMs } from './environment.ts';
import { COUNT_CHANNEL, LOAD_CHANNEL, callRecords, isSelected } from './load-protocol.ts';
import type { LoadEnd, LoadMessage, LoadOrder } from './load-protocol.ts';

const POLL_MS = 20;
/** For batches that are late, and for the last acknowledgements. */
const PATIENCE_MS = 60_000;
const SETTLE_MS_MAX = 10_000;

/** @throws {MillraceError} what ended the engine; BROKEN_INVARIANT for a wrong count. */
export async function measureCell(task: CellTask): Promise<CellSample> {
  const measurement = new CellMeasurement(task);
  try {
    return await measurement.run();
  } finally {
    await measurement.close();
  }
}

class CellMeasurement {
  readonly #task: CellTask;
  readonly #channel = new BroadcastChannel(LOAD_CHANNEL);
  readonly #completions: Completion[] = [];
  readonly #ends: LoadEnd[] = [];
  /** What one call of `store` has, and how many of its records pass the filter. */
  readonly #call: { readonly records: number; readonly selected: number };
  #selectedCount = 0;
  #failure: Error | undefined;
  #context: StreamingContext | undefined;

  constructor(task: CellTask) {
    const { recordBytes } = task.cell;
    const records = callRecords(recordBytes);
    const lines = makeLines(1, recordBytes).slice(0, records);
    this.#call = { records, selected: lines.filter(isSelected).length };
    this.#task = task;
    subscribe(COUNT_CHANNEL, this.#onCount);
    this.#channel.onmessage = (event: unknown) => {
      const { data } = event as { readonly data: LoadMessage };
      if (data.kind === 'ended') this.#ends.push(data);
    };
  }

  async run(): Promise<CellSample> {
    const { cell, warmUpMs, halfMs } = this.#task;
    const context = await this.#start();
    await this.#pass(warmUpMs);
    this.#order('full');
    const from = await this.#moment(context);
    const speed = await this.#fullSpeed();
    const to = await this.#moment(context);
    const half = speed.recordsPerSecond / 2;
    this.#order('settle', half);
    await this.#settled(half);
    this.#order('half', half);
    await this.#pass(halfMs);
    this.#order('end');
    await this.#until(() => this.#ends.length === cell.receivers);
    return { ...speed, ...costsBetween(from, to), ...this.#load(half) };
  }

  async close(): Promise<void> {
    this.#channel.close();
    unsubscribe(COUNT_CHANNEL, this.#onCount);
    await this.#context?.stop({ graceful: false });
  }

  async #start(): Promise<StreamingContext> {
    const { cell, pipeline, checkpointDir, batchIntervalMs, memoryBytes } = this.#task;
    const context = await StreamingContext.getOrCreate(checkpointDir, pipeline, {
      batchInterval: batchIntervalMs,
      blockInterval: cell.blockIntervalMs,
      durability: cell.wal,
      receiverExecutors: cell.receivers,
      memory: memoryBytes,
      onEvent: (event) => this.#hear(event),
    });
    this.#context = context;
    await context.start();
    context.awaitTermination().catch((error: unknown) => {
      this.#failure ??= error as Error;
    });
    return context;
  }

  readonly #onCount = (message: unknown): void => {
    this.#selectedCount = (message as { readonly count: number }).count;
  };

  #hear(event: EngineEvent): void {
    switch (event.type) {
      case 'batch-completed': {
        const { recordCount } = event;
        this.#check(recordCount);
        const atMs = systemClock.monotonicMs();
        this.#completions.push({ atMs, recordCount, engineCpuMs: engineCpuMs() });
        return;
      }
      case 'receiver-error':
      case 'executor-died': {
        const why = event.type === 'receiver-error' ? event.message : event.executor;
        this.#fail('RECEIVER_FAILED', `${why}: ${event.error ?? event.type}`);
        return;
      }
      case 'sources-held':
        this.#fail('DISK_FULL', `${event.directory} has no room for a log`);
        return;
      default: // the rest is no matter of a measurement
    }
  }

  /** The count of a batch comes before its completion. */
  #check(recordCount: number): void {
    const { records, selected } = this.#call;
    const expected = (recordCount / records) * selected;
    if (this.#selectedCount !== expected) {
      const what = `${this.#selectedCount} of ${recordCount} records were selected`;
      this.#fail('BROKEN_INVARIANT', `${what}, and it must be ${expected}`);
    }
    this.#selectedCount = 0;
  }

  #fail(code: 'RECEIVER_FAILED' | 'DISK_FULL' | 'BROKEN_INVARIANT', message: string): void {
    this.#failure ??= new MillraceError(code, message);
  }

  #order(phase: LoadOrder['phase'], recordsPerSecond?: number): void {
    const { receivers } = this.#task.cell;
    const rate =
      recordsPerSecond === undefined ? {} : { recordsPerSecond: recordsPerSecond / receivers };
    this.#channel.postMessage({ kind: 'order', phase, ...rate } satisfies LoadOrder);
  }

  /** From here on. Resolves when the time is over and enough batches have ended in it. */
  async #fullSpeed(): Promise<Speed> {
    const firstIndex = this.#completions.length;
    await this.#pass(this.#task.fullMs);
    let speed: Speed | undefined;
    const isKnown = (): boolean => {
      speed = speedBetween(this.#completions.slice(firstIndex));
      return speed !== undefined;
    };
    await this.#until(isKnown);
    if (speed !== undefined) return speed;
    throw new MillraceError('RECEIVER_FAILED', 'hardly any batch ended at full speed');
  }

  /** Until batches are as small as half speed makes them: the backlog of full speed is gone. When
   * that never comes, the sample says how much of half speed was held. */
  async #settled(recordsPerSecond: number): Promise<void> {
    const { batchIntervalMs } = this.#task;
    const most = 1.25 * recordsPerSecond * (batchIntervalMs / 1_000) + 2 * this.#call.records;
    const firstIndex = this.#completions.length;
    const isGone = (): boolean => {
      const [before, last] = this.#completions.slice(firstIndex).slice(-2);
      if (before === undefined || last === undefined) return false;
      return before.recordCount <= most && last.recordCount <= most;
    };
    await this.#until(isGone, SETTLE_MS_MAX);
  }

  async #moment(context: StreamingContext): Promise<Moment> {
    const logs = (await context.executorStats()).flatMap(({ log }) => log ?? []);
    return {
      atMs: systemClock.monotonicMs(),
      engineCpuMs: engineCpuMs(),
      machineCpuMs: machineCpuMs(),
      logBytes: logs.reduce((sum, { bytes }) => sum + bytes, 0),
      syncCounts: Array.from({ length: LATENCY_BOUNDS_MS.length + 1 }, (_, index) =>
        logs.reduce((sum, { syncCounts }) => sum + (syncCounts[index] ?? 0), 0),
      ),
    };
  }

  /** What the receivers have told. @param half the rate they were to hold. */
  #load(half: number): Pick<CellSample, 'receiverBusyShare' | 'ackMs' | 'halfHeldShare'> {
    const ends = this.#ends;
    if (ends.length < this.#task.cell.receivers) {
      throw new MillraceError('RECEIVER_FAILED', 'the last records were never acknowledged');
    }
    const ackMs = ends.flatMap((end) => [...end.ackMs]);
    const held = ends.reduce((sum, { halfRecords, halfMs }) => {
      return sum + halfRecords / (Math.max(1, halfMs) / 1_000);
    }, 0);
    return {
      receiverBusyShare: Math.max(...ends.map(({ busyShare }) => busyShare)),
      ackMs: ackTimes(ackMs),
      halfHeldShare: held / half,
    };
  }

  async #pass(ms: number): Promise<void> {
    await this.#until(() => false, ms);
  }

  /** Until `isSo`, or for so long. @throws what has failed meanwhile. */
  async #until(isSo: () => boolean, limitMs: number = PATIENCE_MS): Promise<void> {
    const lastMs = systemClock.monotonicMs() + limitMs;
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const leftMs = lastMs - systemClock.monotonicMs();
      if (isSo() || leftMs <= 0) return;
      const waitMs = Math.min(POLL_MS, leftMs);
      await new Promise<void>((resolve) => void systemClock.after(waitMs, resolve));
    }
  }
}

function engineCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
