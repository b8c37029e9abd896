/** The façade of the driver: a pipeline module, made to run in this process. Read this file first,
 * then engine.ts for the order of life and block-tracker.ts for the protocols.
 *
 *   const ssc = await StreamingContext.getOrCreate('.millrace/wordcount', pipelineUrl);
 *   await ssc.start();
 *   await ssc.awaitTermination();
 *
 *   initialized ─ start() ─► active ─ stop(), all is done, a failure ─► stopped
 *        └──────────────── stop() ───────────────────────────────────────►┘
 *
 * States go one way. Mirrors Spark's StreamingContext, with one difference that matters: a
 * checkpoint holds data, never code, so a changed module goes on from it.
 * @module */
import { resolve } from 'node:path';
import type { Clock, Timer } from '../core/clock.ts';
import { parseDuration } from '../core/duration.ts';
import type { Duration } from '../core/duration.ts';
import { MillraceError } from '../core/errors.ts';
import type { EngineListener, EventBus } from '../core/events.ts';
import type { ResolvedOptions } from '../core/options.ts';
import type { SlicedBatch } from '../dstream/batch.ts';
import { OptionCheck } from '../dstream/option-check.ts';
import type { ReceiverExecutorStats } from '../workers/protocol.ts';
import { ActiveContexts } from './active-contexts.ts';
import type { PreparedRun } from './context-setup.ts';
import type { Engine, EngineTotals } from './engine.ts';
import type { Home } from './home-directory.ts';
import { prepareRun } from './run-preparation.ts';
import type { InternalOptions, RunOptions } from './run-options.ts';
import type { StreamingListener } from './streaming-listener.ts';
import { StreamingListeners } from './streaming-listeners.ts';

/** What a context may be asked to do: `start` in the first, `stop` in the second, nothing in the
 * last. */
export type StreamingContextState = 'initialized' | 'active' | 'stopped';

