/** One life after another of a write-ahead log on a simulated disk, beside a model of it: a list.
 *
 * The list holds every payload in the order of the appends. A recovered log must be a piece of it:
 * from somewhere at or below the truncation floor to somewhere at or above what must survive, byte
 * for byte, without holes. After a recovery the list is cut to what came back, and all of that must
 * survive from then on. Payloads derive from a serial number, so no two are equal.
 * @module */
import type { Lsn } from '../../src/core/ids.ts';
import type { Random } from '../../src/core/random.ts';
import { seededRandom } from '../../src/core/random.ts';
import { crc32 } from '../../src/serde/crc32.ts';
import type { CrashModel } from '../../src/testing/crash-survival.ts';
import type { FaultOrder } from '../../src/testing/fault-plan.ts';
import { SimDisk } from '../../src/testing/sim-disk.ts';
import type { SimDiskOptions } from '../../src/testing/sim-disk.ts';
import type { Disk } from '../../src/wal/disk.ts';
import { scanLog } from '../../src/wal/log-scan.ts';
import type { LogScan } from '../../src/wal/log-scan.ts';
import { damageError, judgeLog } from '../../src/wal/log-verdict.ts';
import type { LogVerdict } from '../../src/wal/log-verdict.ts';
import { readRecords } from '../../src/wal/scanned-record.ts';
import { keepTornTail } from '../../src/wal/torn-tail.ts';
import { WriteAheadLog } from '../../src/wal/write-ahead-log.ts';
import { ManualClock } from './manual-clock.ts';
import { numberedPayload } from './numbered-payloads.ts';
import { check } from './sim-runs.ts';
import { STUCK, orStuck } from './stuck-work.ts';

export const DIRECTORY = '/logs/model';
const LOG_ID = 'a0a1a2a3a4a5a6a7a8a9aaabacadaeaf';
const PAGE_BYTES = 4096;
const SEGMENT_BYTES = 8 * PAGE_BYTES;
/** A log without room has tried again by then. */
const TRY_AGAIN_MS = 30_000;

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
export interface HistoryOptions extends SimDiskOptions {
  readonly durability: 'sync' | 'flush';
  readonly seed: number;
  /** Whether others know what was acknowledged, as a driver log and a checkpoint do. Else only the
   * log itself can tell, and its last group is always suspect. @defaultValue true */
  readonly isWitnessed?: boolean;
  /** A disk of one's own, empty. */
  readonly disk?: SimDisk;
  readonly isGrowing?: boolean;
  /** Stands between the log and the disk. @param isRunning false while a log is being opened. */
  readonly wrapDisk?: (disk: Disk, isRunning: () => boolean) => Disk;
  readonly judge?: (scan: LogScan, witnessedLsn: Lsn) => LogVerdict;
}

export class WalHistory {
  readonly disk: SimDisk;
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
  /** Of the disk's failed syncs, those before the log was opened. */
  #failedSyncsBefore = 0;
  #isPoisoned = false;

