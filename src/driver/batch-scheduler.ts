/** Runs allocated batches, oldest first, each output operation as a job: R5 and R6.
 *
 * A batch is done when ALL its outputs are; outputs that a checkpoint says are finished do not run
 * again, and those of a stream with a slide run only at its own batch times. The first failure
 * stops the scheduler: the batch stays unfinished, nothing after it is done, nothing is skipped.
 * Up to `concurrentBatches` run at the same time, in the order that batch-run.ts keeps: so batches
 * are done in their order, and what is cleaned goes by the oldest that is not. Mirrors Spark's
 * JobScheduler, whose concurrentJobs keep no order. @module */
import type { Clock } from '../core/clock.ts';
import { assert } from '../core/assert.ts';
import { reached } from '../core/crash-point.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { EventBus } from '../core/events.ts';
import type { Graph } from '../dstream/graph.ts';
import { BatchExecution } from './batch-execution.ts';
import type { BatchExecutionServices } from './batch-execution.ts';
import { BatchReport, tellSubmitted } from './batch-report.ts';
import { BatchRun } from './batch-run.ts';
import type { OutputRunner } from './output-runner.ts';
import type { BatchSpeed } from './pid-rate-estimator.ts';
import type { TrackedBatch } from './tracker-state.ts';

export interface BatchSchedulerOptions {
  readonly graph: Graph;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly outputs: OutputRunner;
  readonly execution: BatchExecutionServices;
  /** Batches that may run at the same time. @defaultValue 1 */
  readonly concurrentBatches?: number;
  /** The batch is done, and all before it are: its effect is durable in all sinks. */
  readonly onCompleted: (batch: TrackedBatch, speed: Omit<BatchSpeed, 'recordCount'>) => void;
  /** The batch failed for good. Called at most once. */
  readonly onFailed: (error: Error) => void;
}

interface Waiting {
  readonly batch: TrackedBatch;
  readonly submittedMs: number;
}

export class BatchScheduler {
  readonly #options: BatchSchedulerOptions;
  readonly #waiting: Waiting[] = [];
  /** Oldest first. */
  readonly #running = new Set<BatchRun>();
  #state: 'open' | 'failed' | 'stopped' = 'open';
  #latest: BatchRun | undefined;
  /** Work that waits until no batch runs, or is under way. No batch starts before it has ended. */
  #pause: { readonly begin: () => void } | undefined;
  /** Until when the time of the running batches is shared out. */
  #sharedOutMs = 0;
  #idle: (() => void)[] = [];

  constructor(options: BatchSchedulerOptions) {
    this.#options = options;
  }

  /** Batches that are not done, the running ones included. */
  get unfinishedCount(): number {
    return this.#waiting.length + this.#running.size;
  }

