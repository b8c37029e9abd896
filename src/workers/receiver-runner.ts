/** Runs one receiver of one input through its lives, inside a receiver executor.
 *
 * A life has an incarnation, positions to resume from, a block generator and a host object for the
 * user's receiver. When a life ends by failure or by `restart`, its stores settle first, then the
 * driver issues a new incarnation, then a new receiver object starts. Mirrors Spark's
 * ReceiverSupervisor; the order at stop differs: receiver, generator, drain, and only then the log.
 *
 *   starting ─► running ─► ending ─► (delay) ─► starting … ─► stopped
 *
 * @module */
import type { DurabilityLevel } from '../blocks/block-ref.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { MillraceError, toError } from '../core/errors.ts';
import { attachHost } from '../dstream/receiver.ts';
import type { ClaimOutcome, Receiver, ReceiverHost } from '../dstream/receiver.ts';
import { toWireError } from '../serde/wire-error.ts';
import type { BlockGenerator } from './block-generator.ts';
import type { DriverCallbacks, ReceiverEvent, ReceiverLife } from './protocol.ts';
import type { RateGate } from './rate-gate.ts';

/** How long `onStart` and `onStop` may take. */
const CALL_LIMIT_MS = 20_000;
const RESTART_DELAY_MS = 2_000;
const RESTART_DELAY_MAX_MS = 30_000;
/** A refused block means that the driver knows better: come back with its positions at once. */
const REFUSED_DELAY_MS = 50;

export interface ReceiverRunnerOptions {
  /** Makes the user's object; once for each life. */
  readonly newReceiver: () => Promise<Receiver<unknown>>;
  readonly durability: DurabilityLevel;
  readonly clock: Clock;
  readonly driver: DriverCallbacks;
  readonly rate: Pick<RateGate, 'allowance'>;
  /** A generator for one life. @param onBroken called when a block of it failed. */
  readonly newGenerator: (life: ReceiverLife, onBroken: (cause: Error) => void) => BlockGenerator;
}

export class ReceiverRunner {
  readonly #options: ReceiverRunnerOptions;
  #life: ReceiverLife;
  #state: 'starting' | 'running' | 'ending' | 'stopped' = 'starting';
  #receiver: Receiver<unknown> | undefined;
  #generator: BlockGenerator | undefined;
  #abort = new AbortController();
  #failuresInARow = 0;
  #address: string | undefined;
  #restartTimer: Timer | undefined;
  /** The beginning or end of a life under way; a stop waits for it. */
  #ending: Promise<void> = Promise.resolve();

  constructor(life: ReceiverLife, options: ReceiverRunnerOptions) {
    this.#life = life;
    this.#options = options;
  }

  /** Begins the first life. A failing `onStart` is reported and tried again, never thrown. */
  async start(): Promise<void> {
    const begun = this.#begin(this.#life);
    this.#ending = begun;
    await begun;
  }

  /** Ends receiving for good: the receiver stops, its last block is cut and settled. */
  async stop(): Promise<void> {
    const wasRunning = this.#state === 'running' || this.#state === 'starting';
    this.#state = 'stopped';
    this.#restartTimer?.cancel();
    this.#abort.abort();
    await this.#ending;
    if (wasRunning) await this.#endLife();
    await this.#event({ kind: 'stopped' });
  }

