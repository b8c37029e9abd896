/** @module */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { windowChange, windowTimes } from './window-change.ts';

const span = fc
  .record({
    batchMs: fc.constantFrom(1, 2, 10),
    slides: fc.integer({ min: 1, max: 5 }),
    length: fc.integer({ min: 1, max: 12 }),
  })
  .map(({ batchMs, slides, length }) => {
    return { batchMs, slideMs: slides * batchMs, windowMs: length * batchMs };
  });

describe('what leaves and what enters', () => {
  it('makes of each window the next one, over gaps of any length', () => {
    const gaps = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 30 });
    const property = fc.property(span, gaps, (each, distances) => {
      const { batchMs, slideMs, windowMs } = each;
      const held = new Set<number>();
      let throughMs: number | undefined;
      let timeMs = 1_000;
      for (const distance of distances) {
        timeMs += distance;
        const change = windowChange(each, throughMs, timeMs);
        for (const left of change?.leavingMs ?? []) expect(held.delete(left)).toBe(true);
        for (const entered of change?.enteringMs ?? []) {
          expect(held.has(entered)).toBe(false);
          held.add(entered);
        }
        throughMs = timeMs;
        const endMs = timeMs - (timeMs % slideMs);
        const inside = Array.from({ length: windowMs / batchMs }, (_, n) => endMs - n * batchMs);
        expect([...held].toSorted((a, b) => a - b)).toEqual(inside.toReversed());
        expect(windowTimes(each, timeMs)).toEqual(inside.toReversed());
      }
    });
    fc.assert(property);
  });

  it('is a batch each, however long the window is', () => {
    const change = windowChange(
      { batchMs: 1_000, slideMs: 1_000, windowMs: 3_600_000 },
      7_199_000,
      7_200_000,
    );
    expect(change).toEqual({ leavingMs: [3_600_000], enteringMs: [7_200_000] });
  });

  it('is nothing between two ends, and where a window stays', () => {
    const each = { batchMs: 1_000, slideMs: 5_000, windowMs: 10_000 };
    expect(windowChange(each, 20_000, 24_000)).toBeUndefined();
    expect(windowChange(each, 19_000, 24_000)).toMatchObject({
      leavingMs: [6_000, 7_000, 8_000, 9_000, 10_000],
    });
  });
});
