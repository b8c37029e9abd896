import { describe, expect, it } from 'vitest';
import { crc32 } from './crc32.ts';

const text = Buffer.from('123456789');

describe('crc32', () => {
  it('gives the check value of the CRC-32 of zlib', () => {
    expect(crc32(text)).toBe(0xcbf43926);
  });

  it('goes on from a seed', () => {
    expect(crc32(text.subarray(4), crc32(text.subarray(0, 4)))).toBe(0xcbf43926);
  });

  it('reads exactly the view, also in shared memory', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(64), 7, text.byteLength);
    shared.set(text);
    expect(crc32(shared)).toBe(0xcbf43926);
  });

  it('notices one flipped bit', () => {
    const flipped = Buffer.from(text);
    flipped[8] = (flipped[8] ?? 0) ^ 1;
    expect(crc32(flipped)).not.toBe(0xcbf43926);
  });
});
