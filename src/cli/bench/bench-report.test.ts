/** @module */
import { expect, it } from 'vitest';
import { LATENCY_BOUNDS_MS } from '../../wal/latency-window.ts';
import { quantileOfCounts, reportOf } from './bench-report.ts';
import type { BenchReport } from './bench-report.ts';
import { cellText, cellsOf } from './cell.ts';
import type { Cell } from './cell.ts';
import type { CellSample } from './cell-sample.ts';
import { drawPage, placesOf } from './page-script.ts';
import type { PlotLibrary } from './page-script.ts';
import { pipelineText } from './pipeline-text.ts';
import { escapeHtml, escapeJson } from './page-frame.ts';
import { pageOf } from './report-page.ts';
import { reportText } from './report-text.ts';
import { boundText, doubtsOf, explain } from './report-words.ts';

const GRID = { wal: ['off', 'sync'] as const, receivers: [1], blockIntervalsMs: [50] };
const CELLS = cellsOf({ ...GRID, recordBytes: [100, 1_000] });
const BUCKETS = LATENCY_BOUNDS_MS.length + 1;

function sample(given: Partial<CellSample> = {}): CellSample {
  return {
    recordsPerSecond: 4e6,
    cpuNsPerRecord: 300,
    engineCores: 1.9,
    otherCores: 0,
    receiverBusyShare: 0.5,
    logBytesPerSecond: 4e8,
    syncCounts: Array.from({ length: BUCKETS }, (_, index) => (index === 20 ? 10 : 0)),
    ackMs: { count: 9, p50: 20, p90: 40, p99: 50, max: 60 },
    halfHeldShare: 1,
    ...given,
  };
}

const DISK = { mode: 'direct', bytesPerSecond: 2e9, syncMsP50: 0.2, syncMsP99: 1 } as const;
const MACHINE = { cpu: 'a <fast> one', cores: 2, memoryGiB: 8, kernel: 'Linux 6', node: 'v20' };

function report(
  samplesOf: (cell: Cell) => readonly CellSample[],
  given: Partial<BenchReport> = {},
): BenchReport {
  const made = reportOf({
    directory: '/data/<b>&',
    environment: { ...MACHINE, fileSystem: 'ext4', load: 0.1, date: '2026-11-21' },
    loadAtEnd: 2,
    disk: [DISK, DISK],
    isSmoke: false,
    secondsPerSample: 2,
    batchIntervalMs: 200,
    wantedRepetitions: 3,
    samples: new Map(CELLS.map((cell) => [cellText(cell), samplesOf(cell)])),
    order: CELLS,
  });
  return { ...made, ...given };
}

/** The log takes a quarter of the speed; the third round was twice as slow for all. */
const calm = report(({ wal }) =>
  [4e6, 4.2e6, 2e6].map((speed) =>
    wal === 'off'
      ? sample({ recordsPerSecond: speed, syncCounts: Array.from({ length: BUCKETS }, () => 0) })
      : sample({ recordsPerSecond: 0.75 * speed, cpuNsPerRecord: 340 }),
  ),
);

it('compares samples of one round only', () => {
  const [off, sync] = calm.cells;
  expect(off).not.toHaveProperty('cost');
  expect(sync?.cost?.speedPercent).toEqual({ min: 25, median: 25, max: 25 });
  expect(sync?.cost?.cpuNsPerRecord).toBe(40);
  expect(off?.recordsPerSecond).toEqual({ min: 2e6, median: 4e6, max: 4.2e6 });
});

it('adds up the syncs of a level, and has none where there was no log', () => {
  expect(calm.syncs.map(({ wal }) => wal)).toEqual(['sync']);
  expect(calm.syncs[0]?.counts[20]).toBe(2 * 3 * 10);
  expect(calm.cells[0]).not.toHaveProperty('syncMs');
  expect(calm.cells[1]?.syncMs?.p50).toBe(LATENCY_BOUNDS_MS[20]);
});

