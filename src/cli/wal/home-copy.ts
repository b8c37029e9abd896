/** Copies a home to a new directory, durably. MANIFEST comes last: a copy that was interrupted is
 * refused by every start, because it has logs and no MANIFEST. @module */
import { constants } from 'node:fs';
import { copyFile, mkdir, open, readdir, rm } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { newLife, nextLife, readManifest, writeManifest } from '../../checkpoint/manifest.ts';
import type { Manifest } from '../../checkpoint/manifest.ts';
import { MillraceError, toError } from '../../core/errors.ts';
import { isLogName } from '../../driver/examination.ts';
import { nodeDisk } from '../../wal/node-disk.ts';
import { fingerprint, wrong } from './target.ts';
import type { WalTarget } from './target.ts';

const MANIFEST = 'MANIFEST';
const KEPT: ReadonlySet<string> = new Set(['checkpoints', 'state']);
/** Not part of any log or checkpoint. */
const SCRATCH = /^(LOCK.*|MANIFEST\..*|spare-\d+\.tmp|.*\.tmp|.*\.part)$/;

/** Copies a home to `to`, does `work` on the copy, then makes it a home. Logs that lie elsewhere
 * come into the copy, and its MANIFEST names them there. The copy has a life of its own: beside a
 * second copy of the original it is the newer one.
 * @param work may write the copy's MANIFEST itself, as its last durable step.
 * @throws {MillraceError} OPTIONS_INVALID; DIRECTORY_LOCKED when the original changes meanwhile;
 *   DISK_FAILED, DISK_FULL; what `work` throws. */
export async function withHomeCopy(
  { target, manifest, to, onBytes }: HomeCopy,
  work: (directory: string, manifest: Manifest) => Promise<void>,
): Promise<void> {
  const directory = resolve(to);
  const { directory: from, elsewhere } = target;
  const isInside = [from, ...elsewhere.values()].some(
    (place) => !relative(place, directory).startsWith('..'),
  );
  if (isInside) throw wrong(`--output ${to} lies in the directory that is repaired`);
  const stamp = await fingerprint(target);
  await makeNew(directory, to);
  try {
    for (const name of ['', ...(await directoriesOf(from))]) {
      await copyFiles(join(from, name), join(directory, name), onBytes);
    }
    for (const [log, place] of elsewhere) await copyFiles(place, join(directory, log), onBytes);
    if (stamp !== (await fingerprint(target))) throw isChanging(from);
    const place = { disk: nodeDisk, directory };
    const copied = manifestIn(directory, manifest);
    await work(directory, copied);
    if ((await readManifest(place)) === undefined) await writeManifest(place, copied);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw asDiskError(asFoundIn(target, directory, error), directory);
  }
}

/** The copy is gone when its error is read: what is bad in it lies in the original. */
function asFoundIn({ directory: from, elsewhere }: WalTarget, to: string, error: unknown): unknown {
  if (!(error instanceof MillraceError)) return error;
  if (error.code === 'DISK_FAILED' || error.code === 'DISK_FULL') return error;
  let { message } = error;
  for (const [log, place] of elsewhere) message = message.replaceAll(join(to, log), place);
  message = message.replaceAll(to, from);
  return new MillraceError(error.code, message, { cause: error.cause, details: error.details });
}

function manifestIn(directory: string, manifest: Manifest): Manifest {
  const { quarantined, ...rest } = nextLife(manifest, { life: newLife(), copies: 1 });
  if (quarantined === undefined) return rest;
  const places = quarantined.map(({ log }) => ({ log, directory: join(directory, log) }));
  return { ...rest, quarantined: places };
}

export interface HomeCopy {
  readonly target: WalTarget;
  /** Of the target. */
  readonly manifest: Manifest;
  /** As it was given. */
  readonly to: string;
  readonly onBytes: (bytes: number) => void;
}

async function makeNew(target: string, given: string): Promise<void> {
  await nodeDisk.makeDirectory(join(target, '..'));
  try {
    await mkdir(target);
  } catch (thrown) {
    const isThere = (thrown as NodeJS.ErrnoException).code === 'EEXIST';
    if (isThere) throw wrong(`${given} exists: give --output the name of a new directory`);
    throw asDiskError(thrown, target);
  }
  await nodeDisk.syncDirectory(join(target, '..'));
}

/** Of a home: its logs and its checkpoints; what a killed run spilled is of no use. */
async function directoriesOf(from: string): Promise<readonly string[]> {
  const names = await readdir(from, { withFileTypes: true });
  const isKept = (name: string): boolean => isLogName(name) || KEPT.has(name);
  return names.filter((each) => each.isDirectory() && isKept(each.name)).map(({ name }) => name);
}

async function copyFiles(from: string, to: string, onBytes: HomeCopy['onBytes']): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const path = join(from, entry.name);
    if (!entry.isFile() || SCRATCH.test(entry.name) || basename(path) === MANIFEST) continue;
    onBytes(await copyDurably(path, join(to, entry.name)));
  }
  await nodeDisk.syncDirectory(to);
}

/** @returns its length. */
async function copyDurably(from: string, to: string): Promise<number> {
  await copyFile(from, to, constants.COPYFILE_EXCL);
  const file = await open(to, 'r+');
  try {
    await file.sync();
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

function isChanging(from: string): MillraceError {
  return new MillraceError(
    'DIRECTORY_LOCKED',
    `${from} changed while it was copied: stop the engine that runs there, then repair it`,
  );
}

function asDiskError(error: unknown, path: string): unknown {
  const errno = (error as NodeJS.ErrnoException).code;
  if (error instanceof MillraceError || errno === undefined) return error;
  const code = errno === 'ENOSPC' || errno === 'EDQUOT' ? 'DISK_FULL' : 'DISK_FAILED';
  const message = `the copy ${path} cannot be made: ${toError(error).message}`;
  return new MillraceError(code, message, { cause: error, details: { path, errno } });
}
