/** What a history of an engine is to be: drawn from its seed before anything happens.
 * @module */
import type { CrashStep } from '../../src/core/crash-point.ts';
import type { ResolvedOptions } from '../../src/core/options.ts';
import type { Random } from '../../src/core/random.ts';
import type { DStream } from '../../src/dstream/dstream.ts';
import type { PipelineDefinition } from '../../src/dstream/pipeline.ts';
import { definePipeline } from '../../src/dstream/pipeline.ts';
import type { State } from '../../src/dstream/state-spec.ts';
import type { CrashModel } from '../../src/testing/crash-survival.ts';
import { Draw } from '../../src/testing/draw.ts';
import type { CallKind, FaultEffect } from '../../src/testing/fault-plan.ts';
import { SIM_HOME } from '../../src/testing/sim-engine.ts';
import type { Source, SourceKind } from './engine-sources.ts';
import { addSpans, drawSpans, hasSpans, NO_SPANS } from './engine-spans.ts';
import type { SpansPlan } from './engine-spans.ts';

/** What ends a run, if nothing else does before. */
export type Ending =
  | {
      readonly kind: 'stop' | 'kill' | 'power cut';
      readonly atStep: number;
      /** Not before something is written and not yet synced. */
      readonly isDirty: boolean;
    }
  | {
      readonly kind: 'kill at' | 'power cut at';
      readonly step: CrashStep;
      readonly occurrence: number;
    };

export interface DiskFault {
  readonly kind: CallKind;
  readonly k: number;
  readonly effect: FaultEffect;
  readonly isSticky: boolean;
}

export interface RunPlan {
  readonly ending: Ending;
  readonly crashModel: CrashModel;
  readonly fault: DiskFault | undefined;
  /** Room beside what is used at its start; it comes back after some steps. */
  readonly roomBytes: number | undefined;
  /** How often, at a step, a receiver executor dies. */
  readonly executorDeathShare: number;
  readonly taskDeathShare: number;
  readonly slowness: { readonly driver: number; readonly receivers: number };
  /** The longest that a call of the database takes. */
  readonly sinkDelayMs: number;
  readonly clockJumpMs: number;
  readonly options: ResolvedOptions;
  readonly arena: { readonly extentBytes: number; readonly extents: number };
  readonly receivers: number;
  /** Operators of this version of the pipeline, between inputs and output. */
  readonly extras: readonly string[];
  readonly upgrade: Upgrade;
}

/** What is new in a run's pipeline with keyed state. */
export interface Upgrade {
  /** Of the shape of the states; never goes back. */
  readonly stateVersion: number;
  /** A second operator with state, where it stands; its state may be dropped when it goes. */
  readonly tally: 'none' | 'before' | 'after';
}

/** Its state may be given up. */
export const TALLY_ID = 'tally';

export interface HistoryPlan {
  readonly kinds: readonly SourceKind[];
  readonly recordCount: number;
  readonly shape: 'copy' | 'count' | 'state';
  /** With shape `state`: batches of the windows, which do not overlap, before it; 1: none. */
  readonly windowBatches: number;
  /** A second output has all records as they are. */
  readonly isTwice: boolean;
  /** With shape `state`: what else has state, over several batches. */
  readonly spans: SpansPlan;
  readonly troubleShare: number;
  readonly runs: readonly RunPlan[];
  /** The one that comes to its end. */
  readonly last: RunPlan;
}

const STEPS: readonly CrashStep[] = [
  'R0.before',
  'R0.after',
  'R1.before',
  'R1.after',
  'R2.before',
  'R2.after',
  'R3.before',
  'R4.before',
  'R4.after',
  'R5.before',
  'R5.after',
  'R7.before',
  'R7.after',
  'R8.before',
  'R8.after',
  'R9.before',
  'R9.after',
  'recovery.verdict',
  'recovery.rewrite',
  'recovery.replay',
  'recovery.adopt',
];
const FAULTY_CALLS: readonly CallKind[] = [
  'write',
  'write',
  'sync',
  'sync',
  'syncDirectory',
  'create',
  'rename',
  'read',
  'open',
  'any',
];
const PAGE = 4096;

