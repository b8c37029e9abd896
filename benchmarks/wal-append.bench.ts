/** Question: how close does the log alone come to what the disk can do?
 *
 * Read as: `ofDisk` is the log's bytes per second over the disk's, or, one append at a time, the
 * disk's synced 4 KiB write over the log's; both measured within the same second or two. 1 is the
 * disk's limit; grouping takes small appends above it. `disk` is the way to the kernel (the
 * engine's is `thread`), `pool` says whether the process's thread pool has other work. CRCs are
 * computed, as the engine does. What was appended is read back and counted. @module */
import { join } from 'node:path';
import { measureDiskLimit } from '../src/cli/bench/disk-limit.ts';
import type { DiskLimit } from '../src/cli/bench/disk-limit.ts';
import { quantile } from '../src/cli/bench/statistics.ts';
import { systemClock } from '../src/core/clock.ts';
import type { Lsn } from '../src/core/ids.ts';
import { crc32 } from '../src/serde/crc32.ts';
import { scanLog } from '../src/wal/log-scan.ts';
import type { Disk, OpenedDisk } from '../src/wal/disk.ts';
import { MirroredDisk } from '../src/wal/mirrored-disk.ts';
import { WriteAheadLog } from '../src/wal/write-ahead-log.ts';
import { defineBenchmark } from './benchmark.ts';
import type { Conditions, Sample } from './benchmark.ts';
import { BusyPool, openDisk } from './disk-kinds.ts';
import type { DiskKind } from './disk-kinds.ts';

const MIB = 2 ** 20;
const HEADER_BYTES = 32;
const SEGMENT_BYTES = 64 * MIB;
/** Segments are freed when the log is so far past them, as an engine keeps its last batches. */
const KEPT_RECORDS = 128;
const WARM_UP_MS = 1_000;

export const walAppend = defineBenchmark({
  name: 'wal-append',
  question: 'How close does the log alone come to what the disk can do?',
  axes: {
    record: ['1MiB-slot', '4KiB'],
    outstanding: [1, 8, 64],
    disk: ['thread', 'inline', 'pool'],
    pool: ['idle', 'busy'],
    copies: [1, 2],
  },
  smokeAxes: {
    record: ['1MiB-slot', '4KiB'],
    outstanding: [1, 8],
    disk: ['thread'],
    pool: ['idle'],
    copies: [1, 2],
  },
  isWanted: ({ record, outstanding, disk, pool, copies }) => {
    const isEngines = disk === 'thread' && pool === 'idle';
    if (copies === 2 && (!isEngines || outstanding === 64)) return false;
    if (pool === 'busy') return outstanding === (record === '4KiB' ? 1 : 8);
    return record === '4KiB' || outstanding < 64;
  },
  seconds: 4,
  metrics: {
    bytesPerSecond: { unit: 'MB/s', digits: 0, divisor: 1e6 },
    appendMsP50: { unit: 'ms p50', digits: 3 },
    appendMsP99: { unit: 'ms p99', digits: 3 },
    ofDisk: { unit: 'of the disk', digits: 2 },
  },
  async measure({ record, outstanding, disk: kind, pool, copies }, conditions) {
    const { directory, isSmoke } = conditions;
    const limit = await measureDiskLimit(directory, { isSmoke });
    const owned = copies === 1 ? await openDisk(kind) : await openMirrored(kind, directory);
    const busyPool = new BusyPool();
    if (pool === 'busy') busyPool.start();
    try {
      const load = new AppendLoad(owned.disk, record === '1MiB-slot', outstanding);
      const measured = await load.run(join(directory, 'log'), conditions);
      return { ...measured, ofDisk: shareOfDisk(measured, limit, { record, outstanding }) };
    } finally {
      await busyPool.stop();
      await owned.close();
    }
  },
});

/** As with `mirrorDir`, on one disk: what the second copy costs when both share one device. */
async function openMirrored(kind: DiskKind, directory: string): Promise<OpenedDisk> {
  const [first, second] = [await openDisk(kind), await openDisk(kind)];
  const copy = { disk: second.disk, directory: join(directory, 'second-copy') };
  await copy.disk.makeDirectory(copy.directory);
  const disk = new MirroredDisk([{ disk: first.disk, directory }, copy]);
  return { disk, close: async () => void (await Promise.all([first.close(), second.close()])) };
}

