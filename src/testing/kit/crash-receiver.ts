/** The receiver that stands in for a pipeline's own input in a crash test: takes what the world
 * sends, asks whether it came before, stores it and acknowledges. Mirrors what the HTTP input does
 * with an idempotency key.
 * @module */
import { MillraceError } from '../../core/errors.ts';
import { Receiver } from '../../dstream/receiver.ts';
import { Lane } from '../sim-scheduler.ts';
import type { SimScheduler, SimThread } from '../sim-scheduler.ts';
import { STORE_REFUSALS } from '../trouble-codes.ts';

/** Some records that are sent together, and again until they are acknowledged. */
export interface Delivery {
  readonly key: string;
  readonly records: readonly unknown[];
  isAcknowledged: boolean;
}

export interface CrashReceiverHooks {
  readonly onStart: () => void;
  readonly onStop: () => void;
  readonly onAcknowledged: (delivery: Delivery) => void;
  readonly onProblem: (problem: string, error: unknown) => void;
}

export class CrashReceiver extends Receiver<unknown> {
  readonly thread: SimThread;
  readonly #scheduler: SimScheduler;
  readonly #hooks: CrashReceiverHooks;
  readonly #lane: Lane;

  constructor(scheduler: SimScheduler, hooks: CrashReceiverHooks) {
    super();
    this.#scheduler = scheduler;
    this.#hooks = hooks;
    this.thread = scheduler.current;
    this.#lane = new Lane(`source to ${this.thread.name}`, this.thread);
  }

  onStart(): void {
    this.#hooks.onStart();
  }

  onStop(): void {
    this.#hooks.onStop();
  }

  take(delivery: Delivery): void {
    this.#scheduler.post(this.#lane, `send ${delivery.key}`, () => {
      if (!this.signal.aborted) void this.#deliver(delivery);
    });
  }

  async #deliver(delivery: Delivery): Promise<void> {
    const { key, records } = delivery;
    const { thread } = this;
    try {
      const claim = await this.claim(key, key);
      if (claim.kind === 'new') {
        await this.store(records, { idempotency: { key, digest: key } });
      } else if (claim.kind === 'conflict' || claim.recordCount !== records.length) {
        const answer = JSON.stringify(claim);
        this.#hooks.onProblem(`the claim of ${key} was answered`, new Error(answer));
      }
      if (thread.isAlive) this.#hooks.onAcknowledged(delivery);
    } catch (error) {
      if (!thread.isAlive || (error instanceof MillraceError && STORE_REFUSALS.has(error.code)))
        return;
      this.#hooks.onProblem(`${key} could not be stored`, error);
    }
  }
}
