import { expect, it } from 'vitest';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import { recordedIo } from '../../../test/support/recorded-io.ts';
import { BenchProgress } from './bench-progress.ts';

/** @returns everything that went to standard error. */
function said(isTerminal: boolean): string {
  const clock = new ManualClock();
  const recorded = recordedIo(isTerminal);
  const progress = new BenchProgress(recorded.io, clock, { name: 'tune', totalMs: 10_000 });
  progress.begin({ text: '1: a sample', expectedMs: 5_000 });
  for (let step = 0; step < 3; step += 1) clock.advance(250);
  progress.note('nothing comes');
  clock.advance(250);
  progress.close();
  return recorded.said.err.join('');
}

it('puts a note on a line of its own, above the bar at a terminal', () => {
  expect(said(false)).toMatch(/^1: a sample \(.* left\)\nnothing comes\n$/);
  const bar: unknown = expect.stringContaining('% of 10 s');
  const lines = said(true)
    .split('\n')
    .map((line) => line.split('\r\u001B[K'));
  expect(lines).toEqual([
    ['', bar, bar, 'nothing comes'],
    ['', bar, ''],
  ]);
});