it('finds quantiles of a histogram, also past its last bound', () => {
  const counts = Array.from({ length: BUCKETS }, () => 0);
  counts[3] = 98;
  counts[7] = 1;
  counts[BUCKETS - 1] = 1;
  expect(quantileOfCounts(counts, 0.5)).toBe(LATENCY_BOUNDS_MS[3]);
  expect(quantileOfCounts(counts, 0.99)).toBe(LATENCY_BOUNDS_MS[7]);
  expect(quantileOfCounts(counts, 1)).toBe(LATENCY_BOUNDS_MS.at(-1));
});

it('says what the log costs, what bounds it, and what an acknowledgement waits for', () => {
  const text = explain(calm);
  expect(text).toContain('With 1 receiver, 50 ms, 1000 B: without a log 4.00 M records/s');
  expect(text).toContain('3.00 M records/s, 25 % less (25 to 25 % by round)');
  expect(text).toContain('40 ns of CPU a record more');
  expect(text).toContain('at 20 % of what the disk alone');
  expect(text).toContain('used 95 % of the cores');
  expect(text).toContain('the processor bounds it, not the disk');
  expect(text).toContain('20.0 ms at the median and 50.0 ms at p99');
});

it('knows whether a block is cut because it is full or because its time has come', () => {
  expect(explain(calm)).toContain('up to 0.70 ms until its block is full');
  const slow = report(() => [sample({ recordsPerSecond: 1_000 })]);
  expect(explain(slow)).toContain('up to 50 ms for its block, which is the block interval');
});

it('names the limit that was reached', () => {
  expect(boundText({ disk: 0.9, cores: 0.8, receiver: 0.8 })).toContain('the disk bounds it');
  expect(boundText({ disk: 0.3, cores: 0.5, receiver: 0.99 })).toContain('more receivers');
  expect(boundText({ disk: 0.3, cores: 0.5, receiver: 0.5 })).toContain('none of the three');
});

it('does not sell noise as a gain', () => {
  const faster = report(({ wal }) => [sample({ recordsPerSecond: wal === 'off' ? 1e6 : 1.1e6 })]);
  expect(explain(faster)).toContain('10 % more, which is noise');
});

it('says when not to believe it', () => {
  expect(doubtsOf(calm).join(' ')).toContain('Samples of 4 of 4 cells differ by more than 15 %');
  const steady = report(() => [sample(), sample(), sample()]);
  expect(doubtsOf(steady)).toEqual([expect.stringContaining('Nothing speaks against')]);
  const busy = report(() => [sample({ otherCores: 1.5, halfHeldShare: 0.5 })], {
    isSmoke: true,
    environment: { ...steady.environment, load: 3, fileSystem: 'tmpfs' },
    disk: [DISK, { ...DISK, bytesPerSecond: 1e9 }],
  });
  const doubts = doubtsOf(busy);
  for (const part of [
    'A smoke run',
    'after 1 of 3 rounds',
    'Fewer than three',
    'up to 1.5 of 2 cores',
    'load average was 3',
    'not the same before and after',
    'is memory',
    'could not be held',
  ]) {
    expect(doubts).toContainEqual(expect.stringContaining(part));
  }
});

it('is a table with a line per cell', () => {
  const lines = reportText(calm).split('\n');
  expect(lines.filter((line) => /^(off|sync) /.test(line))).toHaveLength(CELLS.length);
  expect(lines).toContainEqual(
    expect.stringMatching(
      /^sync +1 +50 ms +100 B +3\.00 \[1\.50 … 3\.15\] +25 \[25 … 25\] % +340 ns/,
    ),
  );
  expect(
    Math.max(...lines.filter((line) => !line.startsWith('log')).map((l) => l.length)),
  ).toBeLessThan(160);
});

const PARTS = {
  plotScript: 'var uPlot;',
  plotStyle: '.u-wrap {}',
  plotLicence: 'The licence --> of it',
  pageScript: 'export function drawPage() {}',
};

