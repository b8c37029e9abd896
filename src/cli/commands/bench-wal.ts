/** `millrace bench wal`: what the log costs in a directory, from arguments to table, JSON, page.
 *
 * Everything that could be wrong is looked at before anything is written. While it runs, the
 * process's signals belong to it. @module */
import { resolve } from 'node:path';
import { systemClock } from '../../core/clock.ts';
import { nodeDisk } from '../../wal/node-disk.ts';
import type { MeasureCall } from '../bench/argument-reader.ts';
import { readBenchArguments } from '../bench/bench-arguments.ts';
import type { BenchArguments } from '../bench/bench-arguments.ts';
import type { BenchReport } from '../bench/bench-report.ts';
import { checkRoom, neededBytes } from '../bench/bench-room.ts';
import { REAL_WORLD, runBench } from '../bench/bench-run.ts';
import { sampleInProcess } from '../bench/cell-process.ts';
import { pageOf } from '../bench/report-page.ts';
import { diskProblems, fileProblems, writeReport } from '../bench/report-files.ts';
import { reportText } from '../bench/report-text.ts';
import { inScratch } from '../bench/scratch.ts';
import type { CliIo } from '../io.ts';
import { problemsError } from '../problem-list.ts';

/** Directories of runs begin with it. */
export const SCRATCH_PREFIX = '.millrace-bench-';

/** @returns 0; 130 or 143 after a signal.
 * @throws {MillraceError} OPTIONS_INVALID, DISK_FULL, DISK_FAILED, and what ends an engine. */
export async function benchWal(io: CliIo, call: MeasureCall): Promise<number> {
  const given = readBenchArguments(call);
  const directory = resolve(given.directory);
  await checkPlaces(given, directory);
  checkRoom(
    directory,
    await nodeDisk.freeBytes?.(directory),
    neededBytes(given.cells, given.plan.isSmoke),
  );
  const { cells, batchIntervalMs, plan } = given;
  const bar = { name: 'bench', totalMs: plan.expectedMs };
  return inScratch(io, { directory, prefix: SCRATCH_PREFIX, ...bar }, async (run) => {
    const world = { ...REAL_WORLD, clock: systemClock, sample: sampleInProcess };
    const report = await runBench({ cells, batchIntervalMs, plan, directory, ...run, world });
    run.progress.close();
    write(io, given, report);
    return 0;
  });
}

/** The directory, and the places of the files. @throws with all that is wrong with them. */
async function checkPlaces({ json, html }: BenchArguments, directory: string): Promise<void> {
  const problems: string[] = [];
  problems.push(...(await diskProblems(directory)));
  problems.push(...fileProblems({ json, html }));
  if (problems.length > 0) throw problemsError(problems);
}

function write(io: CliIo, files: BenchArguments, report: BenchReport): void {
  writeReport(io, files, {
    value: report,
    text: () => reportText(report),
    page: () => pageOf(report),
  });
}
