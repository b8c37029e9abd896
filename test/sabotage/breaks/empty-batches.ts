/** Breaks of what makes empty batches cheap: no task, no text, no call that nobody needs.
 * @module */
import { unit } from './break.ts';
import type { Break } from './break.ts';

const PARTITIONS = unit('src/workers/empty-partition.test.ts');

export const EMPTY_BATCH_BREAKS: readonly Break[] = [
  {
    name: 'an empty batch is counted as no record instead of 0',
    violates: 'an empty partition gives what a task gives',
    file: 'src/dstream/empty-partition.ts',
    find: "=== 'count' ? [0] : [];",
    replace: "=== 'print' ? [0] : [];",
    caughtBy: PARTITIONS,
  },
  {
    name: 'a function of a partition is not called for an empty one',
    violates: 'an empty partition gives what a task gives',
    file: 'src/dstream/empty-partition.ts',
    find: '  mapPartitions: false,\n',
    replace: '  mapPartitions: true,\n',
    caughtBy: PARTITIONS,
  },
  {
    name: 'a join is empty when one side of it is',
    violates: 'an empty partition gives what a task gives',
    file: 'src/dstream/empty-partition.ts',
    find: 'if (leaf.inputs.some(({ pieces }) => pieces.length > 0))',
    replace: 'if (leaf.inputs.every(({ pieces }) => pieces.length > 0))',
    caughtBy: PARTITIONS,
  },
  {
    name: 'what print writes may come after its batch is done',
    violates: 'a batch is done when its outputs are',
    file: 'src/cli/data-lines.ts',
    find: 'void Promise.resolve().then(flush);',
    replace: 'void setTimeout(flush);',
    caughtBy: unit('src/cli/data-lines.test.ts', 'before whoever prints'),
  },
  {
    name: 'a listener that comes late is told half of a batch',
    violates: 'listeners hear everything of a batch',
    file: 'src/driver/streaming-listeners.ts',
    find: 'for (const heard of this.#kept.splice(0)) this.#hearBatch(heard);',
    replace: 'this.#kept.length = 0;',
    caughtBy: unit('src/driver/streaming-listeners.test.ts', 'told whole to a listener'),
  },
];
