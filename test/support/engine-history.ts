/** One history of an engine, from one seed: runs that end badly, one that comes to its end, and what
 * has to be true then. @module */
import { recordsOfBin } from '../../src/blocks/block-records.ts';
import { watchSteps } from '../../src/core/crash-point.ts';
import type { CrashStep } from '../../src/core/crash-point.ts';
import { MillraceError } from '../../src/core/errors.ts';
import type { EngineEvent } from '../../src/core/events.ts';
import { blockKey } from '../../src/core/ids.ts';
import { seededRandom } from '../../src/core/random.ts';
import { msgpackCodec } from '../../src/serde/msgpack-codec.ts';
import { SimDisk } from '../../src/testing/sim-disk.ts';
import { SIM_HOME, SimEngine } from '../../src/testing/sim-engine.ts';
import type { SimMachine } from '../../src/testing/sim-engine.ts';
import { memoryOf, namesFrom } from '../../src/testing/sim-machine.ts';
import { SimScheduler } from '../../src/testing/sim-scheduler.ts';
import type { SimThread } from '../../src/testing/sim-scheduler.ts';
import { SimDatabase } from '../../src/testing/sim-sink.ts';
import { codeOf, DISK_ENDINGS } from '../../src/testing/trouble-codes.ts';
import type { AnnouncementBatch } from '../../src/workers/protocol.ts';
import { EventOrder } from './event-order.ts';
import { drawPlan, isDropped, pipelineOf, TALLY_ID, wordOf } from './engine-plan.ts';
import type { HistoryPlan, RunPlan } from './engine-plan.ts';
import { Source, World } from './engine-sources.ts';
import { checkSpans } from './engine-spans.ts';

/** A run that has not ended after so many steps hangs. */
const STEPS_MAX = 30_000;
/** For how long a run goes on when its sources have nothing more to send. */
const IDLE_STEPS_MAX = 100;
/** Threads die before: those that died often come back late, and the sources wait for them. */
const QUIET_AFTER_STEPS = 500;
/** For how long a kill waits for the moment between a write of a log and its sync. */
const DIRT_STEPS_MAX = 300;
/** Between the seeds of a history's two sources of chance. */
const APART = 500_000_000;
const EPOCH_MS = 1_700_000_000_000;

export interface HistoryOutcome {
  readonly steps: number;
  readonly hash: number;
  readonly runs: number;
}

export class EngineHistory {
  readonly plan: HistoryPlan;
  readonly #seed: number;
  readonly scheduler: SimScheduler;
  readonly disk: SimDisk;
  readonly database: SimDatabase = new SimDatabase();
  readonly world: World;
  readonly #machine: SimMachine;
  /** Announced and not answered, by thread: promised as soon as the process dies. */
  readonly #announced = new Map<string, { thread: SimThread; records: readonly string[] }>();
  /** What has happened, by name, and how often. */
  readonly tally = new Map<string, number>();
  /** Records of each batch, which never change. */
  readonly #shares = new Map<number, string>();
  #epochMs = EPOCH_MS;
  #runCount = 0;
  /** When this run began, of the wall clock; its last batch; whether a receiver has started. */
  #startedMs = 0;
  #submittedMs = 0;
  #isReceiving = false;
  #engine: SimEngine | undefined;
  /** Of the present run's events. */
  #order = new EventOrder();
  /** A thread that dies before ends the start, as it should. */
  #isOpen = false;
  /** Threads that died as the engine stopped, so that it took no notice. */
  #untoldDeaths = 0;

