/** One workload of a log and a checkpoint store, run once on a simulated disk and remembered after
 * every disk call, together with what had been promised by then. From any of these moments a power
 * cut can be tried, and what it leaves be recovered. @module */
import type { Lsn } from '../../src/core/ids.ts';
import type { Random } from '../../src/core/random.ts';
import { seededRandom } from '../../src/core/random.ts';
import { CheckpointStore } from '../../src/checkpoint/checkpoint-store.ts';
import { SimDisk } from '../../src/testing/sim-disk.ts';
import type { SimDiskOptions } from '../../src/testing/sim-disk.ts';
import { scanLog } from '../../src/wal/log-scan.ts';
import { judgeLog } from '../../src/wal/log-verdict.ts';
import type { LogVerdict } from '../../src/wal/log-verdict.ts';
import { readRecords } from '../../src/wal/scanned-record.ts';
import { keepTornTail } from '../../src/wal/torn-tail.ts';
import { WriteAheadLog } from '../../src/wal/write-ahead-log.ts';
import { ManualClock } from './manual-clock.ts';
import { numberedPayload } from './numbered-payloads.ts';
import { check } from './sim-runs.ts';

const LOG = '/place/log';
const CHECKPOINTS = '/place/checkpoints';
const LOG_ID = 'b0b1b2b3b4b5b6b7b8b9babbbcbdbebf';
const PAGE_BYTES = 4096;
/** Calls that change what a power cut may leave. */
const CHANGES: ReadonlySet<string> = new Set([
  'makeDirectory',
  'create',
  'write',
  'sync',
  'syncDirectory',
  'rename',
  'unlink',
]);

/** What had been promised at one moment. Appends are numbered 1, 2, 3 … */
interface Promises {
  /** By number of the append; what is acknowledged has an LSN. */
  readonly lsns: readonly (Lsn | undefined)[];
  readonly lengths: readonly number[];
  /** The log may have forgotten what is below. */
  readonly floorLsn: Lsn;
  readonly checkpoint: number;
  readonly checkpointsTried: number;
}

/** The disk right before one of its calls. */
export interface Moment {
  readonly disk: SimDisk;
  readonly promised: Promises;
}

export interface Recording {
  readonly moments: readonly Moment[];
  readonly calls: number;
}

/** What a recovery gave. */
interface Found {
  readonly verdict: LogVerdict;
  readonly records: readonly { readonly lsn: Lsn; readonly serial: number }[];
}

export async function recordWorkload(seed: number, options: SimDiskOptions): Promise<Recording> {
  const workload = new Workload(seed, options);
  await workload.run();
  return { moments: workload.moments, calls: workload.disk.counts.any };
}

class Workload {
  readonly disk: SimDisk;
  readonly moments: Moment[] = [];
  readonly #random: Random;
  readonly #lsns: (Lsn | undefined)[] = [];
  readonly #lengths: number[] = [];
  #floorLsn = 1 as Lsn;
  #checkpoint = 0;
  #checkpointsTried = 0;

  constructor(seed: number, options: SimDiskOptions) {
    this.disk = new SimDisk({ seed, ...options });
    this.#random = seededRandom(seed);
  }

