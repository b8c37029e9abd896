/** One start of the real engine as one simulated process: driver, receiver executors and task
 * executors on one thread, over a simulated disk and a scheduler that decides what happens next.
 *
 *     recovering ─► running ─► ended          with or without a failure
 *         └───────────┴──────► killed         by the world; nothing of it happens any more
 *
 * Not simulated: the lock of the directory, the bundling of a pipeline, sockets, and files of sinks
 * and sources, which open their own. @module */
import { BlockArena } from '../blocks/block-arena.ts';
import type { ArenaHandle } from '../blocks/block-arena.ts';
import type { Clock } from '../core/clock.ts';
import { present } from '../core/assert.ts';
import { toError } from '../core/errors.ts';
import { EventBus } from '../core/events.ts';
import type { EngineEvent } from '../core/events.ts';
import type { ResolvedOptions } from '../core/options.ts';
import { Engine } from '../driver/engine.ts';
import { openLockedHome } from '../driver/home-directory.ts';
import type { Home } from '../driver/home-directory.ts';
import type { HomeLock } from '../driver/home-lock.ts';
import type { KeyedState } from '../driver/keyed-state.ts';
import { acceptCheckpoint } from '../driver/restart-rules.ts';
import { recoverState } from '../driver/state-parts.ts';
import { keptState } from '../driver/state-upgrade.ts';
import type { StateChange } from '../driver/state-upgrade.ts';
import { startTaskSide } from '../driver/task-side.ts';
import type { TaskSide } from '../driver/task-side.ts';
import type { GraphNode } from '../dstream/graph.ts';
import type { LoadedPipeline } from '../dstream/load-pipeline.ts';
import { buildGraph } from '../dstream/pipeline.ts';
import type { PipelineDefinition } from '../dstream/pipeline.ts';
import type { Sink } from '../dstream/sink.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { slowDisk } from './sim-disk-calls.ts';
import type { SimDisk } from './sim-disk.ts';
import { SimReceiverExecutor } from './sim-receiver-executors.ts';
import type { SimExecutorHost } from './sim-receiver-executors.ts';
import { Lane, SimThread } from './sim-scheduler.ts';
import type { SimScheduler } from './sim-scheduler.ts';
import { SimSink } from './sim-sink.ts';
import type { SimDatabase, SinkPlace } from './sim-sink.ts';
import { SimTaskExecutors } from './sim-task-executors.ts';
import { SimWaits } from './sim-waits.ts';

export const SIM_HOME = '/home-of-the-simulation';

/** Pipelines of a simulation are made in the process, so none is bundled. */
const CODE_HASH = 'sim';
const MODULE = { moduleUrl: 'sim:pipeline', codeHash: CODE_HASH };

/** What outlives a process. */
export interface SimMachine {
  readonly scheduler: SimScheduler;
  readonly disk: SimDisk;
  readonly database: SimDatabase;
  /** Names that nothing else has, from the seed. */
  readonly newId: () => string;
  /** Empty memory; of one process at a time. */
  readonly memoryOf: (bytes: number) => SharedArrayBuffer;
}

export interface SimProgram {
  readonly definition: PipelineDefinition;
  readonly options: ResolvedOptions;
  /** Operators whose state may be given up. */
  readonly dropState: readonly string[];
  /** Of the wall clock at time 0 of the simulation: it may jump between runs. */
  readonly epochMs: number;
  readonly arena: { readonly extentBytes: number; readonly extents: number };
  /** How often a task executor dies of a task. */
  readonly taskDeathShare: number;
  /** How often another disk is preferred to the driver's, and to the receivers' ones. */
  readonly slowness: { readonly driver: number; readonly receivers: number };
  /** The longest that a call of the database takes. */
  readonly sinkDelayMs: number;
  /** What a thread makes of the pipeline. @defaultValue one graph for all of them */
  readonly load?: () => LoadedPipeline;
  /** What outputs write to. @defaultValue the database of the machine */
  readonly sinkOf?: (node: GraphNode, place: SinkPlace) => Sink<unknown>;
  /** When batches are cut. @defaultValue the clock of the process */
  readonly batchClock?: Clock;
  /** As `EngineInput` has it. @defaultValue 0: more checkpoints, and more of what follows them */
  readonly idleCheckpointMs?: number;
  readonly onEvent: (event: EngineEvent) => void;
  readonly onAnnounced: SimExecutorHost['onAnnounced'];
}

