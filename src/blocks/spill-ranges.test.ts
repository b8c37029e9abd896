/** @module */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpillRanges } from './spill-ranges.ts';

const PAGE = 4096;

describe('SpillRanges', () => {
  it('gives whole pages, one behind the other', () => {
    const ranges = new SpillRanges();
    expect([1, PAGE, PAGE + 1, 10].map((bytes) => ranges.take(bytes))).toEqual([
      0,
      PAGE,
      2 * PAGE,
      4 * PAGE,
    ]);
    expect([ranges.endBytes, ranges.usedBytes]).toEqual([5 * PAGE, 5 * PAGE]);
  });

  it('gives freed places out again, the first that is long enough', () => {
    const ranges = new SpillRanges();
    const [a, b, c] = [ranges.take(PAGE), ranges.take(3 * PAGE), ranges.take(PAGE)];
    ranges.take(PAGE);
    for (const [offset, pages] of [
      [a, 1],
      [c, 1],
    ] as const) {
      ranges.release(offset, pages * PAGE);
    }
    expect(ranges.take(2 * PAGE)).toBe(6 * PAGE);
    ranges.release(b, 3 * PAGE); // joins its neighbours on both sides
    expect(ranges.take(5 * PAGE)).toBe(0);
    expect(ranges.endBytes).toBe(8 * PAGE);
  });

  it('ends where the last place in use ends', () => {
    const ranges = new SpillRanges();
    const places = [1, 2, 3].map(() => ranges.take(PAGE));
    ranges.release(places[1] as number, PAGE);
    expect(ranges.endBytes).toBe(3 * PAGE);
    ranges.release(places[2] as number, PAGE);
    expect(ranges.endBytes).toBe(PAGE);
    ranges.release(places[0] as number, PAGE);
    expect([ranges.endBytes, ranges.usedBytes]).toEqual([0, 0]);
  });

  it('refuses to take a place back twice (I8)', () => {
    const ranges = new SpillRanges();
    const [first] = [ranges.take(PAGE), ranges.take(PAGE), ranges.take(PAGE)];
    ranges.release(first, PAGE);
    expect(() => ranges.release(first, PAGE)).toThrow('given back twice');
    const other = new SpillRanges();
    other.release(other.take(PAGE), PAGE);
    expect(() => other.release(0, PAGE)).toThrow('given back twice');
  });

  it('never gives a page to two, and is empty when all are back', () => {
    const step = fc.record({ bytes: fc.integer({ min: 1, max: 5 * PAGE }), drop: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const ranges = new SpillRanges();
        const held: { readonly at: number; readonly bytes: number }[] = [];
        for (const { bytes, drop } of steps) {
          const taken = { at: ranges.take(bytes), bytes };
          for (const { at, bytes: length } of held) {
            expect(taken.at + bytes <= at || taken.at >= at + length).toBe(true);
          }
          held.push(taken);
          if (drop % 3 > 0) {
            const [gone] = held.splice(drop % held.length, 1);
            if (gone !== undefined) ranges.release(gone.at, gone.bytes);
          }
        }
        for (const { at, bytes } of held) ranges.release(at, bytes);
        expect([ranges.endBytes, ranges.usedBytes]).toEqual([0, 0]);
      }),
      { numRuns: 200 },
    );
  });
});
