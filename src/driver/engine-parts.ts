/** Makes the parts of an engine and connects them. Nothing runs yet when this returns.
 *
 * The one place that knows which part talks to which; engine.ts owns the order of life. Clock, disk
 * and the spawning of threads come from outside. @module */
import type { BlockArena } from '../blocks/block-arena.ts';
import { SpillFile } from '../blocks/spill-file.ts';
import type { Clock } from '../core/clock.ts';
import type { CrashPlan } from '../core/crash-point.ts';
import type { EventBus } from '../core/events.ts';
import type { Lsn } from '../core/ids.ts';
import { uniqueId } from '../core/random.ts';
import type { ResolvedOptions } from '../core/options.ts';
import { describeGraph } from '../dstream/graph.ts';
import type { Graph, GraphNode } from '../dstream/graph.ts';
import { storageLevelOf } from '../dstream/input-options.ts';
import { NO_LOG_ID } from '../dstream/sink.ts';
import type { Sink } from '../dstream/sink.ts';
import { StreamTimes } from '../dstream/stream-times.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import type { Disk } from '../wal/disk.ts';
import type { PipelineModule, ReceiverExecutorData, ReceiverLogSpec } from '../workers/protocol.ts';
import { BatchGenerator } from './batch-generator.ts';
import { BatchHistory } from './batch-history.ts';
import { BatchScheduler } from './batch-scheduler.ts';
import { BlockMemory } from './block-memory.ts';
import { BlockTracker } from './block-tracker.ts';
import type { EventLog } from './block-tracker.ts';
import { buildCheckpointer } from './checkpoint-parts.ts';
import type { Checkpointer } from './checkpointer.ts';
import type { TaskExecutors } from './executor-pool.ts';
import type { SpawnReceiverExecutor } from './executor-threads.ts';
import { SPILL_PREFIX } from './home-directory.ts';
import { HeldBatches } from './held-batches.ts';
import type { Home } from './home-directory.ts';
import { OutputRunner } from './output-runner.ts';
import { checkConcurrency, buildRates } from './flow-parts.ts';
import type { RateController } from './rate-controller.ts';
import { placeReceivers } from './receiver-places.ts';
import type { ReceiverPlace } from './receiver-places.ts';
import { requireRoom } from './receiver-room.ts';
import { ReceiverTracker } from './receiver-tracker.ts';
import type { ReceiverTrackerOptions } from './receiver-tracker.ts';
import { RememberedBlocks } from './remembered-blocks.ts';
import { Slices } from './slices.ts';
import type { SlicesOptions } from './slices.ts';
import { SourceIdClaims } from './source-id-claims.ts';
import { SpaceWatch } from './space-watch.ts';
import type { KeyedState } from './keyed-state.ts';
import { buildSnapshots, emptyState } from './state-parts.ts';
import type { StateSnapshots } from './state-snapshots.ts';
import { TaskScheduler } from './task-scheduler.ts';
import type { TaskSide } from './task-side.ts';
import { emptyTrackerState } from './tracker-state.ts';
import type { TrackedBatch } from './tracker-state.ts';

export interface EngineInput {
  readonly graph: Graph;
  readonly module: PipelineModule;
  readonly options: ResolvedOptions;
  /** Absent without a checkpoint directory. */
  readonly home?: Home;
  /** As the checkpoint had it. @defaultValue empty */
  readonly state?: KeyedState;
  readonly disk: Disk;
  /** Called last of all, when the run has ended: closes what the run has from outside. */
  readonly closeRest?: () => Promise<void>;
  readonly clock: Clock;
  /** Whose time batches are named by, and whose timers cut them. @defaultValue `clock` */
  readonly batchClock?: Clock;
  /** How long a checkpoint may wait that saves no work. @defaultValue a second */
  readonly idleCheckpointMs?: number;
  readonly events: EventBus;
  readonly spawn: SpawnReceiverExecutor;
  /** Closed with the engine. */
  readonly tasks: TaskSide;
  /** @defaultValue the sinks of the pipeline's outputs */
  readonly createSink?: (node: GraphNode) => Sink<unknown>;
  /** Names that nothing else has, 32 hexadecimal digits. @defaultValue random ones */
  readonly newId?: () => string;
  readonly printLine: (line: string) => void;
  /** Stop gracefully after so many batches. */
  readonly batchesMax?: number;
  /** For crash tests: what to arm in receiver executors. */
  readonly crash?: CrashPlan | undefined;
}

