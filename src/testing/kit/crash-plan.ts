/** What a history of a crash test is to be: drawn from its seed before anything happens.
 * @module */
import type { CrashStep } from '../../core/crash-point.ts';
import type { Random } from '../../core/random.ts';
import type { CrashModel } from '../crash-survival.ts';
import { Draw } from '../draw.ts';
import type { CallKind, FaultEffect, FaultOrder } from '../fault-plan.ts';
import type { CheckedCrashOptions, CrashFault } from './crash-options.ts';

/** What ends a life, if nothing else does before. */
export type LifeEnding =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'kill' | 'power-cut';
      /** Events after its start, or the passing of a step of a protocol, from 1. */
      readonly at: { readonly event: number } | { readonly step: CrashStep; readonly nth: number };
    };

export interface LifePlan {
  readonly ending: LifeEnding;
  readonly crashModel: CrashModel;
  readonly diskError: FaultOrder | undefined;
  /** Room beside what is used at its start; it comes back after a while. */
  readonly roomBytes: number | undefined;
  /** How often, at an event, a receiver executor dies, and a task executor of a task. */
  readonly executorDeathShare: number;
  readonly taskDeathShare: number;
  readonly slowness: { readonly driver: number; readonly receivers: number };
  /** The longest that a call of an output takes. */
  readonly sinkDelayMs: number;
  readonly executors: number;
  /** Batches between two checkpoints. */
  readonly checkpointBatches: number;
  /** Batches that are begun before the oldest is done. */
  readonly unfinishedMax: number;
}

export interface CrashPlan {
  readonly redeliveryShare: number;
  /** The last one comes to its end. */
  readonly lives: readonly LifePlan[];
}

/** Kills come at these more often than at others: a user's functions run around them, and what is
 * known of that is written there. */
const STEPS: readonly CrashStep[] = [
  'R1.after',
  'R2.after',
  'R4.before',
  'R4.after',
  'R5.before',
  'R5.after',
  'R5.after',
  'R7.before',
  'R7.after',
  'R8.after',
  'R9.after',
  'state.before',
  'state.after',
];
const RECOVERY_STEPS: readonly CrashStep[] = [
  'recovery.verdict',
  'recovery.rewrite',
  'recovery.replay',
  'recovery.adopt',
  'R0.before',
  'R0.after',
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
  'any',
];
const LIVES_MAX = 6;
const PAGE_BYTES = 4096;

/** Everything goes its way, in one life. */
export function undisturbedPlan({ executors }: Pick<CheckedCrashOptions, 'executors'>): CrashPlan {
  return { redeliveryShare: 0, lives: [lastLife(executors[0] ?? 1)] };
}

/** @param usualSteps events of the undisturbed run, over which kills are spread. */
export function drawCrashPlan(
  random: Random,
  { faults, executors }: Pick<CheckedCrashOptions, 'faults' | 'executors'>,
  { usualSteps, batchCount }: { readonly usualSteps: number; readonly batchCount: number },
): CrashPlan {
  const draw = new Draw(random);
  const lives: LifePlan[] = [];
  do lives.push(drawLife(draw, { faults, executors, usualSteps, batchCount }));
  while (lives.length < LIVES_MAX && draw.chance(0.6));
  return {
    redeliveryShare: faults.has('redelivery') ? draw.of([0, 0.2, 0.4]) : 0,
    lives: [...lives, lastLife(draw.of(executors))],
  };
}

function lastLife(executors: number): LifePlan {
  return {
    ending: { kind: 'none' },
    crashModel: 'journal',
    diskError: undefined,
    roomBytes: undefined,
    executorDeathShare: 0,
    taskDeathShare: 0,
    slowness: { driver: 0, receivers: 0 },
    sinkDelayMs: 0,
    executors,
    checkpointBatches: 1,
    unfinishedMax: 2,
  };
}

interface DrawnFrom {
  readonly faults: ReadonlySet<CrashFault>;
  readonly executors: readonly number[];
  readonly usualSteps: number;
  readonly batchCount: number;
}

function drawLife(draw: Draw, from: DrawnFrom): LifePlan {
  const { faults, usualSteps } = from;
  const isFailing = faults.has('disk-error') && draw.chance(0.2);
  const isFull = faults.has('disk-full') && !isFailing && draw.chance(0.1);
  const mayDie = faults.has('executor-death');
  return {
    ending: drawEnding(draw, from),
    crashModel: draw.of<CrashModel>(['journal', 'journal', 'posix', 'keep-all', 'drop-all']),
    diskError: isFailing ? drawDiskError(draw) : undefined,
    roomBytes: isFull ? draw.below(40) * PAGE_BYTES : undefined,
    executorDeathShare: mayDie && draw.chance(0.3) ? 2 / usualSteps : 0,
    taskDeathShare: mayDie && draw.chance(0.4) ? 0.2 : 0,
    slowness: { driver: draw.of([0, 0, 0.9]), receivers: draw.of([0, 0, 0.9]) },
    sinkDelayMs: draw.of([0, 0, 60, 300]),
    executors: draw.of(from.executors),
    checkpointBatches: draw.of([0, 1, 1, 3]),
    unfinishedMax: 1 + draw.below(4),
  };
}

function drawEnding(draw: Draw, { faults, usualSteps, batchCount }: DrawnFrom): LifeEnding {
  const kinds = (['kill', 'power-cut'] as const).filter((kind) => faults.has(kind));
  if (kinds.length === 0) return { kind: 'none' };
  const kind = draw.of(kinds);
  const chance = draw.random.next();
  if (chance < 0.15) return { kind, at: { step: draw.of(RECOVERY_STEPS), nth: 1 } };
  if (chance < 0.6) {
    return { kind, at: { step: draw.of(STEPS), nth: 1 + draw.below(2 * batchCount) } };
  }
  return { kind, at: { event: draw.below(usualSteps) } };
}

function drawDiskError(draw: Draw): FaultOrder {
  return {
    kind: draw.of(FAULTY_CALLS),
    k: 1 + draw.below(draw.of([10, 60])),
    effect: draw.of<FaultEffect>(['EIO', 'EIO', 'short']),
    isSticky: draw.chance(0.2),
  };
}