/** @param apart for what came to the histories later: those without it stay what they were. */
export function drawPlan(random: Random, apart: Random): HistoryPlan {
  const draw = new Draw(random);
  const later = new Draw(apart);
  const kinds: SourceKind[] = [draw.of<SourceKind>(['positioned', 'ids', 'pushed'])];
  if (draw.chance(0.4)) kinds.push(draw.of<SourceKind>(['positioned', 'ids', 'pushed']));
  const durability = draw.chance(0.85) ? 'sync' : 'flush';
  const batchIntervalMs = draw.of([40, 100]);
  const common = { durability, batchIntervalMs } as const;
  const runs: RunPlan[] = [];
  do runs.push({ ...drawRun(draw, common), upgrade: FIRST_VERSION });
  while (runs.length < 6 && draw.chance(0.4));
  const recordCount = 3 + draw.below(8);
  const isCopy = kinds.includes('pushed') || draw.chance(0.6);
  const last = { ...QUIET, ending: NEVER, upgrade: FIRST_VERSION };
  const plan: HistoryPlan = {
    kinds,
    recordCount,
    shape: isCopy ? 'copy' : later.of(['count', 'state']),
    windowBatches: later.of([1, 1, 2, 3]),
    isTwice: draw.chance(0.2),
    spans: NO_SPANS,
    troubleShare: draw.of([0, 0.2, 0.3]),
    runs: runs.map((run) => (isCopy ? run : withStateStep(later, run))),
    last: { ...drawRun(draw, common), ...last },
  };
  return withSpans(later, withUpgrades(later, withFlow(later, plan)));
}

/** What they make of each batch is checked against a copy of all records. */
function withSpans(draw: Draw, plan: HistoryPlan): HistoryPlan {
  if (plan.shape !== 'state') return plan;
  const spans = drawSpans(draw.random);
  return { ...plan, spans, isTwice: plan.isTwice || hasSpans(spans) };
}

/** How much may flow in each run, and what becomes of batch times that were missed. */
function withFlow(draw: Draw, plan: HistoryPlan): HistoryPlan {
  const catchUp = draw.of(['coalesce', 'coalesce', 'replay'] as const);
  const flowing = (run: RunPlan): RunPlan => ({
    ...run,
    options: { ...run.options, ...drawFlow(draw, plan), catchUp },
    ...(catchUp === 'replay' ? shortDowntime(run) : {}),
  });
  return { ...plan, runs: plan.runs.map(flowing), last: flowing(plan.last) };
}

/** What was missed has to be made up before a run comes to its end. */
function shortDowntime({ clockJumpMs, sinkDelayMs }: RunPlan): Partial<RunPlan> {
  return { clockJumpMs: Math.trunc(clockJumpMs / 5), sinkDelayMs: Math.min(sinkDelayMs, 60) };
}

/** How much may flow: rates that are low enough to be felt, and batches at the same time. */
function drawFlow(draw: Draw, { shape }: HistoryPlan): Partial<ResolvedOptions> {
  const pid = { proportional: 1, integral: 0.2, derived: 0, minRate: 20 };
  return {
    maxRate: draw.of<number | null>([null, null, null, 20, 200]) ?? undefined,
    backpressure: draw.of([false, false, pid, { ...pid, initialRate: 20 }]),
    concurrentBatches: draw.of(shape === 'state' ? [1] : [1, 2, 3]),
  };
}

const FIRST_VERSION: Upgrade = { stateVersion: 1, tally: 'none' };

