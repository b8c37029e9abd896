/** Runs one task: reads a leaf, pushes its records through fused operators to the stage's end.
 *
 * Pure of threads, files and time: all of that comes in with the environment. Owns nothing after it
 * has returned; shared bytes that a failed task had written belong to the environment, which knows
 * them. Mirrors what Spark calls ShuffleMapTask and ResultTask.
 * @module */
import { MillraceError, toError } from '../core/errors.ts';
import type { TaskSpec } from '../dstream/task-spec.ts';
import { compileChain } from './stage-chain.ts';
import { ENOUGH, openStageEnd } from './stage-end.ts';
import { taskError } from './stage-failure.ts';
import { knownRecordCount, readLeaf } from './stage-leaf.ts';
import type { Push, StageEnd, TaskEnvironment, TaskOutcome } from './task-environment.ts';

/** Runs a task to its end.
 * @throws {MillraceError} TASK_FAILED when a user's function threw or returned a promise, or a
 * record
 *   could not be packed: names operator, output and batch, with the user's error as `cause`. Errors
 *   of blocks, files and sinks come as they are. An attempt at a sink has been aborted then. */
export async function runTask(spec: TaskSpec, env: TaskEnvironment): Promise<TaskOutcome> {
  try {
    const end = await openStageEnd(spec, env);
    try {
      const inputRecordCount = await pushLeaf(spec, env, end);
      return { value: await end.finish(), inputRecordCount };
    } catch (error) {
      throw await abortAfter(spec, end, error);
    }
  } catch (error) {
    throw taskError(spec, error);
  }
}

async function pushLeaf(spec: TaskSpec, env: TaskEnvironment, end: StageEnd): Promise<number> {
  const { leaf, via } = spec;
  const known = via.length === 0 ? knownRecordCount(leaf) : undefined;
  if (end.pushCount !== undefined && known !== undefined) {
    end.pushCount(known); // nobody looks at the records: leave them undecoded
    return known;
  }
  const nodes = via.map((id) => env.graph.node(id));
  const chain = compileChain(nodes, end.push);
  let count = 0;
  const countAndPush: Push = (record) => {
    count += 1;
    chain.push(record);
  };
  try {
    const read = await readLeaf(leaf, env, mayStopEarly(spec) ? countAndPush : chain.push);
    chain.end();
    return read;
  } catch (error) {
    if (error !== ENOUGH) throw error;
    return count;
  }
}

function mayStopEarly({ action }: TaskSpec): boolean {
  return action.kind === 'collect' && action.limit !== undefined;
}

/** Gives up the stage's end. @returns the error to report, with both when giving up failed too. */
async function abortAfter(spec: TaskSpec, end: StageEnd, error: unknown): Promise<unknown> {
  if (end.abort === undefined) return error;
  try {
    await end.abort();
    return error;
  } catch (abortError) {
    const first = toError(taskError(spec, error));
    return new MillraceError(
      first instanceof MillraceError ? first.code : 'TASK_FAILED',
      `${first.message}; and giving up the attempt failed: ${toError(abortError).message}`,
      { cause: new AggregateError([first, abortError]) },
    );
  }
}
