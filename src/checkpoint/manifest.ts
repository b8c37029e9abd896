/** MANIFEST: what a checkpoint directory is, in text that a person can read.
 *
 *      {"formatVersion":2,"logId":"…","pipelineName":"wordcount","epoch":3,"copies":1,"lives":[…]}
 *      crc32 9ae0daaf
 *
 * The first line is JSON, the second the CRC-32 of its bytes without the newline. "There is no
 * MANIFEST" is what makes a directory fresh, so it is written before any log record and replaced as
 * a whole. That the epoch rises by one at each start is the caller's duty.
 * Spec: docs/checkpoint-format.md. @module */
import { join } from 'node:path';
import { assert } from '../core/assert.ts';
import { MillraceError } from '../core/errors.ts';
import { uniqueId } from '../core/random.ts';
import { crc32 } from '../serde/crc32.ts';
import type { Disk } from '../wal/disk.ts';
import { replaceFile } from './replace-file.ts';

/** Version 1 had no copies, no lives and no logs elsewhere. */
const MANIFEST_FORMAT_VERSION = 2;
const MANIFEST_NAME = 'MANIFEST';
/** A file in a directory that is being made from another copy, until it has a MANIFEST. */
export const INCOMPLETE_NAME: string = 'MANIFEST.incomplete';
/** Lives that are remembered: two copies further apart cannot be compared. */
const LIVES_MAX = 1000;
const BYTES_MAX = 64 * 1024;
const LOG_ID = /^[0-9a-f]{32}$/;
const LIFE = /^[0-9a-f]{8}$/;

/** A receiver log outside of the checkpoint directory. */
export interface QuarantinedLog {
  /** Its name in block positions. */
  readonly log: string;
  /** Absolute. */
  readonly directory: string;
}

export interface Manifest {
  /** Identity of the directory for ever, 32 hex digits, chosen at random when it was made. */
  readonly logId: string;
  readonly pipelineName: string;
  /** Rises by one at every start: 1, 2, 3 … */
  readonly epoch: number;
  /** In how many directories the life of this epoch was written. @defaultValue 1 */
  readonly copies?: 1 | 2;
  /** A random word for each of the latest epochs, up to this one's: two copies of a directory that
   * went on without each other differ in them. @defaultValue none */
  readonly lives?: readonly string[];
  /** Logs that went on elsewhere when a disk failed, and are still needed; absent without any. */
  readonly quarantined?: readonly QuarantinedLog[];
}

/** How two manifests of one log id stand to each other. `split`: both went on without the other.
 * `unknown`: too far apart, or written by a version that kept no lives. */
export type ManifestRelation = 'same' | 'older' | 'newer' | 'split' | 'unknown';

/** What `one` is, compared with `other`. */
export function compareManifests(one: Manifest, other: Manifest): ManifestRelation {
  const epoch = Math.min(one.epoch, other.epoch);
  const [life, otherLife] = [lifeOf(one, epoch), lifeOf(other, epoch)];
  if (life === undefined || otherLife === undefined) return 'unknown';
  if (life !== otherLife) return 'split';
  if (one.epoch === other.epoch) return 'same';
  return one.epoch < other.epoch ? 'older' : 'newer';
}

function lifeOf({ epoch, lives = [] }: Manifest, wanted: number): string | undefined {
  return lives[lives.length - 1 - (epoch - wanted)];
}

/** A word for a life: 8 hex digits, chosen at random. */
export function newLife(): string {
  return lifeNamed(uniqueId());
}

/** As `newLife`. @param id that nothing else has. */
export function lifeNamed(id: string): string {
  return id.slice(0, 8);
}

/** The manifest of the next start. @param life of `newLife`. */
export function nextLife(
  previous: Manifest,
  { life, copies }: { readonly life: string; readonly copies: 1 | 2 },
): Manifest {
  return {
    ...previous,
    epoch: previous.epoch + 1,
    copies,
    lives: [...(previous.lives ?? []), life].slice(-LIVES_MAX),
  };
}

export interface ManifestPlace {
  readonly disk: Disk;
  readonly directory: string;
}

