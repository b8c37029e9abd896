/** Runs one output operation of one batch as a job, and says when it is durable: R6.
 *
 * `print` and `foreachBatch` run on the driver and are at-least-once; `foreachPartition` runs on
 * the executors and is at-least-once; `to` and the `save…` outputs commit through a sink, which
 * keeps one copy of a batch, however often it runs (sink-output.ts). @module */
import type { BlockArena } from '../blocks/block-arena.ts';
import { assert } from '../core/assert.ts';
import { MillraceError } from '../core/errors.ts';
import type { BatchTimeMs } from '../core/ids.ts';
import type { Batch, BatchInfo } from '../dstream/batch.ts';
import { writesToSink } from '../dstream/graph.ts';
import type { Graph, GraphNode } from '../dstream/graph.ts';
import type { Sink, SinkOwner } from '../dstream/sink.ts';
import type { Codec } from '../serde/codec.ts';
import { createSink } from '../sinks/sink-factory.ts';
import { formatText } from '../sinks/text-format.ts';
import type { BatchExecution } from './batch-execution.ts';
import { collectRecords } from './collected-records.ts';
import { OutputCalls } from './output-calls.ts';
import { openSink, saveBatch } from './sink-output.ts';
import type { SinkOutput } from './sink-output.ts';

export interface OutputRunnerOptions {
  readonly graph: Graph;
  readonly arena: BlockArena;
  readonly codec: Codec;
  readonly logId: string;
  /** Of this life on the directory. */
  readonly epoch: number;
  /** No batch up to this time runs again. */
  readonly cleanedThroughMs: () => number;
  /** Why no output may be begun or published any more: the directory is another process's, which
   * runs the batch too, with the same temporary files. */
  readonly whyLost?: () => Error | undefined;
  /** @defaultValue the sinks of the pipeline's outputs */
  readonly createSink?: (node: GraphNode) => Sink<unknown>;
  /** Where `print` writes: whole lines, without the newline. */
  readonly printLine: (line: string) => void;
}

export class OutputRunner {
  /** Of functions of `foreachBatch`, and of sinks that `to` was given. */
  readonly calls: OutputCalls = new OutputCalls();
  readonly #options: OutputRunnerOptions;
  /** One for each call of the user's code that is waited for; batches may run at the same time. */
  readonly #abandons = new Set<() => void>();
  #isGivenUp = false;

  constructor(options: OutputRunnerOptions) {
    this.#options = options;
  }

