/** How `millrace tune` ends: what is written, and the exit code. A run that was cut short, by a
 * signal or by a sample that failed, reports what was measured until then. @module */
import { writeReport } from '../bench/report-files.ts';
import type { ReportFiles } from '../bench/report-files.ts';
import type { CliIo } from '../io.ts';
import { failedSampleError } from './failed-sample.ts';
import { tunePage } from './tune-page.ts';
import type { TuneReport } from './tune-report.ts';
import type { TuneRun } from './tune-run.ts';
import { tuneText } from './tune-text.ts';

export interface TuneOutcome {
  readonly run: Pick<TuneRun, 'samples' | 'interrupted' | 'failed'>;
  readonly report: TuneReport;
}

/** @returns 0; 1 when no setting sustains what was asked for; 130 or 143 after a signal.
 * @throws {MillraceError} what a sample failed with, when the report is written; DISK_FAILED when
 *   it cannot be. */
export function answerTune(
  io: CliIo,
  files: ReportFiles,
  { run: { samples, interrupted, failed }, report }: TuneOutcome,
): number {
  if (interrupted !== undefined && samples.length === 0) {
    io.err('millrace: interrupted before the first sample was over: there are no numbers\n');
    return interrupted.exitCode;
  }
  writeReport(io, files, {
    value: report,
    text: () => tuneText(report),
    page: () => tunePage(report),
  });
  if (failed !== undefined) throw failedSampleError(failed);
  if (interrupted !== undefined) return interrupted.exitCode;
  return report.recommendation === null ? 1 : 0;
}
