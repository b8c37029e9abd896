/** The façade of the driver: a pipeline module, made to run in this process. Read this file first,
 * then engine.ts for the order of life and block-tracker.ts for the protocols.
 *
 *   const ssc = await StreamingContext.getOrCreate('.millrace/wordcount', pipelineUrl);
 *   await ssc.start();
 *   await ssc.awaitTermination();
 *
 * States go one way: created → running → stopped. Mirrors Spark's StreamingContext, with one
 * difference that matters: a checkpoint holds data, never code, so a changed module goes on from
 * it.
 * @module */
import type { Clock } from '../core/clock.ts';
import { MillraceError } from '../core/errors.ts';
import type { EngineListener, EventBus } from '../core/events.ts';
import type { ResolvedOptions } from '../core/options.ts';
import type { ReceiverExecutorStats } from '../workers/protocol.ts';
import type { PreparedRun } from './context-setup.ts';
import type { Engine, EngineTotals } from './engine.ts';
import type { Home } from './home-directory.ts';
import type { InternalOptions, RunOptions } from './run-options.ts';

export class StreamingContext {
  /** The resolved options of this run, frozen. */
  readonly options: ResolvedOptions;
  readonly #engine: Engine;
  readonly #events: EventBus;
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #home: Home | undefined;
  /** Rejects when the run fails; set while it runs. */
  #termination: Promise<void> | undefined;
  #state: 'created' | 'running' | 'stopped' = 'created';

  private constructor(parts: PreparedRun) {
    this.options = parts.options;
    this.#engine = parts.engine;
    this.#events = parts.events;
    this.#home = parts.home;
    this.#clock = parts.clock;
    this.#startedMs = parts.startedMs;
  }

  /** Opens the checkpoint directory, or makes it, and prepares the pipeline on it. Takes the lock;
   * receives nothing yet. Call `stop` also when `start` is never called.
   * @param checkpointDir `false`: none; then nothing survives the process. `undefined`: what the
   *   module says, else `./.millrace/<name>`.
   * @param module the file that exports the pipeline: TypeScript or JavaScript, not built.
   * @throws {MillraceError} PIPELINE_INVALID, OPTIONS_INVALID, DIRECTORY_LOCKED,
   *   CHECKPOINT_MISMATCH, WAL_CORRUPT, CHECKPOINT_CORRUPT, FORMAT_UNKNOWN, DISK_FAILED. */
  static async getOrCreate(
    checkpointDir: string | false | undefined,
    module: URL | string,
    options: RunOptions & InternalOptions = {},
  ): Promise<StreamingContext> {
    const { prepareRun } = await import('./context-setup.ts');
    const context = new StreamingContext(await prepareRun(checkpointDir, module, options));
    context.#stopOn(options.signal);
    return context;
  }

  /** Starts receivers and batches. Resolves when inputs accept records, or when the run is over
   * before: the `batches` that it was to do, or all that its inputs had, came from an earlier life.
   * @throws {MillraceError} CONTEXT_STATE when called twice, or when `stop` was called before or
   *   meanwhile; else what made the start fail. Everything is closed then. */
  async start(): Promise<void> {
    if (this.#state !== 'created') throw wrongState('start()', this.#state);
    this.#state = 'running';
    const isRunning = await this.#engine.start();
    this.#termination = this.#terminate();
    if (!isRunning) return;
    const { name, durability } = this.options;
    this.#events.emit({
      type: 'engine-started',
      pipeline: name,
      durability,
      directory: this.#home?.directory ?? null,
      epoch: this.#home?.manifest.epoch ?? 1,
      startMs: Math.round(this.#clock.monotonicMs() - this.#startedMs),
    });
  }

  /** Resolves when the run has ended and everything is closed. A failure that nobody waits for
   * here, and that no `stop` has asked for, ends the process as an unhandled rejection.
   * @throws what ended it, if that was a failure. */
  async awaitTermination(): Promise<void> {
    await (this.#termination ?? this.#terminate());
  }

  /** Ends the run. `graceful` (the default) stops receiving, runs what was received and writes a
   * last checkpoint; otherwise the run ends where it stands. Nothing acknowledged is lost either
   * way. Calling it again waits for the first call. */
  async stop({ graceful = true }: { readonly graceful?: boolean } = {}): Promise<void> {
    const isGraceful = graceful && this.#state === 'running';
    this.#state = 'stopped';
    // Whoever stops a run knows that it ends; how it ended is awaitTermination's to tell.
    this.#termination?.catch(() => undefined);
    await this.#engine.stop(isGraceful, 'stop() was called');
  }

  /** Adds a listener. @returns a function that removes it. */
  subscribe(listener: EngineListener): () => void {
    return this.#events.subscribe(listener);
  }

  /** Sums over this run. */
  get totals(): EngineTotals {
    return this.#engine.totals;
  }

  /** What the receiver executors count. Rejects while the run is not under way. */
  executorStats(): Promise<readonly ReceiverExecutorStats[]> {
    return this.#engine.executorStats();
  }

  async #terminate(): Promise<void> {
    await this.#engine.finished;
    if (this.#engine.failure !== undefined) throw this.#engine.failure;
  }

  #stopOn(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const stop = (): void => {
      // The outcome is awaitTermination's to tell.
      void this.stop().catch(() => undefined);
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  }
}

function wrongState(call: string, state: string): MillraceError {
  return new MillraceError('CONTEXT_STATE', `${call} is not possible: the context is ${state}`);
}