  async #begin(life: ReceiverLife): Promise<void> {
    this.#life = life;
    this.#state = 'starting';
    this.#abort = new AbortController();
    this.#receiver = undefined;
    this.#generator = this.#options.newGenerator(life, (cause) => {
      this.#restart('a block failed', cause, REFUSED_DELAY_MS);
    });
    try {
      const receiver = await this.#options.newReceiver();
      if (!this.#isStarting()) return;
      this.#receiver = receiver;
      attachHost(receiver, this.#host(life, this.#generator, this.#abort.signal));
      await this.#inTime('onStart', receiver.onStart());
    } catch (error) {
      if (!this.#isStarting()) return;
      this.#failuresInARow += 1;
      // Told before the start is answered: the answer has its own channel and would overtake it.
      await this.#event({ kind: 'error', message: 'onStart failed', error: toWireError(error) });
      this.#restart('onStart failed', undefined, this.#backoffMs());
      return;
    }
    if (!this.#isStarting()) return;
    this.#state = 'running';
    this.#failuresInARow = 0;
    const address = this.#address === undefined ? {} : { address: this.#address };
    await this.#event({ kind: 'started', ...address });
  }

  #backoffMs(): number {
    return Math.min(RESTART_DELAY_MS * 2 ** (this.#failuresInARow - 1), RESTART_DELAY_MAX_MS);
  }

  #restart(reason: string, error: Error | undefined, delayMs: number): void {
    if (this.#state === 'ending' || this.#state === 'stopped') return;
    this.#state = 'ending';
    this.#ending = this.#endAndBeginAgain(reason, error, delayMs);
  }

  async #endAndBeginAgain(reason: string, error: Error | undefined, delayMs: number) {
    if (error !== undefined) {
      await this.#event({ kind: 'error', message: reason, error: toWireError(error) });
    }
    await this.#event({ kind: 'restarting', reason, delayMs });
    await this.#endLife();
    if (this.#isStopped()) return;
    this.#restartTimer = this.#options.clock.after(delayMs, () => {
      this.#ending = this.#renew();
    });
  }

  async #renew(): Promise<void> {
    if (this.#isStopped()) return;
    try {
      const life = await this.#options.driver.renewLife(this.#life);
      if (this.#isStopped()) return;
      await this.#begin(life);
    } catch (error) {
      // Only a driver that is ending or gone refuses a new life; it stops this thread next.
      await this.#event({ kind: 'error', message: 'no new life', error: toWireError(error) });
    }
  }

  async #endLife(): Promise<void> {
    this.#abort.abort();
    try {
      await this.#inTime('onStop', this.#receiver?.onStop());
    } catch (error) {
      await this.#event({ kind: 'error', message: 'onStop failed', error: toWireError(error) });
    }
    await this.#generator?.stop();
  }

  /** The user's own functions are waited for, and not for ever. */
  async #inTime(name: string, running: void | Promise<void>): Promise<void> {
    let timer: Timer | undefined;
    const limit = new Promise<never>((_, reject) => {
      timer = this.#options.clock.after(CALL_LIMIT_MS, () => {
        const message = `${name} has not returned within ${CALL_LIMIT_MS} ms; it must start or end`;
        reject(new MillraceError('RECEIVER_FAILED', `${message} receiving and return`));
      });
    });
    try {
      await Promise.race([running, limit]);
    } finally {
      timer?.cancel();
    }
  }

  /** The state changes between awaits; methods keep the compiler from remembering it. */
  #isStarting(): boolean {
    return this.#state === 'starting';
  }

  #isStopped(): boolean {
    return this.#state === 'stopped';
  }

  async #event(event: ReceiverEvent): Promise<void> {
    await this.#options.driver.receiverEvent(this.#life, event);
  }

  #report(message: string, error: unknown): void {
    const wire = error === undefined ? {} : { error: toWireError(error) };
    this.#notify({ kind: 'error', message, ...wire });
  }

  /** Sends an event whose delivery nobody waits for; only a dead driver fails to take it. */
  #notify(event: ReceiverEvent): void {
    this.#event(event).catch(() => this.#abort.abort());
  }

  #host(life: ReceiverLife, generator: BlockGenerator, signal: AbortSignal): ReceiverHost<unknown> {
    const { driver, durability } = this.#options;
    return {
      receiverIndex: life.receiverIndex,
      receiverCount: life.receiverCount,
      durability,
      lastPosition: life.lastPosition,
      signal,
      storeOne: (record) => generator.storeOne(record),
      storeAll: (records, options) => {
        const { idempotency } = options;
        if (idempotency === undefined) return generator.storeAll(records, options);
        return releaseUnregistered(() => generator.storeAll(records, options), {
          count: records.length,
          release: () => driver.releaseClaim(life, idempotency.key),
        });
      },
      claim: (key, digest): Promise<ClaimOutcome> => driver.claim(life, key, digest),
      isFull: () => generator.isFull,
      allowance: () => this.#options.rate.allowance,
      restart: (reason, error, delayMs = RESTART_DELAY_MS) => {
        if (signal.aborted) return; // a life that is over has no say in the next one
        this.#restart(reason, error === undefined ? undefined : toError(error), delayMs);
      },
      reportError: (message, error) => this.#report(message, error),
      tellAddress: (address) => {
        this.#address = address;
      },
      end: () => {
        if (!signal.aborted) this.#notify({ kind: 'ended' });
      },
    };
  }
}

/** A store whose key was claimed gives the claim back when it registers nothing. */
async function releaseUnregistered(
  store: () => Promise<void>,
  claimed: { readonly count: number; readonly release: () => Promise<void> },
): Promise<void> {
  let isRegistered = false;
  try {
    await store();
    // An empty call registers nothing, so its claim ends here too.
    isRegistered = claimed.count > 0;
  } finally {
    if (!isRegistered) await claimed.release();
  }
}
