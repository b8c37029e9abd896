/** @module */
import { describe, expect, it } from 'vitest';
import { MillraceError } from '../core/errors.ts';
import { exitCodeOf, formatError } from './error-report.ts';

/** What a thread sends: user frames as source maps place them, then frames of everything else. */
function userError(): Error {
  const error = new TypeError('boom');
  error.stack = [
    'TypeError: boom',
    '    at shout (/app/pipeline.ts:7:11)',
    '    at dep (/app/node_modules/dep/index.js:1:2)',
    `    at push (${import.meta.dirname}/stage-chain.ts:52:18)`,
    '    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)',
  ].join('\n');
  return error;
}

describe('formatError', () => {
  it('says what, where in the user’s file, and what to do', () => {
    const error = new MillraceError('TASK_FAILED', 'batch 7: map-0 failed: boom', {
      cause: userError(),
    });
    expect(formatError(error, { isDebug: false }).split('\n')).toEqual([
      'batch 7: map-0 failed: boom (TASK_FAILED)',
      '  because of TypeError: boom',
      '    at shout (/app/pipeline.ts:7:11)',
      'Correct the function and start again: the batch runs again with the same records.',
    ]);
  });

  it('does not repeat a cause that its wrapper quotes', () => {
    const cause = new MillraceError('EXECUTOR_DIED', 'the thread died');
    const error = new MillraceError('RECEIVER_FAILED', 'no receiver: the thread died', { cause });
    expect(formatError(error, { isDebug: false })).toBe(
      'no receiver: the thread died (RECEIVER_FAILED)',
    );
  });

  it('shows everything with debug', () => {
    const error = new MillraceError('TASK_FAILED', 'failed: boom', {
      cause: userError(),
      details: { batchTimeMs: 7 },
    });
    const text = formatError(error, { isDebug: true });
    expect(text).toContain('stage-chain.ts:52:18');
    expect(text).toContain('batchTimeMs: 7');
  });

  it('shows the whole stack of a bug, and asks for a report', () => {
    const text = formatError(new MillraceError('BROKEN_INVARIANT', 'impossible'), {
      isDebug: false,
    });
    expect(text).toContain('error-report.test.ts');
    expect(text).toContain('bug in millrace');
  });

  it('ends where causes form a circle', () => {
    const error = new Error('the first');
    error.cause = new Error('the second', { cause: error });
    expect(formatError(error, { isDebug: false })).toContain('because of Error: the second');
  });
});

it('takes the exit code from the error, and 1 for any other', () => {
  expect(exitCodeOf(new MillraceError('WAL_CORRUPT', 'x'))).toBe(2);
  expect(exitCodeOf(new MillraceError('DIRECTORY_LOCKED', 'x'))).toBe(75);
  expect(exitCodeOf(new Error('x'))).toBe(1);
  expect(exitCodeOf('x')).toBe(1);
});
