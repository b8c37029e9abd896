/** The identifiers that cross module and thread borders, branded so that none is taken for another.
 *
 * Knows nothing of how they are stored. A block's identity is (stream, receiver, incarnation, seq);
 * the driver issues incarnations as (epoch, n) and never reuses one, so a block id is never reused.
 * @module */

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** End of a batch's interval, in milliseconds since the epoch, a multiple of the batch interval. */
export type BatchTimeMs = Brand<number, 'BatchTimeMs'>;
/** Wall-clock time, milliseconds since the epoch. May jump; never used to order or to reclaim. */
export type WallMs = Brand<number, 'WallMs'>;
/** Monotonic time in milliseconds; only differences mean something. */
export type MonotonicMs = Brand<number, 'MonotonicMs'>;
/** Operator id of an input, equal in all threads and stable across restarts
 * (`httpTextStream-0`). */
export type StreamId = Brand<string, 'StreamId'>;
/** Log sequence number: 1, 2, 3 … without gaps within one log; 0 means "none yet". */
export type Lsn = Brand<number, 'Lsn'>;

/** One life of one receiver. A restarted receiver gets a new one; the driver never reuses one. */
export interface Incarnation {
  /** Epoch of the process, from MANIFEST: rises by one at every start. */
  readonly epoch: number;
  /** Counter within the epoch, from 1. */
  readonly n: number;
}

/** Identity of a block, chosen before its first store attempt, so that adding it is idempotent. */
export interface BlockId {
  readonly streamId: StreamId;
  readonly receiverIndex: number;
  readonly incarnation: Incarnation;
  /** From 0, without gaps within an incarnation. */
  readonly seq: number;
}

/** Text form of a block id, for map keys and messages: `lines-0/1/3.2/17`. */
export function blockKey(id: BlockId): string {
  return `${id.streamId}/${id.receiverIndex}/${id.incarnation.epoch}.${id.incarnation.n}/${id.seq}`;
}

/** Orders incarnations: negative when `a` was issued before `b`. */
export function compareIncarnations(a: Incarnation, b: Incarnation): number {
  return a.epoch - b.epoch || a.n - b.n;
}

/** Text form of one receiver of one input: `lines-0/1`. */
export function receiverKey(streamId: StreamId, receiverIndex: number): string {
  return `${streamId}/${receiverIndex}`;
}
