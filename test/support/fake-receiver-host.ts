/** A stand-in for the engine around one receiver: it keeps what is stored, in the order of the
 * calls.
 *
 * `store` calls settle at once, or when the test says so (`hold`, `release`), or fail (`failWith`).
 * Claims follow the engine's rule: a second claim of a key waits for the outcome of the first.
 * Nothing here sleeps: `until` looks again each time something has happened. @module */
import type { DurabilityLevel } from '../../src/blocks/block-ref.ts';
import { toError } from '../../src/core/errors.ts';
import { attachHost } from '../../src/dstream/receiver.ts';
import type {
  ClaimOutcome,
  RateAllowance,
  Receiver,
  ReceiverHost,
  SourcePositions,
  StoreOptions,
} from '../../src/dstream/receiver.ts';

export interface StoreCall<T> {
  readonly records: readonly T[];
  readonly options: StoreOptions;
}

interface Claimed {
  readonly digest: string;
  readonly outcome: Promise<number | undefined>;
  readonly settle: (recordCount: number | undefined) => void;
}

interface HostSettings {
  readonly receiverIndex?: number;
  readonly receiverCount?: number;
  readonly durability?: DurabilityLevel;
  readonly lastPosition?: SourcePositions;
}

export class FakeReceiverHost<T> implements ReceiverHost<T> {
  readonly receiverIndex: number;
  readonly receiverCount: number;
  readonly durability: DurabilityLevel;
  readonly lastPosition: SourcePositions;
  readonly signal: AbortSignal = new AbortController().signal;
  /** Calls of `store(records, options)`. */
  readonly calls: StoreCall<T>[] = [];
  /** Records of `store(record)`. */
  readonly singles: T[] = [];
  readonly reports: string[] = [];
  readonly restarts: { reason: string; error: unknown }[] = [];
  /** While true, `store(record)` gives a promise that waits for `release`. */
  isSlow = false;
  isFullNow = false;
  allowanceNow: RateAllowance = { records: Infinity, waitMs: 0 };
  endCount = 0;
  readonly addresses: string[] = [];
  #isHolding = false;
  #failure: Error | undefined;
  #held: (() => void)[] = [];
  readonly #claims = new Map<string, Claimed>();
  #watchers: { condition: () => boolean; resolve: () => void }[] = [];

  constructor(receiver: Receiver<T>, settings: HostSettings = {}) {
    this.receiverIndex = settings.receiverIndex ?? 0;
    this.receiverCount = settings.receiverCount ?? 1;
    this.durability = settings.durability ?? 'sync';
    this.lastPosition = settings.lastPosition ?? {};
    attachHost(receiver, this);
  }

  /** `store` calls from now on wait for `release`. */
  hold(): void {
    this.#isHolding = true;
  }

  /** Settles the calls that wait (all, or the oldest `count`); with all, later ones wait no
   * more. */
  release(count = Infinity): void {
    if (count === Infinity) {
      this.#isHolding = false;
      this.isSlow = false;
    }
    for (const settle of this.#held.splice(0, count)) settle();
    this.#happened();
  }

  get heldCount(): number {
    return this.#held.length;
  }

  /** Every later `store(records)` rejects with this. */
  failWith(error: Error | undefined): void {
    this.#failure = error;
  }

  /** Resolves when the condition holds. */
  async until(condition: () => boolean): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve) => this.#watchers.push({ condition, resolve }));
  }

  storeOne(record: T): void | Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.singles.push(record);
    this.#happened();
    if (!this.isSlow) return undefined;
    return this.#waitForRelease();
  }

  async storeAll(records: readonly T[], options: StoreOptions): Promise<void> {
    this.calls.push({ records, options });
    this.#happened();
    const claim = this.#claims.get(options.idempotency?.key ?? '');
    try {
      if (this.#isHolding) await this.#waitForRelease();
      if (this.#failure !== undefined) throw this.#failure;
      claim?.settle(records.length);
    } catch (error) {
      claim?.settle(undefined);
      throw toError(error);
    } finally {
      this.#happened();
    }
  }

  async claim(key: string, digest: string): Promise<ClaimOutcome> {
    for (;;) {
      const earlier = this.#claims.get(key);
      if (earlier === undefined) break;
      if (earlier.digest !== digest) return { kind: 'conflict' };
      const recordCount = await earlier.outcome;
      if (recordCount !== undefined) return { kind: 'known', recordCount };
      if (this.#claims.get(key) === earlier) this.#claims.delete(key);
    }
    let settle: Claimed['settle'] = () => {};
    const outcome = new Promise<number | undefined>((resolve) => (settle = resolve));
    this.#claims.set(key, { digest, outcome, settle });
    return { kind: 'new' };
  }

  allowance(): RateAllowance {
    return this.allowanceNow;
  }

  isFull(): boolean {
    return this.isFullNow;
  }

  restart(reason: string, error?: unknown): void {
    this.restarts.push({ reason, error });
    this.#happened();
  }

  reportError(message: string, error?: unknown): void {
    this.reports.push(error === undefined ? message : `${message} (${toError(error).message})`);
    this.#happened();
  }

  tellAddress(address: string): void {
    this.addresses.push(address);
  }

  end(): void {
    this.endCount += 1;
    this.#happened();
  }

  async #waitForRelease(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#held.push(resolve);
      this.#happened();
    });
  }

  #happened(): void {
    this.#watchers = this.#watchers.filter(({ condition, resolve }) => {
      if (!condition()) return true;
      resolve();
      return false;
    });
  }
}
