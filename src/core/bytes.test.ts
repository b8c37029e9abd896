import { describe, expect, it } from 'vitest';
import { formatBytes, parseBytes } from './bytes.ts';

describe('parseBytes', () => {
  it.each([
    [0, 0],
    [4096, 4096],
    ['64MiB', 64 * 2 ** 20],
    ['1.5 GiB', 1.5 * 2 ** 30],
    [' 10kB ', 10_000],
    ['7B', 7],
  ])('%s is %i', (amount, bytes) => {
    expect(parseBytes(amount)).toBe(bytes);
  });

  it.each([-1, 1.5, Number.NaN, Infinity, '64', '64mib', 'MiB', '', '-1B', '0.3B', null, {}])(
    'refuses %s',
    (amount) => {
      expect(() => parseBytes(amount as string)).toThrow('is no amount of bytes');
    },
  );
});

describe('formatBytes', () => {
  it.each([
    [0, '0B'],
    [1001, '1001B'],
    [4096, '4KiB'],
    [512 * 2 ** 20, '512MiB'],
    [1.5 * 2 ** 30, '1.5GiB'],
    [2 ** 20 + 1, '1048577B'],
  ])('%i is %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
    expect(parseBytes(text)).toBe(bytes);
  });
});
