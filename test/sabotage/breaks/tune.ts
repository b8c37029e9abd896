/** Tuning: what is called sustained, how sure an answer is, what is left alone. @module */
import { unit } from './break.ts';
import type { Break } from './break.ts';

export const TUNE_BREAKS: readonly Break[] = [
  {
    name: 'tuning: a delay never grows',
    violates: 'a rate is sustained only when the scheduling delay does not grow',
    file: 'src/cli/tune/delay-growth.ts',
    find: "  return isNoise ? 'bounded' : 'growing';\n",
    replace: "  return isNoise || changeMs > 0 ? 'bounded' : 'growing';\n",
    caughtBy: unit('src/cli/tune/delay-growth.test.ts', 'longer than its interval'),
  },
  {
    name: 'tuning: the last sample of a setting takes the place of those before',
    violates: 'an answer rests on repeated samples',
    file: 'src/cli/tune/standings.ts',
    find: '    of.outcomes.push({ ...outcome, trial });\n',
    replace: '    of.outcomes = [{ ...outcome, trial }];\n',
    caughtBy: unit('src/cli/tune/tune-search.test.ts', 'rests on repeated samples'),
  },
  {
    name: 'tuning: one sample is enough to be sure',
    violates: 'how sure an answer is comes from its repetitions',
    file: 'src/cli/tune/tune-report.ts',
    find: 'const REPETITIONS_MIN = 3;\n',
    replace: 'const REPETITIONS_MIN = 1;\n',
    caughtBy: unit('src/cli/tune/tune-report.test.ts', 'not sure after two samples'),
  },
  {
    name: 'tuning: settings that overlap are told apart',
    violates: 'a difference within the noise is none',
    file: 'src/cli/tune/standings.ts',
    find: '      if (other.rate < (1 - NOISE_SHARE) * choice.rate) return false;\n',
    replace: '      if (other.rate < (1 + NOISE_SHARE) * choice.rate) return false;\n',
    caughtBy: unit('src/cli/tune/tune-report.test.ts', 'not sure after two samples'),
  },
  {
    name: 'tuning: outputs are called',
    violates: 'a measurement writes to no place of the user’s',
    file: 'src/cli/tune/measured-pipeline.ts',
    find: "    return role === 'output' && by.dropsOutputs ? droppingOutput(node) : node;\n",
    replace: "    return role === 'output' && !by.dropsOutputs ? droppingOutput(node) : node;\n",
    caughtBy: unit('src/cli/tune/measured-pipeline.test.ts', 'every output but print'),
  },
  {
    name: 'tuning: a budget bounds nothing',
    violates: 'no sample is begun that would not end in time',
    file: 'src/cli/tune/tune-search.ts',
    find: '      return endMs <= share * this.#input.budgetMs ? trial : undefined;\n',
    replace: '      return endMs <= 2 * share * this.#input.budgetMs ? trial : undefined;\n',
    caughtBy: unit('src/cli/tune/tune-search.test.ts', 'never exceeded by more than one sample'),
  },
  {
    name: 'tuning: a slow source is taken for the limit of the engine',
    violates: 'what the source did not give is not the engine’s limit',
    file: 'src/cli/tune/tune-sample.ts',
    find: '  return busiest(load).share < BOUND_SHARE;\n',
    replace: '  return busiest(load).share < 0;\n',
    caughtBy: unit('src/cli/tune/tune-report.test.ts', 'the source is the bound'),
  },
  {
    name: 'tuning: the directory of a sample stays',
    violates: 'each sample has a directory of its own, which is removed',
    file: 'src/cli/tune/tune-run.ts',
    find: '      rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });\n',
    replace: '      if (interrupted === undefined) continue;\n',
    caughtBy: unit('src/cli/tune/tune-run.test.ts', 'gone before the next'),
  },
];
