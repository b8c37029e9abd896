/** Question: what does a batch without records cost the driver?
 *
 * Read as: CPU time of the main thread alone, per batch: the allocation and its sync, a job with
 * its tasks, the checkpoint, cleaning. Everything else that the driver does meanwhile (the status
 * line once a second, watermarks) is in it, so it weighs more on long intervals. As it is run by
 * default, so without the five lines a batch of `--log-level debug`: batches are counted by what
 * `print` writes. After a warm-up of 20 batches. Linux only.
 * @module */
import { setTimeout as delay } from 'node:timers/promises';
import { defineBenchmark } from './benchmark.ts';
import { withEngine } from './engine-process.ts';
import { mainThreadCpuMs } from './process-cost.ts';

const WARM_UP_BATCHES = 20;

export const emptyBatch = defineBenchmark({
  name: 'empty-batch',
  question: 'What does a batch without records cost the driver?',
  axes: { batchInterval: ['10ms', '50ms', '200ms', '1s'] },
  smokeAxes: { batchInterval: ['50ms'] },
  seconds: 10,
  metrics: {
    driverCpuMs: { unit: 'ms CPU/batch', digits: 2 },
    batches: { unit: 'batches', digits: 0 },
  },
  measure({ batchInterval }, { directory, seconds, isSmoke }) {
    const flags = ['--batch-interval', batchInterval, '--checkpoint', 'engine'];
    const options = { pipeline: 'silent.pipeline.ts', flags, directory, logLevel: 'info' } as const;
    return withEngine(options, async (engine) => {
      await engine.line('engine-started');
      // Until the compiler has seen some: the first dozen cost two to three times as much.
      await engine.printed(isSmoke ? 1 : WARM_UP_BATCHES);
      const cpuBefore = mainThreadCpuMs(engine.pid);
      const batchesBefore = engine.printedCount;
      await delay(seconds * 1_000);
      const cpuAfter = mainThreadCpuMs(engine.pid);
      const batches = engine.printedCount - batchesBefore;
      await engine.stop();
      const isEmpty = engine.output.every((line) => !/^[1-9]/.test(line)); // each count is 0
      if (batches === 0 || !isEmpty) throw new Error('these are no empty batches');
      return {
        batches,
        ...(cpuBefore === undefined || cpuAfter === undefined
          ? {}
          : { driverCpuMs: (cpuAfter - cpuBefore) / batches }),
      };
    });
  },
});
