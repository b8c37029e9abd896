/** @module */
import { describe, expect, it } from 'vitest';
import { BURST_MS, TokenBucket } from './token-bucket.ts';

describe('TokenBucket', () => {
  it('is full at first: with the tokens of 200 ms', () => {
    expect(BURST_MS).toBe(200);
    expect(new TokenBucket(1_000, 0).tokensAt(0)).toBe(200);
    expect(new TokenBucket(1_000, 0).tokensAt(10_000)).toBe(200);
  });

  it('holds one token at least, however slow it is', () => {
    const bucket = new TokenBucket(0.5, 0);
    expect(bucket.tokensAt(0)).toBe(1);
    bucket.spend(1);
    expect(bucket.waitMs(0)).toBe(2_000);
    expect(bucket.waitMs(1_999)).toBe(1);
    expect(bucket.waitMs(2_000)).toBe(0);
  });

  it('lets a call larger than itself pass, and makes it up by waiting', () => {
    const bucket = new TokenBucket(1_000, 0);
    bucket.spend(5_000);
    expect(bucket.tokensAt(0)).toBe(-4_800);
    // Until there is one token: 4,801 at 1 a millisecond.
    expect(bucket.waitMs(0)).toBe(4_801);
    expect(bucket.waitMs(4_000)).toBe(801);
    expect(bucket.waitMs(4_801)).toBe(0);
    expect(bucket.tokensAt(4_801)).toBe(1);
  });

  it.each([
    { from: 1_000, to: 100, spent: 200, atMs: 50, tokens: 20 }, // 50 earned, the bucket holds 20
    { from: 100, to: 1_000, spent: 20, atMs: 50, tokens: 5 }, // earned at the old rate
    { from: 100, to: 1_000, spent: 1_020, atMs: 500, tokens: -950 }, // a debt stays
  ])('keeps what was earned when the rate changes: $from to $to', (row) => {
    const bucket = new TokenBucket(row.from, 0);
    bucket.spend(row.spent);
    bucket.setRate(row.to, row.atMs);
    expect(bucket.tokensAt(row.atMs)).toBe(row.tokens);
  });

  it('neither gives nor takes anything for a clock that stands still or steps back', () => {
    const bucket = new TokenBucket(1_000, 100);
    bucket.spend(200);
    expect(bucket.tokensAt(50)).toBe(0);
    expect(bucket.tokensAt(100)).toBe(0);
    expect(bucket.tokensAt(101)).toBe(1);
  });

  it.each([3, 7, 99, 333, 1_001])('takes %i records a second, over any span', (rate) => {
    const bucket = new TokenBucket(rate, 0);
    const taken: number[] = [];
    for (let nowMs = 0; nowMs < 20_000;) {
      const waitMs = bucket.waitMs(nowMs);
      if (waitMs === 0) {
        bucket.spend(1);
        taken.push(nowMs);
      }
      nowMs += waitMs;
    }
    const burst = Math.max(1, rate * 0.2);
    expect(taken.length).toBeGreaterThanOrEqual(Math.floor(rate * 20 * 0.74)); // whole ms of waits
    let most = 0;
    for (let first = 0; first < taken.length; first += 1) {
      for (const last of [first + 1, first + 10, first + 500, taken.length - 1]) {
        const span = (taken[last] ?? Infinity) - (taken[first] ?? 0);
        most = Math.max(most, last - first - (rate * span) / 1_000);
      }
    }
    expect(most).toBeLessThanOrEqual(burst + 1e-3);
  });
});
