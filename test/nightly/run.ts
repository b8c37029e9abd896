/** Runs the simulations again and again, each round from a fresh seed, until time is up or a round
 * fails.
 *
 *   npm run nightly [-- --hours 8] [--seed n]
 *
 * One round is what CI does: model-based scripts, crash states, cut recoveries, error sweeps, histories
 * of the whole engine. The
 * last line of a failure is the command that replays it. @module */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const HOUR_MS = 3_600_000;
const SEED_MAX = 2 ** 31;
/** Seeds of one round: some tests use those that follow theirs, thousands of them. */
const SEEDS_PER_ROUND = 100_000;

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** @returns the exit code. */
async function runRound(seed: number): Promise<number> {
  const child = spawn(
    process.execPath,
    [join('node_modules', 'vitest', 'vitest.mjs'), 'run', '--project=sim', 'test/sim'],
    { cwd: ROOT, stdio: 'inherit', env: { ...process.env, MILLRACE_SEED: String(seed) } },
  );
  const [code] = (await once(child, 'close')) as [number | null];
  return code ?? 1;
}

async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { hours: { type: 'string', default: '8' }, seed: { type: 'string' } },
  });
  const hours = Number(values.hours);
  let seed = Number(values.seed ?? Math.floor(Date.now() / 1_000) % SEED_MAX);
  if (!(hours > 0) || !Number.isSafeInteger(seed)) {
    print('usage: npm run nightly [-- --hours 8] [--seed n]');
    return 64;
  }
  const endMs = performance.now() + hours * HOUR_MS;
  for (let round = 1; round === 1 || performance.now() < endMs; round += 1) {
    print(`\n=== round ${round}, MILLRACE_SEED=${seed}`);
    const code = await runRound(seed);
    if (code !== 0) {
      print(`\nround ${round} failed; replay: MILLRACE_SEED=${seed} npx vitest run --project sim`);
      return code;
    }
    seed = (seed + SEEDS_PER_ROUND) % SEED_MAX;
  }
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
