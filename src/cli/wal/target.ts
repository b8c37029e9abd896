/** What the directory is that a `millrace wal` command was given: a checkpoint directory, also
 * called a home, or one log. Looks at names only. @module */
import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { readManifest } from '../../checkpoint/manifest.ts';
import { MillraceError, toError } from '../../core/errors.ts';
import { isLogName } from '../../driver/examination.ts';
import type { Disk } from '../../wal/disk.ts';
import { parseSegmentName } from '../../wal/segment-name.ts';
import { isEngineRunning } from './running-engine.ts';

export interface WalTarget {
  /** Absolute. */
  readonly directory: string;
  readonly kind: 'home' | 'log';
  /** Names of the logs of a home; the directory's own name for a log. */
  readonly logs: readonly string[];
  /** Directories of those logs that MANIFEST names outside of the home. */
  readonly elsewhere: ReadonlyMap<string, string>;
  /** An engine has the home open: what is read may change meanwhile. */
  readonly isRunning: boolean;
}

/** Where the log `name` of the target is. */
export function logDirectory({ kind, directory, elsewhere }: WalTarget, name: string): string {
  if (kind === 'log') return directory;
  return elsewhere.get(name) ?? join(directory, name);
}

/** @throws {MillraceError} OPTIONS_INVALID when it is no directory of millrace; DISK_FAILED when it
 *   cannot be read. */
export async function openTarget(disk: Disk, given: string): Promise<WalTarget> {
  const directory = resolve(given);
  await requireDirectory(directory, given);
  const names = (await disk.list(directory)) ?? [];
  const here = names.filter(isLogName);
  if (here.length > 0 || names.includes('MANIFEST') || names.includes('checkpoints')) {
    const elsewhere = await logsElsewhere(disk, directory);
    const isRunning = await isEngineRunning(directory);
    return { directory, kind: 'home', logs: [...here, ...elsewhere.keys()], elsewhere, isRunning };
  }
  if (names.some((name) => parseSegmentName(name) !== undefined)) {
    const isRunning = await isEngineRunning(join(directory, '..'));
    return { directory, kind: 'log', logs: [basename(directory)], elsewhere: new Map(), isRunning };
  }
  const found = names.length === 0 ? 'is empty' : 'has neither MANIFEST nor a log in it';
  throw wrong(`${given} ${found}: give a checkpoint directory, or the directory of one log`);
}

/** None when MANIFEST cannot be read: who judges the home tells why. */
async function logsElsewhere(disk: Disk, directory: string): Promise<ReadonlyMap<string, string>> {
  const manifest = await readManifest({ disk, directory }).catch((thrown: unknown) => {
    if (thrown instanceof MillraceError) return undefined;
    throw thrown;
  });
  return new Map(manifest?.quarantined?.map((place) => [place.log, place.directory]));
}

async function requireDirectory(directory: string, given: string): Promise<void> {
  try {
    if ((await stat(directory)).isDirectory()) return;
  } catch (thrown) {
    const errno = (thrown as NodeJS.ErrnoException).code;
    if (errno === 'ENOENT') throw wrong(`there is no directory ${given}`);
    throw new MillraceError('DISK_FAILED', `${given} cannot be read: ${toError(thrown).message}`, {
      cause: thrown,
      details: { path: directory, errno },
    });
  }
  throw wrong(`${given} is a file, not a directory: give the checkpoint directory it lies in`);
}

/** A time stamp of everything of the target: equal when nothing was written between two. */
export async function fingerprint(target: WalTarget): Promise<string> {
  const lines: string[] = [];
  for (const { path, size, mtimeMs, ino } of await filesOf(target)) {
    lines.push(`${path} ${size} ${mtimeMs} ${ino}`);
  }
  return lines.toSorted().join('\n');
}

interface FileStamp {
  readonly path: string;
  readonly size: number;
  readonly mtimeMs: number;
  readonly ino: number;
}

/** All files of the target; of those that went meanwhile, 0 bytes. */
export async function filesOf({ directory, elsewhere }: WalTarget): Promise<FileStamp[]> {
  const files: FileStamp[] = [];
  for (const place of [directory, ...elsewhere.values()]) {
    const entries = await readdir(place, { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const found = await stat(path).catch(() => ({ size: 0, mtimeMs: 0, ino: 0 }));
      files.push({ path, size: found.size, mtimeMs: found.mtimeMs, ino: found.ino });
    }
  }
  return files;
}

/** The caller's own mistake. */
export function wrong(message: string): MillraceError {
  return new MillraceError('OPTIONS_INVALID', message);
}
