/** One life after another of a write-ahead log on a simulated disk, beside a model of it: a list.
 *
 * The list holds every payload in the order of the appends. A recovered log must be a piece of it:
 * from somewhere at or below the truncation floor to somewhere at or above what must survive, byte
 * for byte, without holes. After a recovery the list is cut to what came back, and all of that must
 * survive from then on. Payloads derive from a serial number, so no two are equal.
 * @module */
import { expect } from 'vitest';
import type { Lsn } from '../../src/core/ids.ts';
import type { Random } from '../../src/core/random.ts';
import { seededRandom } from '../../src/core/random.ts';
import { crc32 } from '../../src/serde/crc32.ts';
import type { Disk } from '../../src/wal/disk.ts';
import { scanLog } from '../../src/wal/log-scan.ts';
import type { LogScan } from '../../src/wal/log-scan.ts';
import { judgeLog } from '../../src/wal/log-verdict.ts';
import type { LogVerdict } from '../../src/wal/log-verdict.ts';
import { readRecords } from '../../src/wal/scanned-record.ts';
import { keepTornTail } from '../../src/wal/torn-tail.ts';
import { WriteAheadLog } from '../../src/wal/write-ahead-log.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryDisk } from './memory-disk.ts';
import type { CallKind, CrashModel, FaultEffect } from './memory-disk.ts';

export const DIRECTORY = '/logs/model';
const LOG_ID = 'a0a1a2a3a4a5a6a7a8a9aaabacadaeaf';
const PAGE_BYTES = 4096;
const SEGMENT_BYTES = 8 * PAGE_BYTES;

interface Entry {
  readonly payload: Uint8Array;
  /** Known when it was acknowledged or recovered. */
  lsn: Lsn | undefined;
  /** Known synced: it must survive a power cut, and a peer log may witness it. */
  isDurable: boolean;
  /** Must survive the crash that is being recovered from. */
  mustSurvive: boolean;
}

interface Recovered {
  readonly lsn: Lsn;
  readonly payload: Uint8Array;
}

/** What a test may replace, to show that the model notices. */
export interface HistoryOptions {
  readonly durability: 'sync' | 'flush';
  readonly seed: number;
  /** Stands between the log and the disk. @param isRunning false while a log is being opened. */
  readonly wrapDisk?: (disk: Disk, isRunning: () => boolean) => Disk;
  readonly judge?: (scan: LogScan, witnessedLsn: Lsn) => LogVerdict;
}

export class WalHistory {
  readonly disk = new MemoryDisk();
  readonly #options: HistoryOptions;
  readonly #random: Random;
  #clock = new ManualClock();
  #entries: Entry[] = [];
  #floorLsn = 1 as Lsn;
  #epoch = 0;
  #serial = 0;
  #isRunning = false;
  #log: WriteAheadLog | undefined;
  #outstanding: Promise<unknown>[] = [];
  /** Recoveries that came back, for asking whether a run did anything. */
  recoveries = 0;

  constructor(options: HistoryOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
  }

  append(payloadBytes: number): void {
    const entry = this.#newEntry(payloadBytes);
    this.#track(entry, this.#running().append(entry.payload));
  }

  appendSlot(payloadBytes: number): void {
    const entry = this.#newEntry(payloadBytes);
    const slotBytes = Math.ceil((32 + payloadBytes) / PAGE_BYTES) * PAGE_BYTES;
    const slot = this.disk.allocateAligned(slotBytes);
    slot.set(entry.payload, 32);
    this.#track(entry, this.#running().appendSlot(slot, payloadBytes, crc32(entry.payload)));
  }

  /** Does a step, unless the machine dies in the middle of it: then nothing of it goes on.
   * @throws {MachineDied} follow it with `powerCut`. */
  async orCrash(work: () => Promise<void> | void): Promise<void> {
    const died = this.disk.untilCrash().then(() => {
      throw new MachineDied();
    });
    await Promise.race([work(), died]);
  }

