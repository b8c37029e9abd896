/** Question: what do checking and framing cost of what a log of blocks costs?
 *
 * Blocks of 1 MiB are appended and synced, eight at a time. Read as: the CRC's own speed, and the
 * shares of all CPU time of the process that CRCs and framing (planning a group, record headers)
 * take. Both are timed alone, on the same kind of memory, and set against the CPU time of a block.
 * @module */
import { join } from 'node:path';
import type { Lsn } from '../src/core/ids.ts';
import { crc32 } from '../src/serde/crc32.ts';
import type * as GroupLayoutModule from '../src/wal/group-layout.ts';
import type * as PendingRecordModule from '../src/wal/pending-record.ts';
import { RECORD_TYPES } from '../src/wal/record-header.ts';
import { defineBenchmark } from './benchmark.ts';
import { openDisk } from './disk-kinds.ts';
import { AppendLoad } from './wal-append.bench.ts';

const built = (path: string): string => new URL(`../dist/wal/${path}`, import.meta.url).href;
const { encodeGroup, planGroup } = (await import(
  built('group-layout.js')
)) as typeof GroupLayoutModule;
const { RecordQueue } = (await import(built('pending-record.js'))) as typeof PendingRecordModule;

const MIB = 2 ** 20;
const HEADER_BYTES = 32;
const BLOCKS = 8;
const TIMED_MS = 300;

export const walShares = defineBenchmark({
  name: 'wal-shares',
  question: 'What do CRCs and framing cost of what a log of blocks costs?',
  axes: { record: ['1MiB-slot'] },
  smokeAxes: { record: ['1MiB-slot'] },
  seconds: 4,
  metrics: {
    crcBytesPerSecond: { unit: 'GB/s of CRC', digits: 2, divisor: 1e9 },
    crcShare: { unit: '% of CPU in CRCs', digits: 1, divisor: 0.01 },
    framingShare: { unit: '% of CPU in framing', digits: 2, divisor: 0.01 },
  },
  async measure(_, conditions) {
    const owned = await openDisk('thread');
    try {
      const load = new AppendLoad(owned.disk, true, BLOCKS);
      const before = process.cpuUsage();
      await load.run(join(conditions.directory, 'log'), conditions);
      const { user, system } = process.cpuUsage(before);
      const blockMs = (user + system) / 1_000 / load.appended;
      const memory = owned.disk.allocateAligned(BLOCKS * MIB).fill(0x2a);
      const crcMs = timedMs(() => crc32(memory.subarray(0, MIB)));
      return {
        crcBytesPerSecond: (MIB / crcMs) * 1_000,
        crcShare: crcMs / blockMs,
        framingShare: timedMs(() => frame(memory)) / BLOCKS / blockMs,
      };
    } finally {
      await owned.close();
    }
  },
});

/** One group of blocks. */
function frame(memory: Uint8Array): void {
  const queue = new RecordQueue();
  for (let n = 0; n < BLOCKS; n += 1) {
    queue.push({
      shape: {
        type: RECORD_TYPES.payload,
        isForced: false,
        slot: { payloadBytes: MIB - HEADER_BYTES, payloadCrc: n },
      },
      bytes: memory.subarray(n * MIB, (n + 1) * MIB),
      settle: undefined,
    });
  }
  const limits = { roomBytes: 64 * MIB, groupBytesMax: 8 * MIB, groupRecordsMax: 1_024 };
  const plan = planGroup(queue, limits);
  const place = { offsetBytes: 4_096, salt: 1, firstLsn: 1, durableLsn: 0 as Lsn };
  encodeGroup(queue.take(plan.count), place, memory);
}

/** Milliseconds of one call: the smallest mean of several rounds; others' work is left out. */
function timedMs(call: () => void): number {
  let bestMs = Infinity;
  const endMs = performance.now() + TIMED_MS;
  while (performance.now() < endMs) {
    const startMs = performance.now();
    for (let n = 0; n < 20; n += 1) call();
    bestMs = Math.min(bestMs, (performance.now() - startMs) / 20);
  }
  return bestMs;
}
