/** Takes one sample of a setting in a process of its own. @module */
import { threadEntry } from '../../core/thread-entry.ts';
import { sampleIn } from '../bench/sample-process.ts';
import type { SampleRun } from '../bench/sample-process.ts';
import type { TuneTask } from './tune-protocol.ts';
import type { TuneSample } from './tune-sample.ts';

/** Beyond what the sample should take: a start, slow batches, an end. */
const PATIENCE_MS = 120_000;

/** @throws {MillraceError} what ended the engine. */
export function tuneSampleInProcess(task: TuneTask, run: SampleRun): Promise<TuneSample> {
  const entry = threadEntry('./tune-main.ts', import.meta.url);
  const { warmUpMs, measureMs, setting, directory: temporaryDirectory } = task;
  const limitMs = warmUpMs + measureMs + 5 * setting.batchIntervalMs + PATIENCE_MS;
  return sampleIn<TuneSample>({ entry, task, temporaryDirectory, limitMs, ...run });
}
