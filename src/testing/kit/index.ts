/** What `millrace/testing` exports, and nothing else: tests of pipelines without threads and files.
 *
 * The rest of src/testing is the project's own simulation and is not published.
 * @module */
export { testStream, testStream2 } from './test-stream.ts';
export type { Batches, PairBatches } from './test-stream.ts';
export type { RunShape, TestStreamOptions } from './kit-options.ts';
export { CapturedRun } from './captured-run.ts';
export { ManualClock } from './manual-clock.ts';
export { runPipeline } from './run-pipeline.ts';
export type { PipelineModule, RunPipelineOptions } from './run-pipeline.ts';
export { expectBatches } from './expect-batches.ts';
export type { ExpectOptions } from './expect-batches.ts';
