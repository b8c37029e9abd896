/** The report as one HTML file that needs nothing else: style, plot library and numbers are in it.
 *
 * Text is escaped where it enters. uPlot's files are copied beside this one by the build, with its
 * licence, which the page carries too. @module */
import { readFileSync } from 'node:fs';
import type { BenchReport, CellResult } from './bench-report.ts';
import { diskText } from './disk-limit.ts';
import { msText } from './ms-text.ts';
import { machineLine, runLine } from './report-text.ts';
import { doubtsOf, explain } from './report-words.ts';

/** What the page is made of beside the report. */
export interface PageParts {
  readonly plotScript: string;
  readonly plotStyle: string;
  readonly plotLicence: string;
  /** The compiled page-script.ts. */
  readonly pageScript: string;
}

export function pageOf(report: BenchReport, parts: PageParts = readPageParts()): string {
  const { plotScript, plotStyle, plotLicence, pageScript } = parts;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>millrace bench wal</title>
<style>
${plotStyle}
${STYLE}
</style>
</head>
<body>
<h1>What the log costs</h1>
<p class="facts">${[
    report.directory,
    machineLine(report),
    ...report.disk.map(diskText),
    runLine(report),
  ]
    .map(escapeHtml)
    .join('<br>')}</p>
<p>${escapeHtml(explain(report))}</p>
<h2>When not to believe it</h2>
<ul>
${doubtsOf(report)
  .map((doubt) => `<li>${escapeHtml(doubt)}</li>`)
  .join('\n')}
</ul>
${PLOTS.map(plotPlace).join('\n')}
<h2>Numbers</h2>
<table>
<tr><th>${COLUMNS.join('</th><th>')}</th></tr>
${report.cells.map(rowOf).join('\n')}
</table>
<script id="report" type="application/json">${escapeJson(report)}</script>
<!-- Plots by uPlot.
${plotLicence.replaceAll('--', '- -').trim()}
-->
<script>${plotScript}</script>
<script type="module">
${pageScript}
drawPage(document, uPlot, JSON.parse(document.getElementById('report').textContent));
</script>
</body>
</html>
`;
}

/** From the built package. */
function readPageParts(): PageParts {
  const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');
  return {
    plotScript: read('./uplot/uPlot.iife.min.js'),
    plotStyle: read('./uplot/uPlot.min.css'),
    plotLicence: read('./uplot/LICENSE'),
    pageScript: read('./page-script.js').replace(/^\/\/# sourceMappingURL=.*$/m, ''),
  };
}

const STYLE = `body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto;
  padding: 0 1em; color: #222; background: #fff; }
h2 { margin: 2em 0 0; font-size: 1.2em; }
.facts, .u-legend, table { font-size: 13px; }
.facts { color: #666; }
table { border-collapse: collapse; }
td, th { text-align: right; padding: 2px 10px; border-bottom: 1px solid #ddd; }`;

interface PlotText {
  /** As page-script.ts knows it. */
  readonly id: string;
  readonly title: string;
  readonly text: string;
}

const PLOTS: readonly PlotText[] = [
  {
    id: 'throughput',
    title: 'Throughput',
    text:
      'Records through the whole pipeline at full speed: the median, and a line from the slowest ' +
      'sample to the fastest.',
  },
  {
    id: 'cost',
    title: 'Cost of the log',
    text:
      'How much of the speed without a log is missing, each sample against that of its own ' +
      'round. Below 0: noise.',
  },
  {
    id: 'acknowledgements',
    title: 'Acknowledgements',
    text: 'From the call of store to its acknowledgement, at half of the full speed.',
  },
  {
    id: 'syncs',
    title: 'Syncs of the receivers’ logs',
    text:
      'At full speed, all cells of a level together. A log at flush is synced now and then, and ' +
      'with the log off there is nothing to sync.',
  },
];

function plotPlace({ id, title, text }: PlotText): string {
  return `<h2>${title}</h2>\n<p>${text}</p>\n<div id="${id}"></div>`;
}

function rowOf(cell: CellResult): string {
  return `<tr><td>${cellsOfRow(cell).map(escapeHtml).join('</td><td>')}</td></tr>`;
}

const COLUMNS = [
  'log',
  'receivers',
  'block',
  'record',
  'records/s min',
  'median',
  'max',
  'CPU/record',
  'cost',
  'ack p50',
  'p90',
  'p99',
];

function cellsOfRow({ cell, recordsPerSecond, cpuNsPerRecord, ackMs, cost }: CellResult): string[] {
  const whole = (value: number): string => Math.round(value).toLocaleString('en-US');
  const { min, median, max } = recordsPerSecond;
  return [
    cell.wal,
    String(cell.receivers),
    `${cell.blockIntervalMs} ms`,
    `${cell.recordBytes} B`,
    ...[min, median, max].map(whole),
    `${whole(cpuNsPerRecord.median)} ns`,
    cost === undefined ? '' : `${cost.speedPercent.median.toFixed(0)} %`,
    ...[ackMs.p50, ackMs.p90, ackMs.p99].map((spread) => `${msText(spread.median)} ms`),
  ];
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

/** JSON that no text in it can end the script element of. */
export function escapeJson(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}
