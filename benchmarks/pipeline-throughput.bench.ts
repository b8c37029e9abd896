/** Question: how many records a second go through the whole engine, and what does the log cost?
 *
 * Read as: M records/s relative to `wal=off` OF THE SAME RUN; absolute numbers are the machine's.
 * CPU per record is steadier than speed where other work runs beside; how many cores that took
 * stands in the last column. Each count is checked. Three quarters of `memory` are for blocks, and
 * those of one interval have to fit; a large memory is touched first, which takes its time. Each
 * receiver has a thread and a log of its own: a second one helps where the first is the bound.
 * @module */
import { defineBenchmark } from './benchmark.ts';
import { withEngine } from './engine-process.ts';
import { RECEIVERS_VARIABLE } from './generated-lines.ts';
import { checkOutput } from './generator-check.ts';
import { SPEED_METRICS, measureSpeed } from './speed-sample.ts';

const LARGE_MEMORY = '2GiB';
const LARGE_WARM_UP_MS = 12_000;

export const pipelineThroughput = defineBenchmark({
  name: 'pipeline-throughput',
  question: 'How many records a second go through the whole engine, and what does the log cost?',
  axes: {
    pipeline: ['filter-count', 'word-count'],
    batchInterval: ['200ms', '1s'],
    blockInterval: ['50ms', '200ms'],
    memory: ['512MiB', LARGE_MEMORY],
    receivers: [1, 2],
    wal: ['off', 'flush', 'sync'],
  },
  smokeAxes: {
    pipeline: ['filter-count', 'word-count'],
    batchInterval: ['200ms'],
    blockInterval: ['200ms'],
    memory: ['64MiB'], // small batches, so that some end in time
    receivers: [2],
    wal: ['off', 'sync'],
  },
  isWanted: ({ pipeline, batchInterval, blockInterval, memory, receivers, wal }) => {
    const isCount = pipeline === 'filter-count';
    if (memory === LARGE_MEMORY) {
      return isCount && batchInterval === '1s' && blockInterval === '200ms' && wal !== 'flush';
    }
    if (memory === '512MiB' && receivers > 1) return false; // what stands beside the peers has more
    // At full speed blocks are cut by size: one short block interval is enough to show it.
    return blockInterval === '200ms' || (isCount && batchInterval === '200ms' && wal !== 'flush');
  },
  seconds: 10,
  metrics: SPEED_METRICS,
  baseline: {
    metric: 'recordsPerSecond',
    of: (point) => (point.wal === 'off' ? undefined : { ...point, wal: 'off' }),
  },
  measure({ pipeline, batchInterval, blockInterval, memory, receivers, wal }, conditions) {
    const flags = ['--batch-interval', batchInterval, '--block-interval', blockInterval];
    flags.push('--memory', memory, '--receiver-executors', String(receivers));
    const { directory } = conditions;
    const warmUpMs = memory === LARGE_MEMORY ? LARGE_WARM_UP_MS : undefined;
    return withEngine(
      {
        pipeline: `${pipeline}.pipeline.ts`,
        flags: [...flags, '--wal', wal, '--checkpoint', 'engine'],
        env: { [RECEIVERS_VARIABLE]: String(receivers) },
        directory,
      },
      async (engine) => {
        const sample = await measureSpeed(engine, conditions, warmUpMs);
        await engine.stop();
        checkOutput(pipeline, engine);
        return sample;
      },
    );
  },
});
