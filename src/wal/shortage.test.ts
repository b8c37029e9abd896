/** @module */
import { expect, it } from 'vitest';
import { MillraceError } from '../core/errors.ts';
import { noRoom, shortageOf } from './shortage.ts';

it('is told by an error, and read off it again', () => {
  const shortage = { directory: '/log', wantedBytes: 4096, missingBytes: 96 };
  expect(shortageOf(noRoom(shortage))).toEqual(shortage);
});

it('is one too where the operating system says no more than that', () => {
  const full = (details: { path?: string }): MillraceError =>
    new MillraceError('DISK_FULL', 'full', { details });
  const unknown = { wantedBytes: 0, missingBytes: 0 };
  expect(shortageOf(full({ path: '/log/a' }))).toEqual({ directory: '/log/a', ...unknown });
  expect(shortageOf(full({}))).toEqual({ directory: 'the log', ...unknown });
});

it('is no other error', () => {
  expect(shortageOf(undefined)).toBeUndefined();
  expect(shortageOf(new Error('full'))).toBeUndefined();
  expect(shortageOf(new MillraceError('DISK_FAILED', 'broken'))).toBeUndefined();
});
