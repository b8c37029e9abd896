/** What `millrace/testing` exports, and nothing else: tests of pipelines without threads and files.
 *
 * The rest of src/testing is the project's own simulation and is not published.
 * @module */
export { testStream, testStream2 } from './test-stream.ts';
export type { Batches, PairBatches } from './test-stream.ts';
export type { RunShape, TestStreamOptions } from './kit-options.ts';
