/** Measuring: what is compared, what is refused, what is left behind. @module */
import { unit } from './break.ts';
import type { Break } from './break.ts';

export const BENCH_BREAKS: readonly Break[] = [
  {
    name: 'every round of a measurement goes the same way',
    violates: 'what the machine does meanwhile falls on all cells alike',
    file: 'src/cli/bench/rounds.ts',
    find: '  return round % 2 === 0 ? items : items.toReversed();\n',
    replace: '  return round < 0 ? items.toReversed() : items;\n',
    caughtBy: unit('src/cli/bench/bench-run.test.ts', 'every second one backwards'),
  },
  {
    name: 'a sample is compared to one of another round',
    violates: 'only samples of one round are compared',
    file: 'src/cli/bench/bench-report.ts',
    find: '    const base = without[round];\n',
    replace: '    const base = without[(round + 1) % without.length];\n',
    caughtBy: unit('src/cli/bench/bench-report.test.ts', 'one round only'),
  },
  {
    name: 'the first batch counts, whose beginning nobody saw',
    violates: 'speed is what was completed between two completions',
    file: 'src/cli/bench/cell-sample.ts',
    find: '  const records = filled.reduce((sum, { recordCount }) => sum + recordCount, 0);\n',
    replace:
      '  const records = filled.reduce((sum, each) => sum + each.recordCount, first.recordCount);\n',
    caughtBy: unit('src/cli/bench/statistics.test.ts', 'nothing of the first batch'),
  },
  {
    name: 'the numbers in the page can end their script element',
    violates: 'text in the page is never more than text',
    file: 'src/cli/bench/page-frame.ts',
    find: "  return JSON.stringify(value).replaceAll('<', '\\\\u003c');\n",
    replace: '  return JSON.stringify(value);\n',
    caughtBy: unit('src/cli/bench/bench-report.test.ts', 'no text can be more than text'),
  },
  {
    name: 'acknowledgements at full speed are timed too',
    violates: 'ack times are those of half speed, not of a full queue',
    file: 'src/cli/bench/load-loop.ts',
    find: "    const isTimed = this.#phase === 'half' || this.#phase === 'end';\n",
    replace: "    const isTimed = this.#phase !== 'full';\n",
    caughtBy: unit('src/cli/bench/load-loop.test.ts', 'at half speed only'),
  },
  {
    name: 'a budget bounds nothing',
    violates: 'no round is begun that would not end in time',
    file: 'src/cli/bench/bench-run.ts',
    find: '      if (round > 0 && usedMs + longestMs > (plan.budgetMs ?? Infinity)) break;\n',
    replace: '      if (round > 0 && usedMs > 10 * (plan.budgetMs ?? Infinity)) break;\n',
    caughtBy: unit('src/cli/bench/bench-run.test.ts', 'within the budget'),
  },
  {
    name: 'a histogram forgets its longest syncs',
    violates: 'every sync is counted',
    file: 'src/wal/latency-window.ts',
    find: '    const bucket = Math.max(0, Math.min(steps, BUCKET_COUNT - 1));\n',
    replace: '    const bucket = Math.max(0, Math.min(steps, BUCKET_COUNT));\n',
    caughtBy: unit('src/wal/latency-window.test.ts', 'longer than the last'),
  },
];
