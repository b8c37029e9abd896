/** The engine of one run: the order in which its parts start and stop, and what ends it.
 *
 *   created ─ start() ─► running ─ stop() ─► stopping ─► stopped
 *                           └── failure ────────────────► failed
 *
 * Start: threads and graphs compared → logs open → first checkpoint (R0) → unfinished batches
 * submitted → receivers → ticks. Stop, gracefully: receivers → last allocation → batches → last
 * checkpoint → logs → threads → lock. Whatever fails first ends the engine; nothing acknowledged is
 * lost either way. Decides nothing about blocks or batches itself; engine-parts.ts wires them.
 * @module */
import type { Timer } from '../core/clock.ts';
import { reached } from '../core/crash-point.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { BatchTimeMs, StreamId } from '../core/ids.ts';
import type { SlicedBatch } from '../dstream/batch.ts';
import type { Shortage } from '../wal/shortage.ts';
import { inputOptions } from '../dstream/input-options.ts';
import type { ReceiverExecutorStats } from '../workers/protocol.ts';
import { isEmptyShare, shareRecordCount } from './batch-shares.ts';
import { blocksToRun, cleanableThroughMs } from './cleaning.ts';
import { buildParts } from './engine-parts.ts';
import type { EngineInput, EngineParts } from './engine-parts.ts';
import type { Slices } from './slices.ts';
import { compareThreads } from './thread-comparison.ts';
import type { TrackedBatch } from './tracker-state.ts';
import { nextWindowEndMs } from './window-ends.ts';

/** Sums over this run, for status lines. */
export interface EngineTotals {
  readonly recordCount: number;
  readonly batchCount: number;
  readonly unfinishedBatches: number;
  readonly queuedBlocks: number;
  /** Receivers that take nothing, because a disk is full. */
  readonly heldReceivers: number;
  /** Of blocks whose batch is not done, and which are not in memory. */
  readonly bytesOnDisk: number;
}

export class Engine {
  readonly #input: EngineInput;
  readonly #parts: EngineParts;
  #state: 'created' | 'running' | 'stopping' | 'stopped' | 'failed' = 'created';
  #failure: Error | undefined;
  #isClosing = false;
  /** The run is over because all is done, and not because somebody has ended it. */
  #isOver = false;
  #recordCount = 0;
  #batchCount = 0;
  #ending: Promise<void> | undefined;
  #resolveFinished: () => void = () => {};
  /** Resolves when the engine has stopped or failed, and everything is closed. */
  readonly finished: Promise<void>;

