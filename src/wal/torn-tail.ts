/** Keeps the bytes of a torn write aside, for a human. The engine never reads them again.
 * @module */
import type { Disk, DiskFile } from './disk.ts';
import type { LogVerdict } from './log-verdict.ts';
import { shortWrite } from './short-write.ts';
import { tornPath } from './segment-name.ts';
import { dirname } from 'node:path';

const CHUNK_BYTES = 1024 * 1024;

/** Copies the bad part of a torn log to `<segment>.torn`, without zeros at its end. Call it only
 * after the verdicts on ALL logs are known: until then recovery writes nothing. A copy that exists
 * already (an interrupted recovery made it) is made again.
 * @returns the copy's path; `undefined` when the verdict is not `torn`. */
export async function keepTornTail(disk: Disk, verdict: LogVerdict): Promise<string | undefined> {
  const { kind, place } = verdict;
  if (kind !== 'torn' || place === undefined) return undefined;
  const path = tornPath(place.path);
  const partPath = `${path}.part`;
  const from = await disk.openForReading(place.path);
  try {
    await disk.unlink(partPath);
    const to = await disk.create(partPath, 'buffered');
    try {
      await copyTail(from, place.fromBytes, to);
      await to.syncAll();
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
  await disk.rename(partPath, path);
  await disk.syncDirectory(dirname(path));
  return path;
}

/** Pieces of zeros are held back until something follows them. */
async function copyTail(from: DiskFile, fromBytes: number, to: DiskFile): Promise<void> {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let at = fromBytes; ; at += CHUNK_BYTES) {
    const piece = chunk.subarray(0, await from.read(chunk, at));
    if (piece.byteLength === 0) return;
    if (piece.some((byte) => byte !== 0)) {
      const taken = await to.write([piece], at - fromBytes);
      if (taken !== piece.byteLength) throw shortWrite(to.path, piece.byteLength, taken);
    }
    if (piece.byteLength < CHUNK_BYTES) return;
  }
}
