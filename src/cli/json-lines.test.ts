/** @module */
import { expect, it } from 'vitest';
import { MillraceError } from '../core/errors.ts';
import { JsonLines } from './json-lines.ts';
import type { LogLevel } from './talk.ts';

function lines(level: LogLevel, say: (talk: JsonLines) => void): Record<string, unknown>[] {
  const written: string[] = [];
  say(JsonLines.open(level, { write: (line) => written.push(line) }));
  return written.map((line) => JSON.parse(line) as Record<string, unknown>);
}

it('writes an event with its fields and a sentence', () => {
  const [line] = lines('info', (talk) =>
    talk.event({
      type: 'engine-started',
      pipeline: 'wordcount',
      durability: 'sync',
      directory: '/data',
      epoch: 3,
      startMs: 321,
    }),
  );
  expect(line).toMatchObject({
    level: 'info',
    pid: process.pid,
    event: 'engine-started',
    epoch: 3,
  });
  expect(line).not.toHaveProperty('type');
  expect(line?.['msg']).toBe(
    'pipeline wordcount takes records: durability sync, /data, epoch 3, started in 321 ms',
  );
});

it('leaves out what is below the level', () => {
  const said = lines('warn', (talk) => {
    talk.notice('info', 'quiet');
    talk.notice('warn', 'loud');
  });
  expect(said).toMatchObject([{ level: 'warn', event: 'notice', msg: 'loud' }]);
});

it('writes a failure with code, exit code, details and causes', () => {
  const cause = new TypeError('boom');
  const error = new MillraceError('OUTPUT_FAILED', 'it failed', { cause, details: { at: 7 } });
  expect(lines('error', (talk) => talk.failure(error))).toMatchObject([
    {
      level: 'fatal',
      event: 'failure',
      code: 'OUTPUT_FAILED',
      exitCode: 1,
      details: { at: 7 },
      causes: ['TypeError: boom'],
      msg: expect.stringContaining('it failed'),
    },
  ]);
});
