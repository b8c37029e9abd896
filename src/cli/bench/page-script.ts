/** Draws the plots of the report's page. Runs in a browser, not in Node: it imports nothing, its
 * compiled text is put into the page as it is, and what it needs of document and plot library is
 * handed in. @module */

interface PageElement {
  readonly clientWidth: number;
}

export interface PageDocument {
  getElementById(id: string): PageElement | null;
}

/** What the plots call on uPlot's instances. */
interface Plot {
  readonly ctx: {
    lineWidth: number;
    strokeStyle: string;
    beginPath(): void;
    moveTo(x: number, y: number): void;
    lineTo(x: number, y: number): void;
    stroke(): void;
  };
  valToPos(value: number, scale: string, isCanvas: boolean): number;
}

type Column = readonly (number | null)[];
type PathBuilder = (...args: readonly unknown[]) => unknown;

export interface PlotLibrary {
  new (options: object, columns: readonly Column[], target: PageElement): unknown;
  readonly paths: {
    bars(options: object): PathBuilder;
    stepped(options: object): PathBuilder;
  };
}

interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

interface PageCell {
  readonly cell: {
    readonly wal: string;
    readonly receivers: number;
    readonly blockIntervalMs: number;
    readonly recordBytes: number;
  };
  readonly recordsPerSecond: Spread;
  readonly ackMs: { readonly p50: Spread; readonly p90: Spread; readonly p99: Spread };
  readonly cost?: { readonly speedPercent: Spread };
}

export interface PageReport {
  readonly cells: readonly PageCell[];
  readonly syncs: readonly {
    readonly wal: string;
    readonly boundsMs: readonly number[];
    readonly counts: readonly number[];
  }[];
}

const COLORS: Readonly<Record<string, string>> = {
  off: '#8a8f98',
  flush: '#3b82c4',
  sync: '#c2571a',
  p50: '#3b82c4',
  p90: '#8b5fbf',
  p99: '#c2571a',
};
const WIDTH_MAX = 1_100;
const HEIGHT = 340;

/** Draws all four. An element that is missing is an error of the page. */
export function drawPage(page: PageDocument, Library: PlotLibrary, report: PageReport): void {
  const places = placesOf(report.cells);
  const add = (id: string, options: object, columns: readonly Column[]): void => {
    const target = page.getElementById(id);
    if (target === null) throw new Error(`the page has no element ${id}`);
    const width = Math.max(400, Math.min(WIDTH_MAX, target.clientWidth));
    void new Library({ width, height: HEIGHT, ...options }, columns, target);
  };
  const bars = Library.paths.bars({ size: [0.8, 60] });
  const speed = barPlot(places, {
    label: 'M records/s at full speed',
    spreadOf: ({ recordsPerSecond }) => scaled(recordsPerSecond, 1e-6),
    paths: bars,
  });
  add('throughput', speed.options, speed.columns);
  const ack = ackPlot(places);
  add('acknowledgements', ack.options, ack.columns);
  const sync = syncPlot(report, Library.paths.stepped({ align: 1 }));
  add('syncs', sync.options, sync.columns);
  const cost = barPlot(places, {
    label: '% of the speed without a log',
    spreadOf: (each) => each.cost?.speedPercent,
    paths: bars,
  });
  add('cost', cost.options, cost.columns);
}

interface Drawing {
  readonly options: object;
  readonly columns: readonly Column[];
}

/** Cells on the x axis: one step each, and a gap between those that differ in more than the log. */
export interface Places {
  readonly cells: readonly PageCell[];
  readonly x: readonly number[];
  /** Below each cell; in the middle of a group also what they have in common. */
  readonly labels: readonly string[];
  /** Log levels, in the order of their first cells. */
  readonly levels: readonly string[];
}

export function placesOf(cells: readonly PageCell[]): Places {
  const settings = cells.map(settingOf);
  const x: number[] = [];
  let next = 0;
  settings.forEach((setting, index) => {
    if (index > 0 && setting !== settings[index - 1]) next += 1;
    x.push(next);
    next += 1;
  });
  const labels = cells.map(({ cell }, index) => {
    const setting = settings[index] ?? '';
    const first = settings.indexOf(setting);
    const middle = first + Math.floor((settings.lastIndexOf(setting) - first) / 2);
    return index === middle ? `${cell.wal}\n${setting}` : cell.wal;
  });
  return { cells, x, labels, levels: [...new Set(cells.map(({ cell }) => cell.wal))] };
}

function settingOf({ cell: { receivers, blockIntervalMs, recordBytes } }: PageCell): string {
  const threads = `${receivers} receiver${receivers === 1 ? '' : 's'}`;
  return `${threads}\n${blockIntervalMs} ms\n${recordBytes} B`;
}

function scaled({ min, median, max }: Spread, factor: number): Spread {
  return { min: min * factor, median: median * factor, max: max * factor };
}

interface Bars {
  readonly label: string;
  readonly spreadOf: (cell: PageCell) => Spread | undefined;
  readonly paths: PathBuilder;
}