export interface EngineHooks {
  readonly onAllocated: () => void;
  readonly onCompleted: (batch: TrackedBatch) => void;
  readonly onFailed: (error: Error) => void;
}

export interface EngineParts {
  readonly tracker: BlockTracker;
  readonly receivers: ReceiverTracker;
  readonly memory: BlockMemory;
  readonly pool: TaskExecutors;
  readonly scheduler: BatchScheduler;
  readonly generator: BatchGenerator;
  readonly checkpointer: Checkpointer | undefined;
  readonly state: KeyedState;
  /** Absent without state, or without a checkpoint directory. */
  readonly snapshots: StateSnapshots | undefined;
  readonly space: SpaceWatch;
  readonly times: StreamTimes;
  readonly remembered: RememberedBlocks;
  readonly slices: Slices;
  readonly held: HeldBatches;
  /** Removes scratch files of the run. */
  readonly cleanUp: () => Promise<void>;
}

/** What most parts need. */
interface Base {
  readonly input: EngineInput;
  readonly hooks: EngineHooks;
  readonly arena: BlockArena;
  readonly memory: BlockMemory;
  readonly tracker: BlockTracker;
  readonly space: SpaceWatch;
  readonly times: StreamTimes;
  readonly state: KeyedState;
  readonly snapshots: StateSnapshots | undefined;
  /** Absent without backpressure. */
  readonly rates: RateController | undefined;
  /** Receivers by executor. */
  readonly places: readonly ReceiverPlace[][];
}

export function buildParts(input: EngineInput, hooks: EngineHooks): EngineParts {
  const { options, graph, clock, events, home } = input;
  const { arena, pool, spillDirectory } = input.tasks;
  const memory = buildMemory(input);
  const witness = new SharedArrayBuffer(8);
  // The three refer to each other; each is used only after all are made.
  const claims: SourceIdClaims = new SourceIdClaims({
    clock,
    isCurrent: (life) => receivers.isCurrentLife(life),
    known: (streamId, key) => tracker.knownSourceId(streamId, key),
  });
  const places = placeReceivers(graph, options.receiverExecutors);
  const space: SpaceWatch = new SpaceWatch({
    events,
    receivers: places.map((ofOne) => ofOne.map(receiverName)),
    onDriverHeld: (isHeld) => receivers.hold(isHeld),
  });
  const tracker: BlockTracker = new BlockTracker(home?.appliedLsn ?? (0 as Lsn), {
    state: home?.state ?? emptyTrackerState(options.idempotencyKeysMax),
    log: witnessedLog(home?.driverLog ?? memoryLog(), witness),
    codec: msgpackCodec,
    isCurrent: (id) => receivers.isCurrent(id),
    admit: () => space.admit(),
    onRegistered: (block) => {
      for (const { key } of block.sourceIds) claims.settle(block.blockId.streamId, key);
    },
  });
  const times = new StreamTimes(graph.nodes, options.batchIntervalMs);
  const { newId = uniqueId } = input;
  const state = input.state ?? emptyState(graph, options.executors, newId);
  const snapshots = buildSnapshots({
    state,
    home,
    events,
    onWritten: () => checkpointer?.request(),
    onFailed: hooks.onFailed,
  });
  checkConcurrency(graph, options, times);
  const held = new HeldBatches(home?.state.cleanedThroughMs);
  const rates = buildRates(input, (streamId, rate) => receivers.setRate(streamId, rate));
  const own = { space, times, places, state, snapshots, rates };
  const base: Base = { input, hooks, arena, memory, tracker, ...own };
  const receivers: ReceiverTracker = buildReceivers(base, claims, witness);
  const tasks = buildTasks(base, pool);
  const scheduler = buildScheduler(base, tasks, spillDirectory);
  const generator = buildGenerator(base, scheduler);
  const checkpointer: Checkpointer | undefined =
    home === undefined
      ? undefined
      : buildCheckpointer({ ...input, ...base, home, receivers, held, onFailed: hooks.onFailed });
  const cleanUp = (): Promise<void> => input.disk.removeTree(spillDirectory);
  const parts = { tracker, receivers, memory, pool, scheduler, generator, checkpointer };
  const rememberMs = Math.max(times.reachMs, options.rememberMs);
  const remembered = new RememberedBlocks(memory, rememberMs, held);
  const slices = buildSlices(base, { held, scheduler, tasks, spillDirectory });
  return { ...parts, state, snapshots, space, times, remembered, slices, held, cleanUp };
}

