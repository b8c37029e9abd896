/** @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { settle } from '../../test/support/receiver-side.ts';
import { RateGate } from './rate-gate.ts';

let clock: ManualClock;

beforeEach(() => {
  clock = new ManualClock();
});

/** The rate that a gate goes by: what an emptied bucket earns. */
function rateOf(gate: RateGate): number {
  const { records } = gate.allowance;
  if (records === Infinity) return Infinity;
  gate.spend(1_000_000);
  const before = gate.allowance.waitMs;
  gate.spend(1_000_000);
  return Math.round(1e9 / (gate.allowance.waitMs - before));
}

/** Spark's RateLimiterSuite. */
describe('the rate that a gate goes by', () => {
  it.each([
    { maxRate: undefined, published: 105, rate: 105 },
    { maxRate: 110, published: 105, rate: 105 },
    { maxRate: 100, published: 105, rate: 100 },
    { maxRate: 100, published: undefined, rate: 100 },
    { maxRate: undefined, published: undefined, rate: Infinity },
    { maxRate: 100, published: 0, rate: 100 },
    { maxRate: 100, published: -5, rate: 100 },
    { maxRate: 100, published: Number.NaN, rate: 100 },
    { maxRate: undefined, published: 0, rate: Infinity },
  ])('is $rate with maxRate $maxRate when $published is published', (row) => {
    const gate = new RateGate({ clock, maxRate: row.maxRate });
    if (row.published !== undefined) gate.setRate(row.published);
    expect(rateOf(gate)).toBe(row.rate);
    const born = new RateGate({ clock, maxRate: row.maxRate, publishedRate: row.published });
    expect(rateOf(born)).toBe(row.rate);
  });

  it('follows what is published', () => {
    const gate = new RateGate({ clock });
    for (const rate of [100, 200, 300, 50]) {
      gate.setRate(rate);
      expect(rateOf(gate)).toBe(rate);
    }
  });
});

describe('a wait', () => {
  it('has one timer, set to the next token', async () => {
    const gate = new RateGate({ clock, maxRate: 100 });
    gate.spend(25); // 20 were there
    expect(gate.isOpen).toBe(false);
    expect(gate.allowance).toEqual({ records: 0, waitMs: 60 });
    const waited = gate.wait();
    expect(clock.pendingMs).toEqual([60]);
    clock.advance(60);
    await waited;
    expect(gate.isOpen).toBe(true);
    expect(gate.allowance).toEqual({ records: 1, waitMs: 0 });
    expect(clock.pendingMs).toEqual([]);
  });

  it('ends when the rate changes, and when somebody says so', async () => {
    const gate = new RateGate({ clock, maxRate: 1 });
    gate.spend(1_000_000);
    const ends: string[] = [];
    const first = gate.wait().then(() => ends.push('rate'));
    expect(clock.pendingMs).toEqual([60_000]); // a timer cannot count further than some days
    gate.setRate(0.5);
    await first;
    const second = gate.wait().then(() => ends.push('woken'));
    await settle();
    expect(ends).toEqual(['rate']);
    gate.wake();
    await second;
    expect(clock.pendingMs).toEqual([]);
  });
});
