/** @module */
import { describe, expect, it } from 'vitest';
import { PidRateEstimator } from './pid-rate-estimator.ts';
import type { PidSettings } from './pid-rate-estimator.ts';

const DEFAULTS: PidSettings = { proportional: 1, integral: 0.2, derived: 0, minRate: 100 };

/** [done at ms, records, processing ms, scheduling delay ms] */
type Row = readonly [number, number, number, number];

function estimates(
  batchIntervalMs: number,
  settings: Partial<PidSettings>,
  rows: readonly Row[],
): readonly (number | undefined)[] {
  const estimator = new PidRateEstimator(batchIntervalMs, { ...DEFAULTS, ...settings });
  return rows.map(([doneMs, recordCount, processingMs, schedulingDelayMs]) =>
    estimator.next({ doneMs, recordCount, processingMs, schedulingDelayMs }),
  );
}

/** One for each batch, 20 ms apart, as Spark's suite has them. */
function fifty(batch: (index: number) => readonly [number, number, number]): Row[] {
  return Array.from({ length: 50 }, (_, index) => [index * 20, ...batch(index)]);
}

describe('the rate after some batches, by hand', () => {
  it.each([
    {
      what: 'a pipeline that keeps up: its speed',
      // 2,000 in 1 s; then 3,000 in 1 s: e = 2,000 − 3,000.
      rows: [
        [1_000, 2_000, 1_000, 0],
        [2_000, 3_000, 1_000, 0],
      ],
      rates: [undefined, 3_000],
    },
    {
      what: 'batches that wait: less than the speed',
      // r = 2,000; h = 500 × 2,000 / 1,000 = 1,000; 2,000 − 0 − 0.2 × 1,000
      rows: [
        [1_000, 2_000, 1_000, 0],
        [2_000, 2_000, 1_000, 500],
        // r = 2,000; e = 1,800 − 2,000 = −200; h = 200 × 2,000 / 1,000 = 400; 1,800 + 200 − 80
        [3_000, 2_000, 1_000, 200],
      ],
      rates: [undefined, 1_800, 1_920],
    },
    {
      what: 'a derived part: the change of the error, per second',
      settings: { derived: 0.1 },
      rows: [
        [1_000, 1_000, 1_000, 0],
        // r = 500; e = 500; d = (500 − 0) / 2 s = 250; 1,000 − 500 − 25
        [3_000, 500, 1_000, 0],
        // r = 600; e = 475 − 600 = −125; d = (−125 − 500) / 0.5 s = −1,250; 475 + 125 + 125
        [3_500, 600, 1_000, 0],
      ],
      rates: [undefined, 475, 725],
    },
    {
      what: 'half of the error',
      settings: { proportional: 0.5, integral: 0 },
      rows: [
        [1_000, 1_000, 1_000, 0],
        [2_000, 2_000, 1_000, 9_000], // 1,000 + 0.5 × 1,000
        [3_000, 1_000, 1_000, 9_000], // e = 1,500 − 1,000; 1,500 − 250
      ],
      rates: [undefined, 1_500, 1_250],
    },
    {
      what: 'a delay longer than all that could be done: the least rate',
      rows: [
        [1_000, 1_000, 1_000, 0],
        [2_000, 1_000, 1_000, 60_000],
        [3_000, 1_000, 1_000, 0],
      ],
      rates: [undefined, 100, 1_000],
    },
  ] satisfies { what: string; settings?: Partial<PidSettings>; rows: Row[]; rates: unknown[] }[])(
    '$what',
    ({ settings = {}, rows, rates }) => {
      expect(estimates(1_000, settings, rows)).toEqual(rates);
    },
  );
});

/** Spark's PIDRateEstimatorSuite. */
describe('PidRateEstimator', () => {
  const plain = { integral: 0, minRate: 10 };
  const strict = { integral: 1, minRate: 10 };

  it.each([
    { what: 'the first batch', rows: [[0, 10, 10, 0]], rates: [undefined] },
    {
      what: 'a batch at the same time as the one before',
      rows: [
        [0, 10, 10, 0],
        [10, 10, 10, 0],
        [10, 10, 10, 0],
      ],
      rates: [undefined, 1_000, undefined],
    },
    {
      what: 'a batch without records',
      rows: [
        [0, 10, 10, 0],
        [10, 0, 10, 0],
        [20, -10, 10, 0],
      ],
      rates: [undefined, undefined, undefined],
    },
    {
      what: 'a batch that took no time',
      rows: [
        [0, 10, 10, 0],
        [10, 10, 0, 0],
        [20, 10, -10, 0],
      ],
      rates: [undefined, undefined, undefined],
    },
  ] satisfies { what: string; rows: Row[]; rates: unknown[] }[])(
    'gives no estimate for $what',
    ({ rows, rates }) => {
      expect(estimates(20, plain, rows)).toEqual(rates);
    },
  );

  it('never goes below the least rate', () => {
    const rates = estimates(
      20,
      { integral: 1, minRate: 5 },
      fifty(() => [1, 20, 100]),
    );
    expect(rates).toEqual([undefined, ...Array(49).fill(5)]);
  });

  it.each([
    { what: 'rises', records: (index: number) => (index + 1) * 20 },
    { what: 'falls', records: (index: number) => (50 - index) * 20 },
  ])('follows a speed that $what when nothing waits', ({ records }) => {
    const rates = estimates(
      20,
      strict,
      fifty((index) => [records(index), 20, 0]),
    );
    const speeds = Array.from({ length: 49 }, (_, index) => (records(index + 1) / 20) * 1_000);
    expect(rates).toEqual([undefined, ...speeds]);
  });

  it('stays below the speed when batches wait', () => {
    const rates = estimates(
      20,
      { integral: 0.01, minRate: 10 },
      fifty((index) => [(50 - index) * 20, 20, index * 20]),
    );
    rates.forEach((rate, index) => {
      if (index === 0) return;
      expect(rate).toBeLessThan(((50 - index) * 20 * 1_000) / 20);
      expect(rate).toBeGreaterThanOrEqual(10);
    });
  });
});