function buildMemory({ graph, options, home, events, tasks }: EngineInput): BlockMemory {
  const levels = new Map(
    graph.inputs.map((node) => [node.id, storageLevelOf(node, options.storageLevel)]),
  );
  return new BlockMemory(tasks.arena, {
    ...(home === undefined ? {} : { logs: home.logs }),
    lastLsn: home?.lastLsn ?? new Map<string, Lsn>(),
    levelOf: (streamId) => levels.get(streamId) ?? 'memory',
    spill: new SpillFile(tasks.scratch, `${SPILL_PREFIX}${uniqueId()}.blocks`),
    isReadOnce: graph.outputs.length === 1,
    warn: (message) => events.emit({ type: 'warning', message }),
  });
}

function buildReceivers(base: Base, claims: SourceIdClaims, witness: SharedArrayBuffer) {
  const { input, arena, memory, tracker, space, rates, places: executors, hooks } = base;
  const { options, graph, home } = input;
  requireRoom(executors.flat().length, arena.handle, options);
  return new ReceiverTracker({
    epoch: home?.manifest.epoch ?? 1,
    executors,
    spawn: input.spawn,
    executorData: (executorIndex, arenaOwner) => ({
      executorIndex,
      arenaOwner,
      arena: arena.handle,
      pipeline: input.module,
      blockIntervalMs: options.blockIntervalMs,
      blockBytesMax: options.blockBytesMax,
      durability: options.durability,
      ...(options.maxRate === undefined ? {} : { maxRate: options.maxRate }),
      ...(rates === undefined ? {} : { rates: rates.rates }),
      ...logOf(base, executorIndex),
      driverDurableLsn: witness,
      ...(input.crash === undefined ? {} : { crash: input.crash }),
    }),
    graph: describeGraph(graph),
    tracker,
    claims,
    arena,
    memory,
    space,
    events: input.events,
    clock: input.clock,
    moveLog: moveLogOf(input),
    onFatal: hooks.onFailed,
  });
}

function receiverName({ streamId, receiverIndex }: ReceiverPlace): string {
  return `${streamId}/${receiverIndex}`;
}

function logOf({ input, tracker }: Base, executorIndex: number): Pick<ReceiverExecutorData, 'log'> {
  const { home, options } = input;
  if (home === undefined || options.durability === 'off') return {};
  const name = home.logs.nameOf(executorIndex);
  // After a thread's death, or in a log that was removed and comes back: above all that was
  // settled.
  const settledLsn = tracker.state.registeredLsn.get(name) ?? 0;
  const baseLsn = Math.max(home.nextLsn.get(name) ?? 1, settledLsn + 1) as Lsn;
  return {
    log: {
      directory: home.logs.directoryOf(name),
      name,
      lock: home.lock.file,
      logId: home.manifest.logId,
      epoch: home.manifest.epoch,
      baseLsn,
      segmentBytes: options.receiverSegmentBytes,
      durability: options.durability,
      // Another directory may not know direct writes.
      mode: home.logs.isElsewhere(name) ? 'buffered' : home.mode,
      isGrowing: home.isGrowing,
      ...mirrorOf(home),
    },
  };
}

function mirrorOf({ directory, places, lock }: Home): Pick<ReceiverLogSpec, 'mirror'> {
  const [, second] = places;
  if (second === undefined || lock.mirrorFile === undefined) return {};
  return { mirror: { of: directory, directory: second.directory, lock: lock.mirrorFile } };
}

