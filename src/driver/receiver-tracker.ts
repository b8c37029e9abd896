/** Looks after receiver executors and receivers: who runs where, in which life, and what then.
 *
 * Issues incarnations (epoch, n), never twice. A receiver begins a new life only after its old one
 * is over: after the thread's exit, or, in place, after its stores settled; and after its adds
 * here have settled. From then on blocks of the old life are refused. A thread that dies is
 * replaced; the blocks that it had announced live on in the driver's arena.
 *
 * Mirrors Spark's ReceiverTracker. One writer: the driver thread. @module */
import { present } from '../core/assert.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { reached } from '../core/crash-point.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { EventBus } from '../core/events.ts';
import { compareIncarnations, receiverKey } from '../core/ids.ts';
import type { BlockId, Lsn, StreamId } from '../core/ids.ts';
import { firstDifference } from '../dstream/graph.ts';
import type { NodeDescription } from '../dstream/graph.ts';
import { fromWireError } from '../serde/wire-error.ts';
import type { WireError } from '../serde/wire-error.ts';
import type {
  AddOutcome,
  AnnouncementBatch,
  DriverCallbacks,
  ReceiverExecutorData,
  ReceiverExecutorStats,
  ReceiverLife,
} from '../workers/protocol.ts';
import { callbackObject } from '../workers/rpc.ts';
import type { BlockMemory } from './block-memory.ts';
import type { BlockTracker } from './block-tracker.ts';
import type { ReceiverExecutorHandle, SpawnReceiverExecutor } from './executor-threads.ts';
import type { ReceiverPlace } from './receiver-places.ts';
import { placeKey, ReceiverReports } from './receiver-reports.ts';
import type { SourceIdClaims } from './source-id-claims.ts';
import type { SpaceWatch } from './space-watch.ts';
import type { BlockArena } from '../blocks/block-arena.ts';

export interface ReceiverTrackerOptions {
  readonly epoch: number;
  /** Receivers of each executor. */
  readonly executors: readonly (readonly ReceiverPlace[])[];
  readonly spawn: SpawnReceiverExecutor;
  /** Data of one thread. @param baseLsn where its log begins. */
  readonly executorData: (executorIndex: number, arenaOwner: number) => ReceiverExecutorData;
  readonly graph: readonly NodeDescription[];
  readonly tracker: BlockTracker;
  readonly claims: SourceIdClaims;
  readonly arena: BlockArena;
  readonly memory: BlockMemory;
  readonly space: SpaceWatch;
  readonly events: EventBus;
  readonly clock: Clock;
  /** Gives an executor whose log has failed a fresh one elsewhere, known to the next start when it
   * resolves. `undefined`, also as the answer: the engine ends. */
  readonly moveLog?: MoveLog | undefined;
  /** The engine must end: a log is poisoned, or receivers cannot run. */
  readonly onFatal: (error: Error) => void;
}

export type MoveLog = (
  executorIndex: number,
) => Promise<{ readonly from: string; readonly to: string } | undefined>;

interface Executor {
  readonly index: number;
  readonly arenaOwner: number;
  readonly places: readonly ReceiverPlace[];
  readonly handle: ReceiverExecutorHandle;
  readonly spawnedMs: number;
  /** Announcements whose adds are under way. */
  readonly adds: Set<Promise<unknown>>;
  lastAnnouncementSeq: number;
  announced: (() => void)[];
  /** Its log has failed, and it is being replaced. */
  isRetired: boolean;
  /** It died before the first start. */
  lostBy: Error | undefined;
}

const RESPAWN_DELAY_MS = 500;
const RESPAWN_DELAY_MAX_MS = 30_000;
/** A thread that lived as long as this died of something new. */
const RESPAWN_RESET_MS = 60_000;
/** How long receivers of an engine that failed may take to answer: enough on a busy machine, so
 * that clients get their 503 and not the end of their connection. */
