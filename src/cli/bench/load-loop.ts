/** Makes the records of one receiver at the speed it is told, and times their acknowledgements.
 *
 * Calls of `store` are not awaited one by one. All hand over the same array. Pacing is by deadlines
 * from the beginning of a phase: what a stall has delayed is made up for, as a real source would.
 * @module */
import type { Clock } from '../../core/clock.ts';
import { OutstandingCalls } from '../../sources/outstanding-calls.ts';
import type { LoadEnd, LoadOrder } from './load-protocol.ts';

export interface LoadLoopOptions {
  readonly clock: Clock;
  /** One call's records. */
  readonly lines: readonly string[];
  /** Stores them; resolves when they are acknowledged. @param position records so far. */
  readonly store: (lines: readonly string[], position: number) => Promise<void>;
  /** After other work of the thread. */
  readonly nextTurn: () => Promise<void>;
  /** Share of the time since the last call in which the thread was busy. */
  readonly busyShare: () => number;
  readonly onFailed: (error: unknown) => void;
}

export class LoadLoop {
  readonly #options: LoadLoopOptions;
  readonly #calls: OutstandingCalls;
  readonly #ackMs: number[] = [];
  #phase: LoadOrder['phase'] = 'full';
  #perMs = Infinity;
  #phaseStartedMs: number;
  /** Records sent since then. */
  #phaseRecords = 0;
  #position = 0;
  #timedCount = 0;
  #isStopped = false;
  #busyShare = 0;
  #half = { records: 0, ms: 0 };

  constructor(options: LoadLoopOptions) {
    this.#options = options;
    this.#calls = new OutstandingCalls(options.clock);
    this.#phaseStartedMs = options.clock.monotonicMs();
  }

  order({ phase, recordsPerSecond = Infinity }: LoadOrder): void {
    const nowMs = this.#options.clock.monotonicMs();
    const busyShare = this.#options.busyShare();
    if (phase === 'settle') this.#busyShare = busyShare; // full speed is over
    if (this.#phase === 'half') {
      this.#half = { records: this.#phaseRecords, ms: nowMs - this.#phaseStartedMs };
    }
    this.#phase = phase;
    this.#perMs = recordsPerSecond / 1_000;
    this.#phaseStartedMs = nowMs;
    this.#phaseRecords = 0;
    this.#calls.wake();
  }

  /** Runs until the order to end, and until everything is acknowledged then.
   * @returns `undefined` when it was stopped before. */
  async run(): Promise<Omit<LoadEnd, 'kind' | 'receiver'> | undefined> {
    while (!this.#isStopped && !this.#isEnding()) {
      const waitMs = this.#waitMs();
      if (waitMs > 0) await this.#calls.pause(waitMs);
      else {
        this.#send();
        await this.#options.nextTurn();
      }
    }
    while (!this.#calls.isEmpty && !this.#isStopped) await this.#calls.pause();
    if (this.#isStopped) return undefined;
    const { records: halfRecords, ms: halfMs } = this.#half;
    return { ackMs: this.#ackMs, busyShare: this.#busyShare, halfRecords, halfMs };
  }

  /** Makes no more records, and waits for nothing. */
  stop(): void {
    this.#isStopped = true;
    this.#calls.wake();
  }

  /** Never before one acknowledgement is timed, however slow the machine is. */
  #isEnding(): boolean {
    return this.#phase === 'end' && this.#timedCount > 0;
  }

  /** Until the next call is due: 0 now, Infinity when one has to be acknowledged first. */
  #waitMs(): number {
    if (this.#calls.isFull) return Infinity;
    if (this.#perMs === Infinity) return 0;
    const dueMs = this.#phaseStartedMs + this.#phaseRecords / this.#perMs;
    return Math.max(0, dueMs - this.#options.clock.monotonicMs());
  }

  #send(): void {
    const { clock, lines, store, onFailed } = this.#options;
    const isTimed = this.#phase === 'half' || this.#phase === 'end';
    if (isTimed) this.#timedCount += 1;
    const startedMs = clock.monotonicMs();
    this.#position += lines.length;
    this.#phaseRecords += lines.length;
    const onStored = (): void => {
      if (isTimed) this.#ackMs.push(clock.monotonicMs() - startedMs);
    };
    this.#calls.add(store(lines, this.#position).then(onStored, onFailed));
  }
}
