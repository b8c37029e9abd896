/** Every moment of a recorded workload, and whatever a power cut could leave of it, recovered.
 *
 * For each disk call of the workload the machine stops in front of it. Of up to ten sectors that
 * are not synced then, every subset survives; of more, each alone is dropped, each alone is kept,
 * and samples, torn sectors among them. Name changes survive as each prefix, and as each subset.
 * After ALICE (Pillai et al., OSDI 2014). @module */
import { describe, expect, it } from 'vitest';
import type { Random } from '../../src/core/random.ts';
import { seededRandom } from '../../src/core/random.ts';
import { chosenSurvival, randomSurvival } from '../../src/testing/crash-survival.ts';
import type { CrashModel, Survival } from '../../src/testing/crash-survival.ts';
import {
  checkRecovery,
  checkSameRecords,
  openRecovered,
  recordWorkload,
} from '../support/recorded-workload.ts';
import type { Moment } from '../support/recorded-workload.ts';
import { everyNth, scaled, scaledTimeoutMs, seedNote, simSeed } from '../support/sim-runs.ts';

const EXHAUSTIVE_SECTORS_MAX = 10;
const EXHAUSTIVE_NAMES_MAX = 4;
const SAMPLES = 100;
/** Every n-th state is also opened, cut off again and read again. */
const OPENED_EVERY = 8;
/** Recoveries that are cut off, of each crash model. */
const CUTS = 2_000;

/** Which of `count` things survive: all subsets of a few, else one by one and samples. */
function choices(count: number, exhaustiveMax: number, random: Random): boolean[][] {
  if (count <= exhaustiveMax) {
    return Array.from({ length: 2 ** count }, (_, mask) => bits(count, (bit) => (mask >> bit) & 1));
  }
  const chosen: boolean[][] = [bits(count, () => 0), bits(count, () => 1)];
  for (let only = 0; only < count; only += 1) {
    chosen.push(bits(count, (bit) => Number(bit === only)));
    chosen.push(bits(count, (bit) => Number(bit !== only)));
  }
  for (let sample = 0; sample < SAMPLES / 2; sample += 1) {
    const share = random.next();
    chosen.push(bits(count, () => Number(random.next() < share)));
  }
  return chosen;
}

function bits(count: number, bit: (index: number) => number): boolean[] {
  return Array.from({ length: count }, (_, index) => bit(index) === 1);
}

/** Of few, every pair; of many, each element of either comes up. */
function* pairs<A, B>(some: readonly A[], others: readonly B[]): Generator<readonly [A, B]> {
  const isFew = some.length * others.length <= 64;
  const count = isFew ? some.length * others.length : Math.max(some.length, others.length);
  for (let pair = 0; pair < count; pair += 1) {
    const one = some[pair % some.length];
    const other = others[(isFew ? Math.floor(pair / some.length) : pair) % others.length];
    if (one !== undefined && other !== undefined) yield [one, other];
  }
}

function* survivals({ disk }: Moment, random: Random): Generator<Survival> {
  const { names, sectors } = disk.pendingCounts();
  const ofSectors = choices(sectors, EXHAUSTIVE_SECTORS_MAX, random);
  const prefixes = Array.from({ length: names + 1 }, (_, kept) =>
    bits(names, (index) => Number(index < kept)),
  );
  const subsets = choices(names, EXHAUSTIVE_NAMES_MAX, random);
  for (const ofNames of [prefixes, subsets]) {
    for (const [nameChoice, sectorChoice] of pairs(ofNames, ofSectors)) {
      yield chosenSurvival({ names: nameChoice, sectors: sectorChoice });
    }
  }
  if (sectors === 0) return;
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    yield randomSurvival(random, sample % 2 === 0 ? 'journal' : 'posix');
  }
}

function* statesOf(
  moments: readonly Moment[],
  random: Random,
): Generator<readonly [Moment, Survival]> {
  for (const moment of moments) {
    for (const survival of survivals(moment, random)) yield [moment, survival];
  }
}

/** @returns how many states were tried. */
async function tryAll(seed: number, sectorBytes: 512 | 4096): Promise<number> {
  const { moments, calls } = await recordWorkload(seed, { sectorBytes });
  expect(calls).toBeGreaterThan(150);
  const random = seededRandom(seed);
  let states = 0;
  for (const [moment, survival] of everyNth(statesOf(moments, random))) {
    states += 1;
    const disk = moment.disk.fork();
    disk.crashWith(survival);
    const first = await checkRecovery(disk, moment.promised, states % 2 === 0);
    if (states % OPENED_EVERY !== 0) continue;
    await openRecovered(disk, first, { epoch: 3 });
    disk.crash(random, 'posix');
    checkSameRecords(first, await checkRecovery(disk, moment.promised, false));
  }
  return states;
}

describe(`a power cut in front of any disk call (${seedNote})`, () => {
  it.each([
    [512, 70_000],
    [4096, 30_000],
  ] as const)(
    'leaves a log that gives back what it acknowledged (sectors of %i bytes, %i states)',
    { timeout: scaledTimeoutMs() },
    async (sectorBytes, statesMin) => {
      let states = 0;
      for (let round = 0; states < scaled(statesMin); round += 1) {
        states += await tryAll(simSeed + round, sectorBytes);
      }
    },
  );
});

/** A log that was cut off, with suspects and a torn end more often than not. */
async function cutOff(seed: number, random: Random, model: CrashModel): Promise<Moment> {
  const { moments } = await recordWorkload(seed, {});
  const moment = moments[Math.floor(random.next() * moments.length)];
  if (moment === undefined) throw new Error('the workload made no disk call');
  moment.disk.crash(random, model);
  return moment;
}

/** Cuts a recovery off at each of its calls in turn, and the recovery after that, to `depth`.
 * @returns how many recoveries were cut off. */
async function cutRecoveries(moment: Moment, random: Random, depth: number): Promise<number> {
  const expected = await checkRecovery(moment.disk.fork(), moment.promised, true);
  // At the outermost level each call; below it one of three, else the tree would be too large.
  const stride = (): number => (depth === 3 ? 1 : 1 + Math.floor(random.next() * 5));
  let cuts = 0;
  for (let call = stride(); ; call += stride()) {
    const disk = moment.disk.fork();
    const found = await checkRecovery(disk, moment.promised, true);
    checkSameRecords(expected, found);
    const outcome = await openRecovered(disk, found, { epoch: 6 - depth, crashAtCall: call });
    if (outcome === 'opened') return cuts;
    cuts += 1;
    disk.crash(random, 'posix');
    if (depth > 1) cuts += await cutRecoveries({ ...moment, disk }, random, depth - 1);
    else checkSameRecords(expected, await checkRecovery(disk, moment.promised, true));
  }
}

describe(`power cuts during the recovery (${seedNote})`, () => {
  it.each(['journal', 'posix', 'keep-all'] as const)(
    'change nothing, to the third one in a row (%s)',
    { timeout: scaledTimeoutMs() },
    async (model) => {
      const random = seededRandom(simSeed);
      let cuts = 0;
      for (let round = 0; cuts < scaled(CUTS); round += 1) {
        cuts += await cutRecoveries(await cutOff(simSeed + round, random, model), random, 3);
      }
    },
  );
});
