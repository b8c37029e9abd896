/** One history of a pipeline, from one seed: lives of its process that end as the plan has it, and
 * one that comes to its end. The engine is the real one, on a simulated machine (sim-engine.ts).
 * Knows no expected output: what was committed is for others to compare.
 * @module */
import { assert } from '../../core/assert.ts';
import { watchSteps } from '../../core/crash-point.ts';
import type { CrashStep } from '../../core/crash-point.ts';
import type { EngineEvent } from '../../core/events.ts';
import type { ResolvedOptions } from '../../core/options.ts';
import { seededRandom } from '../../core/random.ts';
import { buildGraph } from '../../dstream/pipeline.ts';
import type { PipelineDefinition } from '../../dstream/pipeline.ts';
import { SimDisk } from '../sim-disk.ts';
import { SIM_HOME, SimEngine } from '../sim-engine.ts';
import { memoryOf, namesFrom } from '../sim-machine.ts';
import { SimScheduler } from '../sim-scheduler.ts';
import { SimDatabase } from '../sim-sink.ts';
import { codeOf, DISK_ENDINGS } from '../trouble-codes.ts';
import { CapturedBatches } from './captured-batches.ts';
import { crashSinkOf, loadCrashGraph } from './crash-graph.ts';
import type { CheckedCrashOptions, CrashFault } from './crash-options.ts';
import type { CrashPlan, LifePlan } from './crash-plan.ts';
import { CrashWorld } from './crash-world.ts';
import { UserCalls } from './user-calls.ts';

/** A pipeline under test. */
export interface CrashSubject {
  /** As a process of this life imports it, from 1. */
  readonly definitionOf: (life: number) => Promise<PipelineDefinition>;
  readonly given: CheckedCrashOptions;
  /** As the module has them. */
  readonly resolved: ResolvedOptions;
  readonly sizes: MachineSizes;
}

/** Of the simulated machine, as the input needs them. */
export interface MachineSizes {
  readonly blockBytesMax: number;
  readonly extentBytes: number;
  readonly extents: number;
}

export interface HistoryResult {
  readonly captured: CapturedBatches;
  readonly stepCount: number;
  /** Stands for all that happened, in order. */
  readonly hash: number;
  /** Each life in a line. */
  readonly lives: readonly string[];
  /** What happened, and how often. */
  readonly faults: ReadonlyMap<CrashFault, number>;
}

/** A life that has not come to its end after so many times the usual number of steps hangs. */
const STEPS_FACTOR_MAX = 50;
const STEPS_MIN = 30_000;
/** For how long a disk is full, or fails. */
const DISK_TROUBLE_STEPS = 400;
/** Receiver executors die so often in a life: each time their sources wait for a new one. */
const EXECUTOR_DEATHS_MAX = 3;
const PAGE_BYTES = 4096;
const DRIVER_SEGMENT_BYTES = 16 * PAGE_BYTES;
const TASK_FAILURES_MAX = 20;
/** Between the seeds of the plan and of what happens. */
export const APART = 500_000_000;

export class CrashHistory {
  readonly #subject: CrashSubject;
  readonly #plan: CrashPlan;
  readonly #scheduler: SimScheduler;
  readonly #disk: SimDisk;
  readonly #calls: UserCalls;
  readonly #captured = new CapturedBatches();
  readonly #world: CrashWorld;
  readonly #machine;
  readonly #faults = new Map<CrashFault, number>();
  readonly #lives: string[] = [];
  readonly #stepsMax: number;
  #engine: SimEngine | undefined;
  /** Receivers may die from now on: before, that ends the start, as it should. */
  #isOpen = false;
  /** Of receiver executors, in this life. */
  #deaths = 0;
  #failedTasks = 0;
  /** Somebody waited for room on the disk, in this life. */
  #isShort = false;

