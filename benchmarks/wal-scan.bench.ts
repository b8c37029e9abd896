/** Question: how fast is a log read and checked, as recovery and `wal verify` do it?
 *
 * A log of one GiB, or a quarter of it with records of 100 bytes, is scanned whole from the device,
 * each CRC computed. Read as: bytes a second; recovery takes that long for each GiB. The count of
 * what was read is checked. @module */
import { join } from 'node:path';
import { systemClock } from '../src/core/clock.ts';
import type { Lsn } from '../src/core/ids.ts';
import { crc32 } from '../src/serde/crc32.ts';
import type { Disk } from '../src/wal/disk.ts';
import type * as LogScanModule from '../src/wal/log-scan.ts';
import { WriteAheadLog } from '../src/wal/write-ahead-log.ts';
import { defineBenchmark } from './benchmark.ts';
import { openDisk } from './disk-kinds.ts';

const MODULE = new URL('../dist/wal/log-scan.js', import.meta.url).href;
const { scanLog } = (await import(MODULE)) as typeof LogScanModule;

const MIB = 2 ** 20;
const HEADER_BYTES = 32;

export const walScan = defineBenchmark({
  name: 'wal-scan',
  question: 'How fast is a log read and checked, as recovery does it?',
  axes: { record: ['1MiB', '4KiB', '100B'], disk: ['thread', 'pool'] },
  smokeAxes: { record: ['1MiB'], disk: ['thread'] },
  seconds: 1,
  metrics: { bytesPerSecond: { unit: 'GiB/s', digits: 2, divisor: 2 ** 30 } },
  async measure({ record, disk: kind }, { directory, isSmoke }) {
    const owned = await openDisk(kind);
    const { disk } = owned;
    try {
      const recordBytes = record === '1MiB' ? MIB : record === '4KiB' ? 4_096 : 100;
      const logBytes = (isSmoke ? 8 : record === '100B' ? 256 : 1_024) * MIB;
      const path = join(directory, 'log');
      const count = await writeLog(disk, path, { recordBytes, logBytes });
      return { bytesPerSecond: await scanSpeed(disk, path, count) };
    } finally {
      await owned.close();
    }
  },
});

/** @returns how many records it holds. */
async function writeLog(
  disk: Disk,
  directory: string,
  { recordBytes, logBytes }: { readonly recordBytes: number; readonly logBytes: number },
): Promise<number> {
  await disk.makeDirectory(directory);
  const log = await WriteAheadLog.open({
    disk,
    clock: systemClock,
    directory,
    logId: '0'.repeat(32),
    epoch: 1,
    baseLsn: 1 as Lsn,
    segmentBytes: 64 * MIB,
    mode: (await disk.supportsDirect(directory)) ? 'direct' : 'buffered',
    durability: 'sync',
  });
  const isSlot = recordBytes === MIB;
  const slot = disk.allocateAligned(recordBytes).fill(0x2a);
  const payload = isSlot ? slot.subarray(HEADER_BYTES) : slot;
  const payloadCrc = crc32(payload);
  const count = Math.floor(logBytes / recordBytes);
  const together = isSlot ? 1 : 5_000;
  for (let n = 0; n < count; n += together) {
    const appends = Array.from({ length: Math.min(together, count - n) }, () =>
      isSlot ? log.appendSlot(slot, payload.byteLength, payloadCrc) : log.append(payload),
    );
    await Promise.all(appends);
  }
  await log.close();
  return count;
}

async function scanSpeed(disk: Disk, directory: string, count: number): Promise<number> {
  let found = 0;
  let bytes = 0;
  const startedMs = performance.now();
  await scanLog(disk, directory, (_, payload) => {
    found += 1;
    bytes += HEADER_BYTES + payload.byteLength;
  });
  const seconds = (performance.now() - startedMs) / 1_000;
  if (found !== count) throw new Error(`${count} records were written, ${found} were read`);
  return bytes / seconds;
}
