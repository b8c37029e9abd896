/** The parts of `textFileStream`: which files of a directory are new, and the lines of one file.
 *
 * Contract with whoever writes the files: write under a name that begins with `.` or ends in
 * `.tmp`, or elsewhere on the same file system, then rename into the directory, and never touch the
 * file again. A file is its own log: the allocation of a batch records it (path, size, mtime,
 * inode), and a replay reads the same bytes or fails; so this input needs no receiver and no
 * receiver log.
 *
 * Identity of a file: path + inode + birth time. A file of an old name is new when it was created
 * again. File systems that keep no birth time report 0; there the modification time takes its
 * place, because inodes are reused at once, and a lost file is worse than one that `touch` renews.
 *
 * Knows nothing of batches or checkpoints: the seen set belongs to the caller. Mirrors Spark's
 * FileInputDStream, with identities in place of its window of remembered modification times.
 * @module */
import { open, readdir, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { MillraceError } from '../core/errors.ts';
import type { ErrorDetails } from '../core/errors.ts';
import type { SourceGuarantee } from '../dstream/receiver.ts';
import type { FileShare } from '../dstream/task-spec.ts';
import { LineSplitter, splitLines } from './line-splitter.ts';
import { decodeUtf8, invalidUtf8Offset } from './utf8.ts';

/** Of `textFileStream`. */
export const TEXT_FILES_GUARANTEE: SourceGuarantee = {
  delivery: 'replayable',
  reason: 'a file is its own log: it is in exactly one batch, which reads it again when it must',
};

/** Statistics asked for at the same time; libuv has 4 threads for them. */
const STATS_AT_ONCE = 64;
const READ_BYTES = 256 * 1024;
/** Longest line of a file: bounds what one reader holds. */
const LINE_BYTES_MAX = 8 * 1024 * 1024;

/** Files that may be taken, ordered by (modification time, name). Hidden names and `*.tmp` are not.
 * A symbolic link to a regular file counts as that file.
 * @throws {MillraceError} SOURCE_FAILED when the directory, or a file in it, cannot be looked
 * at. */
export async function listCandidates(directory: string): Promise<FileShare[]> {
  const names = (await readNames(directory)).filter(
    (name) => !name.startsWith('.') && !name.endsWith('.tmp'),
  );
  const shares: FileShare[] = [];
  for (let from = 0; from < names.length; from += STATS_AT_ONCE) {
    const some = names.slice(from, from + STATS_AT_ONCE);
    const found = await Promise.all(some.map((name) => shareOf(join(directory, name))));
    for (const share of found) if (share !== undefined) shares.push(share);
  }
  return shares.sort((a, b) => a.mtimeMs - b.mtimeMs || compareText(a.path, b.path));
}

/** Text that two files have in common only when they are the same file. */
export function fileIdentity(share: FileShare): string {
  const born = share.birthtimeMs === 0 ? `m${share.mtimeMs}` : `b${share.birthtimeMs}`;
  return `${share.inode}/${born}/${share.path}`;
}

/** What is new among the candidates, and what of `seen` has to be remembered.
 *
 * Forgetting identities that are not listed is right because such an identity cannot come back by
 * itself: a file that is created again has another birth time (or modification time). Only who
 * moves a file out of the directory and back again hands it in twice. So the set stays as small as
 * the directory, without any clock. Call it with a complete listing only.
 * @param seen identities of the files that were taken before.
 * @returns `fresh` in the order of the candidates; `stillSeen` without the fresh ones. */
export function selectNewFiles(
  candidates: readonly FileShare[],
  seen: ReadonlySet<string>,
): { fresh: FileShare[]; stillSeen: string[] } {
  const fresh: FileShare[] = [];
  const stillSeen: string[] = [];
  for (const share of candidates) {
    const identity = fileIdentity(share);
    if (seen.has(identity)) stillSeen.push(identity);
    else fresh.push(share);
  }
  return { fresh, stillSeen };
}

/** The lines of one file, in runs, holding one run and one line in memory. Empty lines are lines;
 * the final newline makes none; `\r\n` ends a line as `\n` does.
 *
 * Throws at the end when the file changed while it was read: what came before must then be thrown
 * away, as a failed task does.
 * @throws {MillraceError} SOURCE_FAILED when the file is gone, is not the one that `share` names,
 * is
 *   not UTF-8, or has a line of more than 8 MiB. */
export async function* readLines(share: FileShare): AsyncGenerator<readonly string[], void> {
  const file = await openShare(share.path);
  try {
    await checkUnchanged(file, share);
    const splitter = new LineSplitter(LINE_BYTES_MAX);
    let offset = 0;
    while (offset < share.sizeBytes) {
      const chunk = await readChunk(file, share, offset);
      offset += chunk.byteLength;
      const start = splitter.nextOffset;
      const whole = splitter.push(chunk);
      if (whole !== undefined) yield decodeLines(whole, { path: share.path, start });
      if (splitter.failure !== undefined) {
        throw sourceFailed(share.path, `${splitter.failure.message}; split it`, {});
      }
    }
    const start = splitter.nextOffset;
    const rest = splitter.finish();
    if (rest !== undefined) yield decodeLines(rest, { path: share.path, start });
    await checkUnchanged(file, share);
  } finally {
    await file.close();
  }
}

async function readNames(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    const code = errnoOf(error);
    const hint =
      code === 'ENOENT'
        ? 'it does not exist: create it, or correct the path'
        : code === 'ENOTDIR'
          ? 'it is a file: give the directory that the files are renamed into'
          : 'make it readable for this user';
    throw new MillraceError(
      'SOURCE_FAILED',
      `textFileStream cannot list the directory ${directory} (${code}): ${hint}`,
      { cause: error, details: { path: directory, errno: code } },
    );
  }
}

