/** Question: how many small records a second does the log make durable, each by itself?
 *
 * Records of 100 bytes, at most `outstanding` of them unacknowledged; every append has a promise of
 * its own, and its callback appends the next record. Read as: records/s, and beside it what one
 * costs the thread of the caller, which hardly depends on what else the machine does: its inverse
 * is the limit. What was appended is read back and counted. @module */
import { join } from 'node:path';
import { systemClock } from '../src/core/clock.ts';
import { toError } from '../src/core/errors.ts';
import type { Lsn } from '../src/core/ids.ts';
import type { Disk } from '../src/wal/disk.ts';
import type * as LogScanModule from '../src/wal/log-scan.ts';
import type * as WriteAheadLogModule from '../src/wal/write-ahead-log.ts';
import { defineBenchmark } from './benchmark.ts';
import type { Conditions } from './benchmark.ts';
import { openDisk } from './disk-kinds.ts';
import { mainThreadCpuMs } from './process-cost.ts';

// As users run it: a loader for TypeScript changes what the code costs.
const built = (path: string): string => new URL(`../dist/wal/${path}`, import.meta.url).href;
const { WriteAheadLog } = (await import(built('write-ahead-log.js'))) as typeof WriteAheadLogModule;
const { scanLog } = (await import(built('log-scan.js'))) as typeof LogScanModule;

type Log = WriteAheadLogModule.WriteAheadLog;

const RECORD_BYTES = 100;
const SEGMENT_BYTES = 64 * 2 ** 20;
const WARM_UP_MS = 1_500;
/** Segments behind it are freed. */
const KEPT_RECORDS = 500_000;

export const walRecords = defineBenchmark({
  name: 'wal-records',
  question:
    'How many small records a second does the log make durable, each acknowledged by itself?',
  axes: { outstanding: [1_000, 10_000], disk: ['thread', 'inline', 'pool'] },
  smokeAxes: { outstanding: [1_000], disk: ['thread'] },
  seconds: 5,
  metrics: {
    recordsPerSecond: { unit: 'M records/s', digits: 2, divisor: 1e6 },
    callerNs: { unit: 'ns of the caller’s CPU/record', digits: 0 },
    recordsPerGroup: { unit: 'records/group', digits: 0 },
  },
  async measure({ outstanding, disk: kind }, conditions) {
    const owned = await openDisk(kind);
    const { disk } = owned;
    try {
      return await measure(disk, outstanding, conditions);
    } finally {
      await owned.close();
    }
  },
});

async function measure(disk: Disk, outstanding: number, { directory, ...rest }: Conditions) {
  const path = join(directory, 'log');
  await disk.makeDirectory(path);
  const log = await WriteAheadLog.open({
    disk,
    clock: systemClock,
    directory: path,
    logId: '0'.repeat(32),
    epoch: 1,
    baseLsn: 1 as Lsn,
    segmentBytes: SEGMENT_BYTES,
    mode: (await disk.supportsDirect(directory)) ? 'direct' : 'buffered',
    durability: 'sync',
  });
  const load = new RecordLoad(log);
  const warmUpMs = rest.isSmoke ? 50 : WARM_UP_MS;
  await load.run(outstanding, warmUpMs);
  const before = { cpuMs: callerCpuMs(), groups: log.stats().groups, acked: load.acked };
  const startedMs = performance.now();
  await load.run(outstanding, rest.seconds * 1_000);
  const passedMs = performance.now() - startedMs;
  const records = load.acked - before.acked;
  const cpuMs = callerCpuMs() - before.cpuMs;
  const groups = log.stats().groups - before.groups;
  await log.close();
  await check(disk, path, load.acked);
  return {
    recordsPerSecond: (records / passedMs) * 1_000,
    callerNs: (cpuMs / records) * 1e6,
    recordsPerGroup: records / groups,
  };
}

function callerCpuMs(): number {
  return mainThreadCpuMs(process.pid) ?? Number.NaN;
}

/** Appends as long as it may, as many at a time as it may. */
class RecordLoad {
  readonly #log: Log;
  readonly #payload = Buffer.alloc(RECORD_BYTES, 'r');
  acked = 0;
  #underWay = 0;
  #endMs = 0;
  #failure: Error | undefined;
  #done: () => void = () => {};

  constructor(log: Log) {
    this.#log = log;
  }

  async run(outstanding: number, forMs: number): Promise<void> {
    this.#endMs = performance.now() + forMs;
    const done = new Promise<void>((resolve) => (this.#done = resolve));
    for (let n = 0; n < outstanding; n += 1) this.#append();
    await done;
    if (this.#failure !== undefined) throw this.#failure;
  }

  #append(): void {
    this.#underWay += 1;
    this.#log.append(this.#payload).then(this.#acknowledge, this.#fail);
  }

  readonly #acknowledge = ({ lsn }: { readonly lsn: number }): void => {
    this.#underWay -= 1;
    this.acked += 1;
    if (lsn !== this.acked) this.#failure = new Error(`record ${this.acked} has LSN ${lsn}`);
    if (lsn % 100_000 === 0 && lsn > KEPT_RECORDS) {
      this.#log.truncateBefore((lsn - KEPT_RECORDS) as Lsn).catch(this.#fail);
    }
    // The clock is not asked for each record.
    if (lsn % 64 === 0 && performance.now() >= this.#endMs) this.#endMs = 0;
    if (this.#endMs > 0 && this.#failure === undefined) this.#append();
    else if (this.#underWay === 0) this.#done();
  };

  readonly #fail = (error: unknown): void => {
    this.#failure ??= toError(error);
    this.#done();
  };
}

/** The log ends with the last append, and what it still has is there without a gap. */
async function check(disk: Disk, directory: string, acked: number): Promise<void> {
  let found = 0;
  let lastLsn = 0;
  await scanLog(disk, directory, (record) => {
    found += 1;
    lastLsn = record.lsn;
  });
  if (lastLsn === acked && found >= Math.min(acked, KEPT_RECORDS)) return;
  throw new Error(`${acked} records acknowledged, and the log holds ${found}, up to ${lastLsn}`);
}
