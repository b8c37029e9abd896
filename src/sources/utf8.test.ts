import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeUtf8, invalidUtf8Offset } from './utf8.ts';

const seed = Number(process.env['MILLRACE_SEED'] ?? 20_261);

describe('invalidUtf8Offset', () => {
  it(`agrees with the runtime about every prefix (MILLRACE_SEED=${seed})`, () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
    );
    const property = fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
      const bytes = Buffer.concat(pieces);
      const offset = invalidUtf8Offset(bytes);
      expect(offset === undefined).toBe(isUtf8(bytes));
      if (offset !== undefined) {
        expect(isUtf8(bytes.subarray(0, offset))).toBe(true);
        // Nothing of one to four bytes that begins there is a character.
        for (let length = 1; length <= 4; length += 1) {
          if (offset + length > bytes.byteLength) break;
          expect(isUtf8(bytes.subarray(offset, offset + length))).toBe(false);
        }
      }
    });
    fc.assert(property, { seed, numRuns: 500 });
  });

  it.each([
    ['overlong', [0xc0, 0x80]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['cut short', [0xe2, 0x82]],
  ])('refuses what is %s, at its first byte', (_, bytes) => {
    expect(invalidUtf8Offset(Buffer.from([0x61, ...bytes]))).toBe(1);
  });
});

describe('decodeUtf8', () => {
  it('decodes or refuses, and keeps a byte order mark', () => {
    expect(decodeUtf8(Buffer.from('\ufeffgrün'))).toBe('\ufeffgrün');
    expect(decodeUtf8(Buffer.from('plain'))).toBe('plain');
    expect(decodeUtf8(Buffer.from([0xff]))).toBeUndefined();
  });
});
