/** Makes a directory of plain files what the same directory in another place is, durably.
 *
 *     each file:  <name>.copy.tmp ── 1 MiB pieces ──► fsync ── rename ──► <name>
 *     then:       files that the source does not have are removed, fsync of the directory
 *
 * A file is there whole or not at all, whenever the power fails. Temporary files (`.tmp`, `.part`)
 * mean nothing in any directory of the engine: they are not copied, and removed from both places.
 * One that stayed in the source would be in the way of the next file of that name, which is made in
 * both by somebody who looks for free names in one. Knows nothing of what the files hold. Two
 * buffers of 1 MiB, whatever the files' size.
 * @module */
import { join } from 'node:path';
import { MillraceError } from '../core/errors.ts';
import type { DiskFile } from './disk.ts';
import type { Copy } from './mirrored-disk.ts';
import { shortWrite } from './short-write.ts';

const PIECE_BYTES = 1024 * 1024;
const COPY_SUFFIX = '.copy.tmp';

export interface CopyWork {
  readonly from: Copy;
  readonly to: Copy;
  /** Copy also what looks equal: bytes in the cache of a disk that once failed prove nothing. */
  readonly isForced: boolean;
  /** Called for each piece that was written. */
  readonly onCopied: (bytes: number) => void;
}

/** @returns how many files, temporary ones aside, were written or removed.
 * @throws {MillraceError} DISK_FULL, DISK_FAILED; run again it goes on. */
export async function restoreDirectory(work: CopyWork, name: string): Promise<number> {
  const { from, to } = work;
  const wanted = await from.disk.list(join(from.directory, name));
  const target = join(to.directory, name);
  const there = await to.disk.list(target);
  if (wanted === undefined) {
    await to.disk.removeTree(target);
    return there === undefined ? 0 : 1;
  }
  await to.disk.makeDirectory(target);
  const files = wanted.filter((file) => !isTemporary(file));
  const found = there ?? [];
  const extra = found.filter((file) => !files.includes(file));
  const copier = new FileCopier(work);
  let changed = extra.filter((file) => !isTemporary(file)).length;
  for (const file of files) {
    const path = join(name, file);
    if (!work.isForced && found.includes(file) && (await copier.isEqual(path))) continue;
    await copier.copy(path);
    changed += 1;
  }
  for (const file of extra) await to.disk.unlink(join(target, file));
  for (const file of wanted.filter(isTemporary)) {
    await from.disk.unlink(join(from.directory, name, file));
  }
  await to.disk.syncDirectory(target);
  return changed;
}

function isTemporary(file: string): boolean {
  return file.endsWith('.tmp') || file.endsWith('.part');
}

class FileCopier {
  readonly #work: CopyWork;
  readonly #piece: Uint8Array;
  readonly #other: Uint8Array;

  constructor(work: CopyWork) {
    this.#work = work;
    this.#piece = work.from.disk.allocateAligned(PIECE_BYTES);
    this.#other = work.to.disk.allocateAligned(PIECE_BYTES);
  }

  /** A file that the target cannot read is not equal. */
  async isEqual(path: string): Promise<boolean> {
    const { from, to } = this.#work;
    return withFile(from.disk.openForReading(join(from.directory, path)), async (source) => {
      try {
        const target = to.disk.openForReading(join(to.directory, path));
        return await withFile(target, (file) => this.#areEqual(source, file));
      } catch (thrown) {
        if (thrown instanceof MillraceError && thrown.details['path'] !== source.path) return false;
        throw thrown;
      }
    });
  }

  async copy(path: string): Promise<void> {
    const { from, to } = this.#work;
    const target = join(to.directory, path);
    const part = target + COPY_SUFFIX;
    await to.disk.unlink(part);
    await withFile(from.disk.openForReading(join(from.directory, path)), (source) =>
      withFile(to.disk.create(part, 'buffered'), (file) => this.#copyAll(source, file)),
    );
    await to.disk.rename(part, target);
  }

  async #areEqual(source: DiskFile, target: DiskFile): Promise<boolean> {
    if ((await source.sizeBytes()) !== (await target.sizeBytes())) return false;
    for (let at = 0; ; at += PIECE_BYTES) {
      const wanted = this.#piece.subarray(0, await source.read(this.#piece, at));
      const found = this.#other.subarray(0, await target.read(this.#other, at));
      if (Buffer.compare(wanted, found) !== 0) return false;
      if (wanted.byteLength < PIECE_BYTES) return true;
    }
  }

  async #copyAll(source: DiskFile, target: DiskFile): Promise<void> {
    for (let at = 0; ; at += PIECE_BYTES) {
      const piece = this.#piece.subarray(0, await source.read(this.#piece, at));
      const taken = piece.byteLength === 0 ? 0 : await target.write([piece], at);
      if (taken !== piece.byteLength) throw shortWrite(target.path, piece.byteLength, taken);
      this.#work.onCopied(taken);
      if (piece.byteLength < PIECE_BYTES) break;
    }
    await target.syncAll();
  }
}

async function withFile<T>(
  opening: Promise<DiskFile>,
  use: (file: DiskFile) => Promise<T>,
): Promise<T> {
  const file = await opening;
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