export class SimEngine {
  readonly process: SimThread;
  readonly #machine: SimMachine;
  readonly #program: SimProgram;
  readonly #disk;
  readonly #waits: SimWaits;
  readonly #executors: SimReceiverExecutor[] = [];
  readonly #driverDisk: Lane;
  /** Of the driver. */
  readonly #pipeline: LoadedPipeline;
  #engine: Engine | undefined;
  #arena: BlockArena | undefined;
  #keyedState: KeyedState | undefined;
  #state: 'recovering' | 'running' | 'ended' | 'killed' = 'recovering';
  #failure: Error | undefined;

  constructor(name: string, machine: SimMachine, program: SimProgram) {
    this.process = new SimThread(name);
    this.#machine = machine;
    this.#program = program;
    this.#disk = machine.disk.attach();
    this.#waits = new SimWaits(machine.scheduler);
    const { definition } = program;
    this.#pipeline = program.load?.() ?? { definition, graph: buildGraph(definition) };
    this.#driverDisk = new Lane('driver disk', this.process);
    this.#driverDisk.slowness = program.slowness.driver;
    this.#events.subscribe(program.onEvent);
  }

  get state(): 'recovering' | 'running' | 'ended' | 'killed' {
    return this.#state;
  }

  /** What ended it, if that was a failure. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  get arena(): BlockArena {
    return present(this.#arena, 'the engine has no memory yet');
  }

  /** Parts of the memory that somebody holds. */
  get usedExtents(): number {
    const arena = this.#arena;
    if (arena === undefined) return 0;
    return arena.usedExtents('receivers') + arena.usedExtents('tasks');
  }

  /** Receiver executors that live. */
  get executors(): readonly SimReceiverExecutor[] {
    return this.#executors.filter(({ thread }) => thread.isAlive);
  }

  /** There is an engine that can be asked to stop. */
  get isStoppable(): boolean {
    return this.#engine !== undefined;
  }

  /** Begins; what follows is for the scheduler to decide. */
  start(): Promise<void> {
    return this.#machine.scheduler.do(this.process, 'the process starts', () => void this.#run());
  }

  stop(): Promise<void> {
    const { scheduler } = this.#machine;
    return scheduler.do(this.process, 'somebody asks the process to stop', () => {
      void this.#engine?.stop(true, 'asked to');
    });
  }

  /** The process dies where it stands. What it has written is with the operating system. */
  kill(): void {
    if (this.#state === 'killed') return;
    this.#state = 'killed';
    this.process.kill();
    this.#machine.disk.kill();
    this.#machine.scheduler.bury();
  }

  async #run(): Promise<void> {
    try {
      const home = await this.#openHome();
      const engine = this.#newEngine(home);
      this.#engine = engine;
      const isRunning = await engine.start();
      if (isRunning && this.process.isAlive) this.#state = 'running';
      await engine.finished;
      this.#failure = engine.failure;
    } catch (error) {
      this.#failure = toError(error);
    }
    // What goes on in the step in which the process died has nobody to tell.
    if (this.process.isAlive) this.#state = 'ended';
  }

  async #openHome(): Promise<Home> {
    const { options } = this.#program;
    const disk = this.#openDisk(this.#driverDisk);
    await disk.makeDirectory(SIM_HOME);
    let states: readonly StateChange[] = [];
    return openLockedHome(
      {
        disk,
        clock: this.#clockOf(this.process),
        codec: msgpackCodec,
        events: this.#events,
        directory: SIM_HOME,
        options,
        accept: (checkpoint) => {
          if (checkpoint === undefined) return options;
          const { nodes: graph } = this.#pipeline.graph;
          const warn = (message: string): void => this.#events.emit({ type: 'warning', message });
          const { dropState } = this.#program;
          const target = { options, graph, codeHash: CODE_HASH, dropState };
          ({ states } = acceptCheckpoint(checkpoint, { directory: SIM_HOME, ...target, warn }));
          return options;
        },
        restore: async (pointer, from) => {
          const place = { disk: from.disk, directory: SIM_HOME, newId: this.#machine.newId };
          const partitions = from.options.executors;
          const { graph } = this.#pipeline;
          const kept = keptState(pointer, states);
          this.#keyedState = await recoverState(graph, kept, { ...place, partitions });
          return kept;
        },
        onPoison: (error) => this.#engine?.fail(error),
        onShortage: (shortage) => this.#engine?.noteDriverShortage(shortage),
        stat: () => Promise.resolve({ magic: 0xef53, device: 1 }),
        newId: this.#machine.newId,
      },
      unlocked(),
    );
  }

