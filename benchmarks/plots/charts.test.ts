/** Tests for what the plots show of kept results. @module */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { barChartSvg } from './bar-chart.ts';
import type { BarChart } from './bar-chart.ts';
import { PLOTS } from './charts.ts';

const ENVIRONMENT = {
  cpu: 'a cpu',
  cores: 2,
  memoryGiB: 24,
  kernel: 'Linux',
  node: 'v20',
  fileSystem: 'ext4',
  load: 0.1,
  date: '2026-11-22',
};
const KEPT = { environment: ENVIRONMENT, disk: [] };

function chartOf(name: string, content: object): BarChart {
  const plot = PLOTS.find((each) => each.name === name);
  if (plot === undefined) throw new Error(`there is no plot ${name}`);
  return plot.chart({ ...KEPT, ...content });
}

function contestant(name: string, survives: string, rates: readonly number[]) {
  const spread = { min: Math.min(...rates), median: rates[0], max: Math.max(...rates) };
  const samples = rates.map((recordsPerSecond) => ({ recordsPerSecond }));
  return { name, guarantee: { survives, how: '' }, samples, spread };
}

describe('a plot of peers', () => {
  it('shows ours once for each level, with all samples of it, then the peers', () => {
    const ours = (rates: number[]) => contestant('ours', 'a power cut', rates);
    const chart = chartOf('peers-records', {
      recordBytes: 100,
      pairs: [
        { peer: contestant('p', 'nothing', [5]), ours: ours([10, 11]) },
        { peer: contestant('q', 'if read again', [6]), ours: ours([30]) },
      ],
    });
    expect(chart.bars).toEqual([
      {
        label: 'ours',
        note: 'survives a power cut',
        spread: { min: 10, median: 11, max: 30 },
        isOurs: true,
      },
      {
        label: 'p',
        note: 'survives nothing',
        spread: { min: 5, median: 5, max: 5 },
        isOurs: false,
      },
      expect.objectContaining({ label: 'q', note: 'lost, unless read again' }),
    ]);
  });

  it('shows large records by their bytes', () => {
    const pairs = [{ peer: contestant('p', 'a kill', [5]), ours: contestant('o', 'a kill', [5]) }];
    const { divisor, unit } = chartOf('peers-blocks', { recordBytes: 1e6, pairs });
    expect([300 / divisor, unit]).toEqual([300, 'MB/s']);
  });
});

describe('a plot of our own', () => {
  it('of the log’s cost shows ratios, and no baselines', () => {
    const point = { pipeline: 'word-count', batchInterval: '1s', blockInterval: '200ms' };
    const ratio = { min: 0.8, median: 0.9, max: 1 };
    const { bars } = chartOf('log-cost', {
      points: [
        { point: { ...point, wal: 'off' }, summary: {} },
        { point: { ...point, wal: 'sync' }, summary: {}, ratio },
      ],
    });
    expect(bars).toEqual([
      {
        label: 'word-count, sync',
        note: 'batches of 1s, blocks of 200ms',
        spread: ratio,
        isOurs: true,
      },
    ]);
  });

  it('of times shows those that were measured', () => {
    const spread = { min: 1, median: 2, max: 3 };
    const { bars } = chartOf('ack-latency', {
      points: [{ point: { clients: 16, blockInterval: '5ms' }, summary: { latencyMsP99: spread } }],
    });
    expect(bars).toEqual([
      { label: 'blocks of 5ms', note: '16 clients, 99 of 100', spread, isOurs: false },
    ]);
  });
});

describe('docs/plots', () => {
  const read = (path: string): string | undefined => {
    const file = fileURLToPath(new URL(`../../${path}`, import.meta.url));
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  };

  it.each(PLOTS)('has $name as benchmarks/results/ gives it', ({ name, result, chart }) => {
    const kept = read(`benchmarks/results/${result}.json`);
    const expected = kept === undefined ? undefined : barChartSvg(chart(JSON.parse(kept)));
    expect(read(`docs/plots/${name}.svg`), 'npm run bench:plots draws it').toBe(expected);
  });

  it('is shown in docs/performance.md, whatever there is of it', () => {
    const shown = (read('docs/performance.md') ?? '').replaceAll(/<!--.*?-->/gs, '');
    const linked = new Set(
      [...shown.matchAll(/\(plots\/([\w-]+)\.svg\)/g)].map(([, name]) => name),
    );
    const drawn = PLOTS.filter(({ name }) => read(`docs/plots/${name}.svg`) !== undefined);
    expect(linked).toEqual(new Set(drawn.map(({ name }) => name)));
  });
});
