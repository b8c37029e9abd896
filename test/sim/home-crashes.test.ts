/** A whole checkpoint directory, driver log, receiver log, checkpoints and MANIFEST, under power
 * cuts during its recovery, to the third in a row. @module */
import { describe, expect, it } from 'vitest';
import type { Random } from '../../src/core/random.ts';
import { seededRandom } from '../../src/core/random.ts';
import type { CrashModel } from '../../src/testing/crash-survival.ts';
import { SimDisk } from '../../src/testing/sim-disk.ts';
import { HomeHistory } from '../support/home-history.ts';
import { HomePromises, outcomeOf, playHome } from '../support/home-promises.ts';
import { check, scaled, scaledTimeoutMs, seedNote, simSeed } from '../support/sim-runs.ts';

interface CutOff {
  readonly disk: SimDisk;
  readonly promises: HomePromises;
}

/** A directory whose second run was cut off somewhere. */
async function cutOff(seed: number, random: Random, model: CrashModel): Promise<CutOff> {
  const history = new HomeHistory('sync', new SimDisk({ seed }));
  const promises = new HomePromises();
  await playHome(await history.start(), promises);
  history.powerCut('posix', seed);
  const run = await history.start();
  history.disk.failCall('any', 20 + Math.floor(random.next() * 200), 'crash');
  await Promise.race([playHome(run, promises), history.disk.untilCrash()]);
  history.disk.crash(random, model);
  return { disk: history.disk, promises };
}

/** Cuts a start off at its `calls[0]`-th disk call, the start after that at its `calls[1]`-th …
 * @returns how many were cut off: fewer than asked for, when a start had fewer calls. */
async function cutStarts(
  site: CutOff,
  random: Random,
  calls: readonly number[],
): Promise<{ readonly cuts: number; readonly outcome: string }> {
  const disk = site.disk.fork();
  let cuts = 0;
  for (const call of calls) {
    disk.failCall('any', call, 'crash');
    const died = disk.untilCrash().then(() => undefined);
    const run = await Promise.race([new HomeHistory('sync', disk).start(), died]);
    if (run === undefined) cuts += 1;
    disk.crash(random, 'posix');
  }
  const last = await new HomeHistory('sync', disk).start();
  await site.promises.check(last);
  return { cuts, outcome: outcomeOf(last.tracker.state) };
}

const STRIDE_MAX = 6;
/** Directories: few of them have events that nobody witnessed. */
const ROUNDS_MIN = 6;

/** Calls all over a start, each as the first to be cut off, up to two others behind it. */
async function cutEachCall(site: CutOff, random: Random): Promise<number> {
  const { outcome: expected } = await cutStarts(site, random, []);
  let cuts = 0;
  for (let call = 1; ; call += 1 + Math.floor(random.next() * STRIDE_MAX)) {
    const others = [1, 2].map(() => 1 + Math.floor(random.next() * call));
    const cut = await cutStarts(site, random, [call, ...others.slice(0, call % 3)]);
    check(
      cut.outcome === expected,
      `cuts at calls ${call}, ${others.join(', ')} changed the outcome`,
    );
    if (cut.cuts === 0) return cuts;
    cuts += cut.cuts;
  }
}

describe(`power cuts during a start (${seedNote})`, () => {
  it.each(['journal', 'posix', 'drop-all'] as const)(
    'change nothing of what comes back, to the third one in a row (%s)',
    { timeout: scaledTimeoutMs() },
    async (model) => {
      const random = seededRandom(simSeed);
      let cuts = 0;
      for (let round = 0; round < ROUNDS_MIN || cuts < scaled(1_000); round += 1) {
        const site = await cutOff(simSeed + round, random, model);
        expect(site.promises.count).toBeGreaterThan(10);
        cuts += await cutEachCall(site, random);
      }
    },
  );
});
