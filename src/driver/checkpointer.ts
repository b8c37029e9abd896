/** Writes checkpoints (R7), and says after each what may be forgotten (R8).
 *
 * Requests coalesce: one write at a time, always of the newest state, at most one in each
 * checkpoint interval unless forced; what can wait is written once a second. The state is packed at
 * once, in one turn of the event loop, so it is one moment of the engine. A full disk is no
 * failure: the older checkpoints stand, so nothing is cleaned, and the next try comes by itself,
 * ever later. What may be forgotten follows from the OLDEST kept checkpoint: falling back to it
 * must still work.
 * @module */
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { reached } from '../core/crash-point.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { EventBus } from '../core/events.ts';
import type { Lsn } from '../core/ids.ts';
import type { StatePointer } from './state-snapshots.ts';

/** One moment of the engine. */
export interface Snapshot {
  readonly payload: Uint8Array;
  /** All batches up to this time are done in it, and keyed state that it points to has them. */
  readonly settledThroughMs: number;
  readonly appliedLsn: Lsn;
  /** The snapshot of keyed state that it points to. */
  readonly stateSnapshot?: StatePointer | undefined;
}

/** What the oldest kept checkpoint no longer needs. */
export interface Forgettable {
  readonly settledThroughMs: number;
  /** Driver events up to this one are in every kept checkpoint. */
  readonly appliedLsn: Lsn;
  /** Older snapshots of keyed state are pointed to by none. */
  readonly stateSnapshot?: StatePointer | undefined;
}

export interface CheckpointerOptions {
  readonly store: CheckpointStore;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly intervalMs: number;
  /** For requests that can wait. @defaultValue a second */
  readonly idleIntervalMs?: number;
  /** How many checkpoints the store keeps. */
  readonly keep: number;
  /** Before each one. Throws when the directory is another process's. */
  readonly check: () => Promise<void>;
  readonly takeSnapshot: () => Snapshot;
  readonly onForgettable: (facts: Forgettable) => Promise<void>;
  /** The disk has no room for a checkpoint. @returns true when some was made for it. */
  readonly makeRoom?: () => Promise<boolean>;
  /** A checkpoint could not be written. Called at most once. */
  readonly onFailed: (error: Error) => void;
}

/** After the last one, for what a start finds out as well without a new one. */
const IDLE_INTERVAL_MS = 1_000;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 30_000;

export class Checkpointer {
  readonly #options: CheckpointerOptions;
  /** Facts of the checkpoints this run has written and the store still keeps, oldest first. */
  readonly #kept: Forgettable[] = [];
  #state: 'idle' | 'waiting' | 'writing' | 'closed' = 'idle';
  /** The shortest time after the last one that a request while it was written asked for. */
  #wantedAfterMs: number | undefined;
  /** When the timer of a request fires; nothing comes before a new try on a full disk. */
  #dueMs = -Infinity;
  #lastStartMs = -Infinity;
  #retryMs = RETRY_MS;
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: CheckpointerOptions) {
    this.#options = options;
  }

  /** Asks for a checkpoint of the state as it will be when its turn comes.
   * @param canWait nothing would be done twice without it: at most one a second. */
  request(canWait = false): void {
    const { intervalMs, idleIntervalMs = IDLE_INTERVAL_MS } = this.#options;
    this.#requestAfter(canWait ? Math.max(intervalMs, idleIntervalMs) : intervalMs);
  }

  #requestAfter(afterMs: number): void {
    const dueMs = this.#lastStartMs + afterMs;
    if (this.#state === 'writing') {
      this.#wantedAfterMs = Math.min(afterMs, this.#wantedAfterMs ?? Infinity);
    } else if (this.#state === 'idle' || (this.#state === 'waiting' && dueMs < this.#dueMs)) {
      this.#beginAt(dueMs);
    }
  }

  #beginAt(dueMs: number): void {
    const { clock } = this.#options;
    this.#timer?.cancel();
    const waitMs = dueMs - clock.monotonicMs();
    if (waitMs <= 0) return this.#begin();
    this.#state = 'waiting';
    this.#dueMs = dueMs;
    this.#timer = clock.after(waitMs, () => this.#begin());
  }

  /** Writes a checkpoint of the state as it is now. @throws when it cannot be written; after
   * DISK_FULL it may be tried again. */
  async force(): Promise<void> {
    // A write that ends may begin the next one at once, which was asked for meanwhile.
    while (this.#state === 'writing') await this.#writing;
    this.#timer?.cancel();
    if (this.#state === 'closed') return; // by a failure that has been told
    this.#state = 'writing';
    const written = this.#write();
    this.#writing = written.then(
      () => this.#next(),
      (error: unknown) => {
        this.#state = isFull(error) ? 'idle' : 'closed';
      },
    );
    await written;
  }

  /** Ends the timer; a write under way is waited for. */
  async close(): Promise<void> {
    this.#state = 'closed';
    this.#timer?.cancel();
    await this.#writing;
  }

  #begin(): void {
    if (this.#state === 'closed') return;
    this.#state = 'writing';
    this.#writing = this.#write().then(
      () => this.#next(),
      (thrown: unknown) => {
        const error = toError(thrown);
        if (isFull(error)) return this.#postpone(error);
        this.#state = 'closed';
        this.#options.onFailed(error);
      },
    );
  }

  /** A forced write may come first, or `close`. */
  #postpone(error: Error): void {
    if (this.#state !== 'writing') return;
    const { clock, events } = this.#options;
    const retryMs = this.#retryMs;
    this.#retryMs = Math.min(2 * retryMs, RETRY_MS_MAX);
    events.emit({ type: 'checkpoint-postponed', error: error.message, retryMs });
    this.#state = 'waiting';
    this.#dueMs = -Infinity;
    this.#timer = clock.after(retryMs, () => this.#begin());
  }

  #next(): void {
    if (this.#state !== 'writing') return;
    this.#state = 'idle';
    if (this.#wantedAfterMs !== undefined) this.#requestAfter(this.#wantedAfterMs);
  }

  async #write(): Promise<void> {
    const { clock, events, check, takeSnapshot, keep } = this.#options;
    this.#wantedAfterMs = undefined;
    this.#lastStartMs = clock.monotonicMs();
    await check();
    const { payload, ...facts } = takeSnapshot();
    reached('R7.before');
    const { seq } = await this.#store(payload);
    this.#retryMs = RETRY_MS;
    reached('R7.after');
    events.emit({ type: 'checkpoint-written', seq, bytes: payload.byteLength });
    this.#kept.push(facts);
    // Until this run has written them all, the store still keeps an older one of another run.
    if (this.#kept.length < keep) return;
    if (this.#kept.length > keep) this.#kept.shift();
    const [oldest] = this.#kept;
    if (oldest !== undefined) await this.#options.onForgettable(oldest);
  }

  /** Once more when room was made for it. */
  async #store(payload: Uint8Array): Promise<{ seq: number }> {
    const { store, makeRoom } = this.#options;
    try {
      return await store.write(payload);
    } catch (thrown) {
      if (!isFull(thrown) || makeRoom === undefined || !(await makeRoom())) throw thrown;
      return store.write(payload);
    }
  }
}

function isFull(thrown: unknown): boolean {
  return thrown instanceof MillraceError && thrown.code === 'DISK_FULL';
}
