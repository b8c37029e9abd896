/** The write-ahead log: append-only, one owner, durable in groups. The promise rests on it.
 *
 *     open ─► append, appendSlot … truncateBefore … ─► close     a failed write or sync ─► poisoned
 *
 * Opening never writes to what an earlier open left: it makes a new segment, and the records whose
 * sync nobody witnessed are carried over into it. Reading a log is scanLog's and judging it is
 * judgeLog's business; both come before `open`. Knows nothing of what the payloads mean.
 *
 * The queue is bounded by its callers, in bytes: they watch `pendingBytes` (an executor: its blocks
 * in flight) and stop taking from their sources. Past `pendingBytesMax` an append is refused as a
 * bug. Format: docs/wal-format.md. @module */
import type { Timer } from '../core/clock.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { Lsn } from '../core/ids.ts';
import { GroupCommit } from './group-commit.ts';
import { slotBytes } from './group-layout.ts';
import type { LatencySummary } from './latency-window.ts';
import { LogSegments } from './log-segments.ts';
import { PLAIN_PAYLOAD, watermarkRecord } from './pending-record.ts';
import type { RecordShape, Settle, WalPosition } from './pending-record.ts';
import { PAGE_BYTES, PAYLOAD_BYTES_MAX, RECORD_HEADER_BYTES } from './record-header.ts';
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';
import type { Shortage } from './shortage.ts';
import { Slab } from './slab.ts';
import { resolveWalOptions } from './wal-options.ts';
import type { ResolvedWalOptions, WalOptions } from './wal-options.ts';

export interface WalStats {
  readonly groups: number;
  /** Control records included. */
  readonly records: number;
  /** Written in groups, padding included. */
  readonly bytes: number;
  /** Milliseconds, over the latest 1024 syncs; with the write where one call does both. */
  readonly syncMs: LatencySummary;
  /** Of all syncs since the log was opened, how many were in each bucket: LATENCY_BOUNDS_MS. */
  readonly syncCounts: readonly number[];
  /** Segment files of this log, those of earlier opens and the active one included. */
  readonly segments: number;
  /** Files ready to become the next segment. 0 and a `spareFailure`: the disk is full or fails. */
  readonly spares: number;
  /** Why the last try to make a spare failed. */
  readonly spareFailure?: string;
  readonly durableLsn: Lsn;
  readonly lastLsn: Lsn;
  readonly pendingBytes: number;
}

/** What `keepSettle` was handed last. */
let newestSettle: Settle | undefined;

/** Runs inside `new Promise`; one function for all of them, because a closure for each record that
 * waits costs its making and collecting. */
function keepSettle(settle: Settle): void {
  newestSettle = settle;
}

interface Parts {
  readonly options: ResolvedWalOptions;
  readonly segments: LogSegments;
  readonly commit: GroupCommit;
  readonly carriedOver: readonly WalPosition[];
  readonly watchesPeer: boolean;
}

export class WriteAheadLog {
  /** Where the records of `carryOver` are now, in the same order; durable. */
  readonly carriedOver: readonly WalPosition[];
  readonly #options: ResolvedWalOptions;
  readonly #segments: LogSegments;
  readonly #commit: GroupCommit;
  readonly #watchesPeer: boolean;
  #idleTimer: Timer | undefined;
  #closing: Promise<void> | undefined;

  private constructor(parts: Parts) {
    this.carriedOver = parts.carriedOver;
    this.#options = parts.options;
    this.#segments = parts.segments;
    this.#commit = parts.commit;
    this.#watchesPeer = parts.watchesPeer;
    this.#armIdle();
  }

