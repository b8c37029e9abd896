/** Question: what do operators cost, and what the log beside them?
 *
 * Read as: CPU per record beside `filter-count`, which does next to nothing with a record;
 * `search-count` shows what one line of user code costs. And the ratio to `wal=off` of the same
 * run: the more a pipeline does with a record, the nearer to 1. What every batch printed is
 * checked.
 * @module */
import { defineBenchmark } from './benchmark.ts';
import { withEngine } from './engine-process.ts';
import { OPERATOR_PIPELINES, checkOperator } from './operator-check.ts';
import { SPEED_METRICS, measureSpeed } from './speed-sample.ts';

export const pipelines = defineBenchmark({
  name: 'pipelines',
  question: 'What do operators cost, and what the log beside them?',
  axes: { pipeline: OPERATOR_PIPELINES, wal: ['off', 'sync'] },
  // The first two differ from other smoke points in their filter only.
  smokeAxes: { pipeline: OPERATOR_PIPELINES.slice(2), wal: ['sync'] },
  seconds: 8,
  metrics: SPEED_METRICS,
  baseline: {
    metric: 'recordsPerSecond',
    of: (point) => (point.wal === 'off' ? undefined : { ...point, wal: 'off' }),
  },
  measure({ pipeline, wal }, conditions) {
    const flags = ['--batch-interval', '200ms', '--block-interval', '200ms', '--wal', wal];
    const { directory, isSmoke } = conditions;
    if (isSmoke) flags.push('--memory', '64MiB'); // small batches, so that some end in time
    return withEngine(
      {
        pipeline: `${pipeline}.pipeline.ts`,
        flags: [...flags, '--checkpoint', 'engine'],
        directory,
      },
      async (engine) => {
        const sample = await measureSpeed(engine, conditions);
        await engine.stop();
        checkOperator(pipeline, engine);
        return sample;
      },
    );
  },
});
