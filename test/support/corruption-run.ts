/** Runs many harms over one log and says how each that came out wrong is done again alone.
 *
 *     MILLRACE_SEED=n        replays the random ones
 *     MILLRACE_HARM='{…}'    does only this one, as a failure prints it
 *     MILLRACE_RUNS=0.1      does about a tenth of them, from all over the log
 *
 * @module */
import { seededRandom } from '../../src/core/random.ts';
import type { Random } from '../../src/core/random.ts';
import { HarmedLog } from './harmed-log.ts';
import type { Harm } from './log-harm.ts';
import type { LogImage } from './log-image.ts';
import { everyNth } from './sim-runs.ts';

const MISTAKES_SHOWN_MAX = 10;

const seed: number = Number(process.env['MILLRACE_SEED'] ?? 20_261_121);

const alone = process.env['MILLRACE_HARM'];
/** Only one harm is done: a failure is looked at. */
export const isAlone: boolean = alone !== undefined;

export class CorruptionRun {
  readonly #image: LogImage;
  /** Logs that were harmed and read. */
  count = 0;

  constructor(image: LogImage) {
    this.#image = image;
  }

  /** @returns what to do again, and what was wrong; nothing when all came out right. */
  async mistakesOf(harms: Iterable<Harm>): Promise<string[]> {
    const log = new HarmedLog(this.#image);
    const mistakes: string[] = [];
    for (const harm of chosen(harms)) {
      this.count += 1;
      const mistake = await log.mistakeOf(harm);
      if (mistake === undefined) continue;
      mistakes.push(`MILLRACE_SEED=${seed} MILLRACE_HARM='${JSON.stringify(harm)}': ${mistake}`);
      if (mistakes.length === MISTAKES_SHOWN_MAX) break;
    }
    return mistakes;
  }
}

/** A sequence of its own for each use, so that one family of harms does not move another. */
export function randomFor(use: number): Random {
  return seededRandom(seed + use);
}

function chosen(harms: Iterable<Harm>): Iterable<Harm> {
  return alone === undefined ? everyNth(harms) : [JSON.parse(alone) as Harm];
}