  constructor(seed: number) {
    this.#seed = seed;
    const random = seededRandom(seed);
    this.plan = drawPlan(random, seededRandom(seed + APART));
    this.scheduler = new SimScheduler(random);
    this.disk = new SimDisk({ seed, afterFailedSync: seed % 2 === 0 ? 'keeps-new' : 'reverts' });
    this.world = new World(this.scheduler, this.plan.troubleShare);
    for (const [index, kind] of this.plan.kinds.entries()) {
      const id = `${kind}-${index}`;
      this.world.sources.push(new Source(this.world, { id, kind, count: this.plan.recordCount }));
    }
    this.#machine = {
      scheduler: this.scheduler,
      disk: this.disk,
      database: this.database,
      newId: namesFrom(this.scheduler),
      memoryOf,
    };
  }

  /** @throws when something is not as promised. */
  async run(): Promise<HistoryOutcome> {
    const { runs, last } = this.plan;
    try {
      for (const [index, run] of runs.entries()) {
        for (const source of this.world.sources) source.release((index + 1) / (runs.length + 1));
        await this.#runOnce(run);
      }
      // Windows come to their end only when nothing more can come.
      this.world.isEnding = this.scheduler.chance(0.5) || this.#hasWindows;
      for (const source of this.world.sources) source.release(1);
      await this.#runLast(last);
      // What a thread announced and died of, as the engine stopped, waits for the next start.
      while (this.#untoldDeaths > 0 || this.scheduler.chance(0.1)) {
        this.#engine?.kill();
        await this.#runLast({ ...last, executorDeathShare: 0 });
      }
      this.#check();
      this.#checkOrder();
      await this.#checkFiles();
      return {
        steps: this.scheduler.stepCount,
        hash: this.scheduler.trace.hash,
        runs: runs.length,
      };
    } finally {
      this.#engine?.kill();
      watchSteps(undefined);
    }
  }

  get #hasWindows(): boolean {
    return this.plan.shape === 'state' && this.plan.windowBatches > 1;
  }

  /** Windows remember the blocks of the last batches. */
  get #isRemembering(): boolean {
    return this.#hasWindows || this.plan.spans.sums !== undefined;
  }

  #newEngine(run: RunPlan): SimEngine {
    this.#runCount += 1;
    this.#epochMs += run.clockJumpMs;
    this.#order = new EventOrder();
    this.#startedMs = this.#epochMs + this.scheduler.nowMs;
    this.#submittedMs = 0;
    this.#isReceiving = false;
    const engine = new SimEngine(`process ${this.#runCount}`, this.#machine, {
      ...run,
      dropState: [TALLY_ID],
      definition: pipelineOf(this.plan, run, this.world.sources),
      epochMs: this.#epochMs,
      ...(this.#seed % IDLE_SHARE === 0 ? { idleCheckpointMs: IDLE_CHECKPOINT_MS } : {}),
      onEvent: (event) => this.#onEvent(event),
      onAnnounced: (thread, batch) => this.#onAnnounced(thread, batch),
    });
    this.#engine = engine;
    return engine;
  }

  async #runOnce(run: RunPlan): Promise<void> {
    const engine = this.#newEngine(run);
    const { ending, fault, roomBytes, executorDeathShare } = run;
    if (fault !== undefined) this.disk.order(fault);
    if (roomBytes !== undefined) this.disk.setCapacity(this.disk.usedBytes + roomBytes);
    this.#armSteps(engine, run);
    const startedAt = this.scheduler.stepCount;
    let isStopping = false;
    let idleSteps = 0;
    await engine.start();
    while (engine.state === 'recovering' || engine.state === 'running') {
      const steps = this.scheduler.stepCount - startedAt;
      if ('atStep' in ending && steps >= ending.atStep && !isStopping) {
        if (ending.kind !== 'stop' && this.#isMoment(ending, steps)) break;
        isStopping = ending.kind === 'stop' && engine.isStoppable;
        if (isStopping) await engine.stop();
      }
      if (steps > 400 && roomBytes !== undefined) this.disk.setCapacity(undefined);
      // A step that is not reached any more ends nothing.
      if (steps > 400 && this.world.isIdle) idleSteps += 1;
      if (idleSteps > IDLE_STEPS_MAX && !isStopping) break;
      if (steps < QUIET_AFTER_STEPS) this.#maybeKillExecutor(engine, executorDeathShare);
      await this.#step(engine, steps);
    }
    this.#end(engine, run);
  }

  /** Blocks and their events are written and synced within few steps, which chance seldom hits. */
  #isMoment({ atStep, isDirty }: { atStep: number; isDirty: boolean }, steps: number): boolean {
    return !isDirty || steps > atStep + DIRT_STEPS_MAX || this.disk.hasDirtIn(/\/[0-9a-f]+\.wal$/);
  }

  #armSteps(engine: SimEngine, { ending }: RunPlan): void {
    let passed = 0;
    this.#isOpen = false;
    this.#untoldDeaths = 0;
    watchSteps((step: CrashStep) => {
      if (!engine.process.isAlive) return;
      if (step === 'R0.after') this.#isOpen = true;
      this.scheduler.trace.add(this.scheduler.nowMs, `reached ${step}`);
      if (!('step' in ending) || ending.step !== step) return;
      passed += 1;
      if (passed === ending.occurrence) this.#kill(engine);
    });
  }

  /** One step, and what must be true after each. */
  async #step(engine: SimEngine, steps: number): Promise<void> {
    const isMoving = await this.scheduler.step();
    this.#throwProblem();
    if (!isMoving) throw new Error('nothing can happen any more, and the run has not ended');
    if (steps > STEPS_MAX) throw new Error(`the run is ${engine.state} after ${steps} steps`);
  }

  #throwProblem(): void {
    const [problem] = this.world.problems;
    if (problem !== undefined) throw new Error(problem);
  }

  #maybeKillExecutor({ executors }: SimEngine, share: number): void {
    if (share === 0 || !this.#isOpen || executors.length === 0) return;
    if (!this.scheduler.chance(share)) return;
    const victim = executors[this.scheduler.below(executors.length)];
    if (victim === undefined) return;
    this.#untoldDeaths += 1;
    // What it had taken and not cut goes with it; nobody was told otherwise.
    for (const { taken } of this.world.sources) {
      for (const [record, thread] of taken) if (thread === victim.thread) taken.delete(record);
    }
    victim.die('died');
  }

  /** The process has ended, or ends now. */
  #end(engine: SimEngine, run: RunPlan): void {
    const { failure, state } = engine;
    if (state !== 'ended' || run.ending.kind === 'stop') this.#count(run.ending.kind);
    if (!this.#isOpen && state !== 'ended') this.#count('killed in recovery');
    if (failure instanceof MillraceError) this.#count(failure.code);
    if (state === 'ended') this.#checkEnd(engine, run, failure);
    this.#kill(engine);
    const isCut = run.ending.kind.startsWith('power cut');
    if (isCut) {
      this.scheduler.trace.add(this.scheduler.nowMs, `power cut: ${run.crashModel}`);
      this.disk.crash(this.scheduler.random, run.crashModel);
    }
    this.disk.heal();
    this.disk.setCapacity(undefined);
  }

  #checkEnd(engine: SimEngine, run: RunPlan, failure: Error | undefined): void {
    this.#order.ended(failure === undefined);
    this.#throwProblem();
    if (failure === undefined) {
      this.#promiseTaken();
      const { usedExtents } = engine;
      // A thread that dies while the engine stops takes its memory with it to the end.
      if (usedExtents > 0 && this.#untoldDeaths === 0 && !this.#isRemembering)
        throw new Error(`${usedExtents} extents are in use after the end`);
      return;
    }
    const isMeant = run.fault !== undefined || run.roomBytes !== undefined;
    const code = codeOf(failure);
    if (isMeant && code !== undefined && DISK_ENDINGS.has(code)) return;
    if (run.ending.kind === 'stop' && code === 'CONTEXT_STATE') return; // as it started
    throw new Error('the run failed', { cause: failure });
  }

  #kill(engine: SimEngine): void {
    if (engine.state === 'killed') return;
    this.scheduler.trace.add(this.scheduler.nowMs, 'the process is gone');
    // A block in the log whose thread lived to the end is adopted.
    if (engine.state !== 'ended') {
      for (const { thread, records } of this.#announced.values()) {
        if (thread.isAlive) this.#promise(records);
      }
    }
    this.#announced.clear();
    for (const source of this.world.sources) source.taken.clear();
    engine.kill();
  }

  async #runLast(run: RunPlan): Promise<void> {
    const engine = this.#newEngine(run);
    this.#armSteps(engine, run);
    const startedAt = this.scheduler.stepCount;
    let isStopping = false;
    await engine.start();
    while (engine.state === 'recovering' || engine.state === 'running') {
      const { isEnding } = this.world;
      const isDone = engine.state === 'running' && this.world.isIdle;
      if (isDone && !isEnding && !isStopping) {
        isStopping = true;
        await engine.stop();
      }
      const steps = this.scheduler.stepCount - startedAt;
      if (steps < QUIET_AFTER_STEPS) this.#maybeKillExecutor(engine, run.executorDeathShare);
      await this.#step(engine, steps);
    }
    this.#checkEnd(engine, run, engine.failure);
  }

  #count(name: string, times = 1): void {
    if (times > 0) this.tally.set(name, (this.tally.get(name) ?? 0) + times);
  }

  #onEvent(event: EngineEvent): void {
    this.#count(event.type);
    this.world.problems.push(...this.#order.hear(event));
    if (event.type === 'warning') this.#countUpgrade(event.message);
    if (event.type === 'executor-died') this.#untoldDeaths -= 1;
    if (event.type === 'engine-recovered') {
      this.#count('adopted', event.adopted);
      this.#count('dropped', event.dropped);
      this.#count('torn', event.tornTails.length);
    }
    if (event.type === 'blocks-lost') {
      this.world.problems.push(`${event.recordCount} records of ${event.batchTimeMs} are lost`);
    }
    if (event.type === 'receiver-started') this.#isReceiving = true;
    if (event.type !== 'batch-submitted') return;
    this.#checkMadeUp(event.batchTimeMs);
    const share = `${event.recordCount} records in ${event.blockCount} blocks`;
    const before = this.#shares.get(event.batchTimeMs) ?? share;
    this.#shares.set(event.batchTimeMs, share);
    if (before === share) return;
    this.world.problems.push(`batch ${event.batchTimeMs} had ${before} and has ${share} (I5)`);
  }

  #countUpgrade(message: string): void {
    // What `dropState` names and the start keeps is said in other words.
    const [what] = /is migrated|is dropped(?=, as told)/.exec(message) ?? [];
    if (what !== undefined) this.#count(`state ${what}`);
  }

  /** Where the batch times of a downtime are made up, what a run allocates leaves none out. What it
   * submits before it receives may be of earlier runs, which skip times when they are late. */
  #checkMadeUp(batchTimeMs: number): void {
    const { catchUp, batchIntervalMs } = this.plan.last.options;
    const nextMs = this.#submittedMs + batchIntervalMs;
    const hasBefore = this.#submittedMs > 0;
    this.#submittedMs = batchTimeMs;
    if (catchUp !== 'replay' || !this.#isReceiving || !hasBefore) return;
    if (batchTimeMs === nextMs || nextMs > this.#startedMs) return;
    this.world.problems.push(`batch ${nextMs} was missed, and ${batchTimeMs} is the next one`);
  }

  #onAnnounced(thread: SimThread, { blocks }: AnnouncementBatch) {
    const keys = blocks.map(({ info }) => blockKey(info.blockId));
    for (const { info, bytes } of blocks) {
      if (!info.isBuffered || info.durability === 'off') continue;
      const bin = (this.#engine as SimEngine).arena.bytes.subarray(
        bytes.offsetBytes,
        bytes.offsetBytes + bytes.lengthBytes,
      );
      const records: string[] = [];
      recordsOfBin(bin, info, msgpackCodec).forEach((record) => records.push(String(record)));
      this.#announced.set(blockKey(info.blockId), { thread, records });
    }
    return (outcomes: readonly { readonly kind: string }[]): void => {
      keys.forEach((key, index) => {
        const told = this.#announced.get(key);
        this.#announced.delete(key);
        if (outcomes[index]?.kind === 'added' && told !== undefined) this.#promise(told.records);
      });
    };
  }

  #promise(records: readonly string[]): void {
    for (const source of this.world.sources) {
      for (const record of records) {
        if (!record.startsWith(`${source.id}.`) || source.promised.has(record)) continue;
        source.promised.add(record);
        this.scheduler.trace.add(this.scheduler.nowMs, `promised: ${record}`);
      }
    }
  }

  #promiseTaken(): void {
    for (const { taken } of this.world.sources) this.#promise([...taken.keys()]);
  }

  #check(): void {
    if (this.plan.isTwice) this.#checkCopy('second');
    if (this.plan.shape === 'copy') this.#checkCopy('first');
    else if (this.plan.shape === 'count') this.#checkCounts();
    else this.#checkNumbers();
    const batchMs = this.plan.last.options.batchIntervalMs;
    const { spans } = this.plan;
    checkSpans(this.database, spans, { wordOf, batchMs, copyId: 'second' });
    if (spans.sums !== undefined) this.#count('a window with an inverse is checked');
    if (spans.withinBatches !== undefined) this.#count('a stream without repeats is checked');
  }

  /** Each output has its batches in their order, however many ran at the same time. */
  #checkOrder(): void {
    const latest = new Map<string, number>();
    for (const key of this.database.committed.keys()) {
      const [outputId = '', batchTime] = key.split('@');
      const batchTimeMs = Number(batchTime);
      const before = latest.get(outputId) ?? 0;
      if (batchTimeMs < before) {
        throw new Error(`batch ${before} was committed to ${outputId} before ${batchTimeMs}`);
      }
      latest.set(outputId, batchTimeMs);
    }
  }

  /** An end in order leaves no more on disk than the next start may need. */
  async #checkFiles(): Promise<void> {
    const files = await filesOf(this.disk);
    const count = (pattern: RegExp): number => files.filter((path) => pattern.test(path)).length;
    const stray = files.find((path) => !MAY_STAY.some((pattern) => pattern.test(path)));
    if (stray !== undefined) throw new Error(`${stray} is left behind`);
    const checkpoints = count(/^checkpoints/);
    if (checkpoints > CHECKPOINTS_KEPT) throw new Error(`${checkpoints} checkpoints are left`);
    const snapshots = count(/^state\//);
    // What a killed run had written, and no checkpoint pointed to, goes when the pointers are past it.
    if (snapshots > CHECKPOINTS_KEPT + this.#runCount)
      throw new Error(`${snapshots} snapshots are left`);
    const idleBatches =
      (CHECKPOINTS_KEPT * IDLE_CHECKPOINT_MS) / this.plan.last.options.batchIntervalMs;
    const segmentsMax = DRIVER_SEGMENTS_MAX + Math.ceil(idleBatches / GROUPS_IN_SEGMENT);
    for (const log of ['driver-log', 'driver-log-mirror']) {
      const segments = count(new RegExp(`^${log}/[0-9a-f]+\\.wal$`));
      if (segments > segmentsMax) throw new Error(`${log} has ${segments} segments left`);
      const torn = count(new RegExp(`^${log}/.*torn$`));
      if (torn > TORN_TAILS_KEPT) throw new Error(`${log} has ${torn} torn tails left`);
    }
  }

  #recordsOf(outputId: string): string[] {
    return [...this.database.committed]
      .filter(([key]) => key.startsWith(`${outputId}@`))
      .flatMap(([, records]) => records);
  }

  #checkCopy(outputId: string): void {
    const found = new Map<string, number>();
    for (const record of this.#recordsOf(outputId)) found.set(record, (found.get(record) ?? 0) + 1);
    for (const source of this.world.sources) {
      for (const record of source.records) {
        const times = found.get(record) ?? 0;
        found.delete(record);
        const isWanted = !isDropped(record);
        const least = isWanted && (source.kind !== 'pushed' || source.promised.has(record)) ? 1 : 0;
        const most = isWanted ? 1 : 0;
        if (times >= least && times <= most) continue;
        throw new Error(`${record} is ${times} times in the output '${outputId}' (I1, I2)`);
      }
    }
    const [invented] = found.keys();
    if (invented !== undefined) throw new Error(`nobody has sent ${invented} (I3)`);
  }

  /** How often each word was sent. */
  #sentWords(): ReadonlyMap<string, number> {
    const words = new Map<string, number>();
    for (const record of this.world.sources.flatMap(({ records }) => records)) {
      if (!isDropped(record)) words.set(wordOf(record), (words.get(wordOf(record)) ?? 0) + 1);
    }
    return words;
  }

  /** The state of each word went up by one with each of its records, and never back. */
  #checkNumbers(): void {
    const found = this.#recordsOf('first').toSorted();
    const wanted = [...this.#sentWords()].flatMap(([word, count]) =>
      Array.from({ length: count }, (_, index) => `${word},${index + 1}`),
    );
    const [is, should] = [found.join(' '), wanted.toSorted().join(' ')];
    if (is !== should) throw new Error(`words were numbered ${is}, not ${should} (I1, I2)`);
  }

  #checkCounts(): void {
    const wanted = this.#sentWords();
    const found = new Map<string, number>();
    for (const pair of this.#recordsOf('first')) {
      const [word = '', count] = pair.split(',');
      found.set(word, (found.get(word) ?? 0) + Number(count));
    }
    for (const word of new Set([...wanted.keys(), ...found.keys()])) {
      const [is, should] = [found.get(word) ?? 0, wanted.get(word) ?? 0];
      if (is !== should) throw new Error(`${word} was counted ${is} times, not ${should} (I1, I2)`);
    }
  }
}

