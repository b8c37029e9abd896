/** What `millrace tune` was called with, checked: all problems are told at once. Looks at no disk
 * and no pipeline. @module */
import {
  ArgumentReader,
  durationIn,
  isPlace,
  operandProblems,
  wholeIn,
} from '../bench/argument-reader.ts';
import type { ReportNames, MeasureCall } from '../bench/argument-reader.ts';
import { readRunFlags } from '../run-flags.ts';
import type { RunFlags } from '../run-flags.ts';
import type { Axes } from './setting.ts';

export interface TuneArguments extends ReportNames {
  readonly pipeline: string;
  readonly flags: RunFlags;
  /** What was given; the rest is chosen by pipeline and machine. */
  readonly axes: Partial<Axes>;
  readonly budgetMs: number;
  /** Records a second. */
  readonly wantedRate: number | undefined;
  /** As given. */
  readonly linesFile: string | undefined;
  readonly hasOutputs: boolean;
  /** As given; absent: where the checkpoint directory would be. */
  readonly directory: string | undefined;
}

export const TUNE_DEFAULTS = { budget: '2m' } as const;

const BUDGET_MS_MIN = 1_000;
const RATE_MAX = 1_000_000_000;
const DAY_MS = 86_400_000;

/** Flags of `millrace run` for what is looked for here. */
const INSTEAD: ReadonlyMap<string, string> = new Map([
  ['--batch-interval', 'give --batch-intervals the values to try'],
  ['--block-interval', 'give --block-intervals the values to try'],
  ['--receiver-executors', 'give --receivers the values to try'],
  ['--max-rate', 'give --rate the rate to be sustained, of all receivers together'],
  ['--checkpoint', 'samples have directories of their own: --dir says on which disk'],
]);

export interface ReadTuneArguments {
  /** Without a pipeline nothing else of it counts. */
  readonly arguments: TuneArguments;
  /** What is wrong with what the command line alone knows of. */
  readonly problems: readonly string[];
}

export function readTuneArguments({ operands, given }: MeasureCall): ReadTuneArguments {
  const pipeline = operands.find(isPlace);
  const problems = [
    ...operandProblems(operands, {
      tool: 'millrace tune',
      oneOnly: 'only one PIPELINE can be tuned',
      instead: INSTEAD,
    }),
    ...(pipeline === undefined ? ['PIPELINE is missing: the path of a module'] : []),
  ];
  const reader = new ArgumentReader(given, TUNE_DEFAULTS, problems);
  const axes = readAxes(reader);
  const budgetText = reader.text('budget') ?? TUNE_DEFAULTS.budget;
  const budgetMs = durationIn(budgetText, BUDGET_MS_MIN, DAY_MS);
  if (budgetMs === undefined) {
    problems.push(`--budget is '${budgetText}' and must be a duration of 1s or more, such as 2m`);
  }
  const rateText = reader.text('rate');
  const wantedRate = rateText === undefined ? undefined : wholeIn(rateText, 1, RATE_MAX);
  if (rateText !== undefined && wantedRate === undefined) {
    problems.push(`--rate is '${rateText}' and must be a whole number of records a second`);
  }
  const names = reader.reportNames();
  // Lists here, one number each in a run.
  const { executors: _executors, receivers: _receivers, ...ofRun } = given;
  return {
    arguments: {
      pipeline: pipeline ?? '',
      flags: readRunFlags(ofRun),
      axes,
      budgetMs: budgetMs ?? BUDGET_MS_MIN,
      wantedRate,
      linesFile: reader.text('lines'),
      hasOutputs: given['withOutputs'] === true,
      directory: reader.text('dir'),
      ...names,
    },
    problems,
  };
}

function readAxes(reader: ArgumentReader<keyof typeof TUNE_DEFAULTS>): Partial<Axes> {
  const axes = {
    blockIntervalsMs: reader.listIfGiven('blockIntervals', {
      flag: '--block-intervals',
      expected: 'a duration of 5ms or more',
      read: (each) => durationIn(each, 5, DAY_MS),
    }),
    batchIntervalsMs: reader.listIfGiven('batchIntervals', {
      flag: '--batch-intervals',
      expected: 'a duration of 10ms or more',
      read: (each) => durationIn(each, 10, DAY_MS),
    }),
    receiverExecutors: reader.listIfGiven('receivers', {
      flag: '--receivers',
      expected: '1 to 64',
      read: (each) => wholeIn(each, 1, 64),
    }),
    executors: reader.listIfGiven('executors', {
      flag: '--executors',
      expected: '1 to 256',
      read: (each) => wholeIn(each, 1, 256),
    }),
  };
  return Object.fromEntries(Object.entries(axes).filter(([, values]) => values !== undefined));
}
