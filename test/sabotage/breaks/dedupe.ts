/** Breaks of `dedupeBy`: which records pass, for how long a key is remembered, and what is kept.
 * @module */
import { sim, unit } from './break.ts';
import type { Break } from './break.ts';

const DEDUPE = 'src/workers/state-dedupe.test.ts';
const LAWS = 'test/sim/state-laws.test.ts';
const VIOLATES = 'dedupeBy: one record of a key in each span';

export const DEDUPE_BREAKS: readonly Break[] = [
  {
    name: 'dedupeBy: repeats in one batch pass',
    violates: VIOLATES,
    file: 'src/workers/state-dedupe.ts',
    find: '      if (keyNumber < keyCount) return;\n',
    replace: '',
    caughtBy: sim(LAWS, 'whatever threads die'),
  },
  {
    name: 'dedupeBy: a repeat makes the span longer',
    violates: VIOLATES,
    file: 'src/workers/state-dedupe.ts',
    find: '      if (task.isRunning(keyNumber)) return;\n      task.remember(keyNumber);\n',
    replace:
      '      const isRepeat = task.isRunning(keyNumber);\n      task.remember(keyNumber);\n' +
      '      if (isRepeat) return;\n',
    caughtBy: unit(DEDUPE, 'repeats do not make the span longer'),
  },
  {
    name: 'dedupeBy: a repeat as late as the span is long passes',
    violates: VIOLATES,
    file: 'src/workers/state-task.ts',
    find: 'this.reader.touchedMs(address) >= this.#endsBeforeMs;',
    replace: 'this.reader.touchedMs(address) > this.#endsBeforeMs;',
    caughtBy: unit(DEDUPE, 'only the first passes'),
  },
  {
    name: 'dedupeBy: a key whose span is over is never forgotten',
    violates: 'I13',
    file: 'src/workers/state-dedupe.ts',
    find: '      task.expire(() => undefined);\n',
    replace: '',
    caughtBy: unit(DEDUPE, 'loses each in the batch where it is due'),
  },
  {
    name: 'dedupeBy: a key that begins a new span is forgotten with the old one',
    violates: VIOLATES,
    file: 'src/workers/state-task.ts',
    find: '        if (this.touched.has(hash, address)) continue; // its new records come before its end\n',
    replace: '',
    caughtBy: sim(LAWS, 'whatever threads die'),
  },
  {
    name: 'dedupeBy: the last record of the earlier partitions passes',
    violates: 'dedupeBy: the first record wins',
    file: 'src/workers/shuffle-reduce.ts',
    find: "    case 'dedupeBy':\n",
    replace:
      "      return eachPair(source, 0, (key, value) => push([key, value]));\n    case 'dedupeBy':\n" +
      '      source = { ...source, inputs: source.inputs.map((rows) => rows.toReversed()) };\n',
    caughtBy: unit(DEDUPE, 'the first of the first partition'),
  },
  {
    name: 'dedupeBy: the stream is the keys that are remembered',
    violates: 'dedupeBy: records come out as they went in',
    file: 'src/dstream/graph.ts',
    find: "  return kind === 'mapWithState' || kind === 'dedupeBy';",
    replace: "  return kind === 'mapWithState';",
    caughtBy: unit(DEDUPE, 'only the first passes'),
  },
  {
    name: 'dedupeBy: state with values is taken for remembered keys',
    violates: 'state is never attached to another operator',
    file: 'src/driver/state-upgrade.ts',
    find: "  dedupeBy: { form: 'key', bound: [] },",
    replace: "  dedupeBy: { form: 'value', bound: [] },",
    caughtBy: unit(
      'src/driver/upgrade-plan.test.ts',
      'that remembers keys is no state with values',
    ),
  },
];
