/** @module */
import { expect, it } from 'vitest';
import { LATENCY_BOUNDS_MS, LatencyWindow } from './latency-window.ts';

function filled(durationsMs: readonly number[]): LatencyWindow {
  const window = new LatencyWindow();
  for (const durationMs of durationsMs) window.add(durationMs);
  return window;
}

it('counts each duration in the bucket whose upper end it does not exceed', () => {
  for (const durationMs of [0.02, 0.0201, 0.7, 1, 9.99, 250]) {
    const counts = filled([durationMs]).counts();
    const bucket = counts.indexOf(1);
    expect(durationMs).toBeLessThanOrEqual((LATENCY_BOUNDS_MS[bucket] ?? 0) * (1 + 1e-9));
    expect(durationMs).toBeGreaterThan((LATENCY_BOUNDS_MS[bucket - 1] ?? 0) * (1 - 1e-9));
  }
});

it('keeps what is shorter than the first bound and longer than the last', () => {
  const counts = filled([0, 1e-9, 1e9]).counts();
  expect(counts).toHaveLength(LATENCY_BOUNDS_MS.length + 1);
  expect([counts[0], counts.at(-1)]).toEqual([2, 1]);
});

it('counts all, and sums up the latest', () => {
  const window = filled(Array.from({ length: 3_000 }, (_, index) => (index < 2_000 ? 1 : 4)));
  expect(window.counts().reduce((sum, count) => sum + count, 0)).toBe(3_000);
  expect(window.summary()).toMatchObject({ p99: 4, max: 4 });
  expect(new LatencyWindow().summary()).toEqual({ p50: 0, p99: 0, max: 0 });
});
