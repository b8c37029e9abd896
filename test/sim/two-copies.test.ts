/** Two copies on two simulated disks: whatever happens to one of them, and wherever the power goes,
 * everything acknowledged is in every later start. MILLRACE_SEED replays. @module */
import { describe, expect, it } from 'vitest';
import { seededRandom, systemRandom } from '../../src/core/random.ts';
import type { Random } from '../../src/core/random.ts';
import { PowerLost, TwoCopies } from '../support/two-copies.ts';
import type { Side, Sides } from '../support/two-copies.ts';

const SEED = Number(process.env['MILLRACE_SEED'] ?? Math.floor(systemRandom.next() * 1e9));
const HISTORIES = Number(process.env['MILLRACE_RUNS'] ?? 40);
const LIVES = 6;

/** What the disks go through between two lives. All of it leaves one whole copy. */
type Disaster = 'none' | 'lost' | 'rot' | 'away';

class History {
  readonly random: Random;
  readonly copies: TwoCopies;
  /** Both hold everything: the last start had both and came to its end. */
  isWhole = false;
  readonly told: string[] = [];

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.copies = new TwoCopies(this.random);
  }

  below(count: number): number {
    return Math.floor(this.random.next() * count);
  }

  /** Both, in any order: which one is called the first must not matter. */
  both(): Sides {
    return this.below(2) === 0 ? [0, 1] : [1, 0];
  }

  /** Starts until it comes to its end; the power goes again and again on the way. */
  async start(sides: Sides): Promise<void> {
    for (let tries = this.below(4); tries > 0; tries -= 1) {
      const calls = 1 + this.below(220);
      try {
        await this.copies.orLosePower(() => this.copies.start(sides), calls);
        this.copies.kill();
      } catch (error) {
        if (!(error instanceof PowerLost)) throw error;
        this.told.push(`power lost at call ${calls} of a start`);
        this.copies.cutPower();
      }
    }
    await this.copies.start(sides);
    this.told.push(`start with ${sides.join(', ')}`);
  }

  /** Some work, cut off somewhere, or ended in order. */
  async live(): Promise<void> {
    // Work that lost its power stands still at its next call, and if that needs no disk it would go
    // on in the next life.
    let isOver = false;
    const work = async (): Promise<void> => {
      for (let steps = 2 + this.below(8); steps > 0 && !isOver; steps -= 1) {
        const step = this.below(10);
        if (step < 5) await this.copies.registerMany(1 + this.below(4));
        else if (step < 7) await this.copies.allocate();
        else if (step < 9) await this.copies.checkpoint();
        else await this.copies.idle();
      }
      if (!isOver && this.below(3) === 0) await this.copies.close();
    };
    try {
      await this.copies.orLosePower(work, 5 + this.below(150));
      if (this.below(2) === 0) this.copies.kill();
      else this.copies.cutPower();
    } catch (error) {
      isOver = true;
      if (!(error instanceof PowerLost)) throw error;
      this.copies.cutPower();
    }
  }

  async suffer(): Promise<Sides> {
    const disaster: Disaster = this.isWhole
      ? ((['none', 'lost', 'rot', 'rot', 'away'] as const)[this.below(5)] ?? 'none')
      : 'none';
    const side: Side = this.below(2) === 0 ? 0 : 1;
    this.told.push(`${disaster} ${side}`);
    if (disaster === 'lost') this.copies.loseDisk(side);
    if (disaster === 'rot') this.told.push(await this.copies.rot(side));
    if (disaster === 'away') {
      // The other one goes on alone, and this one comes back as it was.
      this.isWhole = false;
      const other: Side = side === 0 ? 1 : 0;
      const away = this.copies.loseDisk(side);
      await this.start([other]);
      await this.live();
      this.copies.disks[side] = away;
    }
    return this.both();
  }
}

describe(`two copies (MILLRACE_SEED=${SEED})`, () => {
  it('bring back everything acknowledged, whatever one of them goes through', async () => {
    let restored = 0;
    let acknowledged = 0;
    for (let n = 0; n < HISTORIES; n += 1) {
      const history = new History(SEED + n);
      try {
        for (let life = 0; life < LIVES; life += 1) {
          const sides = await history.suffer();
          await history.start(sides);
          history.isWhole = true;
          await history.live();
        }
      } catch (error) {
        const story = history.told.join('\n  ');
        throw new Error(`history MILLRACE_SEED=${SEED + n}:\n  ${story}`, { cause: error });
      }
      acknowledged += history.copies.acknowledgedCount;
      restored += history.copies.events.filter(({ type }) => type === 'copy-restored').length;
    }
    expect(acknowledged).toBeGreaterThan(10 * HISTORIES);
    expect(restored).toBeGreaterThan(HISTORIES);
  });
});
