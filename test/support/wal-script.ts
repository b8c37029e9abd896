/** Random scripts for a WalHistory: what may happen to a log, as data that fast-check can shrink.
 * @module */
import fc from 'fast-check';
import { MillraceError } from '../../src/core/errors.ts';
import type { CrashModel } from '../../src/testing/crash-survival.ts';
import type { CallKind, FaultEffect } from '../../src/testing/fault-plan.ts';
import { MachineDied, WalHistory } from './wal-history.ts';
import type { HistoryOptions } from './wal-history.ts';

const calls = fc.integer({ min: 1, max: 60 });
const model = fc.constantFrom<CrashModel>('journal', 'posix', 'keep-all', 'drop-all');
const FAILING: CallKind[] = ['write', 'sync', 'sync', 'syncDirectory', 'rename', 'create', 'any'];
const EFFECTS: FaultEffect[] = ['EIO', 'EIO', 'ENOSPC', 'EDQUOT', 'short'];

const steps = {
  append: fc.record({ kind: fc.constant('append'), bytes: fc.integer({ min: 8, max: 6_000 }) }),
  slot: fc.record({ kind: fc.constant('slot'), bytes: fc.integer({ min: 8, max: 9_000 }) }),
  settle: fc.record({ kind: fc.constant('settle') }),
  idle: fc.record({ kind: fc.constant('idle') }),
  truncate: fc.record({
    kind: fc.constant('truncate'),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  reopen: fc.record({ kind: fc.constant('reopen') }),
  crashAt: fc.record({ kind: fc.constant('crash-at'), calls, model }),
  fault: fc.record({
    kind: fc.constant('fault'),
    call: fc.constantFrom(...FAILING),
    k: fc.integer({ min: 1, max: 6 }),
    effect: fc.constantFrom(...EFFECTS),
    isSticky: fc.boolean(),
  }),
  fill: fc.record({ kind: fc.constant('fill-disk'), pages: fc.integer({ min: 0, max: 20 }) }),
  free: fc.record({ kind: fc.constant('free-disk') }),
  powerCut: fc.record({ kind: fc.constant('power-cut'), model }),
  kill: fc.record({ kind: fc.constant('kill') }),
  interrupt: fc.record({
    kind: fc.constant('interrupt'),
    calls: fc.array(calls, { minLength: 1, maxLength: 3 }),
    model,
  }),
} as const;

const step = fc.oneof(
  { weight: 16, arbitrary: steps.append },
  { weight: 8, arbitrary: steps.slot },
  { weight: 8, arbitrary: steps.settle },
  { weight: 4, arbitrary: steps.idle },
  { weight: 4, arbitrary: steps.truncate },
  { weight: 2, arbitrary: steps.reopen },
  { weight: 4, arbitrary: steps.crashAt },
  { weight: 4, arbitrary: steps.fault },
  { weight: 3, arbitrary: steps.fill },
  { weight: 1, arbitrary: steps.free },
  { weight: 4, arbitrary: steps.powerCut },
  { weight: 2, arbitrary: steps.kill },
  { weight: 2, arbitrary: steps.interrupt },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

export interface WalScript extends HistoryOptions {
  readonly steps: readonly Step[];
}

export const walScript: fc.Arbitrary<WalScript> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 40, size: 'max' }),
  seed: fc.nat(),
  durability: fc.constantFrom('sync', 'sync', 'flush'),
  isGrowing: fc.constantFrom(false, false, true),
  isWitnessed: fc.boolean(),
  sectorBytes: fc.constantFrom(512, 4096),
  afterFailedSync: fc.constantFrom('keeps-new', 'reverts'),
});

/** @throws when the log breaks a promise. */
export async function playScript(
  { steps: given, ...options }: WalScript,
  sabotage: Partial<HistoryOptions> = {},
): Promise<void> {
  const history = new WalHistory({ ...options, ...sabotage });
  await history.recover();
  let armed: CrashModel = 'posix';
  for (const next of given) {
    try {
      if (next.kind === 'crash-at') armed = next.model;
      if (next.kind === 'interrupt') await history.interruptedRecovery(next.calls, next.model);
      else await history.orCrash(() => play(history, next));
    } catch (thrown) {
      if (thrown instanceof MachineDied) await history.powerCut(armed);
      else if (isDiskTrouble(thrown)) await history.kill();
      else throw thrown;
    }
  }
  await history.powerCut('drop-all');
}

/** What ends the engine with exit code 74; or with 2, because bytes could not be read. */
function isDiskTrouble(thrown: unknown): boolean {
  if (!(thrown instanceof MillraceError)) return false;
  const isUnreadable = thrown.code === 'WAL_CORRUPT' && thrown.details['errno'] !== undefined;
  return thrown.exitCode === 74 || isUnreadable;
}

function play(
  history: WalHistory,
  next: Exclude<Step, { kind: 'interrupt' }>,
): Promise<void> | void {
  switch (next.kind) {
    case 'append':
      return history.append(next.bytes);
    case 'slot':
      return history.appendSlot(next.bytes);
    case 'settle':
      return history.settle();
    case 'idle':
      return history.idle();
    case 'truncate':
      return history.truncate(next.share);
    case 'reopen':
      return history.reopen();
    case 'crash-at':
      return history.crashAt(next.calls);
    case 'fault': {
      const { call, k, effect, isSticky } = next;
      return history.orderFault({ kind: call, k, effect, isSticky });
    }
    case 'fill-disk':
      return history.fillDisk(next.pages);
    case 'free-disk':
      return history.freeDisk();
    case 'power-cut':
      return history.powerCut(next.model);
    case 'kill':
      return history.kill();
    default:
      throw new Error(`unknown step ${JSON.stringify(next satisfies never)}`);
  }
}