  readonly #events: EventBus = new EventBus();

  #newEngine(home: Home): Engine {
    const { options, idleCheckpointMs = 0 } = this.#program;
    return new Engine({
      graph: this.#pipeline.graph,
      module: MODULE,
      options,
      home,
      ...(this.#keyedState === undefined ? {} : { state: this.#keyedState }),
      disk: home.disk,
      clock: this.#clockOf(this.process),
      idleCheckpointMs,
      ...(this.#program.batchClock === undefined ? {} : { batchClock: this.#program.batchClock }),
      events: this.#events,
      newId: this.#machine.newId,
      tasks: this.#startTasks(home),
      createSink: (node) => this.#sinkOf(node, this.process),
      spawn: (data) => {
        const executor = new SimReceiverExecutor(data, {
          scheduler: this.#machine.scheduler,
          process: this.process,
          clockOf: (thread) => this.#clockOf(thread),
          openDisk: (lane) => {
            lane.slowness = this.#program.slowness.receivers;
            return this.#openDisk(lane);
          },
          attachArena: (handle) => BlockArena.attach(handle, this.#waits),
          load: () => this.#load(),
          onAnnounced: this.#program.onAnnounced,
        });
        this.#executors.push(executor);
        return executor;
      },
      printLine: () => {},
    });
  }

  #startTasks({ directory }: Home): TaskSide {
    return startTaskSide({
      graph: this.#pipeline.graph,
      module: MODULE,
      options: this.#program.options,
      events: this.#events,
      scratch: directory,
      newId: this.#machine.newId,
      newArena: () => this.#newArena(),
      spawnTasks: (arena, data, { threads }) =>
        new SimTaskExecutors(data, {
          scheduler: this.#machine.scheduler,
          process: this.process,
          arena,
          threads,
          openDisk: (lane) => this.#openDisk(lane),
          load: () => this.#load(),
          sinkOf: (node, thread) => this.#sinkOf(node, thread),
          deathShare: this.#program.taskDeathShare,
        }),
    });
  }

  /** For one thread: an import of its own, unless the program has one graph for all of them. */
  #load(): LoadedPipeline {
    return this.#program.load?.() ?? this.#pipeline;
  }

  #sinkOf(node: GraphNode, thread: SimThread): Sink<unknown> {
    const lane = new Lane(`sink of ${thread.name}`, thread);
    const { sinkDelayMs: delayMs, sinkOf } = this.#program;
    const { scheduler, database } = this.#machine;
    const place = { scheduler, lane, delayMs };
    return sinkOf?.(node, place) ?? new SimSink(database, place);
  }

  #openDisk(lane: Lane) {
    const { scheduler } = this.#machine;
    const shown = (path: string): string => path.replace(`${SIM_HOME}/`, '');
    return slowDisk(this.#disk, { scheduler, lane, shown });
  }

  #clockOf(thread: SimThread) {
    return this.#machine.scheduler.clockOf(thread, this.#program.epochMs);
  }

  /** As BlockArena.create makes it, but of memory that thousands of runs can have. */
  #newArena(): BlockArena {
    const { extentBytes, extents } = this.#program.arena;
    const handle: ArenaHandle = {
      memory: this.#machine.memoryOf(extents * extentBytes),
      table: new SharedArrayBuffer(4 * (2 + 3 * extents)),
      extentBytes,
      extentCount: extents,
      receiverExtents: Math.floor((extents * 2) / 3),
    };
    this.#arena = BlockArena.attach(handle, this.#waits);
    return this.#arena;
  }
}

/** Nobody else is on this machine. */
function unlocked(): HomeLock {
  return {
    directory: SIM_HOME,
    file: { directory: SIM_HOME, path: `${SIM_HOME}/LOCK`, device: 0n, inode: 0n },
    whyLost: () => undefined,
    release: () => Promise.resolve(),
  };
}