  async run(): Promise<void> {
    this.disk.watch(({ kind }) => {
      if (CHANGES.has(kind)) this.#remember();
    });
    const store = await CheckpointStore.open({ disk: this.disk.attach(), directory: CHECKPOINTS });
    await this.#write(store);
    const clock = new ManualClock();
    let log = await this.#open(clock, { epoch: 1, baseLsn: 1 as Lsn });
    await this.#appendMany(log, 14);
    await Promise.all([this.#write(store), this.#appendMany(log, 8)]);
    await this.#truncate(log, 0.6);
    await this.#appendMany(log, 10);
    clock.advance(50);
    await oneTurn();
    await Promise.all([this.#truncate(log, 0.9), this.#appendMany(log, 8), this.#write(store)]);
    await log.close();
    log = await this.#open(clock, { epoch: 2, baseLsn: (log.lastLsn + 1) as Lsn });
    await this.#appendMany(log, 6);
    await this.#truncate(log, 1);
    await Promise.all([this.#write(store), this.#appendMany(log, 4)]);
    this.#remember();
    this.disk.watch(undefined);
  }

  #remember(): void {
    const promised = {
      lsns: [...this.#lsns],
      lengths: [...this.#lengths],
      floorLsn: this.#floorLsn,
      checkpoint: this.#checkpoint,
      checkpointsTried: this.#checkpointsTried,
    };
    this.moments.push({ disk: this.disk.fork(), promised });
  }

  #open(clock: ManualClock, where: { epoch: number; baseLsn: Lsn }): Promise<WriteAheadLog> {
    return WriteAheadLog.open({ ...logOptions(this.disk, clock), ...where });
  }

  /** Some together, in one group, some one after the other. */
  async #appendMany(log: WriteAheadLog, count: number): Promise<void> {
    for (let done = 0; done < count;) {
      const together = Math.min(count - done, 1 + Math.floor(this.#random.next() * 3));
      await Promise.all(Array.from({ length: together }, () => this.#append(log)));
      done += together;
    }
  }

  async #append(log: WriteAheadLog): Promise<void> {
    const lengthBytes = 8 + Math.floor(this.#random.next() ** 2 * 9_000);
    const serial = this.#lengths.push(lengthBytes);
    this.#lsns.push(undefined);
    const { lsn } = await log.append(numberedPayload(serial, lengthBytes));
    this.#lsns[serial - 1] = lsn;
  }

  async #truncate(log: WriteAheadLog, share: number): Promise<void> {
    const acknowledged = this.#lsns.filter((lsn) => lsn !== undefined);
    const lsn = acknowledged[Math.floor((acknowledged.length - 1) * share)];
    check(lsn !== undefined, 'nothing to truncate');
    this.#floorLsn = lsn;
    await log.truncateBefore(lsn);
  }

  async #write(store: CheckpointStore): Promise<void> {
    this.#checkpointsTried += 1;
    const mine = this.#checkpointsTried;
    await store.write(numberedPayload(mine, 700));
    this.#checkpoint = mine;
  }
}

function logOptions(disk: SimDisk, clock: ManualClock) {
  return {
    disk: disk.attach(),
    clock,
    directory: LOG,
    logId: LOG_ID,
    segmentBytes: 6 * PAGE_BYTES,
    groupBytesMax: 3 * PAGE_BYTES,
    mode: 'direct',
    durability: 'sync',
  } as const;
}

/** Reads and judges the log and the checkpoints, and holds them against what was promised.
 * @param isWitnessed whether somebody else knows of the last acknowledged record.
 * @throws when a promise is broken. Writes nothing to the log. */
export async function checkRecovery(
  disk: SimDisk,
  promised: Promises,
  isWitnessed: boolean,
): Promise<Found> {
  const records: { lsn: Lsn; serial: number }[] = [];
  const scan = await scanLog(disk.attach(), LOG, ({ lsn }, payload) => {
    const serial = payload.readDoubleLE(0);
    const expected = numberedPayload(serial, promised.lengths[serial - 1] ?? 8);
    check(Buffer.compare(payload, expected) === 0, `record ${lsn} was never appended (I3)`);
    records.push({ lsn, serial });
  });
  const lastLsn = promised.lsns.findLast((lsn) => lsn !== undefined) ?? (0 as Lsn);
  const verdict = judgeLog(scan, isWitnessed ? lastLsn : (0 as Lsn));
  check(verdict.kind !== 'damaged', verdict.message);
  checkRecords(records, promised);
  await checkCheckpoints(disk, promised);
  return { verdict, records };
}

function checkRecords(records: Found['records'], { lsns, floorLsn }: Promises): void {
  const first = records[0]?.serial ?? 0;
  for (const [index, { lsn, serial }] of records.entries()) {
    check(serial === first + index, `record ${lsn} does not follow the one before it (I4)`);
    const acknowledged = lsns[serial - 1];
    check(acknowledged === undefined || acknowledged === lsn, `record ${lsn} has moved`);
  }
  const found = new Set(records.map(({ serial }) => serial));
  for (const [index, lsn] of lsns.entries()) {
    if (lsn === undefined || lsn < floorLsn) continue;
    check(found.has(index + 1), `record ${lsn}, which was acknowledged, is lost (I1)`);
  }
}

async function checkCheckpoints(disk: SimDisk, promised: Promises): Promise<void> {
  const directory = CHECKPOINTS;
  const store = await CheckpointStore.open({ disk: disk.attach(), directory });
  const loaded = await store.loadNewest();
  const number = loaded === undefined ? 0 : Buffer.from(loaded.payload).readDoubleLE(0);
  check(number >= promised.checkpoint, `checkpoint ${promised.checkpoint} is lost`);
  check(number <= promised.checkpointsTried, `checkpoint ${number} was never written`);
  if (loaded === undefined) return;
  const isWhole = Buffer.compare(loaded.payload, numberedPayload(number, 700)) === 0;
  check(isWhole && loaded.skipped.length === 0, `checkpoint ${number} is not whole`);
}

/** Goes on from `found` as a start of number `epoch` does, up to its `crashAtCall`-th disk call, if
 * that is given. */
export async function openRecovered(
  disk: SimDisk,
  { verdict }: Found,
  { epoch, crashAtCall }: { readonly epoch: number; readonly crashAtCall?: number },
): Promise<'opened' | 'died'> {
  if (crashAtCall !== undefined) disk.failCall('any', crashAtCall, 'crash');
  const died = disk.untilCrash().then(() => 'died' as const);
  const opening = async (): Promise<'opened'> => {
    const attached = disk.attach();
    await keepTornTail(attached, verdict);
    const carryOver = await readRecords(attached, verdict.suspects);
    const baseLsn = verdict.nextBaseLsn;
    const options = logOptions(disk, new ManualClock());
    await WriteAheadLog.open({ ...options, epoch, baseLsn, carryOver });
    return 'opened';
  };
  return Promise.race([opening(), died]);
}

/** @throws when two recoveries of one log differ (I6). */
export function checkSameRecords(one: Found, other: Found): void {
  check(one.records.length === other.records.length, 'a second recovery gives more or less (I6)');
  for (const [index, { lsn, serial }] of one.records.entries()) {
    const same = other.records[index];
    check(same?.lsn === lsn && same.serial === serial, `record ${lsn} changed (I6)`);
  }
}

function oneTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
