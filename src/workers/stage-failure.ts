/** How user code fails inside a task: at which operator, and why.
 *
 * A failure is caught around the user's function alone, never around what comes after it, so that
 * the operator it names is the one whose function threw.
 * @module */
import { MillraceError } from '../core/errors.ts';
import { operatorOfShuffle } from '../dstream/batch-plan.ts';
import type { TaskSpec } from '../dstream/task-spec.ts';

/** Thrown inside a task only; `taskError` makes of it what leaves the task. */
export class OperatorFailure extends Error {
  override readonly name = 'OperatorFailure';
  readonly operatorId: string;

  constructor(operatorId: string, cause: unknown) {
    super(cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause), { cause });
    this.operatorId = operatorId;
  }
}

/** @throws {OperatorFailure} when `value`, which is an object, is a promise. */
export function refusePromise(operatorId: string, value: object): void {
  if (!('then' in value) || typeof value.then !== 'function') return;
  // Its own failure has no other owner; that it exists at all is what is reported.
  (value as PromiseLike<unknown>).then(undefined, () => undefined);
  throw new OperatorFailure(
    operatorId,
    new TypeError(
      'the function returned a promise; only foreachBatch and foreachPartition may be asynchronous',
    ),
  );
}

/** What leaves the task: TASK_FAILED for user code and for records that cannot be packed, errors of
 * the engine as they are. */
export function taskError(spec: TaskSpec, error: unknown): unknown {
  const failure = asFailure(spec, error);
  if (failure === undefined) return error;
  const { batchTimeMs, outputId, partition, attempt } = spec;
  const { operatorId, message, cause } = failure;
  return new MillraceError(
    'TASK_FAILED',
    `operator ${operatorId} failed in batch ${batchTimeMs} of output ${outputId} ` +
      `(partition ${partition}, attempt ${attempt}): ${message}`,
    { cause, details: { operatorId, outputId, batchTimeMs, partition, attempt } },
  );
}

function asFailure({ action, outputId }: TaskSpec, error: unknown): OperatorFailure | undefined {
  if (error instanceof OperatorFailure) return error;
  // Records are packed at the stage's end only, for its shuffle or its output.
  if (!(error instanceof MillraceError) || error.code !== 'RECORD_UNSUPPORTED') return undefined;
  if (action.kind === 'state-update') return new OperatorFailure(action.operatorId, error);
  const isShuffle = action.kind === 'shuffle-write';
  return new OperatorFailure(isShuffle ? operatorOfShuffle(action.shuffleId) : outputId, error);
}
