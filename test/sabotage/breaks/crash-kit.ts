/** The crash kit for users: that it gives each batch the same records, kills, and compares.
 * @module */
import { unit } from './break.ts';
import type { Break } from './break.ts';

const CRASH_TEST = 'src/testing/kit/crash-test.test.ts';
const HISTORY = 'src/testing/kit/crash-history.test.ts';
const DIFFERENCE = 'src/testing/kit/crash-difference.test.ts';

export const CRASH_KIT_BREAKS: readonly Break[] = [
  {
    name: 'a crash test cuts a batch before all of it is there',
    violates: 'batch i has the same records in every history',
    file: 'src/testing/kit/crash-world.ts',
    find: 'return this.batchClock.isArmed && this.#isSettled(next);',
    replace: 'return this.batchClock.isArmed && next >= 0;',
    caughtBy: unit(CRASH_TEST, 'a word count in files'),
  },
  {
    name: 'a crash test sends the next batch before the last one is allocated',
    violates: 'batch i has the same records in every history',
    file: 'src/testing/kit/crash-world.ts',
    find: '    for (const source of this.#sources.values()) source.send(0);',
    replace:
      '    for (const source of this.#sources.values()) {\n' +
      '      source.send(0);\n      source.send(1);\n    }',
    caughtBy: unit(CRASH_TEST, 'a word count in files'),
  },
  {
    name: 'the source of a crash test does not ask whether a delivery came before',
    violates: 'a delivery that comes again counts once',
    file: 'src/testing/kit/crash-receiver.ts',
    find: 'await this.store(records, { idempotency: { key, digest: key } });',
    replace: 'await this.store(records, {});',
    caughtBy: unit(CRASH_TEST, 'a word count in files'),
  },
  {
    name: 'no process of a crash test is killed between two events',
    violates: 'a kill comes anywhere',
    file: 'src/testing/kit/crash-history.ts',
    find: 'steps >= ending.at.event;',
    replace: 'steps < 0;',
    caughtBy: unit(CRASH_TEST, 'the faults that were asked for'),
  },
  {
    name: 'no process of a crash test dies at a step of a protocol',
    violates: 'a kill comes where a function has had its effect and nobody knows',
    file: 'src/testing/kit/crash-history.ts',
    find: '      if (passed !== ending.at.nth) return;\n',
    replace: '      if (passed !== -ending.at.nth) return;\n',
    caughtBy: unit(HISTORY, 'wherever the process dies'),
  },
  {
    name: 'the threads of a crash test share their variables with those of the next life',
    violates: 'what a thread keeps in variables is gone with it',
    file: 'src/testing/kit/crash-history.ts',
    find: 'load: () => loadCrashGraph(definition, graphOptions),',
    replace:
      'load: () => ((this as { made?: ReturnType<typeof loadCrashGraph> }).made ??= ' +
      'loadCrashGraph(definition, graphOptions)),',
    caughtBy: unit(CRASH_TEST, 'lost at a restart'),
  },
  {
    name: 'a crash test waits for a function that waits for the engine',
    violates: 'a process may die while its function waits for the engine',
    file: 'src/testing/kit/user-calls.ts',
    find: '    call.questionCount += 1;\n',
    replace: '    call.questionCount += 0;\n',
    caughtBy: unit(CRASH_TEST, 'in the place of the same batch'),
  },
  {
    name: 'a crash test makes only one undisturbed run',
    violates: 'a pipeline that depends on chance is told so',
    file: 'src/testing/kit/crash-run.ts',
    find: '  const second = await quietly(QUIET_SEEDS[1]);\n',
    replace: '  const second = first;\n',
    caughtBy: unit(CRASH_TEST, 'state in a variable of the module'),
  },
  {
    name: 'a crash test does not compare what was observed',
    violates: 'a function that adds up what it is given is found',
    file: 'src/testing/kit/crash-difference.ts',
    find: 'if (isDeepStrictEqual(actual.observed, expected.observed)) return undefined;',
    replace: 'if (isDeepStrictEqual(actual.observed, actual.observed)) return undefined;',
    caughtBy: unit(CRASH_TEST, 'adds each batch to what is there'),
  },
  {
    name: 'a crash test compares a batch that ran again with nothing',
    violates: 'an output that gets a batch again gets the same records',
    file: 'src/testing/kit/crash-difference.ts',
    find: 'for (const [run, records] of runs.entries()) {',
    replace: 'for (const [run, records] of runs.slice(0, 1).entries()) {',
    caughtBy: unit(DIFFERENCE, 'ran again'),
  },
  {
    name: 'a crash test leaves an input without records empty in silence',
    violates: 'what cannot be simulated is refused',
    file: 'src/testing/kit/crash-options.ts',
    find: "if (records.has(node.id) || inputOptions(node).source === 'queue') return;",
    replace: "if (records.has(node.id) || inputOptions(node).source !== 'custom') return;",
    caughtBy: unit(CRASH_TEST, 'an input without records'),
  },
];