  constructor(options: HistoryOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.disk = options.disk ?? new SimDisk(options);
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

  /** Waits for everything under way. @throws DISK_FULL when that waited for room in vain. */
  async settle(): Promise<void> {
    const log = this.#log;
    const settled = Promise.all(this.#outstanding);
    const isStuck = (await orStuck(settled, this.disk)) === STUCK;
    if (log !== this.#log) return; // the machine has died meanwhile
    if (isStuck) await this.#endWait(settled);
    this.#outstanding = [];
  }

  /** Somebody makes room; or nobody does, or that is no help, and the engine ends. */
  async #endWait(settled: Promise<unknown>): Promise<void> {
    const log = this.#running();
    check(log.shortage !== undefined, 'nothing happens, and not for want of room');
    const isFreed = this.#random.next() < 0.5;
    if (isFreed) await this.freeDisk();
    if (!isFreed || (await orStuck(settled, this.disk)) === STUCK) log.giveUpWaiting();
    await settled;
  }

  async idle(): Promise<void> {
    await this.settle();
    for (let turn = 0; turn < 3; turn += 1) {
      this.#clock.advance(50);
      await oneTurn();
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

  /** The disk has room for `pages` more, from now until the process ends. */
  fillDisk(pages: number): void {
    this.disk.setCapacity(this.disk.usedBytes + pages * PAGE_BYTES);
  }

  /** Somebody makes room. */
  async freeDisk(): Promise<void> {
    this.disk.setCapacity(undefined);
    this.#clock.advance(TRY_AGAIN_MS);
    await oneTurn();
  }

  /** Ends the log in order and opens it again. */
  async reopen(): Promise<void> {
    await this.settle();
    await this.#running().close();
    for (const entry of this.#entries) entry.mustSurvive = true;
    const { kind, message } = await this.recover();
    check(kind === 'clean', `a log that was closed in order looks ${kind}: ${message}`);
  }

  /** The machine will die at its `calls`-th disk call from now, in the middle of something. */
  crashAt(calls: number): void {
    this.disk.failCall('any', calls, 'crash');
  }

  /** What comes of it rejects the step that meets it. */
  orderFault(order: FaultOrder): void {
    this.disk.order(order);
  }

  async powerCut(model: CrashModel): Promise<void> {
    this.#cutPower(model);
    await this.recover();
  }

  async kill(): Promise<void> {
    this.die();
    await this.recover();
  }

  /** The process dies, the operating system keeps its cache: acknowledged is acknowledged. Clean
   * pages may leave the cache at any time; after a failed sync that shows. `recover` comes next. */
  die(): void {
    const hasLost = this.#hasFailedSync() && this.#options.durability === 'flush';
    this.disk.kill();
    if (this.#random.next() < 0.5) this.disk.dropCaches();
    for (const entry of this.#entries) {
      entry.mustSurvive = hasLost ? entry.isDurable : entry.lsn !== undefined;
    }
  }

  /** Scan, verdict, new log; compared with the list. */
  async recover(): Promise<LogVerdict> {
    this.#log = undefined;
    this.#isRunning = false;
    this.#outstanding = [];
    this.#clock = new ManualClock();
    this.disk.setCapacity(undefined);
    const { verdict } = await this.#readAndCompare();
    await keepTornTail(this.disk.attach(), verdict);
    await this.#open(verdict);
    return verdict;
  }

  /** Recoveries that die at their n-th disk call, by power cuts, one after the other; and one that
   * does not. What comes back is the same each time. */
  async interruptedRecovery(calls: readonly number[], model: CrashModel): Promise<void> {
    this.#cutPower(model);
    this.#isRunning = false;
    this.disk.setCapacity(undefined);
    let first: readonly Recovered[] | undefined;
    for (const call of calls) {
      const { verdict, recovered } = await this.#readAndCompare();
      first ??= recovered;
      checkSame(recovered, first);
      this.#epoch += 1;
      const died = this.disk.untilCrash();
      this.crashAt(call);
      await Promise.race([died, this.#tryToOpen(verdict)]);
      this.#cutPower('posix');
    }
    const last = await this.#readAndCompare();
    checkSame(last.recovered, first ?? []);
    await this.recover();
  }

  async #tryToOpen(verdict: LogVerdict): Promise<void> {
    const disk = this.disk.attach();
    await keepTornTail(disk, verdict);
    await this.#newLog(verdict, await readRecords(disk, verdict.suspects));
  }

  #cutPower(model: CrashModel): void {
    this.disk.crash(this.#random, model);
    for (const entry of this.#entries) entry.mustSurvive = entry.isDurable;
  }

  async #readAndCompare(): Promise<{ verdict: LogVerdict; recovered: Recovered[] }> {
    const recovered: Recovered[] = [];
    const scan = await scanLog(this.disk.attach(), DIRECTORY, ({ lsn }, payload) => {
      recovered.push({ lsn, payload: new Uint8Array(payload) });
    });
    const verdict = (this.#options.judge ?? judgeLog)(scan, this.#witnessedLsn());
    if (verdict.kind === 'damaged') throw damageError(verdict);
    this.#compare(recovered);
    return { verdict, recovered };
  }

  /** Cuts the list to what came back. */
  #compare(recovered: readonly Recovered[]): void {
    const first = recovered[0];
    const start =
      first === undefined
        ? this.#entries.length
        : this.#entries.findIndex(({ payload }) => Buffer.compare(payload, first.payload) === 0);
    check(start !== -1, 'a recovered record was never appended');
    const gone = this.#entries.slice(0, start);
    const kept = this.#entries.slice(start, start + recovered.length);
    const lost = this.#entries.slice(start + recovered.length);
    check(kept.length === recovered.length, 'more came back than was appended');
    for (const { mustSurvive, lsn } of gone) {
      check(!mustSurvive || (lsn ?? 0) < this.#floorLsn, `record ${lsn} is gone`);
    }
    for (const { mustSurvive, lsn } of lost) check(!mustSurvive, `record ${lsn} is lost`);
    for (const [index, entry] of kept.entries()) {
      const found = recovered[index];
      check(found !== undefined, 'the list has a hole');
      check(Buffer.compare(found.payload, entry.payload) === 0, `record ${found.lsn} is another`);
      check(entry.lsn === undefined || entry.lsn === found.lsn, `record ${entry.lsn} has moved`);
      entry.lsn = found.lsn;
    }
    this.#entries = kept;
  }

  async #open(verdict: LogVerdict): Promise<void> {
    this.#epoch += 1;
    const carryOver = await readRecords(this.disk.attach(), verdict.suspects);
    this.#failedSyncsBefore = this.disk.failedSyncs.length;
    this.#isPoisoned = false;
    this.#log = await this.#newLog(verdict, carryOver);
    for (const [index, { lsn }] of verdict.suspects.entries()) {
      check(this.#log.carriedOver[index]?.lsn === lsn, `record ${lsn} was not carried over`);
    }
    for (const entry of this.#entries) entry.isDurable = true;
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
      isGrowing: this.#options.isGrowing ?? false,
      durability: this.#options.durability,
      onPoison: () => {
        this.#isPoisoned = true;
      },
    });
  }

  /** What a driver log and a checkpoint would know. */
  #witnessedLsn(): Lsn {
    if (this.#options.isWitnessed === false) return 0 as Lsn;
    return (this.#entries.findLast(({ isDurable }) => isDurable)?.lsn ?? 0) as Lsn;
  }

  /** At the `flush` level a record waits for no sync: once the log has heard that one failed, it
   * must say no more; at the `sync` level from the failure on. */
  #mustBeSilent(): boolean {
    return this.#options.durability === 'flush' ? this.#isPoisoned : this.#hasFailedSync();
  }

  /** A sync of this log has failed since it was opened. That of a spare may. */
  #hasFailedSync(): boolean {
    const failed = this.disk.failedSyncs.slice(this.#failedSyncsBefore);
    return failed.some((path) => path.endsWith('.wal'));
  }

  #newEntry(payloadBytes: number): Entry {
    this.#serial += 1;
    const payload = numberedPayload(this.#serial, payloadBytes);
    const entry: Entry = { payload, lsn: undefined, isDurable: false, mustSurvive: false };
    this.#entries.push(entry);
    return entry;
  }

  #track(entry: Entry, appended: Promise<{ lsn: Lsn }>): void {
    const noted = appended.then(({ lsn }) => {
      check(!this.#mustBeSilent(), `record ${lsn} was acknowledged after a failed sync`);
      entry.lsn = lsn;
      if (this.#options.durability === 'sync') entry.isDurable = true;
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

function checkSame(found: readonly Recovered[], expected: readonly Recovered[]): void {
  check(found.length === expected.length, 'an interrupted recovery changed what comes back');
  for (const [index, { lsn, payload }] of found.entries()) {
    const other = expected[index];
    const isEqual = other?.lsn === lsn && Buffer.compare(other.payload, payload) === 0;
    check(isEqual, `an interrupted recovery changed record ${lsn}`);
  }
}

/** Lets all work that needs no timer come to its end: the simulated disk has none. */
function oneTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
