/** Loads the pipeline into a thread of its own.
 *
 * Stack traces of the user's code point to the user's file. Maps are asked for here, not with a
 * flag of the thread: Node reads the map of every module that it loads from then on, and the
 * engine's own are a hundred.
 * @module */
import { loadPipeline } from '../dstream/load-pipeline.ts';
import type { LoadedPipeline } from '../dstream/load-pipeline.ts';

export function loadUserModule(moduleUrl: string): Promise<LoadedPipeline> {
  process.setSourceMapsEnabled(true);
  return loadPipeline(moduleUrl, 'the pipeline module');
}