  /** Waits for everything under way. */
  async settle(): Promise<void> {
    await Promise.all(this.#outstanding);
    this.#outstanding = [];
  }

  async idle(): Promise<void> {
    await this.settle();
    for (let turn = 0; turn < 3; turn += 1) {
      this.#clock.advance(50);
      await turns();
    }
  }

  /** Truncates to a place between the floor and the last durable record. */
  async truncate(share: number): Promise<void> {
    await this.settle();
    const durable = this.#entries.filter(({ isDurable }) => isDurable);
    const lsn = durable[Math.floor(durable.length * share)]?.lsn;
    if (lsn === undefined) return;
    this.#floorLsn = Math.max(this.#floorLsn, lsn) as Lsn; // may take effect without an answer
    await this.#running().truncateBefore(lsn);
  }

  /** Ends the log in order and opens it again. */
  async reopen(): Promise<void> {
    await this.settle();
    await this.#running().close();
    for (const entry of this.#entries) entry.mustSurvive = true;
    await this.recover();
  }

  /** The machine will die at its `calls`-th disk call from now, in the middle of something. */
  crashAt(calls: number): void {
    this.disk.failCall('any', calls, 'crash');
  }

  /** The `k`-th call of `kind` from now fails; what comes of it rejects the step that meets it. */
  failCall(kind: CallKind, k: number, effect: FaultEffect): void {
    this.disk.failCall(kind, k, effect);
  }

  async powerCut(model: CrashModel): Promise<void> {
    this.#cutPower(model);
    await this.recover();
  }

  /** The process dies, the operating system keeps its cache: acknowledged is acknowledged. */
  async kill(): Promise<void> {
    this.disk.kill();
    for (const entry of this.#entries) entry.mustSurvive = entry.lsn !== undefined;
    await this.recover();
  }

  /** Scan, verdict, new log; compared with the list. */
  async recover(): Promise<void> {
    this.#log = undefined;
    this.#isRunning = false;
    this.#outstanding = [];
    this.#clock = new ManualClock();
    const { verdict } = await this.#readAndCompare();
    await keepTornTail(this.disk, verdict);
    await this.#open(verdict);
    this.recoveries += 1;
  }

  /** A recovery that dies at its `calls`-th disk call, by a power cut, and is run again. */
  async interruptedRecovery(calls: number, model: CrashModel): Promise<void> {
    this.#cutPower(model);
    this.#isRunning = false;
    const first = await this.#readAndCompare();
    this.#epoch += 1;
    const carryOver = await readRecords(this.disk, first.verdict.suspects);
    const died = this.disk.untilCrash();
    this.crashAt(calls);
    await Promise.race([died, this.#newLog(first.verdict, carryOver)]);
    this.#cutPower('posix');
    const second = await this.#readAndCompare();
    expect(second.recovered).toEqual(first.recovered);
    await this.recover();
  }

  #cutPower(model: CrashModel): void {
    this.disk.crash(this.#random, model);
    for (const entry of this.#entries) entry.mustSurvive = entry.isDurable;
  }

  async #readAndCompare(): Promise<{ verdict: LogVerdict; recovered: Recovered[] }> {
    const recovered: Recovered[] = [];
    const scan = await scanLog(this.disk, DIRECTORY, ({ lsn }, payload) => {
      recovered.push({ lsn, payload: Uint8Array.from(payload) });
    });
    const verdict = (this.#options.judge ?? judgeLog)(scan, this.#witnessedLsn());
    expect(verdict.kind, verdict.message).not.toBe('damaged');
    this.#compare(recovered);
    return { verdict, recovered };
  }

  /** Cuts the list to what came back. */
  #compare(recovered: readonly Recovered[]): void {
    const first = recovered[0];
    const start =
      first === undefined
        ? this.#entries.length
        : this.#entries.findIndex(({ payload }) => Buffer.from(payload).equals(first.payload));
    expect(start, 'a recovered record was never appended').not.toBe(-1);
    const gone = this.#entries.slice(0, start);
    const kept = this.#entries.slice(start, start + recovered.length);
    const lost = this.#entries.slice(start + recovered.length);
    expect(recovered.map(({ payload }) => payload)).toEqual(kept.map(({ payload }) => payload));
    for (const { mustSurvive, lsn } of gone) {
      expect(mustSurvive && (lsn ?? 0) >= this.#floorLsn, `record ${lsn} is gone`).toBe(false);
    }
    for (const { mustSurvive, lsn } of lost) {
      expect(mustSurvive, `record ${lsn} is lost`).toBe(false);
    }
    for (const [index, entry] of kept.entries()) {
      const lsn = recovered[index]?.lsn;
      if (entry.lsn !== undefined) expect(lsn).toBe(entry.lsn);
      entry.lsn = lsn;
    }
    this.#entries = kept;
  }

  async #open(verdict: LogVerdict): Promise<void> {
    this.#epoch += 1;
    const carryOver = await readRecords(this.disk, verdict.suspects);
    this.#log = await this.#newLog(verdict, carryOver);
    const carried = new Map(
      verdict.suspects.map(({ lsn }, index) => [lsn, this.#running().carriedOver[index]]),
    );
    for (const entry of this.#entries) {
      entry.isDurable = true;
      const moved = entry.lsn === undefined ? undefined : carried.get(entry.lsn);
      if (moved !== undefined) expect(moved.lsn).toBe(entry.lsn);
    }
    this.#isRunning = true;
  }

  #newLog(
    verdict: LogVerdict,
    carryOver: Awaited<ReturnType<typeof readRecords>>,
  ): Promise<WriteAheadLog> {
    const disk = this.disk.attach();
    const isRunning = (): boolean => this.#isRunning;
    return WriteAheadLog.open({
      disk: this.#options.wrapDisk?.(disk, isRunning) ?? disk,
      clock: this.#clock,
      directory: DIRECTORY,
      logId: LOG_ID,
      epoch: this.#epoch,
      baseLsn: verdict.nextBaseLsn,
      carryOver,
      segmentBytes: SEGMENT_BYTES,
      groupBytesMax: 3 * PAGE_BYTES,
      mode: 'direct',
      durability: this.#options.durability,
    });
  }

  /** What a driver log and a checkpoint would know. */
  #witnessedLsn(): Lsn {
    const durable = this.#entries.filter(({ isDurable }) => isDurable);
    return (durable.at(-1)?.lsn ?? 0) as Lsn;
  }

  #newEntry(payloadBytes: number): Entry {
    this.#serial += 1;
    const payload = Buffer.alloc(payloadBytes);
    const random = seededRandom(this.#serial);
    for (let at = 0; at < payloadBytes; at += 1) payload[at] = random.next() * 256;
    payload.write(`#${this.#serial} `, 'latin1'); // at least 8 bytes long
    const entry: Entry = {
      payload: Uint8Array.from(payload),
      lsn: undefined,
      isDurable: false,
      mustSurvive: false,
    };
    this.#entries.push(entry);
    return entry;
  }

  #track(entry: Entry, appended: Promise<{ lsn: Lsn }>): void {
    const noted = appended.then(({ lsn }) => {
      entry.lsn = lsn;
      const isSynced = this.#options.durability === 'sync';
      if (isSynced) entry.isDurable = true;
    });
    noted.catch(() => {}); // `settle` tells it, unless the process dies before
    this.#outstanding.push(noted);
  }

  #running(): WriteAheadLog {
    if (this.#log === undefined) throw new Error('the model has no open log');
    return this.#log;
  }
}

/** A crash ordered by `crashAt` has happened. */
export class MachineDied extends Error {}

/** Lets all work that needs no timer come to its end. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
