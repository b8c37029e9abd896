/** Tests for the SVG of bars. @module */
import { describe, expect, it } from 'vitest';
import { barChartSvg } from './bar-chart.ts';
import type { BarChart } from './bar-chart.ts';

const CHART: BarChart = {
  title: 'Lines a second',
  source: ['2 cores'],
  unit: 'M/s',
  divisor: 1e6,
  digits: 2,
  bars: [
    { label: 'a & b', note: 'synced', spread: { min: 3e6, median: 4e6, max: 6e6 }, isOurs: true },
    { label: 'c', spread: { min: 1e6, median: 2e6, max: 2e6 }, isOurs: false },
  ],
};
const svg = barChartSvg(CHART);

describe('a bar chart', () => {
  it('has bars as long as their medians, and whiskers from least to greatest', () => {
    // The plot is 418 wide, and its scale ends at 6.
    const unit = 418 / 6;
    const at = (value: number): string => (262 + value * unit).toFixed(1);
    expect([...svg.matchAll(/<rect class="(?:ours|other)" .*? width="([\d.]+)"/g)]).toMatchObject([
      { 1: (4 * unit).toFixed(1) },
      { 1: (2 * unit).toFixed(1) },
    ]);
    expect([...svg.matchAll(/ d="M([\d.]+) .*?H([\d.]+)M/g)]).toMatchObject([
      { 1: at(3), 2: at(6) },
      { 1: at(1), 2: at(2) },
    ]);
    expect(svg).toContain('>4.00 M/s</text>');
  });

  it('ends its scale at a round number that no whisker passes', () => {
    const ends = [0.9, 1.001, 13, 870].map((max) => {
      const bar = { label: 'x', spread: { min: max, median: max, max }, isOurs: true };
      const drawn = barChartSvg({ ...CHART, divisor: 1, bars: [bar] });
      return [...drawn.matchAll(/text-anchor="middle">([\d.]+)</g)].at(-1)?.[1];
    });
    expect(ends).toEqual(['1.0', '1.2', '15', '1000']);
  });

  it('writes what is text as text', () => {
    expect(svg).toContain('>a &amp; b</text>');
    expect(svg).not.toContain('a & b');
  });

  it('is the same for the same chart, and has colours for both themes', () => {
    expect(barChartSvg(structuredClone(CHART))).toBe(svg);
    expect(svg).toContain('prefers-color-scheme:dark');
  });
});
