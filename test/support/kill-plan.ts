/** How often and when to kill, from the environment and a seed. @module */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { seededRandom, systemRandom } from '../../src/core/random.ts';
import type { Random } from '../../src/core/random.ts';
import type { ChildEngine } from './child-engine.ts';

/** Random kills of the whole crash suite. `MILLRACE_KILLS` overrides. */
const KILLS: number = Number(process.env['MILLRACE_KILLS'] ?? 60);

/** `MILLRACE_SEED` replays the moments, though not the scheduling of the machine. */
export const SEED: number = Number(
  process.env['MILLRACE_SEED'] ?? Math.floor(systemRandom.next() * 1e9),
);

/** This part of all kills, 1 at least. */
export function shareOfKills(part: number): number {
  return Math.max(1, Math.round(KILLS * part));
}

/** Random numbers of one test, independent of the other tests. */
export function randomOf(title: string): Random {
  let hash = SEED;
  for (const char of title) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x0100_0193);
  return seededRandom(hash);
}

/** Kills at a random moment: one time in three on the way up, in recovery mostly; one time in six in
 * the middle of a graceful stop; else under load.
 * @returns true when the kill came in time, false when it had ended before. */
export async function killAtRandom(engine: ChildEngine, random: Random): Promise<boolean> {
  const kind = random.next();
  if (kind < 1 / 3) {
    await Promise.race([engine.exited, sleep(100 + 300 * random.next())]);
  } else {
    await Promise.race([engine.exited, engine.ready()]);
    await Promise.race([engine.exited, sleep(1000 * random.next())]);
    if (kind < 1 / 2) engine.askToStop();
    if (kind < 1 / 2) await Promise.race([engine.exited, sleep(80 * random.next())]);
  }
  return (await engine.kill()).signal === 'SIGKILL';
}

/** As `killAtRandom`, for engines whose input does not end: one that was not killed had been asked to
 * stop, and did so in order. */
export async function killOrEnd(engine: ChildEngine, random: Random): Promise<void> {
  if (await killAtRandom(engine, random)) return;
  expect(engine.exit, engine.describe()).toEqual({ code: 0, signal: null });
}
