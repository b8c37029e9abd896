/** Registers blocks, allocates them to batches, and decides what is a repetition: R2, R4 and R8.
 *
 * Every change is logged first and applied when it is durable (`applyEvent`). Decisions about a new
 * block look at the state AND at adds still on their way to the log, so that two deliveries that
 * cross are not both taken. While the driver's disk is full, adds wait (`admit`); allocations and
 * cleanings do not: they are what makes room. The log resolves appends in call order, so events
 * apply in log order. One writer: the driver thread. @module */
import type { BlockInfo, PositionValue } from '../blocks/block-ref.ts';
import { assert } from '../core/assert.ts';
import { reached } from '../core/crash-point.ts';
import type { BatchTimeMs, BlockId, Lsn, StreamId } from '../core/ids.ts';
import type { SourcePositions } from '../dstream/receiver.ts';
import type { Codec } from '../serde/codec.ts';
import type { AddOutcome } from '../workers/protocol.ts';
import { encodeEvent } from './tracker-events.ts';
import { applyEvent, isRegistered, mapAt } from './tracker-state.ts';
import type { BatchShare, TrackerEvent, TrackerState } from './tracker-state.ts';

/** The driver log as the tracker sees it. */
export interface EventLog {
  /** Resolves, in call order, when the payload is durable. Rejects for good when the log fails.
   * @param isMirrored only after the log's mirror, where there is one, witnesses it too. */
  append(payload: Uint8Array, isMirrored?: boolean): Promise<{ readonly lsn: Lsn }>;
}

export interface BlockTrackerOptions {
  readonly state: TrackerState;
  readonly log: EventLog;
  readonly codec: Codec;
  /** False for a block of an earlier life of its receiver. */
  readonly isCurrent: (id: BlockId) => boolean;
  /** What a new block has to wait for before it may be logged; `undefined`: nothing. Who waits
   * goes on in the order of the calls. */
  readonly admit?: () => Promise<void> | undefined;
  /** Claims of these keys are settled: they are registered now. */
  readonly onRegistered: (block: BlockInfo) => void;
}

export class BlockTracker {
  readonly #options: BlockTrackerOptions;
  readonly #pendingIds = new Map<StreamId, Set<string>>();
  /** Positions of adds under way, over those of the state. */
  readonly #pendingPositions = new Map<StreamId, Map<string, PositionValue>>();
  #appliedLsn: Lsn;
  #pendingAdds = 0;

  /** @param appliedLsn LSN of the last event in `options.state`. */
  constructor(appliedLsn: Lsn, options: BlockTrackerOptions) {
    this.#appliedLsn = appliedLsn;
    this.#options = options;
  }

  /** Read only. Changes between awaits. */
  get state(): TrackerState {
    return this.#options.state;
  }

  /** LSN of the last event that is applied to the state. */
  get appliedLsn(): Lsn {
    return this.#appliedLsn;
  }

  get hasPendingAdds(): boolean {
    return this.#pendingAdds > 0;
  }

  /** R2: registers a block, durably.
   * @throws {MillraceError} DISK_FULL: the engine ended while the block waited for room, and it is
   *   not registered. WAL_POISONED: whether it is registered is unknown until the restart. */
  async add(block: BlockInfo): Promise<AddOutcome> {
    // First: a later life's mark says nothing of whether this block was registered.
    if (!this.#options.isCurrent(block.blockId)) {
      return { kind: 'refused', reason: 'it belongs to an earlier life of its receiver' };
    }
    if (isRegistered(this.state, block.blockId)) return { kind: 'added' };
    const reason = this.#refusal(block);
    if (reason !== undefined) return { kind: 'refused', reason };
    this.#setPending(block);
    this.#pendingAdds += 1;
    try {
      // A full disk is left to allocation, cleaning and checkpoints: they are what empties it.
      const admitted = this.#options.admit?.();
      if (admitted !== undefined) await admitted;
      reached('R2.before');
      await this.#logAndApply({ type: 'block-added', block });
      reached('R2.after');
    } finally {
      this.#pendingAdds -= 1;
      this.#clearPending(block);
    }
    this.#options.onRegistered(block);
    return { kind: 'added' };
  }

  /** R4: fixes a batch's share. Durable, and only then taken from the queues, when it resolves. */
  async allocate(share: BatchShare): Promise<void> {
    assert(share.batchTimeMs > this.state.lastAllocatedMs, 'a batch was allocated twice');
    reached('R4.before');
    await this.#logAndApply({ type: 'batch-allocated', share });
    reached('R4.after');
  }

  /** R8: batches up to `throughMs` will not be asked for again, whatever happens. */
  async clean(throughMs: BatchTimeMs): Promise<void> {
    reached('R8.before');
    await this.#logAndApply({ type: 'batch-cleaned', throughMs });
    reached('R8.after');
  }

  /** Merged positions of an input, for a receiver that begins. No add of it may be under way. */
  positionsOf(streamId: StreamId): SourcePositions {
    return Object.fromEntries(this.state.positions.get(streamId) ?? []);
  }

  /** Registered content of an idempotency key, if the window remembers it. */
  knownSourceId(
    streamId: StreamId,
    key: string,
  ): { digest: string; recordCount: number } | undefined {
    return this.state.sourceIds.get(streamId)?.get(key);
  }

  async #logAndApply(event: TrackerEvent): Promise<void> {
    const { log, codec } = this.#options;
    // Nothing but the log knows an allocation; a block is in its receiver's log, and a cleaning
    // repeats what every kept checkpoint says.
    const isMirrored = event.type === 'batch-allocated';
    const { lsn } = await log.append(encodeEvent(event, codec), isMirrored);
    applyEvent(this.state, event);
    this.#appliedLsn = lsn;
  }

  #refusal(block: BlockInfo): string | undefined {
    const { streamId } = block.blockId;
    const pendingIds = this.#pendingIds.get(streamId);
    for (const { key } of block.sourceIds) {
      const isKnown = this.knownSourceId(streamId, key) !== undefined;
      if (isKnown || pendingIds?.has(key)) return `idempotency key ${key} came before`;
    }
    for (const { partition, follows } of block.positions) {
      const merged = this.#mergedPosition(streamId, partition);
      if (merged !== follows) {
        const place = `position ${String(follows)} of partition '${partition}'`;
        return `it follows ${place}, which is at ${String(merged)}`;
      }
    }
    return undefined;
  }

  #mergedPosition(streamId: StreamId, partition: string): PositionValue | null {
    const pending = this.#pendingPositions.get(streamId)?.get(partition);
    return pending ?? this.state.positions.get(streamId)?.get(partition) ?? null;
  }

  #setPending(block: BlockInfo): void {
    const { streamId } = block.blockId;
    const ids = mapAt(this.#pendingIds, streamId, () => new Set<string>());
    for (const { key } of block.sourceIds) ids.add(key);
    const positions = mapAt(
      this.#pendingPositions,
      streamId,
      () => new Map<string, PositionValue>(),
    );
    for (const { partition, last } of block.positions) positions.set(partition, last);
  }

  #clearPending(block: BlockInfo): void {
    const { streamId } = block.blockId;
    for (const { key } of block.sourceIds) this.#pendingIds.get(streamId)?.delete(key);
    const positions = this.#pendingPositions.get(streamId);
    for (const { partition, last } of block.positions) {
      // A later add of the same partition may be under way already: its position stays.
      if (positions?.get(partition) === last) positions.delete(partition);
    }
  }
}
