/** How far a run has come and how long it will still take: a bar at a terminal, which moves also
 * within a sample; a line for each sample otherwise. Owns one timer while a sample is taken.
 * @module */
import type { Clock, Timer } from '../../core/clock.ts';
import type { CliIo } from '../io.ts';
import { ProgressBar } from '../wal/progress-bar.ts';
import { spanText } from './ms-text.ts';

const STEP_MS = 250;

export interface Step {
  /** What is done in it. */
  readonly text: string;
  /** How long that should take. */
  readonly expectedMs: number;
}

export interface ProgressPlan {
  /** Of the command, before the bar. */
  readonly name: string;
  /** Of everything, as expected. */
  readonly totalMs: number;
}

export class BenchProgress {
  readonly #io: CliIo;
  readonly #clock: Clock;
  readonly #bar: ProgressBar;
  readonly #startedMs: number;
  /** Of everything, as expected. */
  readonly #totalMs: number;
  /** Of the steps that are over, as expected. */
  #doneMs = 0;
  #step: { readonly expectedMs: number; shownMs: number } | undefined;
  #timer: Timer | undefined;

  constructor(io: CliIo, clock: Clock, { name, totalMs }: ProgressPlan) {
    this.#io = io;
    this.#clock = clock;
    this.#totalMs = totalMs;
    this.#startedMs = clock.monotonicMs();
    this.#bar = new ProgressBar(io, clock, { name, total: totalMs, format: spanText });
  }

  begin({ text, expectedMs }: Step): void {
    this.#end();
    this.#step = { expectedMs, shownMs: 0 };
    if (this.#io.isErrTerminal) this.#move();
    else this.#io.err(`${text} (${spanText(this.#leftMs())} left)\n`);
  }

  /** Says something at once; at a terminal the bar goes on below it. @param text one line. */
  note(text: string): void {
    this.#bar.close();
    this.#io.err(`${text}\n`);
  }

  /** Everything is done, or given up. */
  close(): void {
    this.#end();
    this.#bar.close();
  }

  #end(): void {
    this.#timer?.cancel();
    if (this.#step === undefined) return;
    const { expectedMs, shownMs } = this.#step;
    this.#doneMs += expectedMs;
    this.#bar.advance(expectedMs - shownMs);
    this.#step = undefined;
  }

  #move(): void {
    this.#timer = this.#clock.after(STEP_MS, () => {
      const step = this.#step;
      if (step === undefined) return;
      const moveMs = Math.min(STEP_MS, step.expectedMs - step.shownMs);
      step.shownMs += moveMs;
      this.#bar.advance(moveMs);
      this.#move();
    });
  }

  /** As slow, compared to what was expected, as it was so far. */
  #leftMs(): number {
    const passedMs = this.#clock.monotonicMs() - this.#startedMs;
    const slowness = this.#doneMs === 0 ? 1 : passedMs / this.#doneMs;
    return Math.max(0, this.#totalMs - this.#doneMs) * slowness;
  }
}
