/** Draws the curves of the report's page. Runs in a browser, not in Node: it imports nothing, its
 * compiled text is put into the page as it is, and what it needs of document and plot library is
 * handed in. @module */

interface PageElement {
  readonly clientWidth: number;
}

export interface PageDocument {
  getElementById(id: string): PageElement | null;
}

type Column = readonly (number | null)[];

export interface PlotLibrary {
  new (options: object, columns: readonly Column[], target: PageElement): unknown;
}

interface PageRate {
  readonly recordsPerSecond: { readonly median: number };
  readonly latencyMs: { readonly p50: { readonly median: number } };
  readonly wantedRate: number | null;
}

export interface PageReport {
  readonly settings: readonly {
    readonly setting: {
      readonly blockIntervalMs: number;
      readonly batchIntervalMs: number;
      readonly receiverExecutors: number;
      readonly executors: number;
    };
    readonly rates: readonly PageRate[];
  }[];
}

const COLORS: readonly string[] = ['#c2571a', '#3b82c4', '#8b5fbf', '#3d9960', '#8a8f98'];
const WIDTH_MAX = 1_100;
const HEIGHT = 340;

export function drawPage(page: PageDocument, Library: PlotLibrary, report: PageReport): void {
  const target = page.getElementById('curves');
  if (target === null) throw new Error('the page has no element curves');
  const width = Math.max(400, Math.min(WIDTH_MAX, target.clientWidth));
  const { names, columns } = curvesOf(report);
  if (names.length === 0) return; // the text above says so
  const series = names.map((label, index) => ({
    label,
    stroke: COLORS[index % COLORS.length],
    spanGaps: true,
    points: { show: true, size: 7 },
    value: (_plot: unknown, value: number | null) => (value === null ? '' : value.toFixed(1)),
  }));
  void new Library(
    {
      width,
      height: HEIGHT,
      scales: { x: { time: false }, y: { distr: 3 } },
      axes: [{ label: 'records/s' }, { label: 'ms at the median', size: 70 }],
      series: [{ label: 'records/s' }, ...series],
    },
    columns,
    target,
  );
}

export interface Curves {
  readonly names: readonly string[];
  /** The rates of all of them, then a column of latencies for each. */
  readonly columns: readonly Column[];
}

/** Of settings at two rates or more. Full speed is none: there the queue is measured. */
export function curvesOf({ settings }: PageReport): Curves {
  const drawn = settings
    .map(({ setting, rates }) => ({
      name:
        `batch ${setting.batchIntervalMs} ms, block ${setting.blockIntervalMs} ms, ` +
        `${setting.receiverExecutors} + ${setting.executors} threads`,
      rates: rates.filter(({ wantedRate }) => wantedRate !== null),
    }))
    .filter(({ rates }) => rates.length > 1);
  const all = drawn.flatMap(({ rates }) => rates.map((each) => each.recordsPerSecond.median));
  const x = [...new Set(all)].toSorted((a, b) => a - b);
  const columns = drawn.map(({ rates }) =>
    x.map((rate) => {
      const found = rates.find((each) => each.recordsPerSecond.median === rate);
      return found === undefined ? null : found.latencyMs.p50.median;
    }),
  );
  return { names: drawn.map(({ name }) => name), columns: [x, ...columns] };
}
