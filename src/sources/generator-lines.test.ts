import { describe, expect, it } from 'vitest';
import { LINE_COUNT, lineAt, makeLines } from './generator-lines.ts';

describe('makeLines', () => {
  it.each([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 100, 101, 1_000])(
    'makes 1,024 lines of words, each of exactly %i bytes',
    (recordBytes) => {
      const lines = makeLines(1, recordBytes);
      expect(lines).toHaveLength(LINE_COUNT);
      for (const line of lines) {
        expect(Buffer.byteLength(line)).toBe(recordBytes);
        expect(line).toMatch(/^w(0|[1-9]\d{0,2})( w(0|[1-9]\d{0,2}))*$/);
      }
    },
  );

  it('gives the same lines for the same seed, others for another', () => {
    expect(makeLines(1, 100)).toEqual(makeLines(1, 100));
    expect(makeLines(1, 100)).not.toEqual(makeLines(2, 100));
    // Golden: what a seed gives is a promise to whoever recomputes a run.
    expect(makeLines(1, 24).slice(0, 2)).toMatchInlineSnapshot(`
      [
        "w588 w73 w590 w475 w3 w8",
        "w972 w354 w106 w728 w533",
      ]
    `);
  });

  it('has about 20 words in 100 bytes and uses all 1,000 words', () => {
    const words = makeLines(1, 100).flatMap((line) => line.split(' '));
    expect(words.length / LINE_COUNT).toBeGreaterThan(20);
    expect(words.length / LINE_COUNT).toBeLessThan(22);
    expect(new Set(words).size).toBe(1_000);
  });

  it.each([1, 0, -1, 2.5, Number.NaN])('refuses lines of %d bytes', (recordBytes) => {
    expect(() => makeLines(1, recordBytes)).toThrow(/recordBytes .* 2 or more/);
  });
});

describe('lineAt', () => {
  it('cycles', () => {
    const lines = makeLines(3, 10);
    expect(lineAt(lines, 1_024 * 5 + 7)).toBe(lines[7]);
  });
});
