/** The test kit that users get, and the twins of Spark's suites that run on it. @module */
import { sim, unit } from './break.ts';
import type { Break } from './break.ts';

const TEST_STREAM = 'src/testing/kit/test-stream.test.ts';
const RUN_PIPELINE = 'src/testing/kit/run-pipeline.test.ts';
const EXPECT_BATCHES = 'src/testing/kit/expect-batches.test.ts';
const TWINS = 'test/spark/operators.test.ts';

export const TESTING_BREAKS: readonly Break[] = [
  {
    name: 'the blocks of a test stay in the arena',
    violates: 'no memory outlives a test',
    file: 'src/testing/kit/block-packing.ts',
    find: '    memory.drop(extentIndex);\n',
    replace: '    if (extentIndex < 0) memory.drop(extentIndex);\n',
    caughtBy: unit(TEST_STREAM, 'runs many at once'),
  },
  {
    name: 'the batch times of a test begin one interval early',
    violates: 'batch i has the time (i + 1) × batchInterval',
    file: 'src/testing/kit/test-stream.ts',
    find: '((index + 1) * intervalMs)',
    replace: '(index * intervalMs)',
    caughtBy: unit(TEST_STREAM, 'name the operator'),
  },
  {
    name: 'records are dealt in turn instead of cut into halves',
    violates: 'inputPartitions are contiguous',
    file: 'src/testing/kit/inline-inputs.ts',
    find: 'packing.pack(records.slice(start, end), placeOf)',
    replace:
      'packing.pack(records.filter((_, i) => i % partitions === slice && end >= 0), placeOf)',
    caughtBy: unit(TWINS, 'glom'),
  },
  {
    name: 'a shuffle is computed again for each output that reads it',
    violates: 'a shuffle is one thing per batch',
    file: 'src/testing/kit/inline-engine.ts',
    find: '    if (batch === undefined || batch.#pieces.has(shuffleId)) return;\n',
    replace: '    if (batch === undefined) return;\n',
    caughtBy: unit(RUN_PIPELINE, 'computes a shuffle once'),
  },
  {
    name: 'a queue that a test replaces keeps its own records',
    violates: 'inputs replace every kind of input',
    file: 'src/testing/kit/run-pipeline.ts',
    find: " === 'queue' && !records.has(streamId);\n",
    replace: " === 'queue';\n",
    caughtBy: unit(RUN_PIPELINE, 'leaves a queue its own records'),
  },
  {
    name: 'the clock of a test is not moved onto the grid',
    violates: 'a batch time is a multiple of the batch interval',
    file: 'src/testing/kit/run-pipeline.ts',
    find: '(Math.floor(nowMs / intervalMs) + 1) * intervalMs',
    replace: 'nowMs + intervalMs',
    caughtBy: unit(RUN_PIPELINE, 'runs on the grid'),
  },
  {
    name: 'a function of an output runs though the test did not ask for it',
    violates: 'runPipeline opens nothing',
    file: 'src/testing/kit/run-pipeline.ts',
    find: 'if (called.has(node.id)) await',
    replace: "if (called.has(node.id) || node.kind === 'foreachBatch') await",
    caughtBy: unit(RUN_PIPELINE, 'are called when the test says so'),
  },
  {
    name: 'expectBatches does not count how often a record comes',
    violates: 'batches are multisets',
    file: 'src/testing/kit/batch-difference.ts',
    find: '    candidates.splice(found, 1);\n',
    replace: '',
    caughtBy: unit(EXPECT_BATCHES, 'as often'),
  },
  {
    name: 'expectBatches looks at the batches that both sides have, and no further',
    violates: 'a missing batch is a difference',
    file: 'src/testing/kit/expect-batches.ts',
    find: 'Math.max(actual.length, expected.length)',
    replace: 'Math.min(actual.length, expected.length)',
    caughtBy: unit(EXPECT_BATCHES, 'a batch too few'),
  },
  {
    name: 'a left outer join drops the keys that only the left side has',
    violates: 'the semantics of Spark',
    file: 'src/workers/shuffle-reduce.ts',
    find: 'leftOuterJoin: (left, right) => [left, orAbsent(right)]',
    replace: 'leftOuterJoin: (left, right) => [left, right]',
    caughtBy: unit(TWINS, 'leftOuterJoin'),
  },
  {
    name: 'a cogroup forgets the second value of a key that only the right side has',
    violates: 'the semantics of Spark',
    file: 'src/workers/shuffle-reduce.ts',
    find: '    else group[1].push(value);\n',
    replace: '    else if (group[0].length > 0) group[1].push(value);\n',
    caughtBy: sim('test/sim/operators.test.ts', 'give what plain arrays give'),
  },
  {
    name: 'the test kit deals a queue otherwise than an engine',
    violates: 'threads and inline give the same',
    file: 'src/testing/kit/run-pipeline.ts',
    find: '    slice,\n    slices,\n',
    replace: '    slice: slices - 1 - slice,\n    slices,\n',
    caughtBy: {
      project: 'integration',
      file: 'test/integration/spark-operators.test.ts',
      test: 'threads give what the test kit gives',
    },
  },
];