/** Runs after the first one may have another shape of the state, and an operator more or less. */
function withUpgrades(draw: Draw, plan: HistoryPlan): HistoryPlan {
  if (plan.shape !== 'state') return plan;
  let stateVersion = 1;
  const upgraded = (run: RunPlan): RunPlan => {
    const upgrade = { stateVersion, tally: draw.of<Upgrade['tally']>(['none', 'before', 'after']) };
    stateVersion += draw.of([0, 0, 1, 2]);
    return { ...run, upgrade };
  };
  return { ...plan, runs: plan.runs.map(upgraded), last: upgraded(plan.last) };
}

/** Some of the runs end as a snapshot of keyed state gets its name. */
function withStateStep(draw: Draw, run: RunPlan): RunPlan {
  const { ending } = run;
  if (!('step' in ending) || draw.chance(0.7)) return run;
  const step = draw.of<CrashStep>(['state.before', 'state.after']);
  return { ...run, ending: { ...ending, step, occurrence: 1 } };
}

const NEVER = { kind: 'stop', atStep: Infinity, isDirty: false } as const;
const QUIET = {
  fault: undefined,
  roomBytes: undefined,
} as const;

function drawRun(
  draw: Draw,
  common: Pick<ResolvedOptions, 'durability' | 'batchIntervalMs'>,
): Omit<RunPlan, 'upgrade'> {
  // What was only flushed may be lost with the power, and that is no more than was promised.
  const mayLosePower = common.durability === 'sync';
  const isFaulty = draw.chance(0.2);
  return {
    ending: drawEnding(draw, mayLosePower),
    crashModel: draw.of(['journal', 'journal', 'posix', 'keep-all', 'drop-all']),
    fault: isFaulty && mayLosePower ? drawFault(draw) : undefined,
    roomBytes: !isFaulty && draw.chance(0.08) ? draw.below(40) * PAGE : undefined,
    executorDeathShare: draw.chance(0.2) ? 0.006 : 0,
    taskDeathShare: draw.chance(0.2) ? 0.2 : 0,
    slowness: { driver: draw.of([0, 0, 0.9]), receivers: draw.of([0, 0, 0.9]) },
    sinkDelayMs: draw.of([0, 0, 60, 300]),
    clockJumpMs: draw.chance(0.2) ? draw.below(10_000) - 5_000 : 0,
    options: drawOptions(draw, common),
    arena: { extentBytes: 16 * 1024, extents: draw.of([24, 48]) },
    receivers: 1 + draw.below(3),
    extras: draw.chance(0.3) ? draw.of([['a'], ['b'], ['a', 'b'], ['b', 'a']]) : [],
  };
}

function drawEnding(draw: Draw, mayLosePower: boolean): Ending {
  const isCut = mayLosePower && draw.chance(0.6);
  const chance = draw.random.next();
  if (chance < 0.12) return { kind: 'stop', atStep: draw.below(400), isDirty: false };
  if (chance < 0.4) {
    const kind = isCut ? 'power cut at' : 'kill at';
    return { kind, step: draw.of(STEPS), occurrence: 1 + draw.below(4) };
  }
  const atStep = draw.chance(0.3) ? draw.below(160) : draw.below(500);
  return { kind: isCut ? 'power cut' : 'kill', atStep, isDirty: draw.chance(0.7) };
}

function drawFault(draw: Draw): DiskFault {
  return {
    kind: draw.of(FAULTY_CALLS),
    k: 1 + draw.below(draw.of([10, 60])),
    effect: draw.of<FaultEffect>(['EIO', 'EIO', 'ENOSPC', 'short']),
    isSticky: draw.chance(0.2),
  };
}

