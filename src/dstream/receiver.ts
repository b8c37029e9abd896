/** The class that users implement to bring records in: the contract between a source and the
 * engine.
 *
 * A receiver lives in a receiver executor, a thread of its own. It owns its sockets and timers; the
 * engine owns blocks, log and acknowledgement. Mirrors Spark's `Receiver`, with promises in place
 * of blocking calls. Implemented by the host in workers/receiver-host.ts.
 * @module */
import type { DurabilityLevel, PositionValue } from '../blocks/block-ref.ts';
import { MillraceError } from '../core/errors.ts';

/** Last durable position of each partition of this input, merged over all its receivers. */
export type SourcePositions = Readonly<Record<string, PositionValue>>;

export interface StoreOptions {
  /** Names the last record of this call: per source partition, or one value for partition `''`. */
  readonly position?: PositionValue | SourcePositions;
  /** Makes a repeated delivery count once: `key` is the source's id of the message, `digest` a hash
   * of its content. Ask `claim` first. The newest `idempotencyKeysMax` keys are remembered. */
  readonly idempotency?: { readonly key: string; readonly digest: string };
}

/** Answer to a claim of an idempotency key. */
export type ClaimOutcome =
  | { readonly kind: 'new' } // store it now, with the same key and digest
  | { readonly kind: 'known'; readonly recordCount: number } // it is durable already: acknowledge
  | { readonly kind: 'conflict' }; // the key came before with another content

/** What the rate of a receiver (`maxRate`, backpressure) lets in. */
export interface RateAllowance {
  /** Records that may be stored now without a debt; `Infinity` where there is no rate. */
  readonly records: number;
  /** When `records` is 0: in how many milliseconds there is one more. */
  readonly waitMs: number;
}

/** What the engine gives to a receiver. */
export interface ReceiverHost<T> {
  readonly receiverIndex: number;
  readonly receiverCount: number;
  readonly durability: DurabilityLevel;
  readonly lastPosition: SourcePositions;
  readonly signal: AbortSignal;
  storeOne(record: T): void | Promise<void>;
  storeAll(records: readonly T[], options: StoreOptions): Promise<void>;
  claim(key: string, digest: string): Promise<ClaimOutcome>;
  isFull(): boolean;
  allowance(): RateAllowance;
  restart(reason: string, error?: unknown, delayMs?: number): void;
  reportError(message: string, error?: unknown): void;
  end(): void;
  tellAddress(address: string): void;
}

const hosts = new WeakMap<Receiver<never>, ReceiverHost<never>>();

/** Engine only: binds a receiver to its host before `onStart`. */
export function attachHost<T>(receiver: Receiver<T>, host: ReceiverHost<T>): void {
  hosts.set(receiver, host);
}

/** What becomes of a record that was under way when the process died.
 * `replayable`: the source is read again from the last durable position. `acknowledged`: it sends
 * again what nobody has acknowledged to it. `at-most-once`: it does neither. */
export interface SourceGuarantee {
  readonly delivery: 'replayable' | 'acknowledged' | 'at-most-once';
  /** Why, in words, for `millrace explain`. */
  readonly reason: string;
}

/** Of a receiver of the user's own: its code decides, and nothing runs it to find out. */
export const OWN_RECEIVER_GUARANTEE: SourceGuarantee = {
  delivery: 'acknowledged',
  reason:
    'as its receiver stores: with store(records, { position }) a source that is read again from ' +
    'there counts once, with store(records, …) what was not acknowledged comes again, and of ' +
    'store(record) the block that was not durable yet is gone',
};

export abstract class Receiver<T> {
  /** Begins to receive and returns soon; a rejection restarts the receiver. */
  abstract onStart(): void | Promise<void>;
  /** Ends receiving; when it returns, the receiver calls `store` no more. */
  abstract onStop(): void | Promise<void>;

  /** Stores one record, or all records of one call.
   *
   * `store(record)` puts it into the current block and is NOT durable; it returns a promise only
   * when the engine is full: await it before the next call (backpressure).
   * `store(records, options)` keeps the call's records inside one block, in order; when the promise
   * resolves they are durable at the input's level and registered: acknowledge the source then.
   * An empty array resolves at once.
   * @throws {MillraceError} RECORD_UNSUPPORTED, RECORD_TOO_LARGE: nothing of the call was stored.
   *   RECEIVER_STOPPED, BLOCK_REFUSED, WAL_POISONED: do not acknowledge. */
  protected store(records: readonly T[], options: StoreOptions): Promise<void>;
  protected store(record: T): void | Promise<void>;
  protected store(value: T | readonly T[], options?: StoreOptions): void | Promise<void> {
    if (options === undefined) return this.#host.storeOne(value as T);
    return this.#host.storeAll(value as readonly T[], options);
  }

  /** Asks whether records with this idempotency key, such as a message id, came before: store them
   * when it is new, acknowledge the source when it is known. While another delivery of the key
   * is in flight, the answer waits for its outcome. */
  protected claim(key: string, digest: string): Promise<ClaimOutcome> {
    return this.#host.claim(key, digest);
  }

  /** Stops this receiver and starts it again after `delayMs` (2,000 unless told). Returns at
   * once. */
  protected restart(reason: string, error?: unknown, delayMs?: number): void {
    this.#host.restart(reason, error, delayMs);
  }

  /** Reports a problem; receiving goes on. */
  protected reportError(message: string, error?: unknown): void {
    this.#host.reportError(message, error);
  }

  /** Says that the source has ended: this receiver will store nothing more. When all inputs of a
   * pipeline have ended, the run ends by itself. */
  protected end(): void {
    this.#host.end();
  }

  /** Says where this receiver can be reached, for the people who look at the run. */
  protected tellAddress(address: string): void {
    this.#host.tellAddress(address);
  }

  /** What the rate lets in now. `store` keeps to it by itself; a source that can choose how much it
   * asks for, and when, does better to ask for this much. */
  protected get allowance(): RateAllowance {
    return this.#host.allowance();
  }

  /** True while the engine takes no more records, for want of room or of rate: shed load or
   * wait. */
  protected get isFull(): boolean {
    return this.#host.isFull();
  }

  /** What a promise of `store(records, …)` means on this input. */
  protected get durability(): DurabilityLevel {
    return this.#host.durability;
  }

  /** Last durable positions, when this life of the receiver began: resume strictly after them. */
  protected get lastPosition(): SourcePositions {
    return this.#host.lastPosition;
  }

  /** 0 … receiverCount − 1 among the receivers of this input. */
  protected get receiverIndex(): number {
    return this.#host.receiverIndex;
  }

  protected get receiverCount(): number {
    return this.#host.receiverCount;
  }

  /** Aborted when this life of the receiver ends. */
  protected get signal(): AbortSignal {
    return this.#host.signal;
  }

  get #host(): ReceiverHost<T> {
    const host = hosts.get(this);
    if (host === undefined) {
      throw new MillraceError(
        'CONTEXT_STATE',
        'a Receiver stores records only between onStart and onStop',
      );
    }
    return host;
  }
}