/** Files of the checkpoint directory, by their paths in it. */
async function filesOf(disk: SimDisk): Promise<readonly string[]> {
  const found: string[] = [];
  const look = async (directory: string): Promise<void> => {
    for (const name of (await disk.list(directory)) ?? []) {
      const path = `${directory}/${name}`;
      if (/^(checkpoints|state$|(driver|receiver)-log|spill-|removed-)/.test(name))
        await look(path);
      else found.push(path.slice(SIM_HOME.length + 1));
    }
  };
  await look(SIM_HOME);
  return found;
}

/** What an engine that has ended well may leave behind. Receiver logs that a thread died of, or that
 * are only read by now, keep their spares until they are removed. */
const MAY_STAY = [
  /^MANIFEST$/,
  /^checkpoints\/checkpoint-[0-9a-f]{16}\.ckpt$/,
  /^state\/state-\d{16}\.snapshot$/,
  /^[^/]+-log[^/]*\/[0-9a-f]{16}\.wal(\.torn)?$/,
  /^receiver-log[^/]*\/spare-\d+\.tmp$/,
];
const CHECKPOINTS_KEPT = 2;
const TORN_TAILS_KEPT = 2;
/** Of the driver's log and its mirror, whose segments follow the two kept checkpoints: batches of a
 * downtime that are made up come in a burst, and empty ones wait this long for a checkpoint. */
const DRIVER_SEGMENTS_MAX = 24;
const IDLE_CHECKPOINT_MS = 1_000;
/** One history in so many has checkpoints as rare as they really are. */
const IDLE_SHARE = 4;
/** The smallest one. */
const GROUPS_IN_SEGMENT = 3;
