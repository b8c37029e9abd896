/** The write loop of one log: takes what waits, writes it as one group, syncs it, tells waiters.
 *
 *     add ─► queue ─► group: encode ─► write ─► sync ─► resolve, in call order
 *                 └── the next group forms while this one is written and synced; there is no timer
 *
 * One write and one sync under way at a time. The durable LSN is the highest one whose sync has
 * returned; each record carries it, as it was when the record was built. The first failure of a
 * write, a sync or a roll, and any short write, poisons the log for good: after a failed sync the
 * kernel calls the lost pages clean, so that a second sync would succeed and lie.
 * @module */
import { assert } from '../core/assert.ts';
import type { Clock } from '../core/clock.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { Lsn } from '../core/ids.ts';
import { encodeGroup, planGroup } from './group-layout.ts';
import type { GroupPlan } from './group-layout.ts';
import { LatencyWindow } from './latency-window.ts';
import type { LogSegments } from './log-segments.ts';
import {
  RecordQueue,
  Records,
  closedRecord,
  heldBytes,
  watermarkRecord,
  witnessedPeer,
} from './pending-record.ts';
import type { PendingRecord } from './pending-record.ts';
import { PAGE_BYTES, RECORD_TYPES } from './record-header.ts';
import { inOwnWords } from './segment-file.ts';
import { shortWrite } from './short-write.ts';
import type { Slab } from './slab.ts';
import type { ResolvedWalOptions } from './wal-options.ts';

/** Durable, and where it is; its callers are to be told. */
interface SettledGroup {
  readonly group: Records;
  readonly offsets: Float64Array;
  readonly firstLsn: number;
  readonly segmentSeq: number;
}

export class GroupCommit {
  readonly #options: ResolvedWalOptions;
  readonly #segments: LogSegments;
  readonly #slab: Slab;
  readonly #clock: Clock;
  readonly #queue = new RecordQueue();
  /** Of the group being written, until its callers are told; the queue's come after them. */
  #inFlight = new Records();
  #isBusy = false;
  #poison: MillraceError | undefined;
  #lastLsn: Lsn;
  #durableLsn: Lsn;
  /** Highest durable LSN that a record or header on the device tells. */
  #witnessedLsn: Lsn;
  /** The last record that is worth a witness; watermarks are not, or they would never end. */
  #contentLsn: Lsn;
  #peerLsn = 0 as Lsn;
  #pendingBytes = 0;
  #idleWaiters: (() => void)[] = [];
  readonly syncMs: LatencyWindow = new LatencyWindow();
  groupCount = 0;
  recordCount = 0;
  byteCount = 0;

  constructor(options: ResolvedWalOptions, segments: LogSegments, slab: Slab) {
    this.#options = options;
    this.#segments = segments;
    this.#slab = slab;
    this.#clock = options.clock;
    this.#lastLsn = segments.active.durableLsn;
    this.#durableLsn = this.#lastLsn;
    this.#witnessedLsn = this.#lastLsn;
    this.#contentLsn = this.#lastLsn;
  }

  /** Highest LSN that was given out. */
  get lastLsn(): Lsn {
    return this.#lastLsn;
  }

  /** Highest LSN whose sync has returned. */
  get durableLsn(): Lsn {
    return this.#durableLsn;
  }

