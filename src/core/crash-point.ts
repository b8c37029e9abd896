/** Named places of the protocols where a test may kill or stop the process. Unarmed they cost one
 * compare.
 *
 * Each step R0…R9 of docs/ARCHITECTURE.md has a place just before it and one just after; so has
 * the entry in MANIFEST that makes a receiver log of another directory known. A plan is
 * data: it arrives in `workerData` or from the harness that starts the driver, never from the
 * environment. Armed once per thread; the process dies by SIGKILL, as a power cut would do it, or
 * stands still by SIGSTOP until somebody sends it SIGCONT. A simulation, whose processes are not
 * real, watches the steps instead. @module */

export type CrashStep =
  | `R${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}.${'before' | 'after'}`
  | 'quarantine.before'
  | 'quarantine.after'
  | 'read-back' // a task has read a block from its log, and not yet used it
  | 'spill' // a block without a log is being written to the spill file
  | 'state.before' // a snapshot of keyed state is durable under its temporary name
  | 'state.after' // and under its own
  | 'sink.staged' // a task has handed its partition to a database, which does not show it yet
  | 'sink.rows' // the rows are in the transaction, and the note of the batch is not
  | 'sink.noted' // both are, and it has not committed
  | 'recovery.verdict'
  | 'recovery.rewrite'
  | 'recovery.replay'
  | 'recovery.adopt'
  | 'mirror.equal'
  | 'mirror.restore';

export interface CrashPlan {
  readonly step: CrashStep;
  /** Which passing of that step in this thread is meant, from 1. */
  readonly occurrence: number;
  /** @defaultValue SIGKILL */
  readonly signal?: 'SIGKILL' | 'SIGSTOP';
  /** The thread stands still for so long first: what the others send too early gets out. */
  readonly lingerMs?: number;
}

let onStep: ((step: CrashStep) => void) | undefined;

/** Arms this thread. `undefined` disarms. */
export function armCrash(plan: CrashPlan | undefined): void {
  if (plan === undefined) return watchSteps(undefined);
  let passed = 0;
  watchSteps((step) => {
    if (plan.step !== step) return;
    passed += 1;
    if (passed !== plan.occurrence) return;
    if (plan.lingerMs !== undefined) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, plan.lingerMs);
    }
    process.kill(process.pid, plan.signal ?? 'SIGKILL');
  });
}

/** Calls `watch` at every step that this thread reaches; `undefined`: no more. */
export function watchSteps(watch: ((step: CrashStep) => void) | undefined): void {
  onStep = watch;
}

/** Marks that this thread is at `step` now. */
export function reached(step: CrashStep): void {
  onStep?.(step);
}