  constructor(input: EngineInput) {
    this.#input = input;
    this.finished = new Promise((resolve) => {
      this.#resolveFinished = resolve;
    });
    this.#parts = buildParts(input, {
      onAllocated: () => this.#onAllocated(),
      onCompleted: (batch) => this.#onCompleted(batch),
      onFailed: (error) => this.fail(error),
    });
  }

  /** What ended the engine, if it failed. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  get totals(): EngineTotals {
    const { tracker, scheduler, memory, space } = this.#parts;
    let queuedBlocks = 0;
    for (const queue of tracker.state.queues.values()) queuedBlocks += queue.length;
    return {
      recordCount: this.#recordCount,
      batchCount: this.#batchCount,
      unfinishedBatches: scheduler.unfinishedCount,
      queuedBlocks,
      heldReceivers: space.heldReceivers.length,
      bytesOnDisk: memory.bytesOnDisk,
    };
  }

  /** True in a function of `foreachBatch` or a sink, which must not wait for the end of the run. */
  get isInOutput(): boolean {
    return this.#parts.scheduler.isInOutput;
  }

  noteDriverShortage(shortage: Shortage | undefined): void {
    this.#parts.space.ofDriverLog(shortage);
  }

  /** Records of batches that have run. @throws CONTEXT_STATE while the run is not under way. */
  async slice(
    ...[streamId, fromMs, toMs]: Parameters<Slices['read']>
  ): Promise<readonly SlicedBatch[]> {
    const { slices } = this.#parts;
    if (this.#state === 'running') return slices.read(streamId, fromMs, toMs);
    const now = this.#state === 'created' ? 'is about to start' : 'ends, or has ended';
    throw new MillraceError('CONTEXT_STATE', `slice() is not possible: the run ${now}`);
  }

  executorStats(): Promise<readonly ReceiverExecutorStats[]> {
    return this.#parts.receivers.stats();
  }

  /** Resolves when receivers accept and the first tick is armed.
   * @returns false when the run was over before: the batches of an earlier life may be all there
   *   was to do, and be done before the receivers have started. `finished` tells the end then.
   * @throws what made the start fail; CONTEXT_STATE when the run was stopped meanwhile. Everything
   *   is closed then. */
  async start(): Promise<boolean> {
    const { receivers, generator, tracker } = this.#parts;
    try {
      await this.#open();
      this.#throwIfEnding();
      this.#state = 'running';
      this.#adoptBacklog();
      this.#submitUnfinished();
      await receivers.start();
      if (this.#isOver) return false;
      this.#throwIfEnding();
      generator.start();
    } catch (error) {
      const isStopped = this.#ending !== undefined;
      if (!isStopped) this.fail(toError(error));
      await this.finished;
      // A receiver that was about to start is ended like those that run.
      if (this.#isOver && this.#failure === undefined) return false;
      throw this.#failure ?? (isStopped ? stoppedMeanwhile() : error);
    }
    // An input may be over already: all that there was to receive came before a restart.
    if (tracker.state.lastAllocatedMs > 0) this.#stopIfEnded();
    return true;
  }

  /** Stops the engine. Repeated calls share the first one's outcome.
   * @param isGraceful run everything that was received; else end where it stands. */
  stop(isGraceful: boolean, reason: string): Promise<void> {
    if (this.#ending !== undefined) return this.#ending;
    // Known before it begins: a listener that hears of it may ask for it too.
    let begin = (_ending: Promise<void>): void => {};
    const ending = new Promise<void>((resolve) => (begin = resolve));
    this.#ending = ending;
    begin(this.#stop(isGraceful, reason));
    return ending;
  }

  /** R0, after all threads have shown that they mean the same pipeline. */
  async #open(): Promise<void> {
    const { pool, receivers, generator, checkpointer, scheduler, space } = this.#parts;
    // Told before there was an engine to tell.
    space.ofDriverLog(this.#input.home?.driverLog.shortage);
    const [answers] = await Promise.all([pool.hello(), receivers.open()]);
    compareThreads(this.#input.graph, answers);
    await scheduler.openSinks();
    this.#throwIfEnding();
    await generator.makeUp();
    reached('R0.before');
    await checkpointer?.force();
    reached('R0.after');
  }

  /** What the last run has left waits in its logs; from now on there is somebody to make room. */
  #adoptBacklog(): void {
    const { tracker, memory } = this.#parts;
    memory.recovered(blocksToRun(tracker.state));
    memory.serveDemand().catch((error: unknown) => this.fail(toError(error)));
  }

  #submitUnfinished(): void {
    const { tracker, scheduler, state, snapshots } = this.#parts;
    // What the state does not have yet runs again, without its outputs where they are done.
    const restored = snapshots?.newest;
    const stateMs = snapshots?.throughMs ?? Infinity;
    const batches = [...tracker.state.batches.values()].filter(
      ({ share, isDone }) => !isDone || share.batchTimeMs > stateMs,
    );
    batches.sort((a, b) => a.share.batchTimeMs - b.share.batchTimeMs);
    const replayedBatches = batches.filter(({ isDone }) => isDone).length;
    if (restored !== undefined || replayedBatches > 0) {
      const batchTimeMs = restored?.batchTimeMs ?? null;
      const { keyCount } = state;
      this.#input.events.emit({ type: 'state-restored', batchTimeMs, keyCount, replayedBatches });
    }
    for (const batch of batches) scheduler.submit(batch);
  }

  async #stop(isGraceful: boolean, reason: string): Promise<void> {
    this.#parts.slices.end();
    const hasRun = this.#state === 'running';
    if (this.#state === 'created' || this.#state === 'running') this.#state = 'stopping';
    this.#input.events.emit({ type: 'engine-stopping', reason });
    let isOrderly = false;
    try {
      if (isGraceful && hasRun) isOrderly = await this.#drainInTime();
    } catch (error) {
      this.#failure ??= toError(error);
    }
    await this.#closeAll(isOrderly && this.#failure === undefined);
    this.#state = this.#failure === undefined ? 'stopped' : 'failed';
    this.#resolveFinished();
  }

  /** @returns false when it took too long: whoever hangs must not be waited for any more. */
  async #drainInTime(): Promise<boolean> {
    const { events, clock, options } = this.#input;
    const limitMs = options.gracefulStopTimeoutMs;
    let timer: Timer | undefined;
    const limit = new Promise<'late'>((resolve) => {
      timer = clock.after(limitMs, () => resolve('late'));
    });
    try {
      if ((await Promise.race([this.#drain(), limit])) !== 'late') return true;
      const rest =
        this.#input.home === undefined
          ? 'what is left is lost, because there is no checkpoint directory'
          : 'what is left runs at the next start';
      const message = `the graceful stop took longer than ${limitMs} ms; ${rest}`;
      events.emit({ type: 'warning', message });
      return false;
    } finally {
      timer?.cancel();
    }
  }

  async #drain(): Promise<void> {
    const { receivers, generator, scheduler } = this.#parts;
    await receivers.stopReceivers();
    // Past the limit everything is being closed, and nothing may be begun any more.
    if (!this.#isClosing) await generator.stop(true);
    if (!this.#isClosing) await scheduler.drain();
    if (!this.#isClosing && this.#failure === undefined) await this.#lastCheckpoint();
  }

  /** Without it the stop is as good: what was done since the one before is done again. */
  async #lastCheckpoint(): Promise<void> {
    const { snapshots, checkpointer } = this.#parts;
    try {
      await snapshots?.force();
      await checkpointer?.force();
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'DISK_FULL') throw error;
      const message = `no last checkpoint (${error.message}): the next start goes on from an older`;
      this.#input.events.emit({ type: 'warning', message });
    }
  }

  /** In reverse order of opening. Every part is closed, whatever the others say. */
  async #closeAll(isOrderly: boolean): Promise<void> {
    this.#isClosing = true;
    const { receivers, generator, scheduler, checkpointer, pool, memory, space, cleanUp } =
      this.#parts;
    const { state, snapshots } = this.#parts;
    const steps: (() => unknown)[] = [
      // Nobody makes room for what waits any more.
      () => space.close(),
      () => this.#input.home?.driverLog.giveUpWaiting(),
      () => generator.stop(false),
      () => (isOrderly ? receivers.close() : receivers.terminate()),
      // Ends running tasks; the batch they belong to runs again at the next start.
      () => pool.close(),
      () => scheduler.stop(),
      () => memory.close(),
      () => snapshots?.close(),
      () => checkpointer?.close(),
      () => state.close(),
      () => this.#input.home?.driverLog.close(),
      () => this.#input.home?.lock.release(),
      cleanUp,
      () => this.#input.closeRest?.(),
    ];
    for (const step of steps) {
      try {
        await step();
      } catch (error) {
        // The first failure is the one that is told; a closing log that is poisoned says so again.
        this.#failure ??= toError(error);
      }
    }
  }

  /** Ends the engine because of `error`: the first one wins. */
  fail(error: Error): void {
    // Parts that are being ended complain; what ended them has been told already.
    if (this.#isClosing) return;
    // Whatever part noticed it first, and as what: a lost directory is the reason to tell.
    this.#failure ??= this.#input.home?.lock.whyLost() ?? error;
    if (this.#ending === undefined) void this.stop(false, error.message);
  }

  #throwIfEnding(): void {
    if (this.#ending === undefined) return;
    throw this.#failure ?? stoppedMeanwhile();
  }

  #onAllocated(): void {
    this.#parts.checkpointer?.request(true);
    this.#stopIfEnded();
  }

  #onCompleted(batch: TrackedBatch): void {
    const { remembered, checkpointer, snapshots, times } = this.#parts;
    this.#batchCount += 1;
    this.#recordCount += shareRecordCount(batch.share.inputs);
    remembered.done(batch.share);
    snapshots?.completed(batch.share.batchTimeMs);
    if (checkpointer === undefined) this.#forgetAtOnce(batch);
    else {
      const isTimed = times.reachMs > 0 || snapshots !== undefined; // has output without records
      checkpointer.request(!isTimed && isEmptyShare(batch.share.inputs));
    }
    const { batchesMax } = this.#input;
    if (batchesMax !== undefined && this.#batchCount >= batchesMax) {
      this.#endAsOver(`${batchesMax} ${batchesMax === 1 ? 'batch is' : 'batches are'} done`);
      return;
    }
    this.#stopIfEnded();
  }

  /** Without checkpoints nothing is ever read again, but by windows and slices. */
  #forgetAtOnce({ share }: TrackedBatch): void {
    const { tracker, times, held } = this.#parts;
    const throughMs = cleanableThroughMs(tracker.state, {
      settledThroughMs: share.batchTimeMs,
      rememberMs: Math.max(times.reachMs, this.#input.options.rememberMs),
      heldFromMs: held.fromMs,
    }) as BatchTimeMs;
    if (throughMs <= tracker.state.cleanedThroughMs) return;
    held.forgotten(throughMs);
    tracker.clean(throughMs).catch((error: unknown) => this.fail(toError(error)));
  }

  /** A run whose inputs have all ended, and whose records all have a batch, ends by itself. */
  #stopIfEnded(): void {
    if (this.#state !== 'running' || this.#ending !== undefined) return;
    const { receivers, tracker, times } = this.#parts;
    if (!receivers.hasEnded || tracker.hasPendingAdds || this.totals.queuedBlocks > 0) return;
    if (nextWindowEndMs(tracker.state, times) < Infinity) return;
    const isOver = this.#input.graph.inputs.every((node) => {
      const options = inputOptions(node);
      if (options.source === 'text-files') return false;
      if (options.source !== 'queue') return true;
      return (tracker.state.queueIndexes.get(node.id as StreamId) ?? 0) >= options.batchCount;
    });
    if (isOver) this.#endAsOver('all inputs have ended');
  }

  /** Nobody's wish: an orderly end at whatever moment it comes, also while the start goes on. */
  #endAsOver(reason: string): void {
    if (this.#ending !== undefined) return;
    this.#isOver = true;
    void this.stop(true, reason);
  }
}

function stoppedMeanwhile(): MillraceError {
  return new MillraceError('CONTEXT_STATE', 'the run was stopped as it started');
}