const LAST_ANSWERS_MS = 5_000;
/** Why a first start failed that no later one can mend. */
const HOPELESS_AT_START: ReadonlySet<string> = new Set(['ADDRESS_UNAVAILABLE', 'OPTIONS_INVALID']);

export class ReceiverTracker {
  readonly #options: ReceiverTrackerOptions;
  readonly #executors = new Map<number, Executor>();
  readonly #lives = new Map<string, ReceiverLife>();
  readonly #reports: ReceiverReports;
  readonly #respawns = new Map<number, number>();
  readonly #timers = new Set<Timer>();
  #state: 'created' | 'open' | 'running' | 'stopped' = 'created';
  #nextIncarnation = 1;
  #nextOwner = 1;

  constructor(options: ReceiverTrackerOptions) {
    this.#options = options;
    this.#reports = new ReceiverReports(options.events);
  }

  /** Starts the threads, compares their graphs with the driver's, opens their logs. Nothing is
   * received yet. @throws {MillraceError} PIPELINE_MISMATCH naming the first difference. */
  async open(): Promise<void> {
    await Promise.all(this.#options.executors.map((_, index) => this.#openExecutor(index)));
    this.#state = 'open';
  }

  /** Starts all receivers. They may call back before this resolves. @throws EXECUTOR_DIED when a
   * thread has died since it was opened. */
  async start(): Promise<void> {
    this.#state = 'running';
    const executors = [...this.#executors.values()];
    // One that died before now is replaced by nobody; one that dies from now on is, as it is later.
    for (const { lostBy } of executors) if (lostBy !== undefined) throw lostBy;
    await Promise.all(executors.map((each) => unlessDied(this.#startReceivers(each))));
  }

  /** Stops receivers; their last blocks are registered when it resolves. Threads stay. */
  async stopReceivers(): Promise<void> {
    this.#state = 'stopped';
    for (const timer of this.#timers) timer.cancel();
    await Promise.all([...this.#executors.values()].map((each) => this.#drain(each)));
  }

  /** Closes logs, if the threads still can, and ends the threads. */
  async close(): Promise<void> {
    this.#state = 'stopped';
    for (const timer of this.#timers) timer.cancel();
    // All of them, whatever one says: the lock is given back after this.
    const closed = await Promise.allSettled(
      [...this.#executors.values()].map(async ({ handle }) => {
        try {
          await unlessDied(handle.api.close()); // a dead thread's log has nothing to settle
        } finally {
          await handle.terminate();
        }
      }),
    );
    this.#reports.allStopped();
    for (const outcome of closed) if (outcome.status === 'rejected') throw outcome.reason;
  }

  /** Ends the threads. Receivers get a moment to tell who waits for them (HTTP: 503), no more. */
  async terminate(): Promise<void> {
    this.#state = 'stopped';
    for (const timer of this.#timers) timer.cancel();
    await Promise.all(
      [...this.#executors.values()].map(async ({ handle }) => {
        await this.#inTime(handle.api.stopReceivers());
        await handle.terminate();
      }),
    );
    this.#reports.allStopped();
  }

  /** Waits for a last call; its failure follows from what ends the engine, and changes nothing. */
  async #inTime(call: Promise<unknown>): Promise<void> {
    let timer: Timer | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = this.#options.clock.after(LAST_ANSWERS_MS, resolve);
    });
    await Promise.race([call.catch(() => undefined), limit]);
    timer?.cancel();
  }

  /** True for a block of the current life of its receiver. */
  isCurrent(id: BlockId): boolean {
    return this.isCurrentLife(id);
  }

  /** True while no newer life of the receiver has begun, and its thread lives. */
  isCurrentLife({
    streamId,
    receiverIndex,
    incarnation,
  }: Pick<ReceiverLife, 'streamId' | 'receiverIndex' | 'incarnation'>): boolean {
    const life = this.#lives.get(receiverKey(streamId, receiverIndex));
    return life !== undefined && compareIncarnations(life.incarnation, incarnation) === 0;
  }

  /** True when every receiver has said that its source has ended. */
  get hasEnded(): boolean {
    return this.#options.executors.every((ofOne) =>
      ofOne.every((place) => this.#reports.hasEnded(place)),
    );
  }

  get executorCount(): number {
    return this.#options.executors.length;
  }

  /** Lets each log recycle what lies below `lowLsnOf` its name. */
  async truncateLogs(lowLsnOf: (executorIndex: number) => Lsn | undefined): Promise<void> {
    await Promise.all(
      [...this.#executors.values()].map(async ({ index, handle }) => {
        const lsn = lowLsnOf(index);
        // The log of a thread that died waits for the next round, when its successor has it.
        if (lsn !== undefined) await unlessDied(unlessPoisoned(handle.api.truncateLog(lsn)));
      }),
    );
  }

  /** The driver's disk is full, or has room again: all receivers are held back, or no more. */
  hold(isHeld: boolean): void {
    for (const { handle } of this.#executors.values()) {
      // A thread that dies is replaced, and its successor is told when it opens.
      unlessDied(handle.api.hold(isHeld)).catch(this.#options.onFatal);
    }
  }

  /** Publishes the rate of each receiver of an input. Executors that start later are told in their
   * data. */
  setRate(streamId: StreamId, recordsPerSecond: number): void {
    for (const { handle, places } of this.#executors.values()) {
      if (!places.some((place) => place.streamId === streamId)) continue;
      unlessDied(handle.api.setRate(streamId, recordsPerSecond)).catch(this.#options.onFatal);
    }
  }

  stats(): Promise<readonly ReceiverExecutorStats[]> {
    return Promise.all([...this.#executors.values()].map(({ handle }) => handle.api.stats()));
  }

  async #openExecutor(index: number): Promise<Executor> {
    const { spawn, executorData, executors, graph, clock, space } = this.#options;
    const arenaOwner = this.#nextOwner;
    this.#nextOwner += 1;
    const executor: Executor = {
      index,
      arenaOwner,
      places: present(executors[index], `receivers of executor ${index}`),
      handle: spawn(executorData(index, arenaOwner)),
      spawnedMs: clock.monotonicMs(),
      adds: new Set(),
      lastAnnouncementSeq: 0,
      announced: [],
      isRetired: false,
      lostBy: undefined,
    };
    this.#executors.set(index, executor);
    void executor.handle.exited.then((cause) => this.#onExit(executor, cause));
    const loaded = await executor.handle.api.load();
    const difference = firstDifference(graph, loaded.nodes, ['the driver', 'a receiver executor']);
    if (difference !== undefined) {
      throw new MillraceError(
        'PIPELINE_MISMATCH',
        `threads disagree on the pipeline: ${difference}`,
      );
    }
    await executor.handle.api.open(callbackObject(this.#callbacks(executor)));
    if (space.isDriverHeld) await executor.handle.api.hold(true);
    return executor;
  }

  async #startReceivers({ places, handle }: Executor): Promise<void> {
    for (const place of places) {
      if (this.#state !== 'running') return; // a stop began meanwhile
      await handle.api.startReceiver(this.#newLife(place));
    }
  }

  #newLife({ streamId, receiverIndex, receiverCount }: ReceiverPlace): ReceiverLife {
    const { epoch, tracker } = this.#options;
    const life: ReceiverLife = {
      streamId,
      receiverIndex,
      receiverCount,
      incarnation: { epoch, n: this.#nextIncarnation },
      lastPosition: tracker.positionsOf(streamId),
    };
    this.#nextIncarnation += 1;
    this.#lives.set(placeKey(life), life);
    this.#reports.begins(life);
    return life;
  }

  #callbacks(executor: Executor): DriverCallbacks {
    const { claims, space } = this.#options;
    return {
      announce: (batch) => this.#announce(executor, batch),
      claim: (life, key, digest) => claims.claim(life, key, digest),
      releaseClaim: async (life, key) => claims.settle(life.streamId, key),
      renewLife: (life) => this.#renew(executor, life),
      receiverEvent: async (life, event) => {
        // What a dead thread had posted may come late, when it is no news of the receiver any more.
        if (event.kind !== 'error' && !this.isCurrentLife(life)) return;
        this.#reports.tell(life, nameOf(executor), event);
        if (event.kind === 'error') this.#endIfHopeless(life, event.error);
      },
      logPoisoned: (error) => this.#onPoisoned(executor, fromWireError(error)),
      logShortage: async (shortage) => {
        if (this.#executors.get(executor.index) === executor)
          space.ofReceiverLog(executor.index, shortage ?? undefined);
      },
    };
  }

  async #announce(executor: Executor, batch: AnnouncementBatch): Promise<readonly AddOutcome[]> {
    const { tracker, memory } = this.#options;
    const adding = Promise.all(
      batch.blocks.map(async ({ info, bytes }) => {
        const outcome = await tracker.add(info);
        if (outcome.kind === 'added') memory.keep(info, bytes);
        return outcome;
      }),
    );
    executor.adds.add(adding);
    try {
      const outcomes = await adding;
      reached('R3.before');
      return outcomes;
    } finally {
      executor.adds.delete(adding);
      executor.lastAnnouncementSeq = Math.max(executor.lastAnnouncementSeq, batch.seq);
      for (const wake of executor.announced.splice(0)) wake();
    }
  }

  /** In place: the executor has settled all stores of the old life before it asks. */
  async #renew(executor: Executor, life: ReceiverLife): Promise<ReceiverLife> {
    if (this.#state !== 'running' || executor.isRetired) {
      throw new MillraceError('RECEIVER_STOPPED', 'the engine, or this thread, is stopping');
    }
    await Promise.allSettled(executor.adds);
    this.#releaseClaims([life]);
    return this.#newLife(life);
  }

  /** A thread is gone. Its announced blocks stay; what it held besides is given back. */
  async #onExit(executor: Executor, cause: Error): Promise<void> {
    const { clock } = this.#options;
    // Before the first start, and while stopping, whoever waits for the thread is told.
    if (this.#state === 'created' || this.#state === 'open') executor.lostBy = cause;
    if (this.#state !== 'running' || executor.isRetired) return;
    this.#reports.executorDied(nameOf(executor), executor.places, withCause(cause));
    await this.#bury(executor);
    const livedMs = clock.monotonicMs() - executor.spawnedMs;
    const tries = livedMs >= RESPAWN_RESET_MS ? 0 : (this.#respawns.get(executor.index) ?? 0);
    this.#respawns.set(executor.index, tries + 1);
    const delayMs = Math.min(RESPAWN_DELAY_MS * 2 ** tries, RESPAWN_DELAY_MAX_MS);
    const timer = clock.after(delayMs, () => {
      this.#timers.delete(timer);
      void this.#respawn(executor.index);
    });
    this.#timers.add(timer);
  }

  /** The log of a thread has failed: what was acknowledged stays in it, and a new thread with a
   * fresh log takes over its receivers, in new lives. */
  async #onPoisoned(executor: Executor, error: Error): Promise<void> {
    const { moveLog, events, onFatal } = this.#options;
    if (executor.isRetired) return;
    if (this.#state !== 'running' || moveLog === undefined) return onFatal(error);
    executor.isRetired = true;
    try {
      // Clients in flight are told that they have to send again, as at the end of an engine.
      await this.#inTime(executor.handle.api.stopReceivers());
      const moved = await moveLog(executor.index);
      if (moved === undefined) return onFatal(error);
      await executor.handle.terminate();
      await executor.handle.exited;
      await this.#bury(executor);
      const receivers = executor.places.map(placeKey);
      events.emit({ type: 'log-quarantined', receivers, error: error.message, ...moved });
      await this.#respawn(executor.index);
    } catch (cause) {
      onFatal(
        new MillraceError(
          'WAL_POISONED',
          `${error.message}. No other log: ${toError(cause).message}`,
          { cause },
        ),
      );
    }
  }

  /** After a thread's exit. */
  async #bury(executor: Executor): Promise<void> {
    const { arena, memory, space } = this.#options;
    space.ofReceiverLog(executor.index, undefined); // its successor finds out for itself
    // First: what it announced last may still arrive, and its memory is about to be given back.
    for (const place of executor.places) this.#lives.delete(placeKey(place));
    await Promise.allSettled(executor.adds);
    this.#releaseClaims(executor.places);
    arena.reclaim(executor.arenaOwner, memory.references());
  }

  async #respawn(index: number): Promise<void> {
    if (this.#state !== 'running') return;
    try {
      const executor = await this.#openExecutor(index);
      await this.#startReceivers(executor);
    } catch (error) {
      // A thread that died while it started is replaced by what watches its exit.
      if (error instanceof MillraceError && error.code === 'EXECUTOR_DIED') return;
      // Nor does a full disk end anything: the next one tries it again, a while later.
      if (error instanceof MillraceError && error.code === 'DISK_FULL') {
        const message = `receiver executor ${index} waits for room: ${error.message}`;
        this.#options.events.emit({ type: 'warning', message });
        return this.#executors.get(index)?.handle.terminate();
      }
      this.#options.onFatal(notReplaced(index, toError(error)));
    }
  }

  #releaseClaims(places: readonly ReceiverPlace[]): void {
    const keys = new Set(places.map(placeKey));
    this.#options.claims.releaseLives((life) => keys.has(placeKey(life)));
  }

  async #drain(executor: Executor): Promise<void> {
    const { api, exited } = executor.handle;
    // A thread that died has nothing left to drain; what it had announced is registered.
    const last = await unlessDied(api.stopReceivers());
    if (last !== undefined) {
      await Promise.race([exited, announcedThrough(executor, last.lastAnnouncementSeq)]);
    }
    await Promise.allSettled(executor.adds);
  }

  /** A wrong setting is told at once, not hidden behind retries; after a good start the same error
   * may pass, as a port that its last owner still holds. */
  #endIfHopeless(life: ReceiverLife, thrown: WireError | undefined): void {
    if (thrown === undefined || this.#reports.hasStarted(life)) return;
    const error = fromWireError(thrown);
    if (!(error instanceof MillraceError) || !HOPELESS_AT_START.has(error.code)) return;
    this.#options.onFatal(error);
  }
}

function nameOf({ index }: Executor): string {
  return `receiver executor ${index}`;
}

/** The thread's own words, where it had any. */
function withCause({ message, cause }: Error): string {
  return cause instanceof Error ? `${message}: ${cause.stack ?? cause.message}` : message;
}

/** The callback has a channel of its own: it may come after the answer to a call. */
async function announcedThrough(executor: Executor, seq: number): Promise<void> {
  while (executor.lastAnnouncementSeq < seq) {
    await new Promise<void>((resolve) => executor.announced.push(resolve));
  }
}

/** A log that has failed frees nothing; what happens then, `logPoisoned` decides. */
async function unlessPoisoned<R>(answer: Promise<R>): Promise<R | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'WAL_POISONED') return undefined;
    throw error;
  }
}

/** @returns `undefined` when the thread died before it answered; it is replaced, or was to end. */
async function unlessDied<R>(answer: Promise<R>): Promise<R | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'EXECUTOR_DIED') return undefined;
    throw error;
  }
}

/** What cannot be got over ends the run under its own name: a disk that fails (74), damage (2). */
function notReplaced(index: number, cause: Error): MillraceError {
  const message = `receiver executor ${index} cannot be replaced: ${cause.message}`;
  return cause instanceof MillraceError && cause.class === 'fatal'
    ? new MillraceError(cause.code, message, { cause, details: cause.details })
    : new MillraceError('RECEIVER_FAILED', message, { cause });
}
