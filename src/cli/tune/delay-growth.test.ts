import { describe, expect, it } from 'vitest';
import { growthOf } from './delay-growth.ts';

/** One batch every `intervalMs`, with these delays. */
function batches(intervalMs: number, delaysMs: readonly number[]) {
  return delaysMs.map((schedulingDelayMs, index) => ({
    batchTimeMs: 1_000_000 + index * intervalMs,
    schedulingDelayMs,
  }));
}

describe('the delay of batches', () => {
  it('grows where each batch takes longer than its interval', () => {
    // 5 % too slow: 50 ms more for each second.
    const delays = Array.from({ length: 9 }, (_, index) => 4 + 50 * index);
    expect(growthOf(batches(1_000, delays))).toBe('growing');
  });

  it('is bounded where it stays what it is, high or low', () => {
    expect(growthOf(batches(200, [3, 5, 4, 3, 6, 4, 5, 3, 4]))).toBe('bounded');
    expect(growthOf(batches(200, [900, 905, 898, 902, 900, 899]))).toBe('bounded');
  });

  it('is bounded where one batch was late', () => {
    expect(growthOf(batches(200, [3, 4, 3, 4, 3, 4, 3, 700, 4]))).toBe('bounded');
  });

  it('is bounded where a backlog of the beginning goes away', () => {
    expect(growthOf(batches(200, [800, 600, 400, 200, 5, 4]))).toBe('bounded');
  });

  it('grows also in a short sample of short batches', () => {
    expect(growthOf(batches(100, [2, 20, 45, 60, 85, 100]))).toBe('growing');
  });

  it('is bounded where only every other batch has more to do', () => {
    const delays = [4, 300, 4, 300];
    expect(growthOf(batches(1_000, delays))).toBe('growing'); // but for the windows
    expect(growthOf(batches(1_000, delays), 2)).toBe('bounded');
    expect(growthOf(batches(1_000, [4, 300, 4, 300, 4, 300, 4]), 2)).toBe('bounded');
    expect(growthOf(batches(1_000, [4, 300, 104, 400, 204, 500]), 2)).toBe('growing');
  });

  it('is unknown from two batches, and from less than two slides', () => {
    expect(growthOf(batches(200, [3, 900]))).toBe('unknown');
    expect(growthOf(batches(200, [3, 4, 3]), 2)).toBe('unknown');
  });
});