/** What a failed receiver log leads to. @returns `undefined`: the end of the engine. */
function moveLogOf({ home }: EngineInput): ReceiverTrackerOptions['moveLog'] {
  const { logs, quarantineDir, oldLogs } = home ?? {};
  if (logs === undefined || quarantineDir === undefined) return undefined;
  return async (executorIndex) => {
    // Two disks that fail are no matter of this one log any more.
    if (logs.hasMoved(executorIndex)) return undefined;
    const failed = logs.nameOf(executorIndex);
    const to = await logs.move(executorIndex, quarantineDir);
    oldLogs?.add(failed);
    return { from: logs.directoryOf(failed), to };
  };
}

function buildTasks({ input }: Base, pool: TaskExecutors): TaskScheduler {
  const { maxTaskFailures, executors: threads } = input.options;
  return new TaskScheduler({ pool, events: input.events, maxTaskFailures, threads });
}

type SliceParts = Pick<SlicesOptions, 'held' | 'scheduler' | 'tasks' | 'spillDirectory'>;

function buildSlices({ input, arena, memory, tracker, times }: Base, parts: SliceParts): Slices {
  const { graph, home } = input;
  const droppedBlocks = home?.droppedBlocks ?? new Set<string>();
  const { state } = tracker;
  const codec = msgpackCodec;
  return new Slices({ ...parts, graph, times, state, memory, arena, codec, droppedBlocks });
}

function buildScheduler(base: Base, tasks: TaskScheduler, spillDirectory: string): BatchScheduler {
  const { input, arena, memory, hooks, times, tracker, state, rates } = base;
  const { graph, clock, events, options, home } = input;
  const { concurrentBatches } = options;
  return new BatchScheduler({
    graph,
    clock,
    events,
    outputs: new OutputRunner({
      graph,
      arena,
      codec: msgpackCodec,
      logId: home?.manifest.logId ?? NO_LOG_ID,
      epoch: home?.manifest.epoch ?? 1,
      cleanedThroughMs: () => tracker.state.cleanedThroughMs,
      printLine: input.printLine,
      ...(input.createSink === undefined ? {} : { createSink: input.createSink }),
      ...(home === undefined ? {} : { whyLost: () => home.lock.whyLost() }),
    }),
    execution: {
      tasks,
      memory,
      arena,
      state,
      history: new BatchHistory({
        graph,
        times,
        arena,
        spillDirectory,
        memory,
        events,
        droppedBlocks: home?.droppedBlocks ?? new Set(),
        shareAt: (batchTimeMs) => tracker.state.batches.get(batchTimeMs)?.share,
      }),
    },
    concurrentBatches,
    onCompleted: (batch, speed) => {
      rates?.completed(batch.share, speed);
      hooks.onCompleted(batch);
    },
    onFailed: hooks.onFailed,
  });
}

function buildGenerator(base: Base, scheduler: BatchScheduler): BatchGenerator {
  const { input, hooks, tracker, times } = base;
  const { graph, clock: engineClock, batchClock: clock = engineClock, events, options } = input;
  return new BatchGenerator({
    graph,
    clock,
    events,
    tracker,
    scheduler,
    times,
    executors: options.executors,
    catchUp: options.catchUp,
    // The record of an allocation must fit into a segment, whatever the inputs are.
    shareBytesMax: Math.floor(options.driverSegmentBytes / 2 / graph.inputs.length),
    codeHash: input.module.codeHash,
    onAllocated: hooks.onAllocated,
    onFailed: hooks.onFailed,
  });
}

/** Publishes the driver log's durable LSN, which receiver logs write down as witnesses. */
function witnessedLog(log: EventLog, witness: SharedArrayBuffer): EventLog {
  const cell = new BigInt64Array(witness);
  return {
    async append(payload, isMirrored) {
      const at = await log.append(payload, isMirrored);
      if (BigInt(at.lsn) > Atomics.load(cell, 0)) Atomics.store(cell, 0, BigInt(at.lsn));
      return at;
    },
  };
}

/** The driver log of a run without a checkpoint directory: events are applied, and gone with it. */
function memoryLog(): EventLog {
  let lsn = 0;
  return {
    append: () => {
      lsn += 1;
      return Promise.resolve({ lsn: lsn as Lsn });
    },
  };
}
