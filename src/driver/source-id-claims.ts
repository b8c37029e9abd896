/** Idempotency keys that are on their way: reserved by a delivery whose store has not settled yet.
 *
 * A second delivery of the key waits for the first one's outcome, so that two requests that cross
 * are never both taken, also on different receivers. Volatile: after a crash there are no
 * deliveries. Registered keys live in the tracker (source-id-window.ts). @module */
import type { Clock } from '../core/clock.ts';
import { MillraceError } from '../core/errors.ts';
import type { StreamId } from '../core/ids.ts';
import type { ClaimOutcome } from '../dstream/receiver.ts';
import type { ReceiverLife } from '../workers/protocol.ts';

/** How long a second delivery waits for the first. */
const WAIT_LIMIT_MS = 30_000;

interface Claim {
  readonly digest: string;
  readonly life: ReceiverLife;
  /** Deliveries that wait; called when the claim is settled or released. */
  readonly waiters: Set<() => void>;
}

export interface SourceIdClaimsOptions {
  readonly clock: Clock;
  readonly isCurrent: (life: ReceiverLife) => boolean;
  /** What the tracker knows of a registered key. */
  readonly known: (
    streamId: StreamId,
    key: string,
  ) => { readonly digest: string; readonly recordCount: number } | undefined;
}

export class SourceIdClaims {
  readonly #options: SourceIdClaimsOptions;
  readonly #claims = new Map<string, Claim>();

  constructor(options: SourceIdClaimsOptions) {
    this.#options = options;
  }

  /** Reserves `key` for a store of this life, or tells what became of it before.
   * @throws {MillraceError} BLOCK_REFUSED when the first delivery does not settle in time. */
  async claim(life: ReceiverLife, key: string, digest: string): Promise<ClaimOutcome> {
    const id = claimId(life.streamId, key);
    for (;;) {
      // A life that is over stores nothing more: nobody would settle its claim.
      if (!this.#options.isCurrent(life)) {
        throw new MillraceError('RECEIVER_STOPPED', 'this life of the receiver is over');
      }
      const known = this.#options.known(life.streamId, key);
      if (known !== undefined) {
        if (known.digest !== digest) return { kind: 'conflict' };
        return { kind: 'known', recordCount: known.recordCount };
      }
      const first = this.#claims.get(id);
      if (first === undefined) {
        this.#claims.set(id, { digest, life, waiters: new Set() });
        return { kind: 'new' };
      }
      if (first.digest !== digest) return { kind: 'conflict' };
      await this.#waitFor(first, key);
    }
  }

  /** The key is registered now, or its store failed: who waits asks again. */
  settle(streamId: StreamId, key: string): void {
    const id = claimId(streamId, key);
    const claim = this.#claims.get(id);
    if (claim === undefined) return;
    this.#claims.delete(id);
    for (const wake of claim.waiters) wake();
  }

  /** Settles all claims of lives for which `isOver` holds. */
  releaseLives(isOver: (life: ReceiverLife) => boolean): void {
    for (const [id, claim] of this.#claims) {
      if (!isOver(claim.life)) continue;
      this.#claims.delete(id);
      for (const wake of claim.waiters) wake();
    }
  }

  #waitFor(claim: Claim, key: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        timer.cancel();
        resolve();
      };
      const timer = this.#options.clock.after(WAIT_LIMIT_MS, () => {
        claim.waiters.delete(wake);
        const limit = `the first delivery of idempotency key ${key} has not settled`;
        reject(new MillraceError('BLOCK_REFUSED', `${limit} within ${WAIT_LIMIT_MS} ms`));
      });
      claim.waiters.add(wake);
    });
  }
}

function claimId(streamId: StreamId, key: string): string {
  return `${streamId}\n${key}`;
}
