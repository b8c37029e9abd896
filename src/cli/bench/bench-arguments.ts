/** What `millrace bench wal` was called with, checked: all problems are told at once. Looks at no
 * disk. @module */
import type { DurabilityLevel } from '../../blocks/block-ref.ts';
import { problemsError } from '../problem-list.ts';
import { ArgumentReader, durationIn, operandProblems, wholeIn } from './argument-reader.ts';
import type { ReportNames, MeasureCall } from './argument-reader.ts';
import { BENCH_DEFAULTS, SMOKE_DEFAULTS } from './bench-defaults.ts';
import type { BenchDefaults } from './bench-defaults.ts';
import { BATCH_INTERVAL_MS_MAX, batchIntervalOf, cellsOf } from './cell.ts';
import type { Cell, Grid } from './cell.ts';
import { planRun } from './run-plan.ts';
import type { RunPlan } from './run-plan.ts';

export interface BenchArguments extends ReportNames {
  /** As given. */
  readonly directory: string;
  readonly cells: readonly Cell[];
  readonly batchIntervalMs: number;
  readonly plan: RunPlan;
}

const LEVELS: readonly DurabilityLevel[] = ['off', 'flush', 'sync'];
/** Of one run. */
const CELLS_MAX = 200;

/** @throws {MillraceError} OPTIONS_INVALID with all that is wrong. */
export function readBenchArguments({ operands, given }: MeasureCall): BenchArguments {
  const problems = operandProblems(operands, {
    tool: 'millrace bench wal',
    oneOnly: 'only one DIR can be measured',
  });
  const isSmoke = given['smoke'] === true;
  const reader = new ArgumentReader(given, isSmoke ? SMOKE_DEFAULTS : BENCH_DEFAULTS, problems);
  const grid = readGrid(reader);
  const seconds = reader.number('seconds', '--seconds', { min: 0.1, max: 600 });
  const repetitions = reader.whole('repetitions', '--repetitions', { min: 1, max: 100 });
  const budgetMs = reader.budget();
  const cells = cellsOf(grid);
  if (cells.length > CELLS_MAX) {
    problems.push(`${cells.length} cells are too many (${CELLS_MAX}): give fewer values`);
  }
  const batchIntervalMs = batchIntervalOf(grid.blockIntervalsMs) ?? BATCH_INTERVAL_MS_MAX;
  const names = reader.reportNames();
  if (budgetMs !== undefined && given['seconds'] !== undefined) {
    problems.push('--budget and --seconds exclude each other: the budget chooses the seconds');
  }
  if (problems.length > 0) throw problemsError(problems);
  const wanted = { isSmoke, seconds, repetitions, budgetMs };
  const plan = planRun(cells, wanted);
  if (typeof plan === 'string') throw problemsError([plan]);
  const [directory = '.'] = operands;
  return { directory, cells, batchIntervalMs, plan, ...names };
}

function readGrid(reader: ArgumentReader<keyof BenchDefaults>): Grid {
  const grid = {
    wal: reader.list('wal', {
      flag: '--wal',
      expected: 'off, flush or sync',
      read: (each) => LEVELS.find((level) => level === each),
    }),
    receivers: reader.list('receivers', {
      flag: '--receivers',
      expected: '1 to 64',
      read: (each) => wholeIn(each, 1, 64),
    }),
    blockIntervalsMs: reader.list('blockIntervals', {
      flag: '--block-intervals',
      expected: '5ms to 2s',
      read: (each) => durationIn(each, 5, BATCH_INTERVAL_MS_MAX),
    }),
    recordBytes: reader.list('recordBytes', {
      flag: '--record-bytes',
      expected: '2 to 65536',
      read: (each) => wholeIn(each, 2, 65_536),
    }),
  };
  if (batchIntervalOf(grid.blockIntervalsMs) === undefined) {
    reader.problems.push(
      '--block-intervals have no common multiple of 2s or less, which the batch interval of all ' +
        'cells has to be: measure them in runs of their own',
    );
  }
  return grid;
}
