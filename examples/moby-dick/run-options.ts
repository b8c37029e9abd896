/** The flags of run.ts, and from a seed the moments at which the engine is killed.
 * @module */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

export interface RunOptions {
  /** How long the book is sent, about. */
  readonly seconds: number;
  readonly kills: number;
  readonly seed: number;
  /** Keep the working directory, also after a passed run. */
  readonly isKeeping: boolean;
}

const HELP = `Usage: npm start -- [flags]

Streams Moby-Dick into a word count, kills the engine with SIGKILL on the way, and checks that
every word was counted as often as it was sent.

  --seconds N   how long to send, 5 … 3600 (default: 25)
  --kills N     how often to kill the engine, 3 … 1000 (default: 4)
  --seed N      chooses the moments, 0 … 4294967295 (default: another each time; it is printed)
  --keep        keep the working directory, also of a run that passed
  -h, --help    print this

Exit codes: 0 passed, 1 failed, 64 wrong use.
`;
const WRONG_USE_EXIT_CODE = 64;
const SEED_MAX = 2 ** 32 - 1;

/** @returns an exit code where there is nothing to run. */
export function readOptions(argv: readonly string[]): RunOptions | number {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        seconds: { type: 'string', default: '25' },
        kills: { type: 'string', default: '4' },
        seed: { type: 'string', default: String(randomInt(SEED_MAX)) },
        keep: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      return 0;
    }
    return {
      seconds: integer('--seconds', values.seconds, { min: 5, max: 3_600 }),
      kills: integer('--kills', values.kills, { min: 3, max: 1_000 }),
      seed: integer('--seed', values.seed, { min: 0, max: SEED_MAX }),
      isKeeping: values.keep,
    };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    return WRONG_USE_EXIT_CODE;
  }
}

function integer(
  flag: string,
  text: string,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Error(`${flag} is ${text} and must be a whole number, ${min} … ${max}`);
}

/** Moments after the start, in order: one at random in each of as many equal parts of the time, the
 * first and the last tenth left out, so that each kill meets a run that is under way. */
export function killTimes({
  kills,
  withinMs,
  seed,
}: {
  readonly kills: number;
  readonly withinMs: number;
  readonly seed: number;
}): readonly number[] {
  const random = seededRandom(seed);
  const partMs = (withinMs * 0.8) / kills;
  return Array.from({ length: kills }, (_, index) => withinMs * 0.1 + partMs * (index + random()));
}

/** Numbers 0 ≤ n < 1 that depend on the seed alone (a linear congruential generator, high bits). */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  // Neighbouring seeds begin with neighbouring numbers.
  for (let skipped = 0; skipped < 8; skipped += 1) next();
  return next;
}
