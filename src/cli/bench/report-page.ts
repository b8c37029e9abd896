/** The report as one HTML file that needs nothing else. Pure but for the default parts. @module */
import type { BenchReport, CellResult } from './bench-report.ts';
import { diskText } from './disk-limit.ts';
import { escapeHtml, frame, listOf, plotPlace, readPageParts, tableOf } from './page-frame.ts';
import type { PageParts, PlotText } from './page-frame.ts';
import { msText } from './ms-text.ts';
import { machineLine, runLine } from './report-text.ts';
import { doubtsOf, explain } from './report-words.ts';

export function pageOf(report: BenchReport, parts: PageParts = readPageParts(PAGE_SCRIPT)): string {
  return frame(parts, {
    title: 'millrace bench wal',
    report,
    body: `<h1>What the log costs</h1>
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
${listOf(doubtsOf(report))}
${PLOTS.map(plotPlace).join('\n')}
<h2>Numbers</h2>
${tableOf(COLUMNS, report.cells.map(cellsOfRow))}`,
  });
}

const PAGE_SCRIPT = new URL('./page-script.js', import.meta.url);

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
