/** Peers and ours in turn: A, ours, B, ours, … Each peer is compared to the sample of ours beside
 * it and to nothing else, because a machine is not the same a minute later.
 *
 * Knows neither systems nor workloads. Every second round goes backwards, inside the pairs too, so
 * that being the first of two favours nobody. @module */
import { inRound } from '../../src/cli/bench/rounds.ts';
import { spreadOf } from '../../src/cli/bench/statistics.ts';
import type { Spread } from '../../src/cli/bench/statistics.ts';
import type { Guarantee } from './peer.ts';

export interface PairSample {
  readonly recordsPerSecond: number;
  readonly [name: string]: number;
}

export interface Contestant {
  readonly name: string;
  readonly guarantee: Guarantee;
  /** Takes one sample. @throws when a count is wrong: a fast wrong answer is no answer. */
  measure(): Promise<PairSample>;
}

export interface Pair {
  readonly peer: Contestant;
  readonly ours: Contestant;
}

export interface ContestantResult {
  readonly name: string;
  readonly guarantee: Guarantee;
  /** One a round, in their order. */
  readonly samples: readonly PairSample[];
  /** Records a second. */
  readonly spread: Spread;
}

export interface PairResult {
  readonly peer: ContestantResult;
  readonly ours: ContestantResult;
  /** Ours over the peer, of each round. */
  readonly ratios: readonly number[];
  readonly ratio: Spread;
}

export interface PairOptions {
  readonly repetitions: number;
  /** Hears of each sample before it is taken. */
  readonly onSample: (text: string) => void;
}

export async function measurePairs(
  pairs: readonly Pair[],
  { repetitions, onSample }: PairOptions,
): Promise<PairResult[]> {
  const samples = new Map<Contestant, PairSample[]>();
  for (let round = 0; round < repetitions; round += 1) {
    for (const { peer, ours } of inRound(pairs, round)) {
      for (const contestant of inRound([peer, ours], round)) {
        onSample(`${round + 1}/${repetitions} ${contestant.name}`);
        const sample = await measured(contestant);
        samples.set(contestant, [...(samples.get(contestant) ?? []), sample]);
      }
    }
  }
  return pairs.map(({ peer, ours }) => {
    const [peers, own] = [resultOf(peer, samples), resultOf(ours, samples)];
    const ratios = peers.samples.map(
      ({ recordsPerSecond }, round) =>
        (own.samples[round]?.recordsPerSecond ?? Number.NaN) / recordsPerSecond,
    );
    return { peer: peers, ours: own, ratios, ratio: spreadOf(ratios) };
  });
}

async function measured(contestant: Contestant): Promise<PairSample> {
  try {
    return await contestant.measure();
  } catch (error) {
    throw new Error(`${contestant.name} failed`, { cause: error });
  }
}

function resultOf(
  contestant: Contestant,
  all: ReadonlyMap<Contestant, readonly PairSample[]>,
): ContestantResult {
  const { name, guarantee } = contestant;
  const samples = all.get(contestant) ?? [];
  const spread = spreadOf(samples.map(({ recordsPerSecond }) => recordsPerSecond));
  return { name, guarantee, samples, spread };
}
