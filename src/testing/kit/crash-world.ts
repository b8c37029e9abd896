/** The world around a pipeline in a crash test: sources that give each batch the same records in
 * every history, and the time that batches go by.
 *
 *     send slice after slice of batch b ─► all acknowledged ─► its batch time comes ─► allocated
 *        ▲                                                                                 │
 *        └────────────────────────────── b + 1 ◄───────────────────────────────────────────┘
 *
 * Batch b + 1 is sent only when batch b is allocated, durably, and its time comes only when all of
 * it is acknowledged. So no crash moves a record from one batch to another, and outputs can be
 * compared batch by batch. A slice is a message with an idempotency key that is sent until it is
 * acknowledged. The world outlives every process; what a dead thread says reaches nobody.
 * @module */
import type { Clock, Timer } from '../../core/clock.ts';
import { toError } from '../../core/errors.ts';
import type { EngineEvent } from '../../core/events.ts';
import type { MonotonicMs, WallMs } from '../../core/ids.ts';
import type { Receiver } from '../../dstream/receiver.ts';
import { SimThread } from '../sim-scheduler.ts';
import type { SimScheduler } from '../sim-scheduler.ts';
import { CrashReceiver } from './crash-receiver.ts';
import type { Delivery } from './crash-receiver.ts';
import type { BatchRecords } from './inline-inputs.ts';

export interface CrashWorldOptions {
  readonly batchIntervalMs: number;
  readonly batchCount: number;
  /** By input. */
  readonly records: ReadonlyMap<string, BatchRecords>;
  /** After which a slice that was not acknowledged is sent again. */
  readonly patienceMs: number;
  /** How often an acknowledgement is lost, or a slice sent although it is acknowledged. */
  readonly redeliveryShare: number;
}

/** Of one input's records of one batch. More than one block, so that a batch can be half there. */
const SLICES = 2;

export class CrashWorld {
  readonly scheduler: SimScheduler;
  readonly thread: SimThread = new SimThread('world');
  readonly batchClock: CrashBatchClock;
  /** What must not have happened. */
  readonly problems: string[] = [];
  /** How often a source sent what was acknowledged. */
  redeliveries = 0;
  readonly options: CrashWorldOptions;
  readonly #sources: ReadonlyMap<string, CrashSource>;
  /** Batches that are allocated, by any process. */
  #allocatedCount = 0;
  /** Batch times that the present process has not done. */
  readonly #unfinished = new Set<number>();
  #unfinishedMax = 1;

  constructor(scheduler: SimScheduler, options: CrashWorldOptions) {
    this.scheduler = scheduler;
    this.options = options;
    this.batchClock = new CrashBatchClock(scheduler);
    this.#sources = new Map(
      [...options.records].map(([id, batches]) => [id, new CrashSource(this, { id, batches })]),
    );
    for (const source of this.#sources.values()) source.send(0);
  }

  receiverOf(streamId: string): Receiver<unknown> {
    const source = this.#sources.get(streamId);
    if (source === undefined) throw new Error(`${streamId} has no source`);
    return source.newReceiver();
  }

