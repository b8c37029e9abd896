/** Time, injected: the engine asks this interface and never the operating system.
 *
 * The only importer of real clocks and timers in the engine. Tests use a manual clock.
 * @module */
import type { MonotonicMs, WallMs } from './ids.ts';

/** A timer that has an owner: whoever holds it must `cancel()` it. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  wallMs(): WallMs;
  monotonicMs(): MonotonicMs;
  /** Calls `callback` once, `delayMs` from now (0 or more). */
  after(delayMs: number, callback: () => void): Timer;
}

/** The operating system's clock. */
export const systemClock: Clock = {
  wallMs: () => Date.now() as WallMs,
  monotonicMs: () => performance.now() as MonotonicMs,
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};
