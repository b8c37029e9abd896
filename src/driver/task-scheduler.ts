/** Runs the tasks of one stage to their end: retries, and an answer for the stage as a whole.
 *
 * A failed task is tried again, on any executor, `maxTaskFailures` tries in all; attempts write
 * under names of their own. When one task has failed for good, the stage waits for the others to
 * end before it fails, so that nobody still uses memory that the batch gives up. Mirrors Spark's
 * TaskSetManager, without locality: all memory here is equally near. @module */
import { MillraceError, toError } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { EventBus } from '../core/events.ts';
import type { TaskResult, TaskSpec, TaskValue } from '../dstream/task-spec.ts';
import { fromWireError } from '../serde/wire-error.ts';
import type { WireError } from '../serde/wire-error.ts';
import type { TaskPool } from './executor-pool.ts';

export interface TaskSchedulerOptions {
  readonly pool: TaskPool;
  readonly events: EventBus;
  /** Tries of one task, 1 or more. */
  readonly maxTaskFailures: number;
}

/** Another try on the same data cannot change these. */
const FINAL_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'WAL_CORRUPT',
  'FORMAT_UNKNOWN',
  'PIPELINE_MISMATCH',
  'SINK_CONFLICT',
  'RECORD_UNSUPPORTED',
]);

export class TaskScheduler {
  readonly #options: TaskSchedulerOptions;

  constructor(options: TaskSchedulerOptions) {
    this.#options = options;
  }

  /** @returns the values in the order of `specs`. @throws {MillraceError} TASK_FAILED and
   * others. */
  async runStage(specs: readonly Omit<TaskSpec, 'attempt'>[]): Promise<readonly TaskValue[]> {
    const settled = await Promise.allSettled(specs.map((spec) => this.#runTask(spec)));
    const values: TaskValue[] = [];
    for (const outcome of settled) {
      if (outcome.status === 'rejected') throw outcome.reason;
      values.push(outcome.value);
    }
    return values;
  }

  async #runTask(task: Omit<TaskSpec, 'attempt'>): Promise<TaskValue> {
    const { events, maxTaskFailures } = this.#options;
    for (let attempt = 0; ; attempt += 1) {
      const result = await this.#tryTask({ ...task, attempt });
      if (result.ok) return result.value;
      const { error } = result;
      const { batchTimeMs, outputId } = task;
      events.emit({ type: 'task-failed', batchTimeMs, outputId, attempt, error: error.message });
      const isFinal = error.code !== undefined && FINAL_CODES.has(error.code as ErrorCode);
      if (isFinal || attempt + 1 >= maxTaskFailures) throw failure(task, attempt + 1, error);
    }
  }

  async #tryTask(spec: TaskSpec): Promise<TaskResult> {
    try {
      return await this.#options.pool.run(spec);
    } catch (error) {
      const { name, message } = toError(error);
      const code = error instanceof MillraceError ? { code: error.code } : {};
      return { ok: false, error: { name, message, ...code } };
    }
  }
}

function failure(
  { batchTimeMs, outputId, partition }: Omit<TaskSpec, 'attempt'>,
  tries: number,
  wire: WireError,
): Error {
  const cause = fromWireError(wire);
  if (cause instanceof MillraceError && FINAL_CODES.has(cause.code)) return cause;
  return new MillraceError(
    'TASK_FAILED',
    `batch ${batchTimeMs}, output ${outputId}, partition ${partition} failed ` +
      `${tries === 1 ? 'on its only try' : `on each of ${tries} tries`}: ${cause.message}`,
    { cause, details: { batchTimeMs, outputId, partition } },
  );
}
