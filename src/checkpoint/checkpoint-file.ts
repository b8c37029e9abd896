/** One checkpoint file: a header of 32 bytes, then the payload. Knows nothing of directories, nor
 * of what the payload means.
 *
 *      0      4        6         8        12           16    24        28          32
 *      magic  version  reserved  length   payload crc  seq   reserved  header crc  payload …
 *      MRCP   u16      0         u32      u32          u64   0         u32         little-endian
 *
 * The header has a CRC of its own, over its first 28 bytes, so that a flipped bit in the version is
 * damage and not "written by a newer millrace". Every later version keeps these 32 bytes as they
 * are. The seq ties the content to the file's name. The file ends with the payload.
 * Spec: docs/checkpoint-format.md. @module */
import { assert } from '../core/assert.ts';
import { MillraceError } from '../core/errors.ts';
import { crc32 } from '../serde/crc32.ts';

export const CHECKPOINT_HEADER_BYTES: number = 32;
/** Bounds what a damaged length or a foreign file makes us allocate. */
export const CHECKPOINT_PAYLOAD_BYTES_MAX: number = 512 * 1024 * 1024;
const CHECKPOINT_FORMAT_VERSION = 1;

const MAGIC = 0x5043_524d; // the bytes M R C P, read as a little-endian u32
const HEADER_CRC_OFFSET = 28;

/** Payload of a checkpoint file, or why there is none to be had. */
export type CheckpointContent =
  | { readonly kind: 'valid'; readonly payload: Uint8Array }
  | { readonly kind: 'damaged'; readonly reason: string };

/** The header of a file that holds `payload` as number `seq`. */
export function encodeCheckpointHeader(seq: number, payload: Uint8Array): Uint8Array {
  assert(Number.isSafeInteger(seq) && seq > 0, `${seq} is no checkpoint number`);
  assert(payload.byteLength <= CHECKPOINT_PAYLOAD_BYTES_MAX, 'checkpoint payload too large');
  const header = new Uint8Array(CHECKPOINT_HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, CHECKPOINT_FORMAT_VERSION, true);
  view.setUint32(8, payload.byteLength, true);
  view.setUint32(12, crc32(payload), true);
  view.setBigUint64(16, BigInt(seq), true);
  view.setUint32(HEADER_CRC_OFFSET, crc32(header.subarray(0, HEADER_CRC_OFFSET)), true);
  return header;
}

/** @param seq that the file's name says. @returns the payload as a view of `bytes`.
 * @throws {MillraceError} FORMAT_UNKNOWN when the file is sound but of a newer format. */
export function decodeCheckpoint(seq: number, bytes: Uint8Array): CheckpointContent {
  if (bytes.byteLength < CHECKPOINT_HEADER_BYTES) {
    return damaged(`only ${bytes.byteLength} bytes, less than a header`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC) return damaged('does not begin with MRCP');
  if (view.getUint32(HEADER_CRC_OFFSET, true) !== crc32(bytes.subarray(0, HEADER_CRC_OFFSET))) {
    return damaged('the CRC of the header does not match');
  }
  const version = view.getUint16(4, true);
  if (version > CHECKPOINT_FORMAT_VERSION) throw newerFormat(seq, version);
  const storedSeq = view.getBigUint64(16, true);
  if (storedSeq !== BigInt(seq)) return damaged(`holds checkpoint ${storedSeq}, not ${seq}`);
  const payload = bytes.subarray(CHECKPOINT_HEADER_BYTES);
  const lengthBytes = view.getUint32(8, true);
  if (payload.byteLength !== lengthBytes) {
    return damaged(`a payload of ${payload.byteLength} bytes, not ${lengthBytes}`);
  }
  if (view.getUint32(12, true) !== crc32(payload)) {
    return damaged('the CRC of the payload does not match');
  }
  return { kind: 'valid', payload };
}

function damaged(reason: string): CheckpointContent {
  return { kind: 'damaged', reason };
}

function newerFormat(seq: number, version: number): MillraceError {
  return new MillraceError(
    'FORMAT_UNKNOWN',
    `checkpoint ${seq} has format version ${version}; this millrace knows versions up to ` +
      `${CHECKPOINT_FORMAT_VERSION}: start it with the newer millrace that wrote it`,
    { details: { seq, version, versionMax: CHECKPOINT_FORMAT_VERSION } },
  );
}
