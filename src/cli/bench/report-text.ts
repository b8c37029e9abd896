/** The report for a terminal: machine, disk, a line per cell, and the words. Pure. @module */
import { environmentText } from './environment.ts';
import { diskText } from './disk-limit.ts';
import type { BenchReport, CellResult } from './bench-report.ts';
import { msText } from './ms-text.ts';
import { doubtsOf, explain } from './report-words.ts';
import { spreadText, table, wrapped } from './text-table.ts';

const HEAD = [
  'log',
  'receivers',
  'block',
  'record',
  'M records/s',
  'cost of the log',
  'CPU/record',
  'ack p50 | p99 at half speed',
  'sync p50 | p99',
];

/** Lines, the last one with its newline. */
export function reportText(report: BenchReport): string {
  return [
    machineLine(report),
    ...report.disk.map(diskText),
    runLine(report),
    '',
    ...table([HEAD, ...report.cells.map(rowOf)]),
    '',
    ...wrapped(explain(report)),
    '',
    ...doubtsOf(report).flatMap((doubt) => wrapped(`- ${doubt}`)),
    '',
  ].join('\n');
}

export function machineLine({ environment, loadAtEnd }: BenchReport): string {
  return `${environmentText(environment)}, load after ${loadAtEnd}`;
}

export function runLine(report: BenchReport): string {
  const { repetitions, secondsPerSample, batchIntervalMs } = report;
  return (
    `${repetitions} × ${secondsPerSample} s at full speed for each cell, batches of ` +
    `${batchIntervalMs} ms; median [min … max]`
  );
}

function rowOf({ cell, recordsPerSecond, cpuNsPerRecord, ackMs, syncMs, cost }: CellResult) {
  return [
    cell.wal,
    String(cell.receivers),
    `${cell.blockIntervalMs} ms`,
    `${cell.recordBytes} B`,
    spreadText(recordsPerSecond, { digits: 2, divisor: 1e6 }),
    cost === undefined ? '' : `${spreadText(cost.speedPercent, { digits: 0 })} %`,
    `${cpuNsPerRecord.median.toFixed(0)} ns`,
    `${msText(ackMs.p50.median)} | ${msText(ackMs.p99.median)} ms`,
    syncMs === undefined ? '' : `${msText(syncMs.p50)} | ${msText(syncMs.p99)} ms`,
  ];
}
