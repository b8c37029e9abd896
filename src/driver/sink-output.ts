/** The driver's part of an output that writes through a sink: open, prepare, run the tasks, commit.
 * Errors of a sink's own come out as OUTPUT_FAILED with output, batch and step.
 *
 * A sink that never answers is waited for no longer when the run is given up. Not so the engine's
 * own directories, whose rename must not come after another process has taken the lock.
 * @module */
import { assert } from '../core/assert.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { BatchTimeMs } from '../core/ids.ts';
import type { GraphNode } from '../dstream/graph.ts';
import type { Sink, SinkBatch, SinkOwner } from '../dstream/sink.ts';
import type { BatchExecution } from './batch-execution.ts';

export interface SinkOutput {
  readonly node: GraphNode;
  readonly sink: Sink<unknown>;
  /** Calls the user's code. Rejects when the run is given up before that is over. */
  readonly callUser: <R>(run: () => Promise<R>) => Promise<R>;
}

/** Lets a sink look at what is there, before anything is received. */
export async function openSink(output: SinkOutput, owner: SinkOwner): Promise<void> {
  const { sink } = output;
  if (sink.open === undefined) return;
  await step(output, { doing: 'be opened' }, () => sink.open?.(owner) ?? Promise.resolve());
}

/** Resolves when the batch is durable in the sink, by this run or an earlier one.
 * @param throwIfLost called right before the commit. */
export async function saveBatch(
  output: SinkOutput,
  batch: SinkBatch,
  {
    execution,
    throwIfLost,
  }: { readonly execution: BatchExecution; readonly throwIfLost: () => void },
): Promise<void> {
  const { node, sink } = output;
  const { batchTimeMs } = batch;
  const preparing = { doing: 'be prepared', batchTimeMs };
  const state = await step(output, preparing, () => sink.prepare(batch));
  if (state === 'already-committed') return;
  const values = await execution.runJob(node.id, { kind: 'sink', batch });
  const tokens = values.map((value) => {
    assert(value.kind === 'sink', 'a sink task answered something else');
    return value.token;
  });
  throwIfLost();
  await step(output, { doing: 'commit', batchTimeMs }, () => sink.commit(batch, tokens));
}

async function step<R>(
  { node, sink, callUser }: SinkOutput,
  { doing, batchTimeMs }: { readonly doing: string; readonly batchTimeMs?: BatchTimeMs },
  run: () => Promise<R>,
): Promise<R> {
  try {
    return await (node.kind === 'to' ? callUser(run) : run());
  } catch (thrown) {
    if (thrown instanceof MillraceError) throw thrown;
    const cause = toError(thrown);
    const batch = batchTimeMs === undefined ? '' : `batch ${batchTimeMs}: `;
    throw new MillraceError(
      'OUTPUT_FAILED',
      `${batch}the sink of ${node.id} (${sink.target}) could not ${doing}: ${cause.message}`,
      { cause, details: { outputId: node.id, batchTimeMs } },
    );
  }
}
