import { describe, expect, it } from 'vitest';
import { Backoff } from './backoff.ts';

describe('Backoff', () => {
  it('doubles up to the longest step, and starts over after a success', () => {
    const backoff = new Backoff({
      firstMs: 100,
      longestMs: 1_000,
      random: { next: () => 0.999_999 },
    });
    const waits = Array.from({ length: 6 }, () => backoff.nextMs());
    expect(waits).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    backoff.reset();
    expect(backoff.nextMs()).toBe(100);
  });

  it('never waits less than half a step, however often it has failed', () => {
    const backoff = new Backoff({ firstMs: 100, longestMs: 10_000, random: { next: () => 0 } });
    const waits = Array.from({ length: 2_000 }, () => backoff.nextMs());
    expect(waits[0]).toBe(50);
    expect(waits.at(-1)).toBe(5_000);
  });
});
