/** Samples of measurements: where they write, what they need, and what is gone afterwards.
 * @module */
import { unit } from './break.ts';
import type { Break } from './break.ts';

export const TUNE_SAMPLE_BREAKS: readonly Break[] = [
  {
    name: 'tuning: samples write to the quarantine directory',
    violates: 'a sample writes nothing outside of its directory',
    file: 'src/cli/tune/measured-pipeline.ts',
    find: '  return kept;\n',
    replace: '  return { ...options, ...kept };\n',
    caughtBy: {
      project: 'integration',
      file: 'test/integration/tune.test.ts',
      test: 'says what to paste',
    },
  },
  {
    name: 'tuning: a disk without room for the logs is taken',
    violates: 'what cannot go well is refused before anything is written',
    file: 'src/cli/tune/tune-room.ts',
    find: '  if (freeBytes === undefined || freeBytes >= bytes) return;\n',
    replace: '  if (freeBytes === undefined || freeBytes >= bytes / 4) return;\n',
    caughtBy: unit('src/cli/tune/tune-room.test.ts', 'what is there'),
  },
  {
    name: 'tuning: room for one receiver log, however many there are',
    violates: 'what cannot go well is refused before anything is written',
    file: 'src/cli/tune/tune-room.ts',
    find: 'Math.min(most, receivers);\n',
    replace: 'Math.min(most, receivers, 1);\n',
    caughtBy: unit('src/cli/tune/tune-room.test.ts', 'segments and spares'),
  },
  {
    name: 'tuning: a sample takes a table that then refuses the pipeline',
    violates: 'a measurement takes no place of the user’s',
    file: 'src/cli/tune/tune-plan.ts',
    find: '    sink === undefined || !belongsToOneDirectory(sink)\n',
    replace: '    sink === undefined || belongsToOneDirectory(sink)\n',
    caughtBy: unit('src/cli/tune/tune-plan.test.ts', 'take a table'),
  },
  {
    name: 'tuning: samples lie inside the checkpoint directory',
    violates: 'a checkpoint directory holds what its engine wrote',
    file: 'src/cli/tune/sample-place.ts',
    find: " && mayAccess(parent, 'write') ? parent : wanted;\n",
    replace: " && mayAccess(parent, 'write') ? wanted : wanted;\n",
    caughtBy: unit('src/cli/tune/sample-place.test.ts', 'not in it'),
  },
  {
    name: 'tuning: windows that slide every other batch make a delay grow',
    violates: 'a delay that comes and goes with the slide of a window does not grow',
    file: 'src/cli/tune/delay-growth.ts',
    find: '  const length = slides * slideBatches;\n',
    replace: '  const length = slides;\n',
    caughtBy: unit('src/cli/tune/delay-growth.test.ts', 'every other batch'),
  },
  {
    name: 'tuning: the curve comes before the answer is repeated',
    violates: 'how sure an answer is comes from its repetitions',
    file: 'src/cli/tune/tune-search.ts',
    find: '    if (repeated < REPETITIONS_MIN) return this.#again(choice);\n',
    replace: '    if (repeated < 2) return this.#again(choice);\n',
    caughtBy: unit('src/cli/tune/tune-search.test.ts', 'before lower rates are'),
  },
  {
    name: 'tuning: a sample that fails takes along the numbers of those before it',
    violates: 'what was measured is reported, whatever ends the run',
    file: 'src/cli/tune/tune-run.ts',
    find: '      else if (samples.length === 0) throw error;\n',
    replace: '      else if (samples.length >= 0) throw error;\n',
    caughtBy: unit('src/cli/tune/tune-run.test.ts', 'and says which'),
  },
  {
    name: 'tuning: a run that a failure has ended looks like a whole one',
    violates: 'a failure ends with its exit code',
    file: 'src/cli/tune/tune-answer.ts',
    find: '  if (failed !== undefined) throw failedSampleError(failed);\n',
    replace: '',
    caughtBy: unit('src/cli/tune/tune-answer.test.ts', 'ends with its own exit code'),
  },
  {
    name: 'tuning: a source that gives nothing is waited for without a word',
    violates: 'who waits is told what for',
    file: 'src/cli/tune/first-records.ts',
    find: '  await until(hasCome, QUIET_MS + startMs);\n  if (hasCome()) return;\n',
    replace: '  await until(hasCome, PATIENCE_MS + startMs);\n  if (hasCome()) return;\n',
    caughtBy: unit('src/cli/tune/first-records.test.ts', 'says once, and early'),
  },
  {
    name: 'a measurement whose terminal is closed leaves its files',
    violates: 'what a measurement wrote is removed, whatever ends it',
    file: 'src/cli/bench/scratch.ts',
    find: '  for (const name of SIGNALS) process.on(name, onSignal);\n',
    replace: "  for (const name of SIGNALS) if (name !== 'SIGHUP') process.on(name, onSignal);\n",
    caughtBy: unit('src/cli/bench/scratch.test.ts', 'SIGHUP'),
  },
];