  /** A process starts. @param unfinishedMax batches that it is given before the oldest is done. */
  beginLife(unfinishedMax: number): void {
    this.#unfinished.clear();
    this.#unfinishedMax = unfinishedMax;
    // The time of a batch that was not allocated comes again.
    this.batchClock.restart(this.#timeOf(this.#allocatedCount - 1));
  }

  /** @param isAlive the process that says so. */
  hear(event: EngineEvent, isAlive: boolean): void {
    if (event.type === 'batch-submitted') this.#submitted(event.batchTimeMs);
    if (event.type === 'batch-completed' && isAlive) this.#unfinished.delete(event.batchTimeMs);
    if (event.type === 'blocks-lost') {
      this.problems.push(`${event.recordCount} records of batch ${event.batchTimeMs} are lost`);
    }
  }

  /** The next batch is all there. */
  get isDue(): boolean {
    const next = this.#allocatedCount;
    if (next >= this.options.batchCount || this.#unfinished.size >= this.#unfinishedMax) {
      return false;
    }
    return this.batchClock.isArmed && this.#isSettled(next);
  }

  /** The time of the next batch comes. */
  tick(): void {
    this.batchClock.fire(this.#timeOf(this.#allocatedCount));
  }

  /** All batches are done. */
  get isThrough(): boolean {
    return this.#allocatedCount >= this.options.batchCount && this.#unfinished.size === 0;
  }

  note(problem: string, error: unknown): void {
    this.problems.push(`${problem}: ${toError(error).message}`);
  }

  #submitted(batchTimeMs: number): void {
    this.#unfinished.add(batchTimeMs);
    const count = Math.round(batchTimeMs / this.options.batchIntervalMs);
    if (count > this.#allocatedCount + 1) {
      this.problems.push(`batch ${batchTimeMs} came before ${this.#timeOf(this.#allocatedCount)}`);
    }
    if (count <= this.#allocatedCount) return;
    this.#allocatedCount = count;
    for (const source of this.#sources.values()) source.send(count);
  }

  #isSettled(batchIndex: number): boolean {
    return [...this.#sources.values()].every((source) => source.isSettled(batchIndex));
  }

  /** Of the batch with this index, from 0. */
  #timeOf(batchIndex: number): number {
    return (batchIndex + 1) * this.options.batchIntervalMs;
  }
}

/** The time by which batches are named: it stands at the last one until the next is due. Only what
 * cuts batches has it; all other timers go by the time of the simulation. */
export class CrashBatchClock implements Clock {
  readonly #scheduler: SimScheduler;
  #wallMs = 0;
  #tick: (() => void) | undefined;

  constructor(scheduler: SimScheduler) {
    this.#scheduler = scheduler;
  }

  get isArmed(): boolean {
    return this.#tick !== undefined;
  }

  wallMs(): WallMs {
    return this.#wallMs as WallMs;
  }

  monotonicMs(): MonotonicMs {
    return this.#scheduler.nowMs as MonotonicMs;
  }

  after(_delayMs: number, callback: () => void): Timer {
    this.#tick = callback;
    const cancel = (): void => {
      if (this.#tick === callback) this.#tick = undefined;
    };
    return { cancel };
  }

  restart(wallMs: number): void {
    this.#wallMs = wallMs;
    this.#tick = undefined;
  }

  fire(wallMs: number): void {
    const tick = this.#tick;
    this.#wallMs = wallMs;
    this.#tick = undefined;
    tick?.();
  }
}

/** One input's records, in slices of each batch, sent in their order. */
class CrashSource {
  readonly #world: CrashWorld;
  readonly #deliveries: readonly (readonly Delivery[])[];
  #batchIndex = 0;
  #receivers: CrashReceiver[] = [];

  constructor(
    world: CrashWorld,
    { id, batches }: { readonly id: string; readonly batches: BatchRecords },
  ) {
    this.#world = world;
    this.#deliveries = batches.map((records, batchIndex) =>
      slicesOf(records).map((slice, index) => {
        return { key: `${id}-${batchIndex}-${index}`, records: slice, isAcknowledged: false };
      }),
    );
  }

  newReceiver(): CrashReceiver {
    this.#receivers = this.#receivers.filter(({ thread }) => thread.isAlive);
    const { scheduler } = this.#world;
    const receiver = new CrashReceiver(scheduler, {
      onStart: () => this.#receivers.push(receiver),
      onStop: () => (this.#receivers = this.#receivers.filter((each) => each !== receiver)),
      onAcknowledged: (delivery) => this.#acknowledged(delivery),
      onProblem: (problem, error) => this.#world.note(problem, error),
    });
    return receiver;
  }

  isSettled(batchIndex: number): boolean {
    return (this.#deliveries[batchIndex] ?? []).every(({ isAcknowledged }) => isAcknowledged);
  }

  send(batchIndex: number): void {
    this.#batchIndex = batchIndex;
    this.#sendNext();
  }

  #sendNext(): void {
    const deliveries = this.#deliveries[this.#batchIndex] ?? [];
    const next = deliveries.find(({ isAcknowledged }) => !isAcknowledged);
    if (next !== undefined) this.#sendUntilAcknowledged(next, 1);
  }

  #sendUntilAcknowledged(delivery: Delivery, delayMs: number): void {
    const { scheduler, thread, options } = this.#world;
    scheduler.after(thread, delayMs, () => {
      if (delivery.isAcknowledged) return;
      this.#hand(delivery);
      this.#sendUntilAcknowledged(delivery, options.patienceMs);
    });
  }

  #hand(delivery: Delivery): void {
    this.#receivers.find(({ thread }) => thread.isAlive)?.take(delivery);
  }

  #acknowledged(delivery: Delivery): void {
    if (delivery.isAcknowledged) return;
    const { scheduler, thread, options } = this.#world;
    const isTroubled = scheduler.chance(options.redeliveryShare);
    if (isTroubled) this.#world.redeliveries += 1;
    if (isTroubled && scheduler.chance(0.5)) return; // lost on its way: it is sent again
    delivery.isAcknowledged = true;
    if (isTroubled) scheduler.after(thread, options.patienceMs, () => this.#hand(delivery));
    this.#sendNext();
  }
}

function slicesOf(records: readonly unknown[]): (readonly unknown[])[] {
  const cut = Math.ceil(records.length / SLICES);
  return Array.from({ length: SLICES }, (_, index) =>
    records.slice(index * cut, (index + 1) * cut),
  ).filter(({ length }) => length > 0);
}
