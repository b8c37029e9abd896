/** Where bytes stop being UTF-8. Knows nothing of lines, files or sockets.
 *
 * `node:buffer` says whether bytes are UTF-8, not where they fail; whoever has to repair an input
 * needs the place. Decoding here is strict: bytes are refused, never replaced by U+FFFD.
 * Source: RFC 3629 §4 (the table of well-formed sequences). @module */
import { isAscii, isUtf8 } from 'node:buffer';

/** The text of `bytes`, or `undefined` when they are not UTF-8. A byte order mark is kept. */
export function decodeUtf8(bytes: Buffer): string | undefined {
  if (isAscii(bytes)) return bytes.toString('latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined;
}

/** Offset of the first byte of the first malformed sequence; `undefined` for well-formed bytes. */
export function invalidUtf8Offset(bytes: Uint8Array): number | undefined {
  let offset = 0;
  while (offset < bytes.byteLength) {
    const length = sequenceLength(bytes, offset);
    if (length === 0) return offset;
    offset += length;
  }
  return undefined;
}

/** Bytes of the well-formed sequence at `offset`, 0 when there is none. */
function sequenceLength(bytes: Uint8Array, offset: number): number {
  const lead = bytes[offset] ?? 0;
  if (lead < 0x80) return 1;
  // The second byte's range excludes overlong forms, surrogates and what lies beyond U+10FFFF.
  if (lead >= 0xc2 && lead <= 0xdf) return isBetween(bytes[offset + 1], 0x80, 0xbf) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const low = lead === 0xe0 ? 0xa0 : 0x80;
    const high = lead === 0xed ? 0x9f : 0xbf;
    return isBetween(bytes[offset + 1], low, high) && isContinuation(bytes[offset + 2]) ? 3 : 0;
  }
  if (lead < 0xf0 || lead > 0xf4) return 0;
  const low = lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xf4 ? 0x8f : 0xbf;
  return isBetween(bytes[offset + 1], low, high) &&
    isContinuation(bytes[offset + 2]) &&
    isContinuation(bytes[offset + 3])
    ? 4
    : 0;
}

function isContinuation(byte: number | undefined): boolean {
  return isBetween(byte, 0x80, 0xbf);
}

function isBetween(byte: number | undefined, low: number, high: number): boolean {
  return byte !== undefined && byte >= low && byte <= high;
}
