/** Runs the search: takes the samples that it asks for, one after the other, each in a process and
 * a directory of its own. Owns nothing but these directories. @module */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { toError } from '../../core/errors.ts';
import { threadEntry } from '../../core/thread-entry.ts';
import type { BenchProgress } from '../bench/bench-progress.ts';
import type { SampleRun } from '../bench/sample-process.ts';
import { Interrupted } from '../bench/scratch.ts';
import { trialText } from './failed-sample.ts';
import type { FailedSample } from './failed-sample.ts';
import { measuredModuleText } from './measured-pipeline.ts';
import type { Standings, Trial } from './standings.ts';
import { expectedMs, measureMsOf, slideBatchesOf, warmUpMsOf } from './tune-plan.ts';
import type { TunePlan } from './tune-plan.ts';
import type { TuneTask } from './tune-protocol.ts';
import { outcomeOf } from './tune-sample.ts';
import type { TuneSample } from './tune-sample.ts';
import { TuneSearch } from './tune-search.ts';

/** What a run needs of the world; tests hand in others. */
export interface TuneWorld {
  readonly clock: Clock;
  readonly sample: (task: TuneTask, run: SampleRun) => Promise<TuneSample>;
}

export interface TuneRunInput {
  readonly plan: TunePlan;
  readonly budgetMs: number;
  readonly wantedRate: number | undefined;
  /** Of the pipeline that every thread is to import in place of the user's. */
  readonly module: { readonly moduleUrl: string; readonly shownAs: string };
  readonly hasCheckpoint: boolean;
  /** Of each engine, beside the setting. */
  readonly options: TuneTask['options'];
  /** Made before and removed after by the caller. */
  readonly scratch: string;
  readonly progress: BenchProgress;
  /** Ends the run with what was measured so far. */
  readonly signal: AbortSignal;
  readonly world: TuneWorld;
}

export interface TakenSample {
  readonly trial: Trial;
  readonly sample: TuneSample;
}

export interface TuneRun {
  /** In the order in which they were taken. */
  readonly samples: readonly TakenSample[];
  readonly standings: Standings;
  readonly usedMs: number;
  /** A signal has ended it. */
  readonly interrupted: Interrupted | undefined;
  /** A sample that failed has ended it: the one after the last of `samples`. */
  readonly failed: FailedSample | undefined;
}

/** @throws {MillraceError} what has failed in the first sample: then there are no numbers. */
export async function runTune(input: TuneRunInput): Promise<TuneRun> {
  const { plan, budgetMs, wantedRate, world, signal, progress, scratch } = input;
  const search = new TuneSearch({
    settings: plan.settings,
    first: plan.first,
    budgetMs,
    ...(wantedRate === undefined ? {} : { wantedRate }),
    expectedMs: (trial) => expectedMs(plan.times, trial),
  });
  const samples: TakenSample[] = [];
  const startedMs = world.clock.monotonicMs();
  const usedMs = (): number => world.clock.monotonicMs() - startedMs;
  const pipeline = writeModule(input);
  let interrupted: Interrupted | undefined;
  let failed: FailedSample | undefined;
  for (;;) {
    const beganMs = usedMs();
    const trial = search.next(beganMs);
    if (trial === undefined) break;
    const number = samples.length + 1;
    const text = `${number}: ${trialText(trial)}`;
    progress.begin({ text, expectedMs: expectedMs(plan.times, trial) });
    const directory = join(scratch, 'sample');
    mkdirSync(directory);
    try {
      const fastest = search.standings.fastest();
      const task = taskOf(trial, { ...input, pipeline, directory, fastest });
      const sample = await world.sample(task, { signal, onNotice: (text) => progress.note(text) });
      samples.push({ trial, sample });
      search.note(trial, outcomeOf(sample), usedMs() - beganMs);
    } catch (error) {
      if (error instanceof Interrupted) interrupted = error;
      else if (samples.length === 0) throw error;
      else failed = { number, trial, error: toError(error) };
      break;
    } finally {
      rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    }
  }
  return { samples, standings: search.standings, usedMs: usedMs(), interrupted, failed };
}

/** Of all samples: what is made of it is made once. @returns its path. */
function writeModule({ scratch, plan, module }: TuneRunInput): string {
  // Found by the bundler before any other: what it writes lies here.
  mkdirSync(join(scratch, 'node_modules'));
  const path = join(scratch, 'measured.mjs');
  const self = threadEntry('./measured-pipeline.ts', import.meta.url).href;
  writeFileSync(path, measuredModuleText(self, { ...module, ...plan.replacements }));
  return path;
}

type TaskInput = TuneRunInput & {
  readonly pipeline: string;
  readonly directory: string;
  /** Records a second, so far. */
  readonly fastest: number;
};

/** Where backpressure begins while nothing is known: low, so that the first batches are short. */
const INITIAL_RATE = 20_000;

function taskOf({ setting, wantedRate }: Trial, input: TaskInput): TuneTask {
  const { plan, options, hasCheckpoint, pipeline, directory, fastest } = input;
  return {
    setting,
    ...(wantedRate === undefined ? {} : { wantedRate }),
    // From below: from above it would begin with a backlog.
    initialRate: Math.max(INITIAL_RATE, Math.round(fastest / 2)),
    pipeline,
    directory,
    checkpointDir: hasCheckpoint ? join(directory, 'home') : false,
    options,
    receivers: plan.receivers,
    inputIds: plan.inputIds,
    isSourceEndless: plan.isSourceEndless,
    takesLines: plan.takesLines,
    slideBatches: slideBatchesOf(plan.times, setting),
    hasAckTimes: plan.replacements.linesFile !== undefined,
    warmUpMs: warmUpMsOf(plan.times, setting),
    measureMs: measureMsOf(plan.times, setting),
  };
}