/** The longest that a timer can take. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

export class StreamingContext {
  /** The resolved options of this run, frozen. */
  readonly options: ResolvedOptions;
  /** The pipeline and its directory, for messages. */
  readonly description: string;
  static readonly #active: ActiveContexts<StreamingContext> = new ActiveContexts();
  readonly #engine: Engine;
  readonly #events: EventBus;
  readonly #listeners: StreamingListeners;
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #home: Home | undefined;
  readonly #mayShare: boolean;
  /** Rejects when the run fails; set while it runs. */
  #termination: Promise<void> | undefined;
  #state: StreamingContextState = 'initialized';

  private constructor(parts: PreparedRun, mayShare: boolean) {
    const { options, home } = parts;
    this.options = options;
    this.description = `pipeline ${options.name} (${home?.directory ?? 'no checkpoint directory'})`;
    this.#engine = parts.engine;
    this.#events = parts.events;
    this.#listeners = new StreamingListeners(parts);
    this.#home = home;
    this.#clock = parts.clock;
    this.#startedMs = parts.startedMs;
    this.#mayShare = mayShare;
    // First of all that wait for the end: whoever is told of it finds the context stopped.
    void this.#engine.finished.then(() => this.#ended());
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
    const run = await prepareRun(checkpointDir, module, options);
    const context = new StreamingContext(run, options.allowOtherContexts === true);
    context.#stopOn(options.signal);
    return context;
  }

  /** The context that is active in this process: from the call of `start` until all of it is
   * closed. Of several (`allowOtherContexts`) the one that has been active longest. */
  static getActive(): StreamingContext | undefined {
    return StreamingContext.#active.first;
  }

  /** The active context, else one as `getOrCreate` opens it, which is not started yet.
   * @throws {MillraceError} CONTEXT_STATE when the active one has another directory than the given
   *   one; else as `getOrCreate`. */
  static async getActiveOrCreate(
    checkpointDir: string | false | undefined,
    module: URL | string,
    options: RunOptions & InternalOptions = {},
  ): Promise<StreamingContext> {
    const active = StreamingContext.getActive();
    if (active === undefined) return StreamingContext.getOrCreate(checkpointDir, module, options);
    const directory = active.#home?.directory;
    if (typeof checkpointDir === 'string' && resolve(checkpointDir) !== directory) {
      throw new MillraceError(
        'CONTEXT_STATE',
        `getActiveOrCreate() is not possible: ${active.description} is active in this process, ` +
          `and ${resolve(checkpointDir)} was asked for. Stop that one first ` +
          '(StreamingContext.getActive()), or call getOrCreate()',
      );
    }
    return active;
  }

  /** Where in its life it is: `active` from the call of `start` until everything is closed. */
  getState(): StreamingContextState {
    return this.#state;
  }

  /** Starts receivers and batches. Resolves when inputs accept records, or when the run is over
   * before: the `batches` that it was to do, or all that its inputs had, came from an earlier life.
   * @throws {MillraceError} CONTEXT_STATE when called twice, when another context is active in this
   *   process (both may be tried again), or when `stop` was called before or meanwhile; else what
   *   made the start fail. Everything is closed then. */
  async start(): Promise<void> {
    if (this.#state !== 'initialized') throw cannotStart(this.#state);
    StreamingContext.#active.enter(this, this.#mayShare);
    this.#state = 'active';
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
   * @param options timeout: for how long at most to wait. A failure that comes after it is told to
   *   the next call.
   * @returns false when the run goes on after the timeout, else true.
   * @throws what ended the run, if that was a failure; CONTEXT_STATE in a function of
   *   `foreachBatch`, or in a sink, which would wait for itself; OPTIONS_INVALID. */
  async awaitTermination(options: { readonly timeout?: Duration } = {}): Promise<boolean> {
    const { timeout } = options;
    checkOptions('awaitTermination()', options, ['timeout']);
    if (this.#engine.isInOutput) {
      throw new MillraceError(
        'CONTEXT_STATE',
        'awaitTermination() is not possible in a function of foreachBatch, nor in a sink: the ' +
          'run does not end before it returns. stop() may be called in it; wait for the end ' +
          'elsewhere',
      );
    }
    const termination = this.#termination ?? this.#terminate();
    if (timeout === undefined) {
      await termination;
      return true;
    }
    const timeoutMs = parseDuration(timeout);
    if (timeoutMs <= TIMEOUT_MS_MAX) return this.#endsWithin(termination, timeoutMs);
    throw new MillraceError(
      'OPTIONS_INVALID',
      `awaitTermination(): timeout must be at most ${TIMEOUT_MS_MAX} ms, not ${timeoutMs} ms`,
    );
  }

  /** Ends the run. `graceful` (the default) stops receiving, runs what was received and writes a
   * last checkpoint; otherwise the run ends where it stands. Nothing acknowledged is lost either
   * way. Calling it again waits for the first call.
   *
   * Resolves when everything is closed; in a function of `foreachBatch` and in a sink, for whose
   * batch the graceful stop waits, as soon as the stop has begun.
   * @throws {MillraceError} OPTIONS_INVALID: an unknown option; the run goes on. */
  async stop(options: { readonly graceful?: boolean } = {}): Promise<void> {
    const { graceful = true } = options;
    checkOptions('stop()', options, ['graceful']);
    const isGraceful = graceful && this.#state === 'active';
    if (this.#state === 'initialized') this.#state = 'stopped';
    // Whoever stops a run knows that it ends; how it ended is awaitTermination's to tell.
    this.#termination?.catch(() => undefined);
    const { isInOutput } = this.#engine;
    const stopped = this.#engine.stop(isGraceful, 'stop() was called');
    if (!isInOutput) await stopped;
  }

  /** The batches of a stream from one batch time to another, both included, that have run and whose
   * records are still there: as long as some window looks back, or longer with the option
   * `remember`. Each is made again from its input, between two batches of the run, which wait
   * meanwhile; all records come into this process. `from` counts from the last batch time of the
   * stream at or before it. Times without a batch, and batches that have not run, are left out.
   * @param streamId what its author gave as `id`, else the operator with its number (`map-0`).
   * @param from batch time in ms, like `to`.
   * @returns the oldest first.
   * @throws {MillraceError} OPTIONS_INVALID: no such stream, or one whose records depend on keyed
   *   state; CONTEXT_STATE: the run is not under way or ends meanwhile, a batch has been forgotten,
   *   in a function of `foreachBatch` or a sink, too many slices wait. When a task fails,
   *   TASK_FAILED; the run goes on. */
  async slice<T = unknown>(
    streamId: string,
    from: number,
    to: number,
  ): Promise<readonly SlicedBatch<T>[]> {
    if (this.#state !== 'active') {
      throw new MillraceError(
        'CONTEXT_STATE',
        `slice() is not possible: the context is ${this.#state}; it reads batches of a run that ` +
          'is under way',
      );
    }
    if (this.#engine.isInOutput) {
      throw new MillraceError(
        'CONTEXT_STATE',
        'slice() is not possible in a function of foreachBatch, nor in a sink: it waits until no ' +
          'batch runs. Call it elsewhere, after that has returned, or put a window before the ' +
          'output',
      );
    }
    return (await this.#engine.slice(streamId, from, to)) as readonly SlicedBatch<T>[];
  }

  /** Adds a listener. @returns a function that removes it. */
  subscribe(listener: EngineListener): () => void {
    return this.#events.subscribe(listener);
  }

  /** Adds a listener, at any time. It hears what comes from now on, and nothing after the end.
   * @throws {MillraceError} OPTIONS_INVALID for what has none of the methods. */
  addStreamingListener(listener: StreamingListener): void {
    this.#listeners.add(listener);
  }

  removeStreamingListener(listener: StreamingListener): void {
    this.#listeners.remove(listener);
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

  async #endsWithin(termination: Promise<void>, timeoutMs: number): Promise<boolean> {
    let timer: Timer | undefined;
    const late = new Promise<false>((answer) => {
      timer = this.#clock.after(timeoutMs, () => answer(false));
    });
    try {
      return await Promise.race([termination.then(() => true as const), late]);
    } finally {
      timer?.cancel();
    }
  }

  #ended(): void {
    this.#state = 'stopped';
    StreamingContext.#active.leave(this);
    this.#events.close();
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

/** An option under a wrong name would be one that is not given: a wait without an end, say.
 * @throws {MillraceError} OPTIONS_INVALID. */
function checkOptions(call: string, given: unknown, known: readonly string[]): void {
  const check = new OptionCheck(call);
  check.object(given, known);
  check.finish();
}

function cannotStart(state: Exclude<StreamingContextState, 'initialized'>): MillraceError {
  const advice =
    state === 'active'
      ? 'it was started before, and once is enough'
      : 'it does not start again; open another one with StreamingContext.getOrCreate()';
  return new MillraceError(
    'CONTEXT_STATE',
    `start() is not possible: the context is ${state}; ${advice}`,
  );
}
