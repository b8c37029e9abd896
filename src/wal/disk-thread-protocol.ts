/** What a disk thread and its owner tell each other.
 *
 *     owner    request ─► port, then rings the doorbell          thread    waits at the doorbell
 *              ◄─ reply over the same port                                 makes the calls in order
 *
 * The doorbell is one shared counter: the thread sleeps in Atomics.wait, which it leaves sooner
 * than an event loop would. It has none: nothing but calls of the disk ever runs on it.
 * @module */
import type { MessagePort } from 'node:worker_threads';
import type { WireError } from '../serde/wire-error.ts';
import type { CallName } from './system-calls.ts';

/** The one number of the doorbell: requests so far. The owner adds, the thread waits for more. */
export const DOORBELL_INDEX: number = 0;

export interface DiskThreadData {
  readonly port: MessagePort;
  readonly doorbell: Int32Array;
}

export interface DiskRequest {
  readonly id: number;
  /** A `CallOf` its name, whose memory is shared or a copy. */
  readonly call: {
    readonly name: CallName;
    readonly path: string;
    readonly args: readonly unknown[];
  };
}

/** `'end'`: make nothing more, and let the thread end. */
export type DiskMessage = DiskRequest | 'end';

/** Has `error` when the call failed. */
export interface DiskReply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: WireError;
}