  /** Continues the log in a new segment, which is durable, directory entry included, on return.
   * Call it after judgeLog, with its `nextBaseLsn` and its suspects; run again after a crash it
   * finds the same log. Slow disks apart it takes about 20 ms.
   * @throws {MillraceError} OPTIONS_INVALID; WAL_CORRUPT when a segment header is damaged;
   *   DISK_FULL, DISK_FAILED. */
  static async open(options: WalOptions): Promise<WriteAheadLog> {
    const resolved = resolveWalOptions(options);
    const slab = new Slab(resolved.disk, resolved.groupBytesMax);
    const { segments, carriedOver } = await LogSegments.open(resolved, slab);
    return new WriteAheadLog({
      options: resolved,
      segments,
      commit: new GroupCommit(resolved, segments, slab),
      carriedOver,
      watchesPeer: options.peerDurableLsn !== undefined,
    });
  }

  /** Highest LSN whose sync has returned: what a peer log may witness. */
  get durableLsn(): Lsn {
    return this.#commit.durableLsn;
  }

  /** Highest LSN given out. */
  get lastLsn(): Lsn {
    return this.#commit.lastLsn;
  }

  /** Bytes appended and not settled yet. */
  get pendingBytes(): number {
    return this.#commit.pendingBytes;
  }

  /** Appends a small payload; resolves, in call order, when it is durable at the log's level.
   * @param payload copied when its group is formed: leave it alone until this has settled.
   * Waits while the disk is full (`onShortage`).
   * @throws {MillraceError} WAL_POISONED, this and all later appends; WAL_CLOSED after `close`;
   *   DISK_FULL when the log was closed while it waited for room;
   *   RECORD_TOO_LARGE for more than a segment or PAYLOAD_BYTES_MAX. */
  append(payload: Uint8Array): Promise<WalPosition> {
    return this.#add(PLAIN_PAYLOAD, payload, payload.length);
  }

  /** As `append`, for a payload that already lies in a slot: written from there, without a copy.
   * @param slot starts on a page of memory and has whole pages; its first 32 bytes are overwritten
   *   with the record header, the payload follows, the rest of the payload's last page is zero. The
   *   log owns the slot until this has settled (others may read the payload meanwhile).
   * @param payloadCrc crc32 of the payload. */
  appendSlot(slot: Uint8Array, payloadBytes: number, payloadCrc: number): Promise<WalPosition> {
    if (slot.byteOffset % PAGE_BYTES !== 0 || slot.byteLength < slotBytes(payloadBytes)) {
      return Promise.reject(
        new MillraceError(
          'BROKEN_INVARIANT',
          `a slot of ${slot.byteLength} bytes at ${slot.byteOffset} cannot hold a payload of ` +
            `${payloadBytes} bytes, its header and the zeros up to the next page`,
        ),
      );
    }
    const content = { payloadBytes, payloadCrc };
    return this.#add({ ...PLAIN_PAYLOAD, slot: content }, slot, payloadBytes);
  }

  /** Appends a watermark of its own: `peerLsn` of the peer log is durable. Synced, at any level,
   * when it resolves. For a log that only witnesses; others carry watermarks in their groups.
   * @throws as `append`. */
  witnessPeer(peerLsn: Lsn): Promise<WalPosition> {
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((settle) => {
      this.#commit.add(watermarkRecord(peerLsn, true, settle));
    });
  }

  /** Frees segments with only records below `lsn`, oldest first; never the active one. Those of
   * this open become spares. Durable when it resolves.
   * @returns how many segments were freed.
   * @throws {MillraceError} WAL_POISONED when a rename, removal or sync fails; WAL_CLOSED. */
  async truncateBefore(lsn: Lsn): Promise<number> {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    try {
      return await this.#segments.truncateBefore(lsn);
    } catch (thrown) {
      throw this.#commit.poison(toError(thrown));
    }
  }

  /** Set while the disk is full and no spare is left but the reserve. */
  get shortage(): Shortage | undefined {
    return this.#segments.shortage;
  }

  /** Ends waits for room, because an end is near: what finds none is refused with DISK_FULL. */
  giveUpWaiting(): void {
    this.#segments.giveUp();
  }

