/** MANIFEST: what a checkpoint directory is, in text that a person can read.
 *
 *      {"formatVersion":1,"logId":"…","pipelineName":"wordcount","epoch":3}
 *      crc32 9ae0daaf
 *
 * The first line is JSON, the second the CRC-32 of its bytes without the newline. "There is no
 * MANIFEST" is what makes a directory fresh, so it is written before any log record and replaced as
 * a whole. That the epoch rises by one at each start is the caller's duty.
 * Spec: docs/checkpoint-format.md. @module */
import { join } from 'node:path';
import { assert } from '../core/assert.ts';
import { MillraceError } from '../core/errors.ts';
import { crc32 } from '../serde/crc32.ts';
import type { Disk } from '../wal/disk.ts';
import { replaceFile } from './replace-file.ts';

/** The newest that is read. Written is the oldest that says all: 2 only with `quarantined`. */
const MANIFEST_FORMAT_VERSION = 2;
const MANIFEST_NAME = 'MANIFEST';
const BYTES_MAX = 64 * 1024;
const LOG_ID = /^[0-9a-f]{32}$/;

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
  /** Logs that went on elsewhere when a disk failed, and are still needed; absent without any. */
  readonly quarantined?: readonly QuarantinedLog[];
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
  const { logId, pipelineName, epoch, quarantined } = manifest;
  // An older millrace must not go on without the logs elsewhere.
  const formatVersion = quarantined === undefined ? 1 : 2;
  const json = JSON.stringify({ formatVersion, logId, pipelineName, epoch, quarantined });
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
  const { logId, pipelineName, epoch, quarantined } = content;
  const places = quarantined === undefined ? {} : { quarantined };
  return Object.freeze({ logId, pipelineName, epoch, ...places });
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
  return (
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