function drawOptions(
  draw: Draw,
  { durability, batchIntervalMs }: Pick<ResolvedOptions, 'durability' | 'batchIntervalMs'>,
): ResolvedOptions {
  return {
    name: 'simulated',
    batchIntervalMs,
    blockIntervalMs: batchIntervalMs / draw.of([2, 4]),
    executors: 1 + draw.below(3),
    receiverExecutors: 1 + draw.below(2),
    checkpointDir: SIM_HOME,
    mirrorDir: false,
    allowNetworkFileSystem: false,
    durability,
    memoryBytes: 0, // the simulation makes the arena
    storageLevel: draw.of(['memory-and-disk', 'memory', 'disk'] as const),
    maxRate: undefined,
    backpressure: false,
    concurrentBatches: 1,
    catchUp: 'coalesce',
    checkpointIntervalMs: draw.of([0, batchIntervalMs, 3 * batchIntervalMs]),
    rememberMs: 0,
    maxTaskFailures: 20,
    gracefulStopTimeoutMs: 60_000,
    blockBytesMax: 4 * 1024,
    idempotencyKeysMax: 1_000,
    receiverSegmentBytes: draw.of([4, 6, 8]) * PAGE,
    driverSegmentBytes: draw.of([4, 6]) * PAGE,
    onWalFailure: 'stop',
    quarantineDir: undefined,
  };
}

/** The pipeline of one run. */
export function pipelineOf(
  { shape, isTwice, windowBatches, spans }: HistoryPlan,
  { receivers, extras, options, upgrade }: RunPlan,
  sources: readonly Source[],
): PipelineDefinition {
  return definePipeline({ name: 'simulated' }, (ssc) => {
    const [first, ...others] = sources.map((source) =>
      ssc.receiverStream(() => source.newReceiver(), { id: source.id, receivers }),
    );
    if (first === undefined) throw new Error('a pipeline needs an input');
    let records = others.length === 0 ? first : ssc.union([first, ...others], { id: 'all' });
    for (const id of extras) records = records.map((record) => record, { id });
    records = records.filter((record) => !isDropped(record), { id: 'kept' });
    if (isTwice) records.saveAsTextFiles('/out/second', undefined, { id: 'second' });
    addSpans(records, spans, { wordOf, batchMs: options.batchIntervalMs });
    if (shape === 'copy') return records.saveAsTextFiles('/out/first', undefined, { id: 'first' });
    let pairs = records.map((record): [string, number] => [wordOf(record), 1], { id: 'pairs' });
    if (shape === 'count') {
      const counts = pairs.reduceByKey((a, b) => a + b, { id: 'counts' });
      return counts.saveAsTextFiles('/out/first', undefined, { id: 'first' });
    }
    if (windowBatches > 1) {
      const spanMs = windowBatches * options.batchIntervalMs;
      pairs = pairs.window(spanMs, spanMs, { id: 'window' });
    }
    const { stateVersion: version, tally } = upgrade;
    const number = (id: string): DStream<string> =>
      pairs.mapWithState(numbered(version), { id, version, ...migrationTo(version) });
    const addTally = (): void =>
      number(TALLY_ID).saveAsTextFiles('/out/tally', undefined, { id: 'tallied' });
    if (tally === 'before') addTally();
    number('numbered').saveAsTextFiles('/out/first', undefined, { id: 'first' });
    if (tally === 'after') addTally();
  });
}

/** What is kept of a word: each version of the pipeline recognises its own. */
interface Numbered {
  readonly version: number;
  readonly count: number;
}

/** Counts the records with each word, over all runs: `word,1`, `word,2` … */
function numbered(version: number) {
  return (word: string, _one: number | undefined, state: State<Numbered>): string => {
    const before = state.exists() ? state.get() : { version, count: 0 };
    requireVersion(before, version);
    const count = before.count + 1;
    state.update({ version, count });
    return `${word},${count}`;
  };
}

function migrationTo(version: number): {
  readonly migrate?: (old: Numbered, from: number) => Numbered;
} {
  if (version === 1) return {};
  return {
    migrate(old, from) {
      requireVersion(old, from);
      return { ...old, version };
    },
  };
}

function requireVersion({ version }: Numbered, wanted: number): void {
  if (version !== wanted) throw new Error(`state of version ${version}, not ${wanted}`);
}

/** The filter of every pipeline. */
export function isDropped(record: string): boolean {
  return record.endsWith('w0');
}

export function wordOf(record: string): string {
  return record.slice(record.indexOf(' ') + 1);
}
