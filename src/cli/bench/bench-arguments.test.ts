/** @module */
import { expect, it } from 'vitest';
import type { MillraceError } from '../../core/errors.ts';
import { readBenchArguments } from './bench-arguments.ts';
import { checkRoom, neededBytes } from './bench-room.ts';
import { cellText } from './cell.ts';

function read(given: Readonly<Record<string, unknown>>, operands: readonly string[] = []) {
  return readBenchArguments({ operands, given });
}

function problemsOf(
  given: Readonly<Record<string, unknown>>,
  operands?: readonly string[],
): string {
  try {
    read(given, operands);
  } catch (error) {
    expect(error).toMatchObject({ code: 'OPTIONS_INVALID', exitCode: 64 });
    return (error as MillraceError).message;
  }
  throw new Error('nothing was wrong with it');
}

it('measures everything a few times unless told otherwise, here', () => {
  const { directory, cells, batchIntervalMs, plan, json, html } = read({});
  expect([directory, json, html]).toEqual(['.', undefined, undefined]);
  expect(cells).toHaveLength(24);
  expect([batchIntervalMs, plan.repetitions, plan.fullMs]).toEqual([200, 3, 2_000]);
  expect(plan.expectedMs).toBeGreaterThan(24 * 3 * 2_000);
});

it('takes lists, each value once', () => {
  const given = {
    wal: 'sync, off',
    receivers: '2,2',
    blockIntervals: '100ms,50',
    recordBytes: '7',
  };
  const { cells } = read({ ...given, json: '-', html: 'a.html' }, ['/data']);
  expect(cells.map(cellText)).toEqual([
    'sync, 2 receivers, 100 ms, 7 B',
    'off, 2 receivers, 100 ms, 7 B',
    'sync, 2 receivers, 50 ms, 7 B',
    'off, 2 receivers, 50 ms, 7 B',
  ]);
});

it('tells all that is wrong at once', () => {
  const given = {
    wal: 'off,fsync',
    receivers: '0,x',
    blockIntervals: '1ms,soon',
    recordBytes: '1,70000,',
    seconds: '0',
    repetitions: '1.5',
    budget: 'long',
    html: '-',
  };
  const message = problemsOf(given, ['--wat', 'a']);
  for (const part of [
    'there is no flag --wat',
    "'fsync' is not off, flush or sync",
    "--receivers: '0' is not 1 to 64",
    "--receivers: 'x'",
    "--block-intervals: '1ms' is not 5ms to 2s",
    "'soon'",
    "--record-bytes: '1'",
    "'70000'",
    "--record-bytes: '' is not",
    "--seconds is '0'",
    "--repetitions is '1.5'",
    '--budget: "long" is no duration',
    '--html needs',
  ]) {
    expect(message).toContain(part);
  }
  expect(message).toMatch(/^13 things are wrong/);
});

it('refuses what excludes each other', () => {
  expect(problemsOf({ budget: '5m', seconds: '1' })).toContain('exclude each other');
  expect(problemsOf({ json: 'a', html: 'a' })).toContain('the same file');
  expect(problemsOf({}, ['a', 'b'])).toContain('only one DIR');
  expect(problemsOf({ blockIntervals: '300ms,700ms' })).toContain('no common multiple');
  const many = Array.from({ length: 64 }, (_, index) => index + 1).join(',');
  expect(problemsOf({ receivers: many })).toContain('are too many');
});

it('spends a budget on longer samples, and says when it is too small', () => {
  const cells = { wal: 'off,sync', receivers: '1', blockIntervals: '50ms', recordBytes: '100' };
  const { plan } = read({ ...cells, budget: '2m' });
  expect(plan.expectedMs).toBeLessThanOrEqual(120_000);
  expect(plan.fullMs).toBeGreaterThan(5_000);
  const message = problemsOf({ ...cells, budget: '10s' });
  const [, enough] = /give (\d+s) or more/.exec(message) ?? [];
  expect(read({ ...cells, budget: enough ?? '' }).plan.fullMs).toBe(500);
});

it('refuses a disk with too little room before anything is written, and says how much', () => {
  const { cells } = read({});
  const needed = neededBytes(cells, false);
  expect(needed).toBeGreaterThan(2 ** 30);
  expect(neededBytes(cells, true)).toBeLessThan(needed);
  expect(() => checkRoom('/d', needed, needed)).not.toThrow();
  expect(() => checkRoom('/d', undefined, needed)).not.toThrow();
  expect(() => checkRoom('/d', needed - 1, needed)).toThrow(
    expect.objectContaining({
      code: 'DISK_FULL',
      message: expect.stringContaining('1MiB are missing'),
    }),
  );
});
