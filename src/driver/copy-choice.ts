/** Which of two copies of a checkpoint directory is believed, read off what each of them says.
 *
 *     both in the same life            peers: each log from the copy that has more of it
 *     one is an earlier life           the newer one; the other is made again
 *     one empty, half made, damaged    the other one, unless the damaged one may be newer
 *     both went on without the other   refused: each has acknowledged what the other does not have
 *
 * In a life that was written in two places nothing is acknowledged that is not in both, so either
 * peer has everything. A life is a start of the engine; MANIFEST remembers a random word for each,
 * so equal epochs of different histories are not taken for one. Reads only.
 * @module */
import { join } from 'node:path';
import { isCheckpointName } from '../checkpoint/checkpoint-store.ts';
import { INCOMPLETE_NAME, compareManifests, readManifest } from '../checkpoint/manifest.ts';
import type { Manifest } from '../checkpoint/manifest.ts';
import { MillraceError } from '../core/errors.ts';
import { findLiveSegments } from '../wal/live-segments.ts';
import { lostBytesErrno } from '../wal/read-fault.ts';
import type { Copies, Copy, CopyIndex } from '../wal/mirrored-disk.ts';
import { isLogName } from './examination.ts';
import { CHECKPOINTS } from './log-copies.ts';

export interface CopyFacts {
  readonly directory: string;
  readonly manifest: Manifest | undefined;
  /** Why MANIFEST cannot be read, if it is there. */
  readonly damage: string | undefined;
  /** Somebody had begun to make this copy from the other one, and did not finish. */
  readonly isIncomplete: boolean;
  readonly hasLogs: boolean;
  readonly hasCheckpoints: boolean;
  /** Of the segments of its logs that can be read, whatever MANIFEST says. */
  readonly logId: string | undefined;
  readonly logEpoch: number;
}

export type CopyChoice =
  | { readonly kind: 'fresh' }
  | { readonly kind: 'peers'; readonly preferred: CopyIndex }
  /** `reason` says what is wrong with the other one. */
  | { readonly kind: 'restore'; readonly from: CopyIndex; readonly reason: string };

const MARKER_BYTES_MAX = 4096;

export async function readCopies([first, second]: Copies): Promise<[CopyFacts, CopyFacts]> {
  return [await readCopy(first), await readCopy(second)];
}

async function readCopy({ disk, directory }: Copy): Promise<CopyFacts> {
  let manifest: Manifest | undefined;
  let damage: string | undefined;
  try {
    manifest = await readManifest({ disk, directory });
  } catch (error) {
    if (!(error instanceof MillraceError) || !isDamage(error)) throw error;
    damage = error.message;
  }
  const marker = await disk.readWhole(join(directory, INCOMPLETE_NAME), MARKER_BYTES_MAX);
  // MANIFEST is gone durably before the first file of a copy changes: beside a damaged one the
  // marker is left over from an earlier making.
  const isIncomplete = marker !== undefined && manifest === undefined && damage === undefined;
  const checkpoints = (await disk.list(join(directory, CHECKPOINTS))) ?? [];
  const hasCheckpoints = checkpoints.some(isCheckpointName);
  const logs = await readLogs({ disk, directory });
  return { directory, manifest, damage, isIncomplete, hasCheckpoints, ...logs };
}

async function readLogs({
  disk,
  directory,
}: Copy): Promise<Pick<CopyFacts, 'hasLogs' | 'logId' | 'logEpoch'>> {
  let hasLogs = false;
  let logId: string | undefined;
  let logEpoch = 0;
  for (const name of ((await disk.list(directory)) ?? []).filter(isLogName)) {
    try {
      const found = await findLiveSegments(disk, join(directory, name));
      hasLogs ||= found.segmentCount > 0;
      logId ??= found.logId;
      logEpoch = Math.max(logEpoch, found.epoch);
    } catch (error) {
      if (lostBytesErrno(error) === undefined) throw error;
      hasLogs = true;
    }
  }
  return { hasLogs, logId, logEpoch };
}

/** A sector that cannot be read is damage of this file; every other error is one of the disk. */
function isDamage(error: MillraceError): boolean {
  return error.code === 'CHECKPOINT_CORRUPT' || lostBytesErrno(error) !== undefined;
}

/** @throws {MillraceError} CHECKPOINT_MISMATCH when they do not belong together, CHECKPOINT_CORRUPT
 *   when none can be believed. */
