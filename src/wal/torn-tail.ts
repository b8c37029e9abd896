/** Keeps the bytes of a torn write aside, for a human. The engine never reads them again.
 *
 * They neither pile up nor slow a start down: of each log the newest two copies stay, whatever
 * becomes of the segments that they came from, and a copy has at most 16 MiB. More cannot be of one
 * write unless a record is larger, and the segment itself keeps all of it until it is cleaned.
 * @module */
import { dirname, join } from 'node:path';
import { present } from '../core/assert.ts';
import type { Disk, DiskFile } from './disk.ts';
import type { LogVerdict } from './log-verdict.ts';
import { parseTornName, tornPath } from './segment-name.ts';
import { shortWrite } from './short-write.ts';

const CHUNK_BYTES = 1024 * 1024;
/** Two groups. What is behind them on a recycled file is old. */
const COPY_BYTES_MAX = 16 * CHUNK_BYTES;
/** Of each log: that of this start and that of the one before it. */
const COPIES_KEPT = 2;
const PART_SUFFIX = '.part';

/** Copies the bad part of a torn log to `<segment>.torn`, without zeros at its end, and removes
 * older copies. Call it only after the verdicts on ALL logs are known: until then recovery writes
 * nothing. A copy that exists already (an interrupted recovery made it) is made again.
 * @returns the copy's path; `undefined` when the verdict is not `torn`. */
export async function keepTornTail(disk: Disk, verdict: LogVerdict): Promise<string | undefined> {
  if (verdict.kind !== 'torn') return undefined;
  const place = present(verdict.place, 'the place of a torn write');
  const path = tornPath(place.path);
  const partPath = `${path}${PART_SUFFIX}`;
  const chunk = disk.allocateAligned(CHUNK_BYTES);
  const from = await disk.openForReading(place.path);
  try {
    await disk.unlink(partPath);
    const to = await disk.create(partPath, 'buffered');
    try {
      await copyTail(from, place.fromBytes, { to, chunk });
      await to.syncAll();
    } catch (thrown) {
      // Best effort, for the room it takes: the next start removes it too.
      await disk.unlink(partPath).catch(() => undefined);
      throw thrown;
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
  await disk.rename(partPath, path);
  await removeOlder(disk, dirname(path));
  await disk.syncDirectory(dirname(path));
  return path;
}

/** Pieces of zeros are held back until something follows them. */
async function copyTail(
  from: DiskFile,
  fromBytes: number,
  { to, chunk }: { readonly to: DiskFile; readonly chunk: Uint8Array },
): Promise<void> {
  for (let copied = 0; copied < COPY_BYTES_MAX; copied += CHUNK_BYTES) {
    const piece = chunk.subarray(0, await from.read(chunk, fromBytes + copied));
    if (piece.some((byte) => byte !== 0)) {
      const taken = await to.write([piece], copied);
      // A full disk says so at the next call.
      if (taken !== piece.byteLength) await to.write([piece.subarray(taken)], copied + taken);
      if (taken !== piece.byteLength) throw shortWrite(to.path, piece.byteLength, taken);
    }
    if (piece.byteLength < CHUNK_BYTES) return;
  }
}

/** Also what interrupted recoveries have begun to copy. */
async function removeOlder(disk: Disk, directory: string): Promise<void> {
  const names = present(await disk.list(directory), 'the directory of a log');
  const copies = names.filter((name) => parseTornName(name) !== undefined); // sorted by seq
  const parts = names.filter(
    (name) =>
      name.endsWith(PART_SUFFIX) && parseTornName(name.slice(0, -PART_SUFFIX.length)) !== undefined,
  );
  for (const name of [...copies.slice(0, -COPIES_KEPT), ...parts]) {
    await disk.unlink(join(directory, name));
  }
}
