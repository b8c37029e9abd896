/** Horizontal bars with whiskers from the least to the greatest sample, as SVG. Pure: the same
 * chart gives the same text.
 *
 *      title
 *      label  ███████├──┤  4.50 M/s     bar: the median; whisker: min … max
 *      note   ·    ·    ·    ·          lines at round numbers, named below
 *      source
 *
 * Colours follow the reader's light or dark theme, on a ground of the chart's own, so that it can
 * be read where an image does not know the theme of its page. @module */
import type { Spread } from '../../src/cli/bench/statistics.ts';

export interface Bar {
  readonly label: string;
  /** Smaller, below the label. */
  readonly note?: string;
  readonly spread: Spread;
  /** Drawn in the accent colour. */
  readonly isOurs: boolean;
}

export interface BarChart {
  readonly title: string;
  /** Below the bars: machine, day, how it was measured. */
  readonly source: readonly string[];
  /** Written behind each number. */
  readonly unit: string;
  /** Spreads are divided by it. */
  readonly divisor: number;
  readonly digits: number;
  /** At least one. */
  readonly bars: readonly Bar[];
}

const WIDTH = 820;
const MARGIN = 20;
const LABEL_RIGHT = 250;
const PLOT_LEFT = 262;
const PLOT_RIGHT = 680;
const TITLE_BASELINE = 34;
const BARS_TOP = 54;
const ROW_HEIGHT = 40;
const BAR_HEIGHT = 20;
const SOURCE_LINE = 16;
/** Lines of the scale, at most. */
const STEPS_MAX = 7;

const STYLE = [
  'text{font:13px system-ui,sans-serif;fill:#1f2328}',
  '.title{font-size:16px;font-weight:600}.small{font-size:11px;fill:#59636e}',
  '.ground{fill:#ffffff}.line{stroke:#d1d9e0}.whisker{stroke:#1f2328;stroke-width:1.5}',
  '.ours{fill:#0969da}.other{fill:#9aa4af}',
  '@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}.ground{fill:#0d1117}',
  '.line{stroke:#3d444d}.whisker{stroke:#f0f6fc}.ours{fill:#4493f8}.other{fill:#6e7681}}',
].join('\n');

/** @returns a whole SVG file. */
export function barChartSvg(chart: BarChart): string {
  const { bars, title, source, divisor } = chart;
  const greatest = Math.max(...bars.map(({ spread }) => spread.max / divisor));
  const { step, end } = scaleTo(greatest);
  const xOf = (value: number): number => PLOT_LEFT + (value / end) * (PLOT_RIGHT - PLOT_LEFT);
  const barsBottom = BARS_TOP + bars.length * ROW_HEIGHT;
  const height = barsBottom + 28 + source.length * SOURCE_LINE + 8;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" ` +
      `height="${height}" role="img" aria-label="${escaped(title)}">`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" width="${WIDTH}" height="${height}" rx="8"/>`,
    text(MARGIN, TITLE_BASELINE, { kind: 'title', content: title }),
    ...scaleLines({ step, end, barsBottom }, xOf),
    ...bars.flatMap((bar, index) => barLines(bar, chart, { index, xOf })),
    ...source.map((content, index) =>
      text(MARGIN, barsBottom + 40 + index * SOURCE_LINE, { kind: 'small', content }),
    ),
    '</svg>',
    '',
  ].join('\n');
}

/** Steps of 1, 2 or 5 times a power of ten, as many as fit, up to the first one at or above it. */
function scaleTo(greatest: number): { readonly step: number; readonly end: number } {
  if (!(greatest > 0)) return { step: 1, end: 1 };
  const raw = greatest / (STEPS_MAX - 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= raw) ?? 10);
  return { step, end: step * Math.ceil(greatest / step) };
}

function scaleLines(
  { step, end, barsBottom }: { step: number; end: number; barsBottom: number },
  xOf: (value: number) => number,
): string[] {
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  return Array.from({ length: Math.round(end / step) + 1 }, (_, n) => {
    const x = fixed(xOf(n * step));
    const line = `<line class="line" x1="${x}" x2="${x}" y1="${BARS_TOP}" y2="${barsBottom}"/>`;
    const content = (n * step).toFixed(digits);
    const style = { kind: 'small', anchor: 'middle' } as const;
    return line + text(Number(x), barsBottom + 15, { ...style, content });
  });
}

function barLines(
  { label, note, spread, isOurs }: Bar,
  { unit, divisor, digits }: BarChart,
  { index, xOf }: { readonly index: number; readonly xOf: (value: number) => number },
): string[] {
  const top = BARS_TOP + index * ROW_HEIGHT + (ROW_HEIGHT - BAR_HEIGHT) / 2;
  const middle = top + BAR_HEIGHT / 2;
  const [low, at, high] = [spread.min, spread.median, spread.max].map((value) =>
    fixed(xOf(value / divisor)),
  );
  const width = fixed(Number(at) - PLOT_LEFT);
  const end = { kind: 'label', anchor: 'end' } as const;
  const value = `${(spread.median / divisor).toFixed(digits)} ${unit}`;
  return [
    text(LABEL_RIGHT, middle + (note === undefined ? 4.5 : -1), { ...end, content: label }),
    ...(note === undefined
      ? []
      : [text(LABEL_RIGHT, middle + 12, { ...end, kind: 'small', content: note })]),
    `<rect class="${isOurs ? 'ours' : 'other'}" x="${PLOT_LEFT}" y="${top}" width="${width}" ` +
      `height="${BAR_HEIGHT}"/>`,
    `<path class="whisker" fill="none" d="M${low} ${middle - 5}v10M${low} ${middle}H${high}` +
      `M${high} ${middle - 5}v10"/>`,
    text(Number(high) + 8, middle + 4.5, { kind: 'label', content: value }),
  ];
}

function text(
  x: number,
  y: number,
  written: {
    readonly kind: 'title' | 'label' | 'small';
    readonly anchor?: 'middle' | 'end';
    readonly content: string;
  },
): string {
  const anchor = written.anchor === undefined ? '' : ` text-anchor="${written.anchor}"`;
  const kind = written.kind === 'label' ? '' : ` class="${written.kind}"`;
  return `<text${kind} x="${fixed(x)}" y="${y}"${anchor}>${escaped(written.content)}</text>`;
}

/** A tenth of a pixel is enough, and the same on every machine. */
function fixed(value: number): string {
  return value.toFixed(1);
}

function escaped(content: string): string {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
