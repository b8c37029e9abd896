/** Who is held back because a disk is full, and until when.
 *
 *     a receiver log is short ──► its executor holds its own receivers back; told here
 *     the driver log is short ──► all receivers are held back, announced blocks wait at the gate;
 *                                 allocation, cleaning and checkpoints go on with the reserve
 *
 * So a full disk can be emptied: batches run, their segments are freed, and with room everybody
 * goes on without being told to. Decides nothing about files. One writer: the driver thread.
 * @module */
import { MillraceError } from '../core/errors.ts';
import type { EventBus } from '../core/events.ts';
import type { Shortage } from '../wal/shortage.ts';

/** The driver log among the executors' numbers. */
const DRIVER = -1;

export interface SpaceWatchOptions {
  readonly events: EventBus;
  /** Receivers of each executor, as events name them: `lines/0`. */
  readonly receivers: readonly (readonly string[])[];
  /** Tells all executors to hold their receivers back, or no more. */
  readonly onDriverHeld: (isHeld: boolean) => void;
}

interface Arrival {
  readonly resolve: () => void;
  readonly reject: (cause: Error) => void;
}

export class SpaceWatch {
  readonly #options: SpaceWatchOptions;
  readonly #short = new Map<number, Shortage>();
  #atGate: Arrival[] = [];
  #isClosed = false;

  constructor(options: SpaceWatchOptions) {
    this.#options = options;
  }

  get isDriverHeld(): boolean {
    return this.#short.has(DRIVER);
  }

  /** Receivers that take nothing now. */
  get heldReceivers(): readonly string[] {
    return [...this.#short.keys()].reduce<readonly string[]>(
      (held, log) => [...new Set([...held, ...this.#receiversOf(log)])],
      [],
    );
  }

  /** @param shortage `undefined`: there is room again, or the executor is gone. */
  ofReceiverLog(executorIndex: number, shortage: Shortage | undefined): void {
    this.#note(executorIndex, shortage);
  }

  ofDriverLog(shortage: Shortage | undefined): void {
    if (this.#isClosed || (shortage !== undefined) === this.isDriverHeld) return;
    this.#note(DRIVER, shortage);
    this.#options.onDriverHeld(this.isDriverHeld);
    if (this.isDriverHeld) return;
    for (const { resolve } of this.#atGate.splice(0)) resolve();
  }

  /** The gate before the driver log. @returns what to wait for, `undefined` when it is open. Who
   * waits goes on in the order of arrival. @throws (the promise) DISK_FULL at `close`. */
  admit(): Promise<void> | undefined {
    if (!this.isDriverHeld) return undefined;
    if (this.#isClosed) return Promise.reject(ended());
    return new Promise((resolve, reject) => this.#atGate.push({ resolve, reject }));
  }

  /** The engine ends: who waits was not registered, and will not be. */
  close(): void {
    this.#isClosed = true;
    for (const { reject } of this.#atGate.splice(0)) reject(ended());
  }

  #note(log: number, shortage: Shortage | undefined): void {
    if (this.#isClosed || (shortage !== undefined) === this.#short.has(log)) return;
    const receivers = this.#receiversOf(log);
    const { events } = this.#options;
    if (shortage !== undefined) {
      this.#short.set(log, shortage);
      events.emit({ type: 'sources-held', receivers, ...shortage });
      return;
    }
    const { directory } = this.#short.get(log) ?? { directory: '' };
    this.#short.delete(log);
    const held = new Set(this.heldReceivers);
    const released = receivers.filter((name) => !held.has(name));
    events.emit({ type: 'sources-released', receivers: released, directory });
  }

  #receiversOf(log: number): readonly string[] {
    const { receivers } = this.#options;
    return log === DRIVER ? receivers.flat() : (receivers[log] ?? []);
  }
}

function ended(): MillraceError {
  return new MillraceError(
    'DISK_FULL',
    'the engine ended before the full disk had room: the block is not registered',
  );
}
