/** Cuts the records of one life of one receiver into blocks: by time, by size, by atomic call.
 *
 * A block is cut `blockIntervalMs` after its first record, or when it is full. While the arena or
 * the log has no room, or the rate has no token, calls wait in order in a bounded queue and nothing
 * is taken; `storeOne` gives a promise only then. The records of one `storeAll` never split over
 * two blocks; they go in as a whole when there is a token, and later calls wait for the rest.
 *
 *   taking ──no room, no token──► stalled ──► taking … ──stop()──► stopped (last block cut)
 *
 * Mirrors Spark's BlockGenerator without its defects: a failed push rejects its callers and ends
 * this life, nothing is buffered without bound, and what was added before `stop` is pushed.
 * @module */
import type { PositionRange, PositionValue, SourceId } from '../blocks/block-ref.ts';
import type { BlockArena } from '../blocks/block-arena.ts';
import type { BlockWriter } from '../blocks/block-writer.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { reached } from '../core/crash-point.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { StoreOptions } from '../dstream/receiver.ts';
import type { BlockPusher } from './block-pusher.ts';
import type { AddOutcome, ReceiverLife } from './protocol.ts';
import type { RateGate } from './rate-gate.ts';

/** Calls that may wait while there is no room or no token. A receiver that never awaits gets an
 * error past it. */
export const STALLED_CALLS_MAX: number = 16_384;
/** How long to wait for a release before looking again, should a wake-up be lost. */
const ROOM_RECHECK_MS = 200;

interface Call {
  readonly records: readonly unknown[];
  readonly options: StoreOptions;
  /** False for `store(record)`: resolved as soon as the record is taken. */
  readonly isAcknowledged: boolean;
  readonly resolve: () => void;
  readonly reject: (cause: Error) => void;
}

export interface BlockGeneratorOptions {
  readonly life: ReceiverLife;
  readonly writer: BlockWriter;
  readonly pusher: BlockPusher;
  readonly rate: RateGate;
  readonly arena: BlockArena;
  readonly clock: Clock;
  readonly blockIntervalMs: number;
  readonly blockBytesMax: number;
  /** A block failed or was refused: this life must end. Called once. */
  readonly onBroken: (cause: Error) => void;
}

export class BlockGenerator {
  readonly #options: BlockGeneratorOptions;
  #state: 'taking' | 'stalled' | 'stopped' = 'taking';
  #broken: Error | undefined;
  #seq = 0;
  #timer: Timer | undefined;
  /** Calls in the current block that resolve when it is registered. */
  #calls: Call[] = [];
  #stalled: Call[] = [];
  #positions = new Map<string, PositionRange>();
  #sourceIds: SourceId[] = [];
  #isBuffered = false;
  readonly #lastPosition: Map<string, PositionValue>;

  constructor(options: BlockGeneratorOptions) {
    this.#options = options;
    this.#lastPosition = new Map(Object.entries(options.life.lastPosition));
  }

  /** True while a call would wait. */
  get isFull(): boolean {
    return this.#state === 'stalled' || !this.#isOpen();
  }

  /** Puts one record into the current block. @returns a promise only when there is no room or no
   * token. */
  storeOne(record: unknown): void | Promise<void> {
    this.#assertTaking();
    if (this.#state === 'taking' && this.#isOpen()) {
      const { writer, rate } = this.#options;
      let outcome = writer.append(record);
      if (outcome === 'cut') {
        this.#cut();
        outcome = writer.append(record);
      }
      if (outcome === 'taken') {
        this.#isBuffered = true;
        rate.spend(1);
        this.#afterTaken();
        return undefined;
      }
    }
    return this.#enqueue([record], {}, false);
  }

  /** Stores all records of one call; resolves when they are registered. */
  async storeAll(records: readonly unknown[], options: StoreOptions): Promise<void> {
    this.#assertTaking();
    if (records.length === 0) return undefined;
    return this.#enqueue(records, options, true);
  }

  /** Cuts and pushes what was taken; later calls reject. Waiting calls are refused. */
  async stop(): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#timer?.cancel();
    this.#options.rate.wake();
    const stopped = new MillraceError('RECEIVER_STOPPED', 'the receiver is stopping');
    for (const call of this.#stalled.splice(0)) call.reject(stopped);
    if (this.#broken === undefined) this.#cut();
    await this.#options.pusher.drain();
    this.#options.writer.close();
  }

  #assertTaking(): void {
    if (this.#broken !== undefined) {
      throw new MillraceError('BLOCK_REFUSED', 'an earlier block of this receiver failed', {
        cause: this.#broken,
      });
    }
    if (this.#state === 'stopped') {
      throw new MillraceError('RECEIVER_STOPPED', 'the receiver is stopping');
    }
  }