it('is a page in which no text can be more than text', () => {
  const harmful = report(() => [sample()], {
    directory: '</script><script>alert(1)</script><!--',
  });
  const page = pageOf(harmful, PARTS);
  expect(page).not.toContain('<script>alert');
  expect(page).toContain('&lt;script&gt;alert(1)');
  expect(page).toContain('a &lt;fast&gt; one');
  // The licence stands in a comment, which it must not end.
  expect(page).toContain('The licence - -> of it');
  const [, json = ''] =
    /<script id="report" type="application\/json">(.*?)<\/script>/.exec(page) ?? [];
  expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(harmful)));
});

it('escapes what HTML and scripts would understand', () => {
  expect(escapeHtml(`<a b="c" d='e'>&`)).toBe('&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;');
  expect(escapeJson({ a: '</script>' })).toBe('{"a":"\\u003c/script>"}');
});

it('is a page that loads nothing', () => {
  expect(pageOf(calm, PARTS)).not.toMatch(/\b(?:src|href)=|@import|url\(/);
});

interface Drawn {
  readonly id: string;
  readonly options: {
    readonly series: readonly { readonly label: string }[];
    readonly scales: { readonly y: { readonly range?: readonly (number | null)[] } };
  };
  readonly columns: readonly (readonly (number | null)[])[];
}

function draw(shown: BenchReport): Drawn[] {
  const drawn: Drawn[] = [];
  class Library {
    static readonly paths = { bars: () => () => null, stepped: () => () => null };
    constructor(options: object, columns: Drawn['columns'], target: object) {
      const { id } = target as { readonly id: string };
      drawn.push({ id, options: options as Drawn['options'], columns });
    }
  }
  const page = { getElementById: (id: string) => ({ id, clientWidth: 900 }) };
  drawPage(page, Library satisfies PlotLibrary, shown);
  return drawn;
}

it('draws medians of each level at the places of its cells, with a gap between settings', () => {
  const drawn = draw(calm);
  expect(drawn.map(({ id }) => id)).toEqual(['throughput', 'acknowledgements', 'syncs', 'cost']);
  const [throughput, ack, syncs, cost] = drawn;
  expect(throughput?.columns).toEqual([
    [0, 1, 3, 4],
    [4, null, 4, null],
    [null, 3, null, 3],
  ]);
  expect(throughput?.options.series.map(({ label }) => label)).toEqual(['cell', 'off', 'sync']);
  expect(ack?.columns[1]).toEqual([20, 20, 20, 20]);
  expect(cost?.columns).toEqual([
    [0, 1, 3, 4],
    [null, null, null, null],
    [null, 25, null, 25],
  ]);
  expect(syncs?.columns).toEqual([
    [18, 19, 20, 21, 22],
    [0, 0, 100, 0, 0],
  ]);
  for (const { columns } of drawn) {
    for (const column of columns) expect(column).toHaveLength(columns[0]?.length ?? -1);
  }
});

it('draws gains below zero, and nothing of a log that was never measured', () => {
  const faster = report(({ wal }) => [sample({ recordsPerSecond: wal === 'off' ? 1e6 : 1.1e6 })]);
  const cost = draw(faster).at(-1);
  expect(cost?.options.scales.y.range?.[0]).toBeLessThan(-10);
  expect(draw({ ...calm, syncs: [] })).toHaveLength(4);
});

it('labels each cell with its level, and the middle one of a setting with that', () => {
  expect(placesOf(calm.cells).labels).toEqual([
    'off\n1 receiver\n50 ms\n100 B',
    'sync',
    'off\n1 receiver\n50 ms\n1000 B',
    'sync',
  ]);
});

it('measures a pipeline whose address may hold anything', () => {
  const receiverUrl = 'file:///a "b"\\c/load-receiver.js';
  const text = pipelineText({ receiverUrl, receivers: 2, recordBytes: 7 });
  expect(text).toContain('= "file:///a \\"b\\"\\\\c/load-receiver.js";');
  expect(text).toContain('receivers: 2');
});