function shareOfDisk(
  { bytesPerSecond, appendMsP50 }: { bytesPerSecond: number; appendMsP50: number },
  disk: DiskLimit,
  { record, outstanding }: { readonly record: string; readonly outstanding: number },
): number {
  if (record === '1MiB-slot') return bytesPerSecond / disk.bytesPerSecond;
  if (outstanding === 1) return disk.syncMsP50 / appendMsP50;
  return bytesPerSecond / (4096 / (disk.syncMsP50 / 1_000));
}

/** Keeps a number of appends under way. */
export class AppendLoad {
  readonly #disk: Disk;
  readonly #isSlot: boolean;
  readonly #slots: readonly Uint8Array[];
  readonly #latenciesMs: number[] = [];
  /** Warming up included. */
  appended = 0;
  #lastLsn = 0;

  constructor(disk: Disk, isSlot: boolean, outstanding: number) {
    this.#disk = disk;
    this.#isSlot = isSlot;
    const slotBytes = isSlot ? MIB : 4096;
    const memory = disk.allocateAligned(outstanding * slotBytes).fill(0x2a);
    this.#slots = Array.from({ length: outstanding }, (_, index) =>
      memory.subarray(index * slotBytes, (index + 1) * slotBytes),
    );
  }

  async run(directory: string, { seconds, isSmoke }: Conditions) {
    const log = await this.#open(directory);
    const fromMs = performance.now() + (isSmoke ? 50 : WARM_UP_MS);
    const endMs = fromMs + seconds * 1_000;
    await Promise.all(this.#slots.map((slot) => this.#append(log, slot, { fromMs, endMs })));
    const passedSeconds = (performance.now() - fromMs) / 1_000;
    await log.close();
    await this.#check(directory);
    const recordBytes = this.#slots[0]?.byteLength ?? 0;
    return {
      bytesPerSecond: (this.#latenciesMs.length * recordBytes) / passedSeconds,
      appendMsP50: quantile(this.#latenciesMs, 0.5),
      appendMsP99: quantile(this.#latenciesMs, 0.99),
    } satisfies Sample;
  }

  async #open(directory: string): Promise<WriteAheadLog> {
    await this.#disk.makeDirectory(directory);
    const mode = (await this.#disk.supportsDirect(directory)) ? 'direct' : 'buffered';
    return WriteAheadLog.open({
      disk: this.#disk,
      clock: systemClock,
      directory,
      logId: '0'.repeat(32),
      epoch: 1,
      baseLsn: 1 as Lsn,
      segmentBytes: SEGMENT_BYTES,
      mode,
      durability: 'sync',
    });
  }

  async #append(
    log: WriteAheadLog,
    slot: Uint8Array,
    { fromMs, endMs }: { readonly fromMs: number; readonly endMs: number },
  ): Promise<void> {
    const payloadBytes = slot.byteLength - HEADER_BYTES;
    const payload = slot.subarray(HEADER_BYTES);
    for (let startMs = performance.now(); startMs < endMs; startMs = performance.now()) {
      const { lsn } = this.#isSlot
        ? await log.appendSlot(slot, payloadBytes, crc32(payload))
        : await log.append(payload);
      this.appended += 1;
      this.#lastLsn = Math.max(this.#lastLsn, lsn);
      if (startMs >= fromMs) this.#latenciesMs.push(performance.now() - startMs);
      if (lsn % KEPT_RECORDS === 0) await log.truncateBefore((lsn - KEPT_RECORDS) as Lsn);
    }
  }

  /** The log ends with the last append, and what it still has is there without a gap. */
  async #check(directory: string): Promise<void> {
    let found = 0;
    let lastLsn = 0;
    await scanLog(this.#disk, directory, (record) => {
      found += 1;
      lastLsn = record.lsn;
    });
    const foundMin = Math.min(this.appended, KEPT_RECORDS);
    if (lastLsn === this.#lastLsn && found >= foundMin && found <= this.appended) return;
    throw new Error(`${this.appended} appends, and the log holds ${found}, up to ${lastLsn}`);
  }
}
