/** Finds the highest rate that a setting sustains, from the outcomes of samples at given rates.
 * Pure: all it knows is what came out so far. @module */

export interface RateOutcome {
  readonly wantedRate: number;
  /** The rate was reached, and the delay did not grow. */
  readonly isHeld: boolean;
}

/** Nearer than this share to each other: what is left is noise. */
const WIDTH_MIN = 0.06;
/** Below this share of the full speed it is given up. */
const SHARE_MIN = 0.1;
const FIRST_SHARE = 0.9;
const STEPS_MAX = 5;

/** What a rate came to, over all its samples. */
export interface HeldRate {
  readonly rate: number;
  readonly heldCount: number;
  readonly count: number;
}

function byRate(outcomes: readonly RateOutcome[]): HeldRate[] {
  const rates = [...new Set(outcomes.map(({ wantedRate }) => wantedRate))];
  return rates
    .toSorted((a, b) => a - b)
    .map((rate) => {
      const of = outcomes.filter(({ wantedRate }) => wantedRate === rate);
      return { rate, heldCount: of.filter(({ isHeld }) => isHeld).length, count: of.length };
    });
}

/** A rate counts as held when most of its samples held it. */
function isHeldRate({ heldCount, count }: HeldRate): boolean {
  return heldCount * 2 > count;
}

/** The highest rate that was held. That a lower one was not says something of the machine only. */
export function heldRateOf(outcomes: readonly RateOutcome[]): HeldRate | undefined {
  return byRate(outcomes).findLast(isHeldRate);
}

/** @param fullSpeed what it took when nothing held it back: more is never asked for.
 * @returns the rate to be tried next; `undefined` when it is known well enough. */
export function nextRate(fullSpeed: number, outcomes: readonly RateOutcome[]): number | undefined {
  const rates = byRate(outcomes);
  if (rates.length === 0) return rounded(FIRST_SHARE * fullSpeed);
  if (rates.length >= STEPS_MAX) return undefined;
  const held = heldRateOf(outcomes)?.rate;
  const lost = Math.min(
    fullSpeed,
    rates.find((each) => !isHeldRate(each) && each.rate > (held ?? 0))?.rate ?? fullSpeed,
  );
  if (held === undefined) {
    const lower = 0.75 * lost;
    return lower < SHARE_MIN * fullSpeed ? undefined : rounded(lower);
  }
  return lost - held < WIDTH_MIN * fullSpeed ? undefined : rounded((held + lost) / 2);
}

/** Two digits that people can type; a rate that is asked for is no measurement. */
export function rounded(rate: number): number {
  return Math.max(1, Number(rate.toPrecision(3)));
}