export function chooseCopy(copies: readonly [CopyFacts, CopyFacts]): CopyChoice {
  const [first, second] = copies;
  if (first.manifest !== undefined && second.manifest !== undefined) {
    return chooseNewer(first, second);
  }
  if (first.manifest !== undefined) return replaceOther(first.manifest, second, 0);
  if (second.manifest !== undefined) return replaceOther(second.manifest, first, 1);
  if (copies.every(isEmpty)) return { kind: 'fresh' };
  const state = copies.map((copy) => `\n  ${copy.directory} ${describe(copy)}`).join('');
  throw new MillraceError(
    'CHECKPOINT_CORRUPT',
    `neither copy has a MANIFEST that can be read; nothing was changed:${state}\n` +
      'Restore one from a backup, or start with other directories',
  );
}

function chooseNewer(first: CopyFacts, second: CopyFacts): CopyChoice {
  const [one, other] = [present(first), present(second)];
  if (one.logId !== other.logId) throw apart(first, second, 'belong to different logs');
  const relation = compareManifests(one, other);
  switch (relation) {
    case 'same':
      return { kind: 'peers', preferred: 0 };
    case 'newer':
      return chooseFrom(0, first, other);
    case 'older':
      return chooseFrom(1, second, one);
    case 'split':
      throw apart(first, second, 'went on without each other, and each has records of its own');
    case 'unknown':
      throw apart(first, second, 'are too far apart to be compared');
    default:
      return relation satisfies never;
  }
}

/** The first act of a life in two places is to write MANIFEST in both. A crash between the two
 * leaves an epoch that is ahead by one, in which nothing else has happened: no log has a segment of
 * it. Where one has, that life had another second place, and the older copy missed it. */
function chooseFrom(from: CopyIndex, newer: CopyFacts, older: Manifest): CopyChoice {
  const { copies, epoch } = present(newer);
  if (copies === 2 && epoch === older.epoch + 1 && newer.logEpoch < epoch) {
    return { kind: 'peers', preferred: from };
  }
  const reason = `it is of epoch ${older.epoch}, the other one of epoch ${epoch}`;
  return { kind: 'restore', from, reason };
}

function replaceOther(manifest: Manifest, other: CopyFacts, from: CopyIndex): CopyChoice {
  if (other.isIncomplete || isEmpty(other)) {
    return { kind: 'restore', from, reason: `it ${describe(other)}` };
  }
  const { logId, logEpoch } = other;
  if (logId !== undefined && logId !== manifest.logId) {
    throw new MillraceError(
      'CHECKPOINT_MISMATCH',
      `${other.directory} has logs of another checkpoint directory (${logId}, not ` +
        `${manifest.logId}): choose another one as the second copy`,
    );
  }
  // Its logs may hold a life that the sound copy knows nothing of.
  const isAhead = logEpoch > manifest.epoch || (logEpoch === manifest.epoch && !isShared(manifest));
  if (!isAhead) return { kind: 'restore', from, reason: `it ${describe(other)}` };
  throw new MillraceError(
    'CHECKPOINT_CORRUPT',
    `${other.directory} ${describe(other)}, and its logs are of epoch ${logEpoch}: they may hold ` +
      `records that the other copy, of epoch ${manifest.epoch}, does not have. Nothing was ` +
      'changed: restore MANIFEST there, or empty that directory to go on with the other one',
    { details: { path: join(other.directory, 'MANIFEST'), logEpoch, epoch: manifest.epoch } },
  );
}

function isShared({ copies }: Manifest): boolean {
  return copies === 2;
}

function isEmpty({ manifest, damage, ...has }: CopyFacts): boolean {
  const hasContent = has.isIncomplete || has.hasLogs || has.hasCheckpoints;
  return manifest === undefined && damage === undefined && !hasContent;
}

function describe({ damage, isIncomplete, hasLogs, hasCheckpoints }: CopyFacts): string {
  if (isIncomplete) return 'was being made from the other one and is not complete';
  if (damage !== undefined) return `has a damaged MANIFEST (${damage})`;
  if (hasLogs) return 'has logs and no MANIFEST';
  return hasCheckpoints ? 'has checkpoints and no MANIFEST' : 'is empty';
}

function present({ manifest, directory }: CopyFacts): Manifest {
  if (manifest !== undefined) return manifest;
  throw new MillraceError('BROKEN_INVARIANT', `${directory} has no MANIFEST`);
}

function apart(first: CopyFacts, second: CopyFacts, how: string): MillraceError {
  const places = [first, second].map(
    ({ directory, manifest }) => `\n  ${directory}: epoch ${manifest?.epoch}, ${manifest?.logId}`,
  );
  return new MillraceError(
    'CHECKPOINT_MISMATCH',
    `the two copies ${how}; nothing was changed:${places.join('')}\n` +
      'Start with the one that is right alone, or empty the other directory to have it made again',
  );
}
