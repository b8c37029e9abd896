/** Calls of the user's own functions in a simulated process, which may wait for real things.
 *
 * While such a function runs, or waits for something outside, the simulation stands still: what it
 * does is over before anything else happens, so the same seed gives the same history, and no kill
 * comes in the middle of it. One that waits for the engine, as `collect` does, may be killed there.
 * @module */
import { systemClock } from '../../core/clock.ts';
import { MillraceError } from '../../core/errors.ts';
import { Lane } from '../sim-scheduler.ts';
import type { SimScheduler, SimThread } from '../sim-scheduler.ts';

/** A function that has not come back after so long is taken for one that never does. */
const CALL_MS_MAX = 10_000;

/** One call that is under way. */
export interface UserCall {
  readonly name: string;
  readonly thread: SimThread;
  readonly lane: Lane;
  /** Questions to the engine that are open. */
  questionCount: number;
}

export class UserCalls {
  readonly #scheduler: SimScheduler;
  readonly #underWay = new Set<UserCall>();
  #wake: () => void = () => {};

  constructor(scheduler: SimScheduler) {
    this.#scheduler = scheduler;
  }

  /** A call waits for something that is not simulated. */
  get isOutside(): boolean {
    for (const { questionCount } of this.#underWay) if (questionCount === 0) return true;
    return false;
  }

  /** Calls `fn` on the present thread. Its outcome is an event of the simulation, before which the
   * process may die: then it has had its effect, and the engine does not know. */
  run<T>(name: string, fn: (call: UserCall) => T | PromiseLike<T>): Promise<T> {
    const { current: thread } = this.#scheduler;
    const lane = new Lane(`${name} of ${thread.name}`, thread);
    const call: UserCall = { name, thread, lane, questionCount: 0 };
    this.#underWay.add(call);
    return new Promise((resolve, reject) => {
      const end = (label: string, settle: () => void): void => {
        this.#underWay.delete(call);
        this.#scheduler.post(lane, label, settle);
        this.#wake();
      };
      new Promise<T>((done) => done(fn(call))).then(
        (value) => end('has returned', () => resolve(value)),
        (error: unknown) =>
          end('has thrown', () =>
            reject(error instanceof Error ? error : new Error(String(error))),
          ),
      );
    });
  }

  /** Asks the engine, for a call: an event of its own, whenever the function asks. */
  ask<T>(call: UserCall, label: string, ask: () => Promise<T>): Promise<T> {
    call.questionCount += 1;
    return new Promise<T>((resolve, reject) => {
      this.#scheduler.post(call.lane, label, () => {
        ask().then(resolve, reject);
      });
    }).finally(() => {
      call.questionCount -= 1;
    });
  }

  /** Forgets those whose thread died while they waited for it. */
  bury(): void {
    for (const call of this.#underWay) {
      if (!call.thread.isAlive && call.questionCount > 0) this.#underWay.delete(call);
    }
  }

  /** Resolves when no call waits for something outside.
   * @throws {MillraceError} OUTPUT_FAILED when one takes too long. */
  async settled(): Promise<void> {
    while (this.isOutside) {
      let limit = { cancel: (): void => {} };
      const isLate = await new Promise<boolean>((resolve) => {
        this.#wake = () => resolve(false);
        limit = systemClock.after(CALL_MS_MAX, () => resolve(true));
      });
      limit.cancel();
      this.#wake = () => {};
      if (isLate) throw this.#late();
    }
  }

  #late(): MillraceError {
    const names = [...this.#underWay].filter((call) => call.questionCount === 0);
    return new MillraceError(
      'OUTPUT_FAILED',
      `${names.map(({ name }) => name).join(', ')}: the call has not come back after ` +
        `${CALL_MS_MAX / 1000} seconds; it waits for something that never happens`,
    );
  }
}
