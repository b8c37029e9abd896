/** A clock that stands still until a test moves it. Starts no timer of the operating system.
 * @module */
import type { Clock, Timer } from '../../core/clock.ts';
import type { MonotonicMs, WallMs } from '../../core/ids.ts';

interface Alarm {
  readonly atMs: number;
  readonly callback: () => void;
}

export class ManualClock implements Clock {
  #nowMs: number;
  #alarms: Alarm[] = [];
  #waiting: { count: number; resolve: () => void }[] = [];

  /** @param startMs milliseconds since the epoch. */
  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  /** Milliseconds since the epoch. */
  wallMs(): WallMs {
    return this.#nowMs as WallMs;
  }

  /** The same: this clock never jumps. */
  monotonicMs(): MonotonicMs {
    return this.#nowMs as MonotonicMs;
  }

  /** Calls `callback` when the clock has been moved by `delayMs`. */
  after(delayMs: number, callback: () => void): Timer {
    const alarm = { atMs: this.#nowMs + delayMs, callback };
    this.#alarms.push(alarm);
    const cancel = (): void => {
      this.#alarms = this.#alarms.filter((other) => other !== alarm);
    };
    this.#waiting = this.#waiting.filter(({ count, resolve }) => {
      if (this.#alarms.length < count) return true;
      resolve();
      return false;
    });
    return { cancel };
  }

  /** Delays, from now, of the timers that are set. */
  get pendingMs(): number[] {
    return this.#alarms.map((alarm) => alarm.atMs - this.#nowMs).sort((a, b) => a - b);
  }

  /** Resolves when at least `count` timers are set. */
  async timers(count = 1): Promise<void> {
    if (this.#alarms.length >= count) return;
    await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
  }

  /** Moves time forward and calls what is due, in order. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      const [next] = this.#alarms
        .filter((alarm) => alarm.atMs <= untilMs)
        .sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#alarms = this.#alarms.filter((alarm) => alarm !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
    this.#nowMs = untilMs;
  }
}
