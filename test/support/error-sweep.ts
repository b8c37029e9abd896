/** Runs something again and again, each time with another of its disk calls failing, until a run
 * has fewer calls than that: how SQLite tests its handling of errors. @module */
import { MillraceError } from '../../src/core/errors.ts';
import type { FaultEffect, FaultOrder } from '../../src/testing/fault-plan.ts';
import { SimDisk } from '../../src/testing/sim-disk.ts';
import { check } from './sim-runs.ts';

const EFFECTS: readonly FaultEffect[] = ['EIO', 'ENOSPC', 'EDQUOT', 'short'];

/** One combination of everything that may differ between two failures of the same call. */
interface Variant {
  readonly effect: FaultEffect;
  readonly isSticky: boolean;
  readonly afterFailedSync: 'keeps-new' | 'reverts';
}

const VARIANTS: readonly Variant[] = EFFECTS.flatMap((effect) =>
  [false, true].flatMap((isSticky) =>
    (['keeps-new', 'reverts'] as const).map((afterFailedSync) => {
      return { effect, isSticky, afterFailedSync };
    }),
  ),
);

/** @param trial makes its first disk call when called, and judges what came of the order.
 * @returns how many runs met their failure. */
export async function sweepErrors(
  { seed, variantsPerCall }: { readonly seed: number; readonly variantsPerCall: number },
  trial: (disk: SimDisk, order: FaultOrder) => Promise<void>,
): Promise<number> {
  let runs = 0;
  for (let k = 1; ; k += 1) {
    let struck = 0;
    for (let turn = 0; turn < variantsPerCall; turn += 1) {
      const variant = VARIANTS[(k * 5 + turn * 7 + seed) % VARIANTS.length];
      if (variant === undefined) continue;
      const { effect, isSticky, afterFailedSync } = variant;
      // Each time another count falls short: one that leaves out only padding shows nothing.
      const disk = new SimDisk({ seed: seed + k * variantsPerCall + turn, afterFailedSync });
      const order: FaultOrder = { kind: 'any', k, effect, isSticky };
      try {
        await trial(disk, order);
      } catch (cause) {
        const met = disk.struckCalls.map(({ kind, path }) => `${kind} ${path}`);
        const what = `${JSON.stringify({ ...order, afterFailedSync, seed })}: ${met.join(', ')}`;
        throw new Error(`${String(cause)} [${what}]`, { cause });
      }
      struck += disk.struckCalls.length;
      runs += 1;
    }
    if (struck === 0) return runs;
  }
}

/** @throws unless `thrown` ends the process with a class that fits a failing disk: 74, or 2 when
 * bytes of a log or of the only checkpoint could not be read. */
export function checkExitClass(thrown: unknown, disk: SimDisk): void {
  const isOurs = thrown instanceof MillraceError;
  check(isOurs, () => `not a MillraceError: ${String(thrown)}`);
  const isUnreadable =
    (thrown.code === 'CHECKPOINT_CORRUPT' && wasNotRead(disk, '.ckpt')) ||
    (thrown.code === 'WAL_CORRUPT' && wasNotRead(disk, '.wal'));
  check(thrown.exitCode === 74 || isUnreadable, () => `exit ${thrown.exitCode}: ${thrown.message}`);
}

function wasNotRead({ struckCalls }: SimDisk, suffix: string): boolean {
  const readings = new Set(['open', 'read', 'size']);
  return struckCalls.some(({ kind, path }) => readings.has(kind) && path.endsWith(suffix));
}
