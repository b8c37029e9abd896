/** In which order vitest starts the files of a run: those that take longest come first.
 *
 * On a clean clone vitest knows of no earlier run and goes by the size of files. The longest
 * simulations are a few lines each: they would start last, one of them alone at the end, with the
 * other workers idle. @module */
import { BaseSequencer } from 'vitest/node';
import type { TestSpecification } from 'vitest/node';

/** Those that take more than half a minute, longest first. */
const LONGEST: readonly string[] = [
  'sim/engine-histories-more',
  'sim/engine-histories',
  'sim/wal-corruption-driver',
  'sim/crash-states',
  'sim/wal-corruption-receiver',
  'sim/home-crashes',
  'sim/error-sweep',
  'sim/wal-durability',
  'sim/wal-durability-more',
  'sim/windows',
  'integration/docs',
  'integration/wal-tools',
  'integration/damage',
  'integration/check-command',
  'integration/hygiene',
  'integration/tarball',
  'integration/life',
  'crash/random-kills',
  'crash/two-copies',
  'crash/bad-endings',
  'faults/one-owner',
  'faults/errno-injection',
];

function rankOf({ moduleId }: TestSpecification): number {
  const index = LONGEST.findIndex((name) => moduleId.endsWith(`test/${name}.test.ts`));
  return index < 0 ? LONGEST.length : index;
}

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => rankOf(one) - rankOf(other));
  }
}