  /** True in a function of `foreachBatch` or a sink, and in what it waits for, until it returns. */
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
    this.#waiting.push({ batch, submittedMs: this.#options.clock.monotonicMs() });
    this.#startMore();
  }

  /** Resolves when no batch waits or runs, or when the scheduler has failed. */
  async drain(): Promise<void> {
    if (this.#state === 'failed' || this.unfinishedCount === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Does something while no batch runs: after those that run now, before those that wait. One at a
   * time; what it throws is its caller's. @throws {MillraceError} CONTEXT_STATE when the scheduler
   * ends before its turn comes. */
  async betweenBatches<R>(work: () => Promise<R>): Promise<R> {
    assert(this.#pause === undefined, 'one piece of work between batches at a time');
    await new Promise<void>((begin) => {
      this.#pause = { begin };
      this.#startMore();
    });
    try {
      if (this.#state !== 'open') throw new MillraceError('CONTEXT_STATE', 'the run has ended');
      return await work();
    } finally {
      this.#pause = undefined;
      this.#startMore();
      this.#tellIfIdle();
    }
  }

  /** Starts no further batch; resolves when those that run have ended. Their tasks must have been
   * ended; a function of the user that they run on the driver is waited for no longer. */
  async stop(): Promise<void> {
    this.#waiting.length = 0;
    this.#options.outputs.giveUp();
    if (this.#state === 'open') this.#state = 'stopped';
    this.#pause?.begin();
    // A failure wakes whoever drains, and others may still run then.
    while (this.#running.size > 0 || this.#pause !== undefined) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
  }

  #startMore(): void {
    if (this.#pause !== undefined) {
      if (this.#running.size === 0 || this.#state !== 'open') this.#pause.begin();
      return;
    }
    const { concurrentBatches = 1, clock } = this.#options;
    while (this.#state === 'open' && this.#running.size < concurrentBatches) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      const waitedMs = clock.monotonicMs() - next.submittedMs;
      const run = new BatchRun(next.batch, { waitedMs, previous: this.#latest });
      this.#shareOutTime();
      this.#latest = run;
      this.#running.add(run);
      void this.#run(run);
    }
  }

  async #run(run: BatchRun): Promise<void> {
    try {
      await this.#runBatch(run);
    } catch (error) {
      this.#fail(toError(error));
    }
    this.#shareOutTime();
    this.#running.delete(run);
    run.end();
    this.#startMore();
    this.#tellIfIdle();
  }

  #tellIfIdle(): void {
    const isIdle = this.#running.size === 0 && this.#waiting.length === 0;
    if (isIdle || this.#state === 'failed') for (const wake of this.#idle.splice(0)) wake();
  }

  #fail(error: Error): void {
    if (this.#state === 'failed') return; // what fails after the first failure follows from it
    this.#state = 'failed';
    this.#waiting.length = 0;
    this.#options.onFailed(error);
  }

  /** The time that has passed belongs in equal parts to the batches that ran in it. */
  #shareOutTime(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const run of this.#running) {
      run.busyMs += (nowMs - this.#sharedOutMs) / this.#running.size;
    }
    this.#sharedOutMs = nowMs;
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

  async #runBatch(run: BatchRun): Promise<void> {
    const { batch } = run;
    if (batch.isDone) return this.#replay(batch);
    const { clock, execution } = this.#options;
    const report = new BatchReport(batch.share, this.#options);
    const running = new BatchExecution(batch.share, execution);
    reached('R5.before');
    try {
      await this.#runOutputs(run, { running, report });
      await running.runStates();
      await run.lastTurn();
      this.#throwIfFailed();
    } finally {
      running.close();
    }
    reached('R5.after');
    batch.isDone = true;
    this.#shareOutTime();
    const doneMs = clock.monotonicMs();
    const speed = { doneMs, processingMs: run.busyMs, schedulingDelayMs: run.waitedMs };
    this.#options.onCompleted(batch, speed);
    report.completed();
  }

  /** Each output after that of the batch before, in the order of declaration. */
  async #runOutputs(
    run: BatchRun,
    { running, report }: { readonly running: BatchExecution; readonly report: BatchReport },
  ): Promise<void> {
    const { graph, outputs, execution, concurrentBatches = 1 } = this.#options;
    const { times } = execution.history;
    const { batchTimeMs } = run.batch.share;
    const { finishedOutputs } = run.batch;
    for (const [index, { id }] of graph.outputs.entries()) {
      if (finishedOutputs.has(id) || !times.isDue(id, batchTimeMs)) continue;
      if (concurrentBatches > 1) {
        await running.prepare(id);
        await run.turn(index);
        this.#throwIfFailed();
      }
      const output = { outputId: id, outputIndex: index };
      await report.output(output, () => outputs.run(id, running));
      finishedOutputs.add(id);
      run.passed(index);
    }
  }

  /** Nothing may take effect after a batch that has failed. */
  #throwIfFailed(): void {
    if (this.#state !== 'failed') return;
    throw new MillraceError('CONTEXT_STATE', 'a batch has failed, and the run ends');
  }
}
