/** @module */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { allocateSharedPages } from '../core/shared-memory.ts';
import { crc32 } from './crc32.ts';
import { SmallCrc32 } from './small-crc32.ts';

it('gives what the native CRC gives, for every length, place and seed', () => {
  const bytes = new Uint8Array(allocateSharedPages(4_096), 0, 4_096);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = (at * 131 + 7) ^ (at >> 8);
  const crc = new SmallCrc32(bytes);
  for (let length = 0; length <= 600; length += 1) {
    for (const [at, seed] of [
      [0, 0],
      [3, 0xdead_beef],
      [1_001, 0xffff_ffff],
    ] as const) {
      expect(crc.of(at, length, seed)).toBe(crc32(bytes.subarray(at, at + length), seed));
    }
  }
});

it('sees only its part of a larger memory', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 200 }), fc.nat(7), (bytes, at) => {
      const part = bytes.subarray(at);
      expect(new SmallCrc32(part).of(0, part.length, 1)).toBe(crc32(part, 1));
    }),
  );
});