/** `undefined` for what is no regular file, and for a file that went away since the listing. */
async function shareOf(path: string): Promise<FileShare | undefined> {
  try {
    const stats = await stat(path, { bigint: true });
    if (!stats.isFile()) return undefined;
    return {
      path,
      sizeBytes: Number(stats.size),
      mtimeMs: toMs(stats.mtimeNs),
      birthtimeMs: toMs(stats.birthtimeNs),
      inode: foldInode(stats.ino),
    };
  } catch (error) {
    // Bytes of a name that are no UTF-8 come as U+FFFD; such a file would be passed over for ever.
    if (errnoOf(error) === 'ENOENT' && !path.includes('\ufffd')) return undefined;
    const hint = path.includes('\ufffd')
      ? 'its name is not UTF-8: rename it'
      : 'make it accessible or take it away';
    throw sourceFailed(path, `cannot be looked at (${errnoOf(error)}): ${hint}`, { cause: error });
  }
}

async function openShare(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    const code = errnoOf(error);
    const hint =
      code === 'ENOENT'
        ? 'it belongs to a batch that is not finished, but it is gone: put it back unchanged'
        : 'make it readable for this user';
    throw sourceFailed(path, `cannot be opened (${code}): ${hint}`, { cause: error });
  }
}

async function readChunk(file: FileHandle, share: FileShare, offset: number): Promise<Buffer> {
  const length = Math.min(READ_BYTES, share.sizeBytes - offset);
  // A buffer per chunk: the splitter keeps views of it.
  const { bytesRead, buffer } = await file
    .read(Buffer.allocUnsafeSlow(length), 0, length, offset)
    .catch((error: unknown) => {
      throw sourceFailed(share.path, `cannot be read at byte ${offset}`, { cause: error });
    });
  if (bytesRead > 0) return buffer.subarray(0, bytesRead);
  throw sourceFailed(
    share.path,
    `ended at byte ${offset} of ${share.sizeBytes}: ${CHANGED_HINT}`,
    {},
  );
}

const CHANGED_HINT =
  'files must not change once they are in the directory. Write them elsewhere and rename them ' +
  'in; to go on, put the file back as it was';

async function checkUnchanged(file: FileHandle, share: FileShare): Promise<void> {
  const stats = await file.stat({ bigint: true });
  const changes = changesOf(stats, share);
  if (changes.length === 0) return;
  throw sourceFailed(
    share.path,
    `changed since it was given to a batch (${changes.join(', ')}): ${CHANGED_HINT}`,
    {},
  );
}

function changesOf(stats: BigIntStats, share: FileShare): string[] {
  const changes: string[] = [];
  const sizeBytes = Number(stats.size);
  const mtimeMs = toMs(stats.mtimeNs);
  const inode = foldInode(stats.ino);
  if (sizeBytes !== share.sizeBytes) changes.push(`size ${share.sizeBytes} → ${sizeBytes} bytes`);
  if (mtimeMs !== share.mtimeMs) {
    changes.push(`modified ${isoTime(share.mtimeMs)} → ${isoTime(mtimeMs)}`);
  }
  if (inode !== share.inode) changes.push(`inode ${share.inode} → ${inode}, it is another file`);
  return changes;
}

function decodeLines(bytes: Buffer, place: { path: string; start: number }): string[] {
  const text = decodeUtf8(bytes);
  if (text !== undefined) return splitLines(text);
  const offset = place.start + (invalidUtf8Offset(bytes) ?? 0);
  throw sourceFailed(
    place.path,
    `is not UTF-8: byte ${offset} begins no character. The batch that has it cannot finish; ` +
      'convert files to UTF-8 before they are renamed into the directory',
    { details: { offset } },
  );
}

function sourceFailed(
  path: string,
  what: string,
  more: { readonly cause?: unknown; readonly details?: ErrorDetails },
): MillraceError {
  return new MillraceError('SOURCE_FAILED', `textFileStream: ${path} ${what}`, {
    ...(more.cause === undefined ? {} : { cause: more.cause }),
    details: { path, ...more.details },
  });
}

/** Some file systems number files beyond 2⁵³. The same number always folds to the same one. */
export function foldInode(inode: bigint): number {
  return Number(BigInt.asUintN(53, inode ^ (inode >> 53n)));
}

/** Milliseconds with a fraction: a number that the codec keeps exactly, so that it can be
 * compared. */
function toMs(ns: bigint): number {
  return Number(ns) / 1e6;
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