/** Medians as bars, one series for each log level, with a line from the smallest to the largest. */
function barPlot(places: Places, { label, spreadOf, paths }: Bars): Drawing {
  const { cells, x, levels } = places;
  const spreads = cells.map(spreadOf);
  const columns = levels.map((level) =>
    cells.map(({ cell }, index) => (cell.wal === level ? (spreads[index]?.median ?? null) : null)),
  );
  const whiskers = (plot: Plot): void => {
    spreads.forEach((spread, index) => {
      if (spread !== undefined) drawWhisker(plot, x[index] ?? 0, [spread.min, spread.max]);
    });
  };
  const lows = spreads.map((spread) => spread?.min ?? 0);
  const highs = spreads.map((spread) => spread?.max ?? 0);
  const low = Math.min(0, ...lows) * 1.1;
  const high = Math.max(0.01, ...highs) * 1.1;
  const series = levels.map((level) => ({
    label: level,
    paths,
    stroke: COLORS[level],
    fill: COLORS[level],
    points: { show: false },
    value: (_plot: Plot, value: number | null) => numberText(value),
  }));
  return {
    options: {
      ...common(places, label),
      scales: { x: rangeOf(x), y: { range: [low, high] } },
      series: [cellSeries(places), ...series],
      hooks: { draw: [whiskers] },
    },
    columns: [x, ...columns],
  };
}

/** Percentiles as points, from the median to p99 joined by a line. */
function ackPlot(places: Places): Drawing {
  const { cells, x } = places;
  const names = ['p50', 'p90', 'p99'] as const;
  const columns = names.map((name) => cells.map(({ ackMs }) => ackMs[name].median));
  const lines = (plot: Plot): void => {
    cells.forEach(({ ackMs }, index) =>
      drawWhisker(plot, x[index] ?? 0, [ackMs.p50.median, ackMs.p99.median]),
    );
  };
  const series = names.map((name) => ({
    label: name,
    paths: () => null,
    stroke: COLORS[name],
    points: { show: true, size: 8, fill: COLORS[name] },
    value: (_plot: Plot, value: number | null) => numberText(value),
  }));
  return {
    options: {
      ...common(places, 'ms until acknowledged, at half speed'),
      scales: { x: rangeOf(x), y: { distr: 3 } },
      series: [cellSeries(places), ...series],
      hooks: { drawClear: [lines] },
    },
    columns: [x, ...columns],
  };
}

/** How many percent of the syncs took how long: buckets of equal width, each a fifth longer. */
function syncPlot({ syncs }: PageReport, paths: PathBuilder): Drawing {
  const counts = syncs.map((each) => each.counts);
  const used = (index: number): boolean => counts.some((each) => (each[index] ?? 0) > 0);
  const all = counts[0]?.map((_, index) => index) ?? [];
  const first = Math.max(0, (all.find(used) ?? 0) - 2);
  const last = Math.min(all.length - 1, (all.findLast(used) ?? 0) + 2);
  const x = all.slice(first, last + 1);
  const bounds = syncs[0]?.boundsMs ?? [];
  const msOf = (index: number): string => {
    const bound = bounds[Math.min(index, bounds.length - 1)] ?? 0;
    return index < bounds.length ? numberText(bound) : `> ${numberText(bound)}`;
  };
  const series = syncs.map(({ wal }) => ({
    label: wal,
    paths,
    stroke: COLORS[wal],
    fill: `${COLORS[wal]}55`,
    points: { show: false },
    value: (_plot: Plot, value: number | null) => (value === null ? '' : `${numberText(value)} %`),
  }));
  return {
    options: {
      scales: { x: rangeOf(x), y: { range: [0, null] } },
      axes: [
        {
          label: 'ms for one write and its sync, at most',
          splits: () => x.filter((index) => index % 4 === 0),
          values: (_plot: Plot, splits: readonly number[]) => splits.map(msOf),
          grid: { show: false },
        },
        { label: '% of the syncs', size: 70 },
      ],
      series: [
        {
          label: 'ms',
          value: (_plot: Plot, index: number | null) => (index === null ? '' : msOf(index)),
        },
        ...series,
      ],
    },
    columns: [x, ...counts.map((each) => sharesOf(each).slice(first, last + 1))],
  };
}

function sharesOf(counts: readonly number[]): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => (100 * count) / total);
}

function common({ x, labels }: Places, label: string): object {
  return {
    axes: [
      {
        splits: () => x,
        values: () => labels,
        size: 90,
        grid: { show: false },
      },
      { label, size: 70 },
    ],
  };
}

/** In the legend: which cell the pointer is at. */
function cellSeries({ x, cells }: Places): object {
  return {
    label: 'cell',
    value: (_plot: Plot, at: number | null) => {
      const found = at === null ? undefined : cells[x.indexOf(at)];
      if (found === undefined) return '';
      return `${found.cell.wal}, ${settingOf(found).replaceAll('\n', ', ')}`;
    },
  };
}

function rangeOf(x: readonly number[]): object {
  return { time: false, range: [(x[0] ?? 0) - 0.7, (x.at(-1) ?? 1) + 0.7] };
}

function drawWhisker(plot: Plot, x: number, y: readonly [number, number]): void {
  const { ctx } = plot;
  const left = plot.valToPos(x, 'x', true);
  ctx.lineWidth = 2;
  ctx.strokeStyle = '#333';
  ctx.beginPath();
  ctx.moveTo(left, plot.valToPos(y[0], 'y', true));
  ctx.lineTo(left, plot.valToPos(y[1], 'y', true));
  ctx.stroke();
}

function numberText(value: number | null): string {
  if (value === null) return '';
  return Math.abs(value) < 10 ? value.toFixed(2) : value.toFixed(Math.abs(value) < 100 ? 1 : 0);
}