  /** @param from `usualSteps`: about as many events as the undisturbed run has. */
  constructor(subject: CrashSubject, plan: CrashPlan, from: { seed: number; usualSteps: number }) {
    const { resolved, given } = subject;
    this.#subject = subject;
    this.#plan = plan;
    this.#stepsMax = STEPS_MIN + STEPS_FACTOR_MAX * from.usualSteps;
    this.#scheduler = new SimScheduler(seededRandom(from.seed));
    const afterFailedSync = from.seed % 2 === 0 ? 'keeps-new' : 'reverts';
    this.#disk = new SimDisk({ seed: from.seed, afterFailedSync });
    this.#calls = new UserCalls(this.#scheduler);
    this.#world = new CrashWorld(this.#scheduler, {
      batchIntervalMs: resolved.batchIntervalMs,
      batchCount: given.batchCount,
      records: given.records,
      patienceMs: 2 * resolved.blockIntervalMs,
      redeliveryShare: plan.redeliveryShare,
    });
    this.#machine = {
      scheduler: this.#scheduler,
      disk: this.#disk,
      database: new SimDatabase(),
      newId: namesFrom(this.#scheduler),
      memoryOf,
    };
  }

  /** Each life in a line, also when the history has failed. */
  get lives(): readonly string[] {
    return this.#lives;
  }

  /** @throws when a life fails that nothing was done to. */
  async run(): Promise<HistoryResult> {
    const { lives } = this.#plan;
    try {
      for (const [index, life] of lives.entries()) await this.#live(life, index + 1);
    } finally {
      this.#engine?.kill();
      watchSteps(undefined);
    }
    if (this.#world.redeliveries > 0) this.#faults.set('redelivery', this.#world.redeliveries);
    return {
      captured: this.#captured,
      stepCount: this.#scheduler.stepCount,
      hash: this.#scheduler.trace.hash,
      lives: this.#lives,
      faults: this.#faults,
    };
  }

  async #live(plan: LifePlan, life: number): Promise<void> {
    const startedAt = this.#scheduler.stepCount;
    const engine = await this.#open(plan, life);
    const { diskError, roomBytes } = plan;
    if (diskError !== undefined) this.#disk.order(diskError);
    if (roomBytes !== undefined) this.#disk.setCapacity(this.#disk.usedBytes + roomBytes);
    const death = this.#watchSteps(engine, plan);
    let isStopping = false;
    await engine.start();
    while (engine.state === 'recovering' || engine.state === 'running') {
      const steps = this.#scheduler.stepCount - startedAt;
      if (isDueToDie(plan, steps)) break;
      if (steps > DISK_TROUBLE_STEPS) this.#relieveDisk();
      if (!isStopping && engine.state === 'running' && this.#world.isThrough) {
        isStopping = true;
        await engine.stop();
      }
      this.#maybeKillExecutor(engine, plan);
      await this.#step(engine, steps);
    }
    if (this.#isShort) this.#count('disk-full');
    const end = engine.state === 'ended' ? this.#endOf(engine, plan) : this.#died(plan, death);
    this.#bury(engine, plan);
    const events = this.#scheduler.stepCount - startedAt;
    this.#lives.push(`life ${life}: ${[`${events} events`, ...this.#troubles, end].join(', ')}`);
  }

  async #open(plan: LifePlan, life: number): Promise<SimEngine> {
    const { definitionOf, given, sizes } = this.#subject;
    const definition = await definitionOf(life);
    const world = this.#world;
    const graphOptions = {
      fed: new Set(given.records.keys()),
      receiverOf: (streamId: string) => world.receiverOf(streamId),
      called: given.called,
      calls: this.#calls,
      captured: this.#captured,
    };
    const original = buildGraph(definition);
    world.beginLife(plan.unfinishedMax);
    this.#deaths = 0;
    this.#failedTasks = 0;
    this.#isShort = false;
    const engine: SimEngine = new SimEngine(`process ${life}`, this.#machine, {
      ...plan,
      definition,
      load: () => loadCrashGraph(definition, graphOptions),
      sinkOf: (node, place) => crashSinkOf(node, place, { ...graphOptions, original }),
      options: this.#optionsOf(plan),
      dropState: [],
      epochMs: 0,
      arena: sizes,
      batchClock: world.batchClock,
      onEvent: (event) => this.#hear(engine, event),
      onAnnounced: () => () => {},
    });
    this.#engine = engine;
    return engine;
  }

  /** The author's, but for what a small simulated machine cannot have, and for what is a matter of
   * time only. */
  #optionsOf({ executors, checkpointBatches }: LifePlan): ResolvedOptions {
    const { resolved, sizes } = this.#subject;
    return {
      ...resolved,
      executors,
      receiverExecutors: undefined,
      checkpointDir: SIM_HOME,
      mirrorDir: false,
      durability: 'sync',
      memoryBytes: sizes.extentBytes * sizes.extents,
      maxRate: undefined,
      backpressure: false,
      catchUp: 'coalesce',
      checkpointIntervalMs: checkpointBatches * resolved.blockIntervalMs,
      maxTaskFailures: TASK_FAILURES_MAX,
      blockBytesMax: sizes.blockBytesMax,
      receiverSegmentBytes: 4 * sizes.blockBytesMax,
      driverSegmentBytes: DRIVER_SEGMENT_BYTES,
      onWalFailure: 'stop',
      quarantineDir: undefined,
    };
  }

  #hear(engine: SimEngine, event: EngineEvent): void {
    if (event.type === 'task-failed') this.#failedTasks += 1;
    const isShort = event.type === 'sources-held' || event.type === 'checkpoint-postponed';
    if (isShort && engine.process.isAlive) this.#isShort = true;
    this.#world.hear(event, engine.process.isAlive);
  }

  /** What was done to this life, but for how it ended. */
  get #troubles(): readonly string[] {
    return [
      ...(this.#deaths > 0 ? [`receiver threads that died: ${this.#deaths}`] : []),
      ...(this.#isShort ? ['a full disk'] : []),
      ...(this.#failedTasks > 0 ? [`tasks that failed: ${this.#failedTasks}`] : []),
    ];
  }

  /** @returns where the process died, once it has. */
  #watchSteps(engine: SimEngine, { ending }: LifePlan): { place: string } {
    const death = { place: 'between two events' };
    let passed = 0;
    this.#isOpen = false;
    watchSteps((step: CrashStep) => {
      if (!engine.process.isAlive) return;
      if (step === 'R0.after') this.#isOpen = true;
      this.#scheduler.trace.add(this.#scheduler.nowMs, `reached ${step}`);
      if (ending.kind === 'none' || !('step' in ending.at) || ending.at.step !== step) return;
      passed += 1;
      if (passed !== ending.at.nth) return;
      death.place = `at ${step}, passed ${passed === 1 ? 'once' : `${passed} times`}`;
      engine.kill();
    });
    return death;
  }

  /** One event, or the next batch time when that is due. */
  async #step(engine: SimEngine, steps: number): Promise<void> {
    const world = this.#world;
    let isMoving = true;
    if (engine.state === 'running' && world.isDue && this.#scheduler.chance(0.5)) {
      await this.#scheduler.do(engine.process, 'a batch time comes', () => world.tick());
    } else isMoving = await this.#scheduler.step();
    if (this.#calls.isOutside) await this.#calls.settled();
    const [problem] = world.problems;
    if (problem !== undefined) throw new Error(problem);
    if (!isMoving) throw new Error('nothing can happen any more, and the run has not ended');
    if (steps > this.#stepsMax) throw new Error(`the run has not ended after ${steps} events`);
  }

  #maybeKillExecutor({ executors }: SimEngine, { executorDeathShare }: LifePlan): void {
    if (executorDeathShare === 0 || !this.#isOpen || this.#deaths >= EXECUTOR_DEATHS_MAX) return;
    if (executors.length === 0 || !this.#scheduler.chance(executorDeathShare)) return;
    this.#deaths += 1;
    this.#count('executor-death');
    executors[this.#scheduler.below(executors.length)]?.die('died');
  }

  #relieveDisk(): void {
    this.#disk.heal();
    this.#disk.setCapacity(undefined);
  }

  /** In words. @throws what ended it, unless its disk is why. */
  #endOf({ failure }: SimEngine, { diskError, roomBytes }: LifePlan): string {
    if (failure === undefined) return 'to the end';
    const isMeant = diskError !== undefined || roomBytes !== undefined;
    const code = codeOf(failure);
    if (!isMeant || code === undefined || !DISK_ENDINGS.has(code)) throw failure;
    if (diskError !== undefined) this.#count('disk-error');
    else if (!this.#isShort) this.#count('disk-full');
    return `ended by its disk (${code})`;
  }

  #died({ ending }: LifePlan, { place }: { readonly place: string }): string {
    assert(ending.kind !== 'none', 'a process dies of its plan only');
    this.#count(ending.kind);
    return `${ending.kind} ${place}`;
  }

  /** What has happened to a process that is over, and to its machine. */
  #bury(engine: SimEngine, plan: LifePlan): void {
    const isKilled = engine.state !== 'ended';
    engine.kill();
    this.#calls.bury();
    if (isKilled && plan.ending.kind === 'power-cut') {
      this.#disk.crash(this.#scheduler.random, plan.crashModel);
    }
    this.#relieveDisk();
  }

  #count(fault: CrashFault): void {
    this.#faults.set(fault, (this.#faults.get(fault) ?? 0) + 1);
  }
}

function isDueToDie({ ending }: LifePlan, steps: number): boolean {
  return ending.kind !== 'none' && 'event' in ending.at && steps >= ending.at.event;
}
