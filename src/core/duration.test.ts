import { describe, expect, it } from 'vitest';
import { milliseconds, minutes, parseDuration, seconds } from './duration.ts';

describe('parseDuration', () => {
  it.each([
    [0, 0],
    [250, 250],
    ['200ms', 200],
    ['1s', 1_000],
    ['2m', 120_000],
    ['0.5s', 500],
    ['0.57s', 570],
    [' 10 s ', 10_000],
  ])('reads %j as %d ms', (given, ms) => {
    expect(parseDuration(given)).toBe(ms);
  });

  it.each([
    -1,
    0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    '',
    '5',
    's',
    '1h',
    '-1s',
    '0.1ms',
    '1e3s',
  ])('refuses %j and names it', (given) => {
    expect(() => parseDuration(given)).toThrow(
      expect.objectContaining({
        code: 'OPTIONS_INVALID',
        message: expect.stringContaining(`${JSON.stringify(given)} is no duration`) as string,
      }),
    );
  });

  it('refuses what is neither number nor text', () => {
    expect(() => parseDuration(undefined as never)).toThrow('is no duration');
    expect(() => parseDuration({} as never)).toThrow('is no duration');
  });
});

describe('units', () => {
  it('gives milliseconds', () => {
    expect([milliseconds(20), seconds(1.5), minutes(2)]).toEqual([20, 1_500, 120_000]);
  });

  it('refuses what is no length of time', () => {
    expect(() => seconds(-1)).toThrow('is no duration');
    expect(() => minutes(Number.NaN)).toThrow('is no duration');
  });
});