  /** Gives the room of one spare back to the disk, for a file that needs it more.
   * @returns false when there is no spare. */
  async releaseSpare(): Promise<boolean> {
    return this.#refusal() === undefined && (await this.#segments.releaseSpare());
  }

  stats(): WalStats {
    const { syncMs, groupCount, recordCount, byteCount } = this.#commit;
    const failure = this.#segments.spareFailure;
    return {
      groups: groupCount,
      records: recordCount,
      bytes: byteCount,
      syncMs: syncMs.summary(),
      syncCounts: syncMs.counts(),
      segments: this.#segments.count,
      spares: this.#segments.spareCount,
      ...(failure === undefined ? {} : { spareFailure: failure.message }),
      durableLsn: this.durableLsn,
      lastLsn: this.lastLsn,
      pendingBytes: this.pendingBytes,
    };
  }

  /** Lets everything appended settle (what waits for room is refused), ends the log with a synced
   * CLOSED record, closes files and timer, removes the spares. A second call gives the first one's
   * result.
   * @throws {MillraceError} WAL_POISONED when the log is; its files are closed all the same. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #add(shape: RecordShape, bytes: Uint8Array, payloadBytes: number): Promise<WalPosition> {
    const refusal = this.#refusal() ?? this.#sizeRefusal(payloadBytes);
    if (refusal !== undefined) return Promise.reject(refusal);
    if (this.#idleTimer === undefined) this.#armIdle();
    const promise = new Promise<WalPosition>(keepSettle);
    this.#commit.add({ shape, bytes, settle: newestSettle });
    return promise;
  }

  #refusal(): MillraceError | undefined {
    if (this.#closing === undefined) return this.#commit.poisonedBy;
    return new MillraceError('WAL_CLOSED', `the log ${this.#options.directory} is closed`);
  }

  #sizeRefusal(payloadBytes: number): MillraceError | undefined {
    const { segmentBytes, pendingBytesMax, directory } = this.#options;
    const roomBytes = segmentBytes - SEGMENT_HEADER_BYTES - RECORD_HEADER_BYTES;
    const bytesMax = Math.min(PAYLOAD_BYTES_MAX, roomBytes);
    if (payloadBytes > bytesMax) {
      return new MillraceError(
        'RECORD_TOO_LARGE',
        `${payloadBytes} bytes are too many for one record of the log ${directory}: at most ` +
          `${bytesMax}. Store less at a time, or make the segments larger`,
        { details: { payloadBytes, bytesMax } },
      );
    }
    if (this.pendingBytes + payloadBytes <= pendingBytesMax) return undefined;
    return new MillraceError(
      'BROKEN_INVARIANT',
      `${this.pendingBytes} bytes wait for the log ${directory}: its callers do not push back`,
    );
  }

  /** While armed it looks every `idleWatermarkMs`. It rests only when nothing can become news. */
  #armIdle(): void {
    const groupCount = this.#commit.groupCount;
    this.#idleTimer = this.#options.clock.after(this.#options.idleWatermarkMs, () => {
      this.#idleTimer = undefined;
      const isIdle = this.#commit.groupCount === groupCount;
      if (this.#commit.poisonedBy !== undefined) return;
      const mayBecomeNews = this.#watchesPeer || this.pendingBytes > 0;
      if (this.#commit.hasNews || mayBecomeNews) this.#armIdle();
      if (isIdle) this.#commit.witness();
    });
  }

  async #close(): Promise<void> {
    this.#idleTimer?.cancel();
    try {
      await this.#commit.finish();
    } finally {
      await this.#closeFiles();
    }
  }

  /** Of a poisoned log: leaves spares alone, and its poison is the error to tell. */
  async #closeFiles(): Promise<void> {
    const { poisonedBy } = this.#commit;
    try {
      await this.#segments.close(poisonedBy === undefined);
    } catch (thrown) {
      throw poisonedBy ?? thrown;
    }
  }
}
