/** Draws what a random history is to be. @module */
import type { Random } from '../core/random.ts';

/** Each call takes one number from `random`, so the order of calls is part of what a seed means. */
export class Draw {
  readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  /** From 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.random.next() * count);
  }

  /** True so often. */
  chance(share: number): boolean {
    return this.random.next() < share;
  }

  /** @throws {RangeError} when there is nothing to choose from. */
  of<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)];
    if (value === undefined) throw new RangeError('nothing to choose from');
    return value;
  }
}
