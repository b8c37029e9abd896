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

export const MANIFEST_FORMAT_VERSION: number = 1;
const MANIFEST_NAME = 'MANIFEST';
const BYTES_MAX = 64 * 1024;
const LOG_ID = /^[0-9a-f]{32}$/;

export interface Manifest {
  readonly formatVersion: number;
  /** Identity of the directory for ever, 32 hex digits, chosen at random when it was made. */
  readonly logId: string;
  readonly pipelineName: string;
  /** Rises by one at every start: 1, 2, 3 … */
  readonly epoch: number;
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
  const { formatVersion, logId, pipelineName, epoch } = manifest;
  const json = JSON.stringify({ formatVersion, logId, pipelineName, epoch });
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
  const version = (content as Partial<Manifest> | null)?.formatVersion;
  if (typeof version === 'number' && version > MANIFEST_FORMAT_VERSION) {
    throw new MillraceError(
      'FORMAT_UNKNOWN',
      `${path} has format version ${version}; this millrace knows versions up to ` +
        `${MANIFEST_FORMAT_VERSION}: start it with the newer millrace that wrote it`,
      { details: { path, version, versionMax: MANIFEST_FORMAT_VERSION } },
    );
  }
  if (!isManifest(content)) throw damaged(path, 'a field is missing or wrong');
  const { logId, pipelineName, epoch } = content;
  return Object.freeze({ formatVersion: content.formatVersion, logId, pipelineName, epoch });
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
  const { formatVersion, logId, pipelineName, epoch } = value as Partial<Manifest>;
  return (
    formatVersion === MANIFEST_FORMAT_VERSION &&
    typeof logId === 'string' &&
    LOG_ID.test(logId) &&
    typeof pipelineName === 'string' &&
    pipelineName !== '' &&
    Number.isSafeInteger(epoch) &&
    (epoch ?? 0) >= 1
  );
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
