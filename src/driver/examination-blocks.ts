/** The blocks that the driver knows, by the log that holds them, crossed off as a scan finds them.
 *
 * A log can be sound and still not be ours: cut in front, or an older copy. So every block that an
 * unfinished batch, a window of one, or a queue needs has to be found where the driver log says,
 * with the CRC that it says. What is left when a scan has ended is lost.
 * @module */
import type { BlockInfo, LogPosition } from '../blocks/block-ref.ts';
import type { Lsn } from '../core/ids.ts';
import type { ScannedRecord } from '../wal/scanned-record.ts';
import { batchesToRead } from './cleaning.ts';
import type { ReadAgain } from './cleaning.ts';
import { blocksOf, mapAt } from './tracker-state.ts';
import type { TrackerState } from './tracker-state.ts';

/** A block that is in a log. */
export interface LoggedBlock extends BlockInfo {
  readonly position: LogPosition;
}

/** Blocks of one log that no scan has found so far. */
class LogBlocks {
  readonly #blocks = new Map<Lsn, LoggedBlock>();
  readonly #needed = new Set<Lsn>();

  add(block: LoggedBlock, isNeeded: boolean): void {
    const { lsn } = block.position;
    this.#blocks.set(lsn, block);
    if (isNeeded) this.#needed.add(lsn);
  }

  /** Crosses off the block that this sound record is. */
  found({ lsn, segmentSeq, offsetBytes, payloadCrc }: ScannedRecord): void {
    const at = this.#blocks.get(lsn)?.position;
    const isSame =
      at?.segmentSeq === segmentSeq &&
      at.offsetBytes === offsetBytes &&
      at.payloadCrc === payloadCrc;
    if (isSame) this.#blocks.delete(lsn);
  }

  /** In the order of their LSNs. */
  get left(): readonly LoggedBlock[] {
    return inOrder(this.#blocks).map(([, block]) => block);
  }

  /** Those without which the engine cannot go on. */
  get neededLeft(): readonly LoggedBlock[] {
    return inOrder(this.#blocks).flatMap(([lsn, block]) => (this.#needed.has(lsn) ? [block] : []));
  }
}

const NOTHING: ReadAgain = { reachMs: 0, replayAfterMs: Infinity };

export class KnownBlocks {
  readonly #logs = new Map<string, LogBlocks>();
  readonly #isGivenUp: (position: LogPosition) => boolean;

  /** @param options isGivenUp: true for places in a log whose blocks nobody looks for any more.
   *   readAgain: what the next start reads of batches that are done; absent: nothing. */
  constructor(
    state: TrackerState,
    options: {
      readonly isGivenUp?: ((position: LogPosition) => boolean) | undefined;
      readonly readAgain?: ReadAgain;
    } = {},
  ) {
    const { isGivenUp = () => false, readAgain = NOTHING } = options;
    this.#isGivenUp = isGivenUp;
    for (const queue of state.queues.values()) this.#addAll(queue, true);
    const isToRead = batchesToRead(state, readAgain);
    for (const batch of state.batches.values()) {
      this.#addAll(blocksOf(batch.share), isToRead(batch));
    }
  }

  /** Those of one log, by the name of its directory. */
  of(log: string): LogBlocks {
    return mapAt(this.#logs, log, () => new LogBlocks());
  }

  /** Names of the logs that have blocks. */
  get logs(): readonly string[] {
    return [...this.#logs.keys()];
  }

  #addAll(blocks: Iterable<BlockInfo>, isNeeded: boolean): void {
    for (const block of blocks) {
      const { position } = block; // none with the log off
      if (position === undefined || this.#isGivenUp(position)) continue;
      this.of(position.log).add({ ...block, position }, isNeeded);
    }
  }
}

function inOrder(blocks: ReadonlyMap<Lsn, LoggedBlock>): [Lsn, LoggedBlock][] {
  return [...blocks].toSorted(([a], [b]) => a - b);
}
