/** What `millrace/testing` exports, and nothing else: tests of pipelines without threads and files.
 *
 * The rest of src/testing is the simulation that `crashTest` runs on; it cannot be imported.
 * @module */
export { testStream, testStream2 } from './test-stream.ts';
export type { Batches, PairBatches } from './test-stream.ts';
export type { RunShape, TestStreamOptions } from './kit-options.ts';
export { CapturedRun } from './captured-run.ts';
export { ManualClock } from './manual-clock.ts';
export { runPipeline } from './run-pipeline.ts';
export type { RunPipelineOptions } from './run-pipeline.ts';
export type { PipelineModule } from './pipeline-module.ts';
export { expectBatches } from './expect-batches.ts';
export type { ExpectOptions } from './expect-batches.ts';
export { crashTest } from './crash-test.ts';
export type { CrashFault, CrashReport, CrashTestOptions } from './crash-options.ts';