  /** Waits no longer for a function of `foreachBatch` that is under way: its batch has failed. No
   * other output runs from now on. */
  giveUp(): void {
    this.#isGivenUp = true;
    for (const abandon of this.#abandons) abandon();
    this.calls.close();
  }

  /** Lets every sink look at what is there. @throws what makes one refuse. */
  async openSinks(): Promise<void> {
    for (const node of this.#options.graph.outputs) {
      if (writesToSink(node.kind)) await openSink(this.#sinkOutput(node), this.#ownerOf(node));
    }
  }

  /** Resolves when the output's effect is durable, as far as its sink can say. */
  async run(outputId: string, execution: BatchExecution): Promise<void> {
    const node = this.#options.graph.node(outputId);
    if (this.#isGivenUp) throw runHasEnded();
    this.#throwIfLost();
    switch (node.kind) {
      case 'print':
        return this.#print(node, execution);
      case 'foreachBatch':
        return this.#foreachBatch(node, execution);
      case 'foreachPartition':
        await execution.runJob(outputId, { kind: 'foreach-partition' });
        return;
      default:
        return this.#save(node, execution);
    }
  }

  async #print(node: GraphNode, execution: BatchExecution): Promise<void> {
    const limit = node.options['n'] as number;
    const records = await this.#collect(node.id, execution, limit + 1);
    const { printLine } = this.#options;
    printLine('-------------------------------------------');
    printLine(`Time: ${execution.share.batchTimeMs} ms`);
    printLine('-------------------------------------------');
    for (const record of records.slice(0, limit)) printLine(formatText(record));
    if (records.length > limit) printLine('...');
    printLine('');
  }

  async #foreachBatch(node: GraphNode, execution: BatchExecution): Promise<void> {
    const { batchTimeMs } = execution.share;
    let isOpen = true;
    const reads: Promise<void>[] = [];
    const whileOpen = <R>(read: () => Promise<R>): Promise<R> => {
      if (isOpen) {
        const reading = this.calls.outside(read);
        const ignore = (): void => {};
        reads.push(reading.then(ignore, ignore));
        return reading;
      }
      const message = `${node.id}: a batch can be read only until the function given to it returns`;
      return Promise.reject(new MillraceError('CONTEXT_STATE', message));
    };
    const batch: Batch<unknown> = {
      collect: () => whileOpen(() => this.#collect(node.id, execution)),
      take: (n) => whileOpen(() => this.#collect(node.id, execution, n)),
      count: () => whileOpen(() => this.#count(node.id, execution)),
    };
    const run = node.fn as (batch: Batch<unknown>, info: BatchInfo) => unknown;
    try {
      await this.#callUser(() => run(batch, { batchTime: batchTimeMs }));
    } catch (cause) {
      if (cause instanceof MillraceError && cause.code !== 'CONTEXT_STATE') throw cause;
      throw outputFailure(node.id, batchTimeMs, cause);
    } finally {
      isOpen = false;
      // What the function did not wait for reads memory that is given back when the batch is done.
      await Promise.all(reads);
    }
  }

  async #callUser<R>(fn: () => R): Promise<Awaited<R>> {
    // Tasks may have ended just before: what is called now nobody would give up any more.
    if (this.#isGivenUp) throw runHasEnded();
    const running = this.calls.run(fn);
    let abandon = (): void => {};
    const givenUp = new Promise<never>((_, reject) => {
      abandon = () => reject(runHasEnded());
    });
    this.#abandons.add(abandon);
    try {
      return await Promise.race([running, givenUp]);
    } finally {
      this.#abandons.delete(abandon);
    }
  }

  async #save(node: GraphNode, execution: BatchExecution): Promise<void> {
    const { batchTimeMs } = execution.share;
    const cleanedThroughMs = this.#options.cleanedThroughMs();
    const batch = { ...this.#ownerOf(node), batchTimeMs, cleanedThroughMs };
    const throwIfLost = (): void => this.#throwIfLost();
    await saveBatch(this.#sinkOutput(node), batch, { execution, throwIfLost });
  }

  #sinkOutput(node: GraphNode): SinkOutput {
    const sink = (this.#options.createSink ?? createSink)(node);
    return { node, sink, callUser: (run) => this.#callUser(run) };
  }

  #ownerOf({ id }: GraphNode): SinkOwner {
    return { logId: this.#options.logId, outputId: id, epoch: this.#options.epoch };
  }

  #throwIfLost(): void {
    const loss = this.#options.whyLost?.();
    if (loss !== undefined) throw loss;
  }

  async #count(outputId: string, execution: BatchExecution): Promise<number> {
    const values = await execution.runJob(outputId, { kind: 'count' });
    return values.reduce((sum, value) => {
      assert(value.kind === 'count', 'a count task answered something else');
      return sum + value.recordCount;
    }, 0);
  }

  #collect(outputId: string, execution: BatchExecution, limit?: number): Promise<unknown[]> {
    const { arena, codec } = this.#options;
    return collectRecords(execution, outputId, { arena, codec, limit });
  }
}

function runHasEnded(): MillraceError {
  return new MillraceError('CONTEXT_STATE', 'the run has ended');
}

function outputFailure(outputId: string, batchTimeMs: BatchTimeMs, cause: unknown): MillraceError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MillraceError(
    'OUTPUT_FAILED',
    `batch ${batchTimeMs}: the function given to ${outputId} failed: ${reason}`,
    { cause, details: { outputId, batchTimeMs } },
  );
}
