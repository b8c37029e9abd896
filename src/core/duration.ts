/** Lengths of time as users write them: a number of milliseconds, or text with a unit.
 *
 * Inside the engine every length of time is a number of whole milliseconds; this is the one place
 * where text becomes one. Bounds of single options are checked in options.ts.
 * @module */
import { MillraceError } from './errors.ts';

/** Milliseconds, or text such as `'200ms'`, `'1s'`, `'2m'`. */
export type Duration = number | string;

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
]);

/** How far from a whole millisecond decimal text may land: `0.57s` is 569.9999999999999 ms. */
const ROUNDING_MS = 1e-6;

/** `n` milliseconds. */
export function milliseconds(n: number): number {
  return n;
}

/** `n` seconds, in milliseconds. */
export function seconds(n: number): number {
  return parseDuration(`${n}s`);
}

/** `n` minutes, in milliseconds. */
export function minutes(n: number): number {
  return parseDuration(`${n}m`);
}

/** @returns whole milliseconds, 0 or more.
 * @throws {MillraceError} OPTIONS_INVALID for anything else, naming what was given. */
export function parseDuration(duration: Duration): number {
  const ms = typeof duration === 'number' ? duration : textToMs(duration);
  const whole = Math.round(ms);
  if (!Number.isSafeInteger(whole) || whole < 0 || Math.abs(ms - whole) > ROUNDING_MS) {
    throw new MillraceError(
      'OPTIONS_INVALID',
      `${JSON.stringify(duration)} is no duration: give whole milliseconds as a number, ` +
        "or text with a unit (ms, s, m) such as '200ms', '1s', '2m'",
    );
  }
  return whole;
}

function textToMs(text: unknown): number {
  const parts = typeof text === 'string' ? /^(\d+(?:\.\d+)?) ?([a-z]+)$/.exec(text.trim()) : null;
  const unitMs = UNIT_MS.get(parts?.[2] ?? '');
  return unitMs === undefined ? Number.NaN : Number(parts?.[1]) * unitMs;
}
