/** Amounts of bytes as users write and read them: a number, or text with a unit.
 * @module */
import { MillraceError } from './errors.ts';

const UNIT_BYTES: ReadonlyMap<string, number> = new Map([
  ['B', 1],
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
  ['kB', 1e3],
  ['KB', 1e3],
  ['MB', 1e6],
  ['GB', 1e9],
]);

/** @param amount bytes, or text such as `'64MiB'`, `'1.5 GiB'`, `'500kB'`.
 * @returns whole bytes, 0 or more.
 * @throws {MillraceError} OPTIONS_INVALID for anything else, naming what was given. */
export function parseBytes(amount: number | string): number {
  const bytes = typeof amount === 'number' ? amount : textToBytes(amount);
  if (Number.isSafeInteger(bytes) && bytes >= 0) return bytes;
  throw new MillraceError(
    'OPTIONS_INVALID',
    `${JSON.stringify(amount)} is no amount of bytes: give whole bytes as a number, ` +
      "or text with a unit (B, KiB, MiB, GiB, kB, MB, GB) such as '64MiB'",
  );
}

/** The shortest exact form, with a binary unit where it fits: `64MiB`, `1.5GiB`, else `1001B`. */
export function formatBytes(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB']) {
    const amount = bytes / (UNIT_BYTES.get(unit) ?? 1);
    const isShort = Number.isInteger(amount * 100);
    if (amount >= 1 && isShort) return `${amount}${unit}`;
  }
  return `${bytes}B`;
}

function textToBytes(text: unknown): number {
  const parts =
    typeof text === 'string' ? /^(\d+(?:\.\d+)?) ?([A-Za-z]+)$/.exec(text.trim()) : null;
  const unitBytes = UNIT_BYTES.get(parts?.[2] ?? '');
  return unitBytes === undefined ? Number.NaN : Number(parts?.[1]) * unitBytes;
}