  #enqueue(records: readonly unknown[], options: StoreOptions, isAcknowledged: boolean) {
    return new Promise<void>((resolve, reject) => {
      const call: Call = { records, options, isAcknowledged, resolve, reject };
      if (this.#state === 'taking' && this.#take(call)) return;
      if (this.#stalled.length >= STALLED_CALLS_MAX) {
        const waiting = `${STALLED_CALLS_MAX} store calls wait already`;
        const message = `${waiting}: await store() when it returns a promise`;
        return reject(new MillraceError('RECEIVER_FAILED', message));
      }
      this.#stalled.push(call);
      if (this.#state === 'taking') void this.#waitForRoom();
    });
  }

  /** @returns false when there is no room now; then nothing was taken. */
  #take(call: Call): boolean {
    const { writer, rate } = this.#options;
    if (!this.#isOpen()) return false;
    try {
      const trailerBytes = trailerBytesOf(call.options, this.#lastPosition);
      let outcome = writer.appendAll(call.records, trailerBytes);
      if (outcome === 'cut') {
        this.#cut();
        outcome = writer.appendAll(call.records, trailerBytes);
      }
      if (outcome !== 'taken') return false;
    } catch (error) {
      call.reject(toError(error));
      return true;
    }
    rate.spend(call.records.length);
    this.#record(call);
    this.#afterTaken();
    return true;
  }

  #record(call: Call): void {
    if (!call.isAcknowledged) {
      this.#isBuffered = true;
      return call.resolve();
    }
    this.#calls.push(call);
    const { position, idempotency } = call.options;
    if (position !== undefined) {
      const byPartition = typeof position === 'object' ? position : { '': position };
      for (const [partition, last] of Object.entries(byPartition)) this.#advance(partition, last);
    }
    if (idempotency !== undefined) {
      this.#sourceIds.push({ ...idempotency, recordCount: call.records.length });
    }
  }

  #advance(partition: string, last: PositionValue): void {
    const begun = this.#positions.get(partition);
    const follows =
      begun === undefined ? (this.#lastPosition.get(partition) ?? null) : begun.follows;
    this.#positions.set(partition, { partition, follows, last });
    this.#lastPosition.set(partition, last);
  }

  #afterTaken(): void {
    const { writer, clock, blockIntervalMs, blockBytesMax } = this.#options;
    if (writer.dataBytes >= blockBytesMax) return this.#cut();
    this.#timer ??= clock.after(blockIntervalMs, () => this.#cut());
  }

  #cut(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const { writer, pusher, life } = this.#options;
    if (writer.recordCount === 0) return;
    const { streamId, receiverIndex, incarnation } = life;
    const block = writer.cut({
      blockId: { streamId, receiverIndex, incarnation, seq: this.#seq },
      positions: [...this.#positions.values()],
      sourceIds: this.#sourceIds,
      isBuffered: this.#isBuffered,
    });
    const calls = this.#calls;
    this.#seq += 1;
    this.#calls = [];
    this.#positions = new Map();
    this.#sourceIds = [];
    this.#isBuffered = false;
    pusher.push(block).then(
      (outcome) => this.#settle(calls, outcome),
      (error: unknown) => this.#fail(calls, toError(error)),
    );
  }

  #settle(calls: readonly Call[], outcome: AddOutcome): void {
    if (outcome.kind === 'added') {
      reached('R3.before');
      for (const call of calls) call.resolve();
      return;
    }
    this.#fail(calls, new MillraceError('BLOCK_REFUSED', `block refused: ${outcome.reason}`));
  }

  #fail(calls: readonly Call[], cause: Error): void {
    for (const call of calls) call.reject(cause);
    if (this.#broken !== undefined) return;
    this.#broken = cause;
    this.#timer?.cancel();
    this.#options.rate.wake();
    // Records that were taken after the failed block go with it: none of them was acknowledged.
    for (const call of [...this.#calls.splice(0), ...this.#stalled.splice(0)]) call.reject(cause);
    this.#options.writer.close();
    this.#options.onBroken(cause);
  }

  async #waitForRoom(): Promise<void> {
    const { arena, pusher, rate } = this.#options;
    this.#state = 'stalled';
    while (this.#isStalled() && this.#stalled.length > 0) {
      if (!pusher.isFull && !rate.isOpen) {
        await rate.wait();
        continue;
      }
      if (this.#takeStalled()) continue;
      // Read after the attempt: the writer may have given back an extent of its own in it, and
      // must not be woken by that. A release that fell between is found by the recheck.
      const seen = arena.generation();
      await (pusher.isFull ? pusher.waitForRoom() : arena.waitForRoom(seen, ROOM_RECHECK_MS));
    }
    if (this.#isStalled()) this.#state = 'taking';
  }

  #isOpen(): boolean {
    const { pusher, rate } = this.#options;
    return !pusher.isFull && rate.isOpen;
  }

  /** The state changes between awaits; a method keeps the compiler from remembering it. */
  #isStalled(): boolean {
    return this.#state === 'stalled';
  }

  #takeStalled(): boolean {
    const next = this.#stalled[0];
    if (next === undefined) return true;
    if (!this.#take(next)) return false;
    this.#stalled.shift();
    return true;
  }
}

/** @param lastPosition what the call's positions follow: a block names both. */
function trailerBytesOf(
  { position, idempotency }: StoreOptions,
  lastPosition: ReadonlyMap<string, PositionValue>,
): number {
  let bytes = 16;
  if (idempotency !== undefined) {
    bytes += 3 * (idempotency.key.length + idempotency.digest.length) + 32;
  }
  if (position === undefined) return bytes;
  const byPartition = typeof position === 'object' ? position : { '': position };
  for (const [partition, value] of Object.entries(byPartition)) {
    const texts = [partition, String(value), String(lastPosition.get(partition) ?? '')];
    bytes += 3 * texts.reduce((sum, text) => sum + text.length, 0) + 64;
  }
  return bytes;
}
