/** Payloads that can be told apart: each derives from a serial number and says it in front, so that
 * whatever a log gives back can be traced to the append it came from. @module */
import { seededRandom } from '../../src/core/random.ts';

/** Room for the serial number; no payload is shorter. */
const STAMP_BYTES = 8;
const NOISE_BYTES = 64 * 1024;

const noise = makeNoise();

/** @param lengthBytes at least 8. */
export function numberedPayload(serial: number, lengthBytes: number): Uint8Array<ArrayBuffer> {
  const payload = new Uint8Array(lengthBytes);
  const from = (serial * 7_919) % (NOISE_BYTES / 2);
  for (let at = STAMP_BYTES; at < lengthBytes; at += NOISE_BYTES / 2) {
    payload.set(noise.subarray(from, from + Math.min(NOISE_BYTES / 2, lengthBytes - at)), at);
  }
  new DataView(payload.buffer).setFloat64(0, serial, true);
  return payload;
}

function makeNoise(): Uint8Array {
  const random = seededRandom(0x6d69_6c6c);
  return Uint8Array.from({ length: NOISE_BYTES }, () => Math.floor(random.next() * 256));
}
