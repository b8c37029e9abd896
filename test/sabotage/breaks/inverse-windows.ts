/** Breaks of windows with an inverse function: what leaves, what has to stay readable for it, and when
 * kept values are not to be believed. @module */
import { sim, unit } from './break.ts';
import type { Break } from './break.ts';

const TIMES = 'src/dstream/stream-times.ts';
const CHANGE = 'src/dstream/window-change.ts';
const EXECUTION = 'src/driver/batch-execution.ts';
const PLAN = 'src/driver/upgrade-plan.test.ts';
const STATE_WINDOWS = 'src/driver/state-windows.test.ts';
const ORACLE = sim('test/sim/windows.test.ts', 'hold what the definition says');

export const INVERSE_WINDOW_BREAKS: readonly Break[] = [
  {
    name: 'batches that have left an inverse window are cleaned before they are taken away',
    violates: 'R8',
    file: TIMES,
    find: 'const ownReachMs = reachMs + slideMs;',
    replace: 'const ownReachMs = reachMs;',
    caughtBy: ORACLE,
  },
  {
    name: 'an inverse window stays where it was when no batch came at its end',
    violates: 'a window ends at the last multiple of its slide',
    file: EXECUTION,
    find: 'if (history.isSliding(plan.operatorId)) await',
    replace:
      'if (history.isSliding(plan.operatorId)) ' +
      'history.times.isDue(plan.operatorId, this.share.batchTimeMs) && await',
    caughtBy: ORACLE,
  },
  {
    name: 'an inverse window that jumps takes away batches that it never had',
    violates: 'what leaves was there',
    file: CHANGE,
    find: 'Math.min(beforeMs, startMs)',
    replace: 'startMs',
    caughtBy: unit('src/dstream/window-change.test.ts', 'over gaps of any length'),
  },
  {
    name: 'an inverse window that jumps takes in batches that it passes over',
    violates: 'a window holds the batches of its time',
    file: CHANGE,
    find: 'Math.max(beforeMs, startMs)',
    replace: 'beforeMs',
    caughtBy: unit('src/dstream/window-change.test.ts'),
  },
  {
    name: 'what leaves an inverse window is made again each time',
    violates: 'a batch is reduced once',
    file: 'src/driver/batch-history.ts',
    find: 'this.#addReaders(slideMs, [{ shuffleId: operatorId, ageMs: windowMs + slideMs - batchMs }]);',
    replace: '',
    caughtBy: unit(STATE_WINDOWS, 'writes the shuffle of each batch once'),
  },
  {
    name: 'records that are gone stay in an inverse window for ever',
    violates: 'a window holds the batches of its time',
    file: EXECUTION,
    find: 'if (this.#hasLost(operatorId)) {',
    replace: 'if (this.#hasLost(operatorId) && batchTimeMs < 0) {',
    caughtBy: unit(STATE_WINDOWS, 'begins anew when records'),
  },
  {
    name: 'an inverse window that begins anew leaves its old values in the snapshot',
    violates: 'a checkpoint points to the state after its batch',
    file: 'src/driver/keyed-state.ts',
    find: 'sum + liveBytes, changedBytes)',
    replace: 'sum + 0 * liveBytes, changedBytes)',
    caughtBy: unit('src/driver/state-snapshots.test.ts', 'for state that has begun anew'),
  },
  {
    name: 'a value that leaves for a key that is not there is passed over',
    violates: 'an error names operator, key and batch',
    file: 'src/workers/state-update.ts',
    find: 'if (!exists) throw new OperatorFailure(id, nothingToLeave(key));',
    replace: 'if (!exists) return;',
    caughtBy: unit(STATE_WINDOWS, 'stops at a value that leaves'),
  },
  {
    name: 'what leaves an inverse window is taken for what enters',
    violates: 'inverse(value, what leaves), then f with what enters',
    file: 'src/workers/state-update.ts',
    find: 'value = inverse(value, leaving[0]);',
    replace: 'value = combine(value, leaving[0]);',
    caughtBy: { project: 'unit', file: 'test/spark/operators.test.ts', test: 'WindowOperations' },
  },
  {
    name: 'values of other code are believed by an inverse window',
    violates: 'a window begins anew with other code',
    file: 'src/driver/state-upgrade.ts',
    find: 'checkpoint.codeHash === codeHash && checkpoint.graphHash',
    replace: 'checkpoint.graphHash',
    caughtBy: unit(PLAN, 'begins anew with another'),
  },
  {
    name: 'values of another graph are believed by an inverse window',
    violates: 'a window begins anew with other code',
    file: 'src/driver/state-upgrade.ts',
    find: 'checkpoint.codeHash === codeHash && checkpoint.graphHash === hashNow;',
    replace: 'checkpoint.codeHash === codeHash && hashNow.length > 0;',
    caughtBy: unit(PLAN, 'begins anew in another graph'),
  },
  {
    name: 'a start takes over the values of an inverse window that is to begin anew',
    violates: 'a window begins anew with other code',
    file: 'src/driver/state-upgrade.ts',
    find: "outcome === 'kept' || outcome === 'migrated' ? id : []",
    replace: "outcome === 'kept' || outcome === 'migrated' || outcome === 'rebuilt' ? id : []",
    caughtBy: unit(PLAN, 'begins anew with another'),
  },
  {
    name: 'an inverse window that is gone keeps the pipeline from starting',
    violates: 'a window may go: its batches are in the log',
    file: 'src/driver/state-upgrade.ts',
    find: 'if (before === undefined || !isSliding(before.kind)) return false;\n  return !now',
    replace: "if (before === undefined || before.id !== '') return false;\n  return !now",
    caughtBy: unit(PLAN, 'may go, with what it holds'),
  },
  {
    name: 'an inverse window that only batches have made keeps the pipeline from starting',
    violates: 'a window may go: its batches are in the log',
    file: 'src/driver/state-upgrade.ts',
    find: "return roleOf(kind) === 'state' && !isSliding(kind);",
    replace: "return roleOf(kind) === 'state' && (!isSliding(kind) || kind !== undefined);",
    caughtBy: unit(PLAN, 'that no snapshot has is in its batches'),
  },
  {
    name: 'state that a pointer leaves out is restored all the same',
    violates: 'a window begins anew with other code',
    file: 'src/driver/state-snapshots.ts',
    find: 'state.restore({ ...head, batchTimeMs }, ids)',
    replace:
      'state.restore({ ...head, batchTimeMs }, new Set([...ids, ...head.operators.map(({ id }) => id)]))',
    caughtBy: unit('src/driver/state-snapshots.test.ts', 'leaves out what its pointer'),
  },
  {
    name: 'an inverse window runs without a checkpoint directory',
    violates: 'a checkpoint directory is asked for',
    file: 'src/driver/graph-fit.ts',
    find: 'if (ids.length === 0) return;',
    replace: 'if (ids.length >= 0) return;',
    caughtBy: {
      project: 'integration',
      file: 'test/integration/inverse-windows.test.ts',
      test: 'refused without',
    },
  },
  {
    name: 'the interval of a stream’s checkpoint is not looked at',
    violates: 'checkpoint(interval)',
    file: 'src/driver/state-snapshots.ts',
    find: 'if (intervalsMs.some((each) => this.#hasEnded(each))) return true;',
    replace: '',
    caughtBy: unit('src/driver/state-snapshots.test.ts', 'as often as the stream says'),
  },
  {
    name: 'keys of an inverse window that have nothing left are dropped',
    violates: 'a key stays unless it is filtered',
    file: 'src/workers/state-update.ts',
    find: 'exists = isKept(key, value);',
    replace: 'exists = isKept(key, value) && entering.length > 0;',
    caughtBy: sim('test/sim/state-laws.test.ts', 'is the window, where it slides'),
  },
];
