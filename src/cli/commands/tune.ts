/** `millrace tune`: the settings that fit a pipeline on this machine, from arguments to report.
 *
 * Everything that could be wrong is looked at before anything is written. While it runs, the
 * process's signals belong to it. @module */
import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { systemClock } from '../../core/clock.ts';
import type { ResolvedOptions } from '../../core/options.ts';
import { bundlePipeline } from '../../driver/pipeline-bundle.ts';
import type { MeasureCall } from '../bench/argument-reader.ts';
import { readEnvironment } from '../bench/environment.ts';
import { diskProblems, fileProblems } from '../bench/report-files.ts';
import { inScratch } from '../bench/scratch.ts';
import { loadForTool } from '../check/loaded-pipeline.ts';
import { nodeDisk } from '../../wal/node-disk.ts';
import type { CliIo } from '../io.ts';
import { mayAccess } from '../path-access.ts';
import { problemsError } from '../problem-list.ts';
import { failedResultOf } from '../tune/failed-sample.ts';
import { answerTune } from '../tune/tune-answer.ts';
import { readTuneArguments } from '../tune/tune-arguments.ts';
import type { TuneArguments } from '../tune/tune-arguments.ts';
import { planTune } from '../tune/tune-plan.ts';
import type { TunePlan } from '../tune/tune-plan.ts';
import type { TuneTask } from '../tune/tune-protocol.ts';
import { tuneSampleInProcess } from '../tune/tune-process.ts';
import { samplePlace } from '../tune/sample-place.ts';
import { neededRoom, requireRoom } from '../tune/tune-room.ts';
import { tuneReportOf } from '../tune/tune-report.ts';
import type { TuneReport } from '../tune/tune-report.ts';
import { runTune } from '../tune/tune-run.ts';
import type { TuneRun } from '../tune/tune-run.ts';
import { wrongUse } from '../wrong-use.ts';

/** Directories of runs begin with it. */
const SCRATCH_PREFIX = '.millrace-tune-';

/** @returns 0; 1 when no setting sustains what was asked for; 130 or 143 after a signal.
 * @throws {MillraceError} OPTIONS_INVALID, DISK_FULL, DISK_FAILED, and what ends an engine; then
 *   with the report of the samples before it, if there were any. */
export async function tune(io: CliIo, call: MeasureCall): Promise<number> {
  const { arguments: given, problems } = readTuneArguments(call);
  if (problems.length > 0) {
    const pipeline = given.pipeline === '' ? undefined : given.pipeline;
    throw await wrongUse(given.flags, { pipeline, known: problems });
  }
  const { graph, options } = await loadForTool(given);
  const linesFile = given.linesFile === undefined ? undefined : resolve(given.linesFile);
  const directory = await checkPlaces(given, options, linesFile);
  const plan = planTune({ given, graph, options, cores: availableParallelism(), linesFile });
  requireRoom(neededRoom(plan.settings, options, plan.receivers), {
    directory,
    freeBytes: await nodeDisk.freeBytes?.(directory),
  });
  const bar = { name: 'tune', totalMs: given.budgetMs };
  return inScratch(
    io,
    { directory, prefix: SCRATCH_PREFIX, ...bar },
    async ({ scratch, signal, progress }) => {
      const environment = await readEnvironment(scratch);
      const run = await runTune({
        plan,
        budgetMs: given.budgetMs,
        wantedRate: given.wantedRate,
        module: await bundleOf(given.pipeline),
        hasCheckpoint: options.checkpointDir !== false,
        options: runOptions(given, options),
        scratch,
        progress,
        signal,
        world: { clock: systemClock, sample: tuneSampleInProcess },
      });
      progress.close();
      const facts = { options, directory, environment };
      return answerTune(io, given, { run, report: reportOf(run, plan, { given, ...facts }) });
    },
  );
}

/** @returns where samples are taken. @throws with all that is wrong with the places. */
async function checkPlaces(
  given: TuneArguments,
  { checkpointDir, allowNetworkFileSystem }: ResolvedOptions,
  linesFile: string | undefined,
): Promise<string> {
  const directory =
    given.directory === undefined ? samplePlace(checkpointDir) : resolve(given.directory);
  const problems = [
    ...(await diskProblems(directory, { allowNetworkFileSystem })),
    ...fileProblems(given),
  ];
  if (linesFile !== undefined) problems.push(...linesProblems(linesFile));
  if (problems.length > 0) throw problemsError(problems);
  return directory;
}

function linesProblems(path: string): string[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isFile() === true && found.size === 0) return [`--lines: ${path} is empty`];
  const isReadable = found?.isFile() === true && mayAccess(path, 'read');
  return isReadable ? [] : [`--lines: there is no file ${path} that can be read`];
}

/** What is given beside the setting. */
function runOptions(
  { flags }: TuneArguments,
  { backpressure }: ResolvedOptions,
): TuneTask['options'] {
  return {
    ...flags.options,
    ...(backpressure === false ? {} : { backpressure }),
  };
}

async function bundleOf(pipeline: string): Promise<{ moduleUrl: string; shownAs: string }> {
  const path = resolve(pipeline);
  const { moduleUrl } = await bundlePipeline(pathToFileURL(path));
  return { moduleUrl, shownAs: path };
}

interface ReportFacts {
  readonly given: TuneArguments;
  readonly options: ResolvedOptions;
  readonly directory: string;
  readonly environment: Parameters<typeof tuneReportOf>[0]['environment'];
}

function reportOf(run: TuneRun, plan: TunePlan, facts: ReportFacts): TuneReport {
  const { given, options, directory, environment } = facts;
  return tuneReportOf({
    samples: run.samples,
    standings: run.standings,
    times: plan.times,
    usedMs: run.usedMs,
    isInterrupted: run.interrupted !== undefined,
    failedSample: run.failed === undefined ? null : failedResultOf(run.failed),
    pipeline: options.name,
    directory,
    durability: options.durability,
    environment,
    budgetMs: given.budgetMs,
    wantedRate: given.wantedRate ?? null,
    axes: plan.axes,
    hasLines: given.linesFile !== undefined,
    takesLines: plan.takesLines,
    hasOutputs: given.hasOutputs,
    leavesOutMirror: options.mirrorDir !== false,
    leavesOutQuarantine: options.onWalFailure === 'quarantine',
    ownSetting: plan.first,
    settingCount: plan.settings.length,
  });
}
