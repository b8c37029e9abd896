/** How far a tool has come, as one line on standard error that is written over; only at a terminal,
 * and only when it takes longer than a moment. Owns no timer: it is told. @module */
import type { Clock } from '../../core/clock.ts';
import type { CliIo } from '../io.ts';

const FIRST_AFTER_MS = 400;
const EVERY_MS = 100;
const BAR_COLUMNS = 24;
const ERASE_LINE = '\r\u001B[K';

export interface ProgressTask {
  readonly name: string;
  /** What `done` will have reached in the end, in the same unit. */
  readonly total: number;
  /** How a count reads: `1.2 GiB`. */
  readonly format: (count: number) => string;
}

export class ProgressBar {
  readonly #io: CliIo;
  readonly #clock: Clock;
  readonly #task: ProgressTask;
  readonly #startedMs: number;
  #nextMs: number;
  #done = 0;
  #isShown = false;

  constructor(io: CliIo, clock: Clock, task: ProgressTask) {
    this.#io = io;
    this.#clock = clock;
    this.#task = task;
    this.#startedMs = clock.monotonicMs();
    this.#nextMs = this.#startedMs + FIRST_AFTER_MS;
  }

  advance(count: number): void {
    this.#done += count;
    if (!this.#io.isErrTerminal) return;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + EVERY_MS;
    this.#isShown = true;
    this.#io.err(`${ERASE_LINE}${this.#line(nowMs)}`);
  }

  /** Leaves the line empty. */
  close(): void {
    if (this.#isShown) this.#io.err(ERASE_LINE);
    this.#isShown = false;
  }

  #line(nowMs: number): string {
    const { name, total, format } = this.#task;
    const share = total === 0 ? 1 : Math.min(1, this.#done / total);
    const full = Math.round(share * BAR_COLUMNS);
    const bar = '█'.repeat(full) + '░'.repeat(BAR_COLUMNS - full);
    const seconds = (nowMs - this.#startedMs) / 1_000;
    const left = share === 0 ? '' : `, ${Math.ceil(seconds / share - seconds)} s left`;
    const text = `${name} ${bar} ${Math.floor(share * 100)} % of ${format(total)}${left}`;
    return text.slice(0, Math.max(0, this.#io.columns() - 1));
  }
}
