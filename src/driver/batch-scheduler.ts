/** Runs allocated batches, oldest first, one at a time, each output operation as a job: R5 and R6.
 *
 * A batch is done when ALL its outputs are; outputs that a checkpoint says are finished do not run
 * again, and those of a stream with a slide run only at its own batch times. The first failure
 * stops the scheduler: the batch stays unfinished, nothing after it runs, nothing is skipped.
 * Mirrors Spark's JobScheduler with concurrentJobs = 1. @module */
import type { Clock } from '../core/clock.ts';
import { reached } from '../core/crash-point.ts';
import { toError } from '../core/errors.ts';
import type { EventBus } from '../core/events.ts';
import type { Graph } from '../dstream/graph.ts';
import { BatchExecution } from './batch-execution.ts';
import type { BatchExecutionServices } from './batch-execution.ts';
import { BatchReport, tellSubmitted } from './batch-report.ts';
import type { OutputRunner } from './output-runner.ts';
import type { TrackedBatch } from './tracker-state.ts';

export interface BatchSchedulerOptions {
  readonly graph: Graph;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly outputs: OutputRunner;
  readonly execution: BatchExecutionServices;
  /** The batch is done: its effect is durable in all sinks. */
  readonly onCompleted: (batch: TrackedBatch) => void;
  /** The batch failed for good. Called at most once. */
  readonly onFailed: (error: Error) => void;
}

export class BatchScheduler {
  readonly #options: BatchSchedulerOptions;
  readonly #waiting: TrackedBatch[] = [];
  #state: 'idle' | 'running' | 'failed' | 'stopped' = 'idle';
  #idle: (() => void)[] = [];

  constructor(options: BatchSchedulerOptions) {
    this.#options = options;
  }

  /** Batches that are not done, the running one included. */
  get unfinishedCount(): number {
    return this.#waiting.length + (this.#state === 'running' ? 1 : 0);
  }

  /** True in a function of `foreachBatch`, and in what it waits for, until it returns. */
  get isInOutput(): boolean {
    return this.#options.outputs.calls.isInside;
  }

  /** Before the first batch. @throws what makes a sink refuse. */
  openSinks(): Promise<void> {
    return this.#options.outputs.openSinks();
  }

  /** Adds a batch; batches are given in the order of their times. One that is done runs for its
   * state only. */
  submit(batch: TrackedBatch): void {
    if (!batch.isDone) tellSubmitted(batch.share, this.#options.events);
    this.#waiting.push(batch);
    if (this.#state === 'idle') void this.#run();
  }

  /** Resolves when no batch waits or runs, or when the scheduler has failed. */
  async drain(): Promise<void> {
    if (this.unfinishedCount === 0 || this.#state === 'failed') return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Starts no further batch; resolves when the running one has ended. Its tasks must have been
   * ended; a function of the user that it runs on the driver is waited for no longer. */
  async stop(): Promise<void> {
    this.#waiting.length = 0;
    this.#options.outputs.giveUp();
    await this.drain();
    if (this.#state === 'idle') this.#state = 'stopped';
  }

  async #run(): Promise<void> {
    this.#state = 'running';
    for (let batch = this.#waiting.shift(); batch !== undefined; batch = this.#waiting.shift()) {
      try {
        await this.#runBatch(batch);
      } catch (error) {
        this.#state = 'failed';
        this.#options.onFailed(toError(error));
        break;
      }
    }
    if (this.#state === 'running') this.#state = 'idle';
    for (const wake of this.#idle.splice(0)) wake();
  }

  /** A batch that is done and whose state was lost with the memory of an earlier process: makes the
   * state again. Its outputs stand. */
  async #replay({ share }: TrackedBatch): Promise<void> {
    const running = new BatchExecution(share, this.#options.execution);
    try {
      await running.runStates();
    } finally {
      running.close();
    }
  }

  async #runBatch(batch: TrackedBatch): Promise<void> {
    const { graph, outputs, execution } = this.#options;
    const { times } = execution.history;
    const { batchTimeMs } = batch.share;
    if (batch.isDone) return this.#replay(batch);
    const report = new BatchReport(batch.share, this.#options);
    const running = new BatchExecution(batch.share, execution);
    reached('R5.before');
    try {
      for (const { id } of graph.outputs) {
        if (batch.finishedOutputs.has(id) || !times.isDue(id, batchTimeMs)) continue;
        await report.output(id, () => outputs.run(id, running));
        batch.finishedOutputs.add(id);
      }
      await running.runStates();
    } finally {
      running.close();
    }
    reached('R5.after');
    batch.isDone = true;
    this.#options.onCompleted(batch);
    report.completed();
  }
}
