/** All outcomes of a search, and what they say: who leads, who cannot be told apart from whom, and
 * what is to be recommended. Pure. @module */
import { quantile, spreadOf } from '../bench/statistics.ts';
import type { Spread } from '../bench/statistics.ts';
import { heldRateOf } from './rate-bisection.ts';
import type { RateOutcome } from './rate-bisection.ts';
import { settingText } from './setting.ts';
import type { Setting } from './setting.ts';

/** What is to be sampled. */
export interface Trial {
  readonly setting: Setting;
  /** Records a second that all receivers together may take; absent: as many as they can. */
  readonly wantedRate?: number;
}

/** What the search wants to know of a sample. */
export interface Outcome {
  readonly recordsPerSecond: number;
  /** At the median. */
  readonly latencyMs: number;
  /** The rate was reached, and the delay did not grow. At full speed: the latter alone. */
  readonly isHeld: boolean;
  /** The source gave less than could have been taken. */
  readonly isSourceBound: boolean;
}

/** What can be recommended. */
export interface Choice {
  readonly setting: Setting;
  /** Records a second. */
  readonly rate: number;
  /** Of samples at that rate. */
  readonly outcomes: readonly Outcome[];
  readonly latencyMs: Spread;
  /** `held`: at that rate. `source-bound`: at full speed, which was all that the source gave.
   * `unchecked`: at full speed, of which nobody has seen yet how much is sustained. */
  readonly kind: 'held' | 'source-bound' | 'unchecked';
}

/** Rates that differ by less are taken for equal, whatever their samples say: another run would
 * turn them round, and the bisection stops at such steps. */
const NOISE_SHARE = 0.06;
const LEADERS_MAX = 4;

type NotedOutcome = Outcome & { readonly trial: Trial };

export class Standings {
  readonly #wantedRate: number | undefined;
  readonly #bySetting = new Map<string, { setting: Setting; outcomes: NotedOutcome[] }>();
  #count = 0;

  constructor(wantedRate: number | undefined) {
    this.#wantedRate = wantedRate;
  }

  /** Of all outcomes. */
  get count(): number {
    return this.#count;
  }

  note(trial: Trial, outcome: Outcome): void {
    const key = settingText(trial.setting);
    const of = this.#bySetting.get(key) ?? { setting: trial.setting, outcomes: [] };
    of.outcomes.push({ ...outcome, trial });
    this.#bySetting.set(key, of);
    this.#count += 1;
  }

  /** The highest speed of all; 0 before the first outcome. */
  fastest(): number {
    const all = [...this.#bySetting.values()].flatMap(({ outcomes }) => outcomes);
    return Math.max(0, ...all.map(({ recordsPerSecond }) => recordsPerSecond));
  }

  isTried(setting: Setting): boolean {
    return this.#bySetting.has(settingText(setting));
  }

  /** Those samples that settings are ranked by: at full speed, or at the wanted rate. */
  probes(setting: Setting): readonly Outcome[] {
    return this.#of(setting).filter(({ trial }) => trial.wantedRate === this.#wantedRate);
  }

  rateOutcomes(setting: Setting): (RateOutcome & Outcome)[] {
    return this.#of(setting).flatMap(({ trial: { wantedRate }, ...outcome }) =>
      wantedRate === undefined ? [] : [{ ...outcome, wantedRate }],
    );
  }

  /** Median of its probes; 0 without any. */
  speedOf(setting: Setting): number {
    const speeds = this.probes(setting).map(({ recordsPerSecond }) => recordsPerSecond);
    return speeds.length === 0 ? 0 : quantile(speeds, 0.5);
  }

  isSourceBound(setting: Setting): boolean {
    return isMost(this.probes(setting).map((outcome) => outcome.isSourceBound));
  }

