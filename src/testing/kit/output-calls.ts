/** Calls the functions of `foreachBatch` and `foreachPartition`, and the sinks of `to`, on a batch
 * of a run in memory, as driver and executors call them.
 * @module */
import { present } from '../../core/assert.ts';
import { MillraceError, toError } from '../../core/errors.ts';
import type { Batch, BatchInfo } from '../../dstream/batch.ts';
import type { GraphNode } from '../../dstream/graph.ts';
import { NO_LOG_ID } from '../../dstream/sink.ts';
import type { SinkBatch, SinkOwner } from '../../dstream/sink.ts';
import type { InlineBatch } from './inline-engine.ts';

/** Resolves when the function has ended.
 * @throws {MillraceError} OUTPUT_FAILED, TASK_FAILED with what it threw as `cause`. */
export async function callOutput(node: GraphNode, batch: InlineBatch): Promise<void> {
  if (node.kind === 'foreachPartition') {
    await batch.run(node.id, { kind: 'foreach-partition' });
    return;
  }
  if (node.kind === 'to') return writeToSink(node, batch);
  const { batchTimeMs } = batch;
  const call = node.fn as (records: Batch<unknown>, info: BatchInfo) => unknown;
  const reader = new BatchReader(node.id, batch);
  try {
    await call(reader, { batchTime: batchTimeMs });
  } catch (cause) {
    throw new MillraceError(
      'OUTPUT_FAILED',
      `batch ${batchTimeMs}: the function given to ${node.id} failed: ${toError(cause).message}`,
      { cause, details: { outputId: node.id, batchTimeMs } },
    );
  } finally {
    reader.close();
  }
}

/** As the driver does at a start, once. */
export async function openCalled({ id, sink }: GraphNode): Promise<void> {
  await sink?.open?.(ownerOf(id));
}

async function writeToSink({ id, sink }: GraphNode, batch: InlineBatch): Promise<void> {
  const to = present(sink, `the sink of ${id}`);
  const { batchTimeMs } = batch;
  const of: SinkBatch = { ...ownerOf(id), batchTimeMs, cleanedThroughMs: 0 };
  if ((await to.prepare(of)) === 'already-committed') return;
  const values = await batch.run(id, { kind: 'sink', batch: of });
  const tokens = values.map((value) => (value.kind === 'sink' ? value.token : undefined));
  await to.commit(of, tokens);
}

function ownerOf(outputId: string): SinkOwner {
  return { logId: NO_LOG_ID, outputId, epoch: 1 };
}

/** The batch as the function sees it, until it returns. */
class BatchReader implements Batch<unknown> {
  readonly #outputId: string;
  readonly #batch: InlineBatch;
  #isOpen = true;

  constructor(outputId: string, batch: InlineBatch) {
    this.#outputId = outputId;
    this.#batch = batch;
  }

  close(): void {
    this.#isOpen = false;
  }

  async collect(): Promise<unknown[]> {
    if (!this.#isOpen) {
      throw new MillraceError(
        'CONTEXT_STATE',
        `${this.#outputId}: a batch can be read only until the function given to it returns`,
      );
    }
    return (await this.#batch.collect(this.#outputId)).flat();
  }

  async count(): Promise<number> {
    return (await this.collect()).length;
  }

  async take(n: number): Promise<unknown[]> {
    return (await this.collect()).slice(0, Math.max(0, n));
  }
}