  /** Bytes that were added and are not settled yet. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get poisonedBy(): MillraceError | undefined {
    return this.#poison;
  }

  /** Enqueues; the record's waiter hears of it. Never throws. */
  add(record: PendingRecord): void {
    if (this.#poison !== undefined) {
      record.settle?.(Promise.reject(this.#poison));
      return;
    }
    this.#queue.push(record);
    this.#pendingBytes += heldBytes(record);
    if (this.#isBusy) return;
    this.#isBusy = true;
    // Not at once: appends of the same turn belong to the same group. #drain never rejects.
    queueMicrotask(() => void this.#drain());
  }

  /** True when a record of this log, or of its peer, is not witnessed yet. */
  get hasNews(): boolean {
    return this.#contentLsn > this.#witnessedLsn || this.#options.peerDurableLsn() > this.#peerLsn;
  }

  /** Writes and syncs a watermark if there is news and nothing else is under way. */
  witness(): void {
    if (this.#isBusy || this.#poison !== undefined || !this.hasNews) return;
    this.add(watermarkRecord(this.#options.peerDurableLsn(), true));
  }

  /** Waits for everything added so far, then ends the log with a record of its own group, so that
   * it witnesses all that came before. Nothing may be added meanwhile. On a full disk what waits
   * is refused, and a log without a page left ends without that record. */
  async finish(): Promise<void> {
    this.#segments.giveUp();
    if (this.#isBusy) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    const peerLsn = this.#options.peerDurableLsn();
    if (peerLsn > this.#peerLsn) this.add(watermarkRecord(peerLsn, true));
    try {
      await new Promise((settle) => this.add(closedRecord(settle)));
    } catch (thrown) {
      if (!(thrown instanceof MillraceError) || thrown.code !== 'DISK_FULL') throw thrown;
    }
  }

  /** Rejects everything that waits and everything to come. Later calls change nothing. */
  poison(cause: Error): MillraceError {
    if (this.#poison !== undefined) return this.#poison;
    const { path, seq } = this.#segments.active;
    const what = inOwnWords(cause, this.#segments.active);
    const error = new MillraceError(
      'WAL_POISONED',
      `nothing more is acknowledged from the log ${this.#options.directory}: ${what}; ` +
        'what was acknowledged is kept',
      { cause, details: { path, segmentSeq: seq, durableLsn: this.#durableLsn } },
    );
    this.#poison = error;
    this.#segments.giveUp(); // a roll may be waiting for room
    const waiting = [this.#inFlight, this.#queue.take(this.#queue.length)];
    this.#inFlight = new Records();
    this.#pendingBytes = 0;
    for (const records of waiting) refuse(records, error);
    this.#options.onPoison(error);
    return error;
  }

  async #drain(): Promise<void> {
    let synced: SettledGroup | undefined;
    try {
      while (this.#queue.length > 0) {
        // Up to its first await this has the next group under way; the callers of the last one are
        // told meanwhile, which for small records takes as long as the disk does.
        const next = this.#commitGroup();
        this.#settle(synced);
        synced = undefined;
        synced = await next;
      }
      this.#settle(synced);
    } catch (thrown) {
      this.poison(toError(thrown));
    }
    this.#isBusy = false;
    for (const wake of this.#idleWaiters.splice(0)) wake();
  }

  /** @returns the group, durable at the log's level; its callers have not been told. `undefined`
   * when there was no room for one, and all that waited was refused. */
  async #commitGroup(): Promise<SettledGroup | undefined> {
    const plan = this.#plan() ?? (await this.#roll());
    if (plan === undefined) {
      this.#refuseWaiting();
      return undefined;
    }
    const group = this.#takeGroup(plan);
    const isForced = hasForced(group);
    const isSynced = isForced || this.#options.durability === 'sync';
    // So that the forced group can witness what came before it at the `flush` level too.
    if (isForced && this.#durableLsn < this.#lastLsn) await this.#sync();
    const toldLsn = this.#durableLsn;
    const written = await this.#write(group, plan, isSynced);
    if (isSynced) this.#witnessedLsn = toldLsn;
    return written;
  }

  /** @returns `undefined` when the first record has no room in this segment. */
  #plan(): GroupPlan | undefined {
    const { segmentBytes, endBytes } = this.#segments.active;
    const { groupBytesMax, groupRecordsMax } = this.#options;
    const roomBytes = segmentBytes - endBytes;
    const plan = planGroup(this.#queue, { roomBytes, groupBytesMax, groupRecordsMax });
    return plan.count === 0 ? undefined : plan;
  }

  /** @returns `undefined` when the log closes, or is poisoned, before the full disk has room. */
  async #roll(): Promise<GroupPlan | undefined> {
    if (this.#durableLsn < this.#lastLsn) await this.#sync();
    if (!(await this.#segments.roll(this.#lastLsn))) return undefined;
    this.#witnessedLsn = this.#lastLsn; // the new header tells it
    const plan = this.#plan();
    // Poisoned by a truncation meanwhile: nobody waits any more.
    const isExpected = plan !== undefined || this.#poison !== undefined;
    assert(isExpected, 'a record fits no segment, although its size was looked at');
    return plan;
  }

  /** The log is as it was: nothing of them was written, so nothing is in doubt. */
  #refuseWaiting(): void {
    const error = new MillraceError(
      'DISK_FULL',
      `the log ${this.#options.directory} was closed before the full disk had room: not taken`,
      { cause: this.#segments.spareFailure },
    );
    const refused = this.#queue.take(this.#queue.length);
    for (let index = 0; index < refused.length; index += 1) {
      this.#pendingBytes -= heldBytes(refused.at(index));
    }
    refuse(refused, error);
  }

  /** The planned records, and a watermark behind them when the peer's moved and room is left. */
  #takeGroup(plan: GroupPlan): Records {
    const group = this.#queue.take(plan.count);
    this.#inFlight = group;
    const peerLsn = this.#options.peerDurableLsn();
    const { segmentBytes, endBytes } = this.#segments.active;
    const endsInControl = group.at(group.length - 1).shape.type !== RECORD_TYPES.payload;
    const hasRoom = endBytes + plan.bytes + PAGE_BYTES <= segmentBytes;
    if (peerLsn <= this.#peerLsn || endsInControl || !hasRoom) return group;
    const watermark = watermarkRecord(peerLsn, false);
    this.#pendingBytes += heldBytes(watermark);
    group.push(watermark);
    return group;
  }

  async #write(group: Records, plan: GroupPlan, isSynced: boolean): Promise<SettledGroup> {
    const { active } = this.#segments;
    const slab = this.#slab.take(plan.slabBytes + PAGE_BYTES); // a page for the watermark
    const place = {
      offsetBytes: active.endBytes,
      salt: active.salt,
      firstLsn: this.#lastLsn + 1,
      durableLsn: this.#durableLsn,
    };
    const { views, bytes, offsets } = encodeGroup(group, place, slab);
    const { file } = active;
    const startedMs = this.#clock.monotonicMs();
    const both = isSynced ? file.writeSynced?.(views, active.endBytes) : undefined;
    const taken = await (both ?? file.write(views, active.endBytes));
    if (taken !== bytes) throw shortWrite(active.path, bytes, taken);
    active.endBytes += bytes;
    this.#noteWritten(group, bytes);
    if (both !== undefined) this.#noteSynced(startedMs);
    else if (isSynced) await this.#sync();
    return { group, offsets, firstLsn: place.firstLsn, segmentSeq: active.seq };
  }

  #noteWritten(group: Records, bytes: number): void {
    for (let index = 0; index < group.length; index += 1) {
      const { shape, bytes: payload } = group.at(index);
      if (shape.type === RECORD_TYPES.payload)
        this.#contentLsn = (this.#lastLsn + index + 1) as Lsn;
      else if (shape.type === RECORD_TYPES.watermark) this.#peerLsn = witnessedPeer(payload);
    }
    this.#lastLsn = (this.#lastLsn + group.length) as Lsn;
    this.groupCount += 1;
    this.recordCount += group.length;
    this.byteCount += bytes;
  }

  async #sync(): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    await this.#segments.active.file.sync();
    this.#noteSynced(startedMs);
  }

  /** Nothing is written while a sync is under way, so it covers all that was. */
  #noteSynced(startedMs: number): void {
    this.syncMs.add(this.#clock.monotonicMs() - startedMs);
    this.#durableLsn = this.#lastLsn;
  }

  #settle(settled: SettledGroup | undefined): void {
    // Poisoned by a truncation: the callers have been told that.
    if (settled === undefined || this.#poison !== undefined) return;
    const { group, offsets, firstLsn, segmentSeq } = settled;
    for (let index = 0; index < group.length; index += 1) {
      const record = group.at(index);
      this.#pendingBytes -= heldBytes(record);
      const offsetBytes = offsets[index] as number;
      record.settle?.({ lsn: (firstLsn + index) as Lsn, segmentSeq, offsetBytes });
    }
    // While the next group waits for its segment, this one would be told of a failure as well.
    if (this.#inFlight === group) this.#inFlight = new Records();
  }
}

function hasForced(group: Records): boolean {
  for (let index = 0; index < group.length; index += 1) {
    if (group.at(index).shape.isForced) return true;
  }
  return false;
}

function refuse(records: Records, error: MillraceError): void {
  for (let index = 0; index < records.length; index += 1) {
    records.at(index).settle?.(Promise.reject(error));
  }
}