/** @returns undefined when the directory, or the file in it, does not exist.
 * @throws {MillraceError} CHECKPOINT_CORRUPT, FORMAT_UNKNOWN. */
export async function readManifest(place: ManifestPlace): Promise<Manifest | undefined> {
  const path = join(place.directory, MANIFEST_NAME);
  const bytes = await place.disk.readWhole(path, BYTES_MAX);
  return bytes === undefined ? undefined : decodeManifest(path, bytes);
}

/** Replaces MANIFEST in an existing directory; content and name are durable when it resolves.
 * @throws {MillraceError} DISK_FAILED, DISK_FULL: the old one, if any, is still in place. */
export async function writeManifest(place: ManifestPlace, manifest: Manifest): Promise<void> {
  assert(isManifest(manifest), `not fit for MANIFEST: ${JSON.stringify(manifest)}`);
  const { logId, pipelineName, epoch, copies = 1, lives = [], quarantined } = manifest;
  const formatVersion = MANIFEST_FORMAT_VERSION;
  const life = { epoch, copies, lives };
  const json = JSON.stringify({ formatVersion, logId, pipelineName, ...life, quarantined });
  const text = `${json}\n${crcLine(Buffer.from(json))}\n`;
  await replaceFile({ ...place, name: MANIFEST_NAME }, [Buffer.from(text)]);
}

function decodeManifest(path: string, bytes: Uint8Array): Manifest {
  const text = Buffer.from(bytes).toString('utf8');
  const [json = '', crc, ...rest] = text.split('\n');
  if (crc !== crcLine(Buffer.from(json)) || rest.join('\n') !== '') {
    throw damaged(path, 'its CRC does not match its content');
  }
  const content = parseJson(path, json);
  const version = (content as { formatVersion?: unknown } | null)?.formatVersion;
  if (typeof version === 'number' && version > MANIFEST_FORMAT_VERSION) {
    throw new MillraceError(
      'FORMAT_UNKNOWN',
      `${path} has format version ${version}; this millrace knows versions up to ` +
        `${MANIFEST_FORMAT_VERSION}: start it with the newer millrace that wrote it`,
      { details: { path, version, versionMax: MANIFEST_FORMAT_VERSION } },
    );
  }
  if (!Number.isSafeInteger(version) || !isManifest(content))
    throw damaged(path, 'a field is missing or wrong');
  const { logId, pipelineName, epoch, copies = 1, lives = [], quarantined } = content;
  const places = quarantined === undefined ? {} : { quarantined };
  return Object.freeze({ logId, pipelineName, epoch, copies, lives, ...places });
}

function parseJson(path: string, json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw damaged(path, 'it is not JSON', error);
  }
}

function isManifest(value: unknown): value is Manifest {
  if (typeof value !== 'object' || value === null) return false;
  const { logId, pipelineName, epoch, quarantined } = value as Partial<Manifest>;
  const { copies = 1, lives = [] } = value as { copies?: unknown; lives?: unknown };
  return (
    (copies === 1 || copies === 2) &&
    Array.isArray(lives) &&
    lives.length <= LIVES_MAX &&
    lives.every((life) => typeof life === 'string' && LIFE.test(life)) &&
    typeof logId === 'string' &&
    LOG_ID.test(logId) &&
    typeof pipelineName === 'string' &&
    pipelineName !== '' &&
    Number.isSafeInteger(epoch) &&
    (epoch ?? 0) >= 1 &&
    (quarantined === undefined || arePlaces(quarantined))
  );
}

function arePlaces(value: unknown): value is readonly QuarantinedLog[] {
  if (!Array.isArray(value)) return false;
  return (value as unknown[]).every((each) => {
    const { log, directory } = (each ?? {}) as Partial<QuarantinedLog>;
    return typeof log === 'string' && typeof directory === 'string' && directory !== '';
  });
}

function crcLine(bytes: Uint8Array): string {
  return `crc32 ${crc32(bytes).toString(16).padStart(8, '0')}`;
}

function damaged(path: string, reason: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'CHECKPOINT_CORRUPT',
    `${path} is damaged: ${reason}. Nothing was changed; restore the file from a backup`,
    cause === undefined ? { details: { path } } : { details: { path }, cause },
  );
}
