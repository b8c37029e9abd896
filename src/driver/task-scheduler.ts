/** Runs the tasks of one stage to their end: retries, and an answer for the stage as a whole.
 *
 * A failed task is tried again, on any executor, `maxTaskFailures` tries in all; attempts write
 * under names of their own. When one task has failed for good, the stage waits for the others to
 * end before it fails, so that nobody still uses memory that the batch gives up. A task goes to the
 * pool when a thread is free, not before: what waits in the pool's queue would hold its blocks in
 * memory. Mirrors Spark's TaskSetManager, without locality: all memory here is equally near.
 * @module */
import { MillraceError, toError } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { EventBus } from '../core/events.ts';
import type { Leaf, TaskResult, TaskSpec, TaskValue } from '../dstream/task-spec.ts';
import { fromWireError } from '../serde/wire-error.ts';
import type { WireError } from '../serde/wire-error.ts';
import type { TaskPool } from './executor-pool.ts';

export interface TaskSchedulerOptions {
  readonly pool: TaskPool;
  readonly events: EventBus;
  /** Tries of one task, 1 or more. */
  readonly maxTaskFailures: number;
  /** Of the pool: so many tasks run at a time. */
  readonly threads: number;
}

/** Keeps what a task reads where it is while the task runs. */
export interface LeafHolder {
  /** @returns the leaf with the places where its blocks are now. */
  hold(leaf: Leaf): Leaf;
  /** @param leaf that `hold` gave. */
  release(leaf: Leaf): void;
  /** Gives up what a task has written whose stage has failed. */
  discard?(value: TaskValue): void;
}

const NOTHING_TO_HOLD: LeafHolder = { hold: (leaf) => leaf, release: () => {} };

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
  #running = 0;
  /** Tasks that wait for a thread, oldest first. */
  readonly #waiting: (() => void)[] = [];

  constructor(options: TaskSchedulerOptions) {
    this.#options = options;
  }

  /** @returns the values in the order of `specs`. @throws {MillraceError} TASK_FAILED and
   * others. */
  async runStage(
    specs: readonly Omit<TaskSpec, 'attempt'>[],
    holder: LeafHolder = NOTHING_TO_HOLD,
  ): Promise<readonly TaskValue[]> {
    const settled = await Promise.allSettled(specs.map((spec) => this.#runTask(spec, holder)));
    const values = settled.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
    const failed = settled.find((each) => each.status === 'rejected');
    if (failed === undefined) return values;
    for (const value of values) holder.discard?.(value);
    throw failed.reason;
  }

  async #runTask(task: Omit<TaskSpec, 'attempt'>, holder: LeafHolder): Promise<TaskValue> {
    const { events, maxTaskFailures } = this.#options;
    for (let attempt = 0; ; attempt += 1) {
      const result = await this.#tryTask({ ...task, attempt }, holder);
      if (result.ok) return result.value;
      const { error } = result;
      const { batchTimeMs, outputId } = task;
      events.emit({ type: 'task-failed', batchTimeMs, outputId, attempt, error: error.message });
      const isFinal = error.code !== undefined && FINAL_CODES.has(error.code as ErrorCode);
      if (isFinal || attempt + 1 >= maxTaskFailures) throw failure(task, attempt + 1, error);
    }
  }

  async #tryTask(spec: TaskSpec, holder: LeafHolder): Promise<TaskResult> {
    if (this.#running < this.#options.threads) this.#running += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await this.#runHeld(spec, holder);
    } catch (error) {
      const { name, message } = toError(error);
      const code = error instanceof MillraceError ? { code: error.code } : {};
      return { ok: false, error: { name, message, ...code } };
    } finally {
      // The place goes to the next one, which must not meet a newcomer there.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  async #runHeld(spec: TaskSpec, holder: LeafHolder): Promise<TaskResult> {
    const leaf = holder.hold(spec.leaf);
    try {
      return await this.#options.pool.run({ ...spec, leaf });
    } finally {
      holder.release(leaf);
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
