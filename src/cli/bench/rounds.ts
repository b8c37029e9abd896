/** In which order repetitions are taken: everything once, then everything again, so that what the
 * machine does meanwhile falls on all alike; every second round backwards. Only what was taken in
 * one round is compared. Pure. @module */

/** The items in the order of one round. @param round from 0. */
export function inRound<T>(items: readonly T[], round: number): readonly T[] {
  return round % 2 === 0 ? items : items.toReversed();
}
