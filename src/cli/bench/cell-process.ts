/** Takes one sample of a cell in a process of its own. @module */
import { threadEntry } from '../../core/thread-entry.ts';
import type { CellTask } from './cell-protocol.ts';
import type { CellSample } from './cell-sample.ts';
import { sampleIn } from './sample-process.ts';

/** Beyond what the sample should take: the process waits for nothing longer than this. */
const PATIENCE_MS = 300_000;

/** @param signal ends the process, and rejects with its reason.
 * @throws {MillraceError} what ended the engine. */
export function sampleInProcess(task: CellTask, signal: AbortSignal): Promise<CellSample> {
  const entry = threadEntry('./cell-main.ts', import.meta.url);
  const limitMs = task.warmUpMs + task.fullMs + task.halfMs + PATIENCE_MS;
  return sampleIn<CellSample>({ entry, task, limitMs, signal });
}
