/** Orders to a simulated disk: which of its coming calls fail, and how. Knows no files.
 *
 * An order counts calls of its kind from the moment it is given. It strikes once, or, when sticky,
 * from the k-th call on for good. Where several are due, the newest one wins.
 * @module */

export type CallKind =
  | 'makeDirectory'
  | 'list'
  | 'create'
  | 'open'
  | 'read'
  | 'write'
  | 'sync'
  | 'syncDirectory'
  | 'rename'
  | 'unlink'
  | 'size'
  | 'close'
  | 'any';

/** What happens to a call that an order strikes.
 *
 * - `EIO`, `ENOSPC`, `EDQUOT`: it fails; a write has done a part of its work, a sync has lost what
 *   it was to make durable.
 * - `short`: a write takes a part and reports no error; any other call fails with EIO.
 * - `late`: a sync loses what it was to make durable and returns success; the NEXT sync of the file
 *   fails (as ext4 with data=journal may do it). Other calls are left alone.
 * - `flip`, `misdirect`: a read gives one wrong bit, or the bytes of a neighbouring sector. Other
 *   calls are left alone.
 * - `crash`: the machine stops in the middle of it; no call settles until the power cut. */
export type FaultEffect =
  | 'EIO'
  | 'ENOSPC'
  | 'EDQUOT'
  | 'short'
  | 'late'
  | 'flip'
  | 'misdirect'
  | 'crash';

export interface FaultOrder {
  readonly kind: CallKind;
  /** 1 is the next call of that kind. */
  readonly k: number;
  readonly effect: FaultEffect;
  readonly isSticky: boolean;
}

export class FaultPlan {
  #orders: { readonly order: FaultOrder; callsLeft: number }[] = [];

  add(order: FaultOrder): void {
    this.#orders.push({ order, callsLeft: order.k });
  }

  clear(): void {
    this.#orders = [];
  }

  /** Counts a call. @returns what is to happen to it; `undefined`: nothing. */
  strike(kind: CallKind): FaultEffect | undefined {
    if (this.#orders.length === 0) return undefined;
    let effect: FaultEffect | undefined;
    for (const due of this.#orders) {
      const { order } = due;
      if (order.kind !== kind && order.kind !== 'any') continue;
      due.callsLeft -= 1;
      const isDue = due.callsLeft === 0 || (due.callsLeft < 0 && order.isSticky);
      if (isDue && concerns(order.effect, kind)) effect = order.effect;
    }
    return effect;
  }
}

function concerns(effect: FaultEffect, kind: CallKind): boolean {
  if (effect === 'late') return kind === 'sync';
  if (effect === 'flip' || effect === 'misdirect') return kind === 'read';
  return true;
}
