/** Benchmarks: counts that are not checked, and plots that show something else. @module */
import { unit } from './break.ts';
import type { Break } from './break.ts';

const CHECK = 'benchmarks/operator-check';
const PLOTS = 'benchmarks/plots';

export const BENCHMARKS_BREAKS: readonly Break[] = [
  {
    name: 'a window of a benchmark has a batch more',
    violates: 'a fast wrong answer is no answer',
    file: `${CHECK}.ts`,
    find: 'age >= WINDOW_MS',
    replace: 'age > WINDOW_MS',
    caughtBy: unit(`${CHECK}.test.ts`, 'the batches of the last second'),
  },
  {
    name: 'the states of a benchmark begin anew with each batch',
    violates: 'a fast wrong answer is no answer',
    file: `${CHECK}.ts`,
    find: '      states.set(word, before + count);\n',
    replace: '',
    caughtBy: unit(`${CHECK}.test.ts`, 'the sum of all counts on the way'),
  },
  {
    name: 'a whisker begins at the median',
    violates: 'a plot shows the least and the greatest sample',
    file: `${PLOTS}/bar-chart.ts`,
    find: '[spread.min, spread.median, spread.max]',
    replace: '[spread.median, spread.median, spread.max]',
    caughtBy: unit(`${PLOTS}/bar-chart.test.ts`, 'whiskers from least to greatest'),
  },
  {
    name: 'ours is drawn with the samples beside the first peer only',
    violates: 'a plot shows the least and the greatest sample',
    file: `${PLOTS}/charts.ts`,
    find: 'const samples = same.flatMap(',
    replace: 'const samples = same.slice(0, 1).flatMap(',
    caughtBy: unit(`${PLOTS}/charts.test.ts`, 'with all samples of it'),
  },
];