  /** All that were tried, the best first. */
  ranked(): Setting[] {
    const all = [...this.#bySetting.values()].map(({ setting }) => setting);
    return all.toSorted((a, b) => this.#compare(a, b));
  }

  /** The best one, and those that it cannot be told apart from: at most so many. At full speed
   * those come first whose intervals promise the lower latency. */
  leaders(): Setting[] {
    const [best, ...others] = this.ranked();
    if (best === undefined) return [];
    const near = others.filter((other) => this.#mayBeat(other, best));
    const ordered =
      this.#wantedRate === undefined
        ? near.toSorted((a, b) => intervalsOf(a) - intervalsOf(b))
        : near;
    return [best, ...ordered].slice(0, LEADERS_MAX);
  }

  /** What to recommend: the highest rate, and of those within the noise of it the lowest latency;
   * with a wanted rate the lowest latency of those that hold it. `undefined`: none holds any. */
  choice(): Choice | undefined {
    const choices = this.choices();
    const [fastest] = choices;
    if (fastest === undefined) return undefined;
    const within = choices.filter(({ rate }) => rate >= (1 - NOISE_SHARE) * fastest.rate);
    return within.reduce((best, each) =>
      each.latencyMs.median < best.latencyMs.median ? each : best,
    );
  }

  /** What each setting sustains, the highest rate first. Those that nobody has checked count only
   * while there are no others. */
  choices(): Choice[] {
    const all = this.ranked()
      .flatMap((setting) => this.#choiceOf(setting) ?? [])
      .toSorted((a, b) => b.rate - a.rate);
    const checked = all.filter(({ kind }) => kind !== 'unchecked');
    return checked.length > 0 ? checked : all;
  }

  /** Those that may be as good as `choice`: their samples overlap with its own. */
  rivals(choice: Choice): Choice[] {
    return this.choices().filter((other) => {
      if (other.setting === choice.setting) return false;
      if (other.rate < (1 - NOISE_SHARE) * choice.rate) return false;
      return (
        other.rate > (1 + NOISE_SHARE) * choice.rate || other.latencyMs.min <= choice.latencyMs.max
      );
    });
  }

  #choiceOf(setting: Setting): Choice | undefined {
    const made = (rate: number, outcomes: readonly Outcome[], kind: Choice['kind']): Choice => {
      const latencyMs = spreadOf(outcomes.map((outcome) => outcome.latencyMs));
      return { setting, rate, outcomes, latencyMs, kind };
    };
    const outcomes = this.rateOutcomes(setting);
    if (this.#wantedRate !== undefined) {
      const probes = outcomes.filter(({ wantedRate }) => wantedRate === this.#wantedRate);
      return this.#holds(setting) ? made(this.#wantedRate, probes, 'held') : undefined;
    }
    const probes = this.probes(setting);
    if (this.isSourceBound(setting)) return made(this.speedOf(setting), probes, 'source-bound');
    const held = heldRateOf(outcomes);
    if (held !== undefined) {
      const there = outcomes.filter(({ wantedRate }) => wantedRate === held.rate);
      return made(held.rate, there, 'held');
    }
    if (outcomes.length > 0 || !this.#holds(setting)) return undefined;
    return made(this.speedOf(setting), probes, 'unchecked');
  }

  #of(setting: Setting): readonly NotedOutcome[] {
    return this.#bySetting.get(settingText(setting))?.outcomes ?? [];
  }

  /** At full speed: the faster one first, and by latency where the source is the bound of both. At
   * a wanted rate: those that hold it first, then by
   * latency; of those that do not, the one that came nearest. */
  #compare(a: Setting, b: Setting): number {
    if (this.#wantedRate === undefined) {
      const isSource = this.isSourceBound(a) && this.isSourceBound(b);
      if (isSource) return this.#latencyOf(a) - this.#latencyOf(b);
      return this.speedOf(b) - this.speedOf(a);
    }
    const [heldA, heldB] = [this.#holds(a), this.#holds(b)];
    if (heldA !== heldB) return heldA ? -1 : 1;
    return heldA ? this.#latencyOf(a) - this.#latencyOf(b) : this.speedOf(b) - this.speedOf(a);
  }

  #mayBeat(other: Setting, best: Setting): boolean {
    if (this.#wantedRate === undefined) {
      const highest = (of: Setting): number =>
        Math.max(...this.probes(of).map(({ recordsPerSecond }) => recordsPerSecond));
      return highest(other) >= (1 - NOISE_SHARE) * this.speedOf(best);
    }
    if (!this.#holds(best)) return true;
    const lowest = Math.min(...this.probes(other).map(({ latencyMs }) => latencyMs));
    return this.#holds(other) && lowest <= (1 + NOISE_SHARE) * this.#latencyOf(best);
  }

  #holds(setting: Setting): boolean {
    return isMost(this.probes(setting).map(({ isHeld }) => isHeld));
  }

  #latencyOf(setting: Setting): number {
    const latencies = this.probes(setting).map(({ latencyMs }) => latencyMs);
    return latencies.length === 0 ? Infinity : quantile(latencies, 0.5);
  }
}

function intervalsOf({ batchIntervalMs, blockIntervalMs }: Setting): number {
  return batchIntervalMs + blockIntervalMs;
}

function isMost(flags: readonly boolean[]): boolean {
  return flags.filter(Boolean).length * 2 > flags.length;
}
