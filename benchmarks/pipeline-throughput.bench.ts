/** Question: how many records a second go through the whole engine, and what does the log cost?
 *
 * Read as: M records/s relative to `wal=off` OF THE SAME RUN; absolute numbers are the machine's.
 * CPU per record is steadier than speed where other work runs beside; how many cores that took
 * stands in the last column. Each count is checked.
 * @module */
import { defineBenchmark } from './benchmark.ts';
import { withEngine } from './engine-process.ts';
import { checkOutput } from './generator-check.ts';
import { SPEED_METRICS, measureSpeed } from './speed-sample.ts';

export const pipelineThroughput = defineBenchmark({
  name: 'pipeline-throughput',
  question: 'How many records a second go through the whole engine, and what does the log cost?',
  axes: {
    pipeline: ['filter-count', 'word-count'],
    batchInterval: ['200ms', '1s'],
    blockInterval: ['50ms', '200ms'],
    wal: ['off', 'flush', 'sync'],
  },
  smokeAxes: {
    pipeline: ['filter-count', 'word-count'],
    batchInterval: ['200ms'],
    blockInterval: ['200ms'],
    wal: ['off', 'sync'],
  },
  // At full speed blocks are cut by size: one short block interval is enough to show it.
  isWanted: ({ pipeline, batchInterval, blockInterval, wal }) =>
    blockInterval === '200ms' ||
    (pipeline === 'filter-count' && batchInterval === '200ms' && wal !== 'flush'),
  seconds: 10,
  metrics: SPEED_METRICS,
  baseline: {
    metric: 'recordsPerSecond',
    of: (point) => (point.wal === 'off' ? undefined : { ...point, wal: 'off' }),
  },
  measure({ pipeline, batchInterval, blockInterval, wal }, conditions) {
    const flags = ['--batch-interval', batchInterval, '--block-interval', blockInterval];
    const { directory, isSmoke } = conditions;
    if (isSmoke) flags.push('--memory', '64MiB'); // small batches, so that some end in time
    return withEngine(
      {
        pipeline: `${pipeline}.pipeline.ts`,
        flags: [...flags, '--wal', wal, '--checkpoint', 'engine'],
        directory,
      },
      async (engine) => {
        const sample = await measureSpeed(engine, conditions);
        await engine.stop();
        checkOutput(pipeline, engine);
        return sample;
      },
    );
  },
});
