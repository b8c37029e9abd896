/** Decides what is measured next, from what was measured so far: the search of `millrace tune`.
 *
 *      spread     samples all over the space, the pipeline's own setting first
 *      climb      the untried neighbours of the best one, again and again
 *      repeat     the best ones until their differences mean something
 *      hold       how much of its full speed the best one sustains: bisection
 *      settle     the answer again, and its latency at lower rates, for as long as there is time
 *
 * With a wanted rate every sample is taken at that rate, and hold has nothing to do. Each part has
 * a share of the budget and hands on what it leaves; no sample is begun that is not expected to end
 * in time, but the first. Deterministic: the same outcomes at the same times, the same search.
 * Knows no engine, clock or disk. Pure. @module */
import { Standings } from './standings.ts';
import type { Choice, Outcome, Trial } from './standings.ts';
import { nextRate, rounded } from './rate-bisection.ts';
import { SettingSpace } from './setting.ts';
import type { Setting } from './setting.ts';

/** Of the budget; what would end later is left to the next part. */
const SPREAD_SHARE = 0.3;
const CLIMB_SHARE = 0.5;
const REPEAT_SHARE = 0.6;
const HOLD_SHARE = 0.8;
const REPETITIONS_MIN = 3;
/** More samples of the answer than this tell nothing new. */
const REPETITIONS_MAX = 7;
/** At these shares of the answer's rate its latency is measured too, for the curve. */
const CURVE_SHARES: readonly number[] = [0.5, 0.75, 0.25];

export interface SearchInput {
  /** One or more. */
  readonly settings: readonly Setting[];
  /** Where to begin. */
  readonly first: Setting;
  readonly budgetMs: number;
  /** Records a second that are to be sustained; absent: as many as possible. */
  readonly wantedRate?: number;
  /** What a sample takes, roughly. */
  readonly expectedMs: (trial: Trial) => number;
}

export class TuneSearch {
  readonly standings: Standings;
  readonly #input: SearchInput;
  readonly #space: SettingSpace;
  readonly #spread: readonly Setting[];
  /** What samples were expected to take, and what they took. */
  #expectedMs = 0;
  #tookMs = 0;

  constructor(input: SearchInput) {
    this.#input = input;
    this.#space = new SettingSpace(input.settings);
    this.#spread = this.#space.spread(this.#space.nearest(input.first));
    this.standings = new Standings(input.wantedRate);
  }

  /** @param usedMs of the budget, so far. @returns `undefined` when the search is over. */
  next(usedMs: number): Trial | undefined {
    const first = this.standings.count === 0 ? this.#spread[0] : undefined;
    if (first !== undefined) return this.#probe(first);
    const fits = (share: number, trial: Trial | undefined): Trial | undefined => {
      if (trial === undefined) return undefined;
      const endMs = usedMs + this.#willTakeMs(trial);
      return endMs <= share * this.#input.budgetMs ? trial : undefined;
    };
    return (
      fits(SPREAD_SHARE, this.#untriedFarAway()) ??
      fits(CLIMB_SHARE, this.#untriedNeighbour(this.standings.ranked()[0])) ??
      fits(REPEAT_SHARE, this.#tooFew()) ??
      fits(HOLD_SHARE, this.#hold()) ??
      fits(1, this.#settle())
    );
  }

  #willTakeMs(trial: Trial): number {
    const slowness = this.#expectedMs === 0 ? 1 : this.#tookMs / this.#expectedMs;
    return slowness * this.#input.expectedMs(trial);
  }

  /** @param tookMs from the decision to the outcome. */
  note(trial: Trial, outcome: Outcome, tookMs: number): void {
    this.#expectedMs += this.#input.expectedMs(trial);
    this.#tookMs += tookMs;
    this.standings.note(trial, outcome);
  }

  #probe(setting: Setting): Trial {
    const { wantedRate } = this.#input;
    return wantedRate === undefined ? { setting } : { setting, wantedRate };
  }

  #untriedFarAway(): Trial | undefined {
    const found = this.#spread.find((setting) => !this.standings.isTried(setting));
    return found === undefined ? undefined : this.#probe(found);
  }

  /** @param of the best one, or the answer. */
  #untriedNeighbour(of: Setting | undefined): Trial | undefined {
    if (of === undefined) return undefined;
    const near = this.#space.neighbours(of);
    const found = near.find((setting) => !this.standings.isTried(setting));
    return found === undefined ? undefined : this.#probe(found);
  }

  /** Of the leaders, the one with the fewest samples, while that is too few. */
  #tooFew(): Trial | undefined {
    const counted = this.standings
      .leaders()
      .map((setting) => ({ setting, count: this.standings.probes(setting).length }));
    const few = counted.filter(({ count }) => count < REPETITIONS_MIN);
    const [fewest] = few.toSorted((a, b) => a.count - b.count);
    return fewest === undefined ? undefined : this.#probe(fewest.setting);
  }

  /** A leader whose highest rate is not known yet: first each one's, then nearer. */
  #hold(): Trial | undefined {
    if (this.#input.wantedRate !== undefined) return undefined;
    const leaders = this.standings.leaders();
    const next = leaders.flatMap((setting) => {
      if (this.standings.isSourceBound(setting)) return [];
      const outcomes = this.standings.rateOutcomes(setting);
      const wantedRate = nextRate(this.standings.speedOf(setting), outcomes);
      return wantedRate === undefined ? [] : [{ setting, wantedRate, count: outcomes.length }];
    });
    const [first] = next.toSorted((a, b) => a.count - b.count);
    return first === undefined
      ? undefined
      : { setting: first.setting, wantedRate: first.wantedRate };
  }

  #settle(): Trial | undefined {
    const choice = this.standings.choice();
    if (choice === undefined || choice.kind === 'unchecked') return this.#hold();
    const { setting } = choice;
    const repeated = choice.outcomes.length;
    // Before the curve: what is asked for first is how sure the answer is.
    if (repeated < REPETITIONS_MIN) return this.#again(choice);
    const measured = this.standings.rateOutcomes(setting).map(({ wantedRate }) => wantedRate);
    const missing = CURVE_SHARES.map((share) => rounded(share * choice.rate)).find(
      (rate) => !measured.includes(rate),
    );
    if (missing !== undefined && choice.kind === 'held') return { setting, wantedRate: missing };
    const rival = this.standings
      .rivals(choice)
      .find((each) => each.outcomes.length < REPETITIONS_MIN);
    if (rival !== undefined) return this.#again(rival);
    const unseen = this.#untriedNeighbour(setting) ?? this.#hold();
    if (unseen !== undefined) return unseen;
    return repeated < REPETITIONS_MAX ? this.#again(choice) : undefined;
  }

  #again({ setting, rate, kind }: Choice): Trial {
    return kind === 'held' ? { setting, wantedRate: rate } : this.#probe(setting);
  }
}
