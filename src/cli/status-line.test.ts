/** @module */
import { expect, it } from 'vitest';
import { MillraceError } from '../core/errors.ts';
import type { CliIo } from './io.ts';
import { StatusLine, statusText } from './status-line.ts';
import type { LogLevel } from './talk.ts';

const PROGRESS = {
  recordsPerSecond: 12_345,
  recordCount: 1e6,
  batchCount: 42,
  unfinishedBatches: 1,
  queuedBlocks: 1,
  heldReceivers: 0,
  bytesOnDisk: 0,
  schedulingDelayMs: 3.2,
  processingMs: 18.4,
  syncMsP99: 1.24,
};

function terminal(level: LogLevel = 'info', columns = 120) {
  const written: string[] = [];
  const io: CliIo = {
    out: () => undefined,
    err: (text) => written.push(text),
    isOutTerminal: true,
    isErrTerminal: true,
    hasColor: false,
    columns: () => columns,
  };
  return { talk: new StatusLine(io, level), written };
}

/** What a terminal shows after this, one line per entry. */
function screen(written: readonly string[]): string[] {
  const lines = [''];
  const text = written.join('').replaceAll('\r\u001B[K', '<erase>');
  for (const part of text.split(/(<erase>|\n)/)) {
    if (part === '\n') lines.push('');
    else if (part === '<erase>') lines[lines.length - 1] = '';
    else lines[lines.length - 1] += part;
  }
  return lines;
}

it('tells rate, batches, delays, queue and sync in one line', () => {
  const line =
    '12,345 records/s · 42 batches done · delay 3 + 18 ms · 1 block queued · sync p99 1.2 ms';
  expect(statusText(PROGRESS)).toBe(line);
  expect(statusText({ ...PROGRESS, unfinishedBatches: 4 })).toContain('done (4 waiting)');
  expect(statusText({ ...PROGRESS, heldReceivers: 2 })).toContain('2 receivers held: disk full');
  expect(statusText({ ...PROGRESS, bytesOnDisk: 1_200_000 })).toContain('queued, 2 MB on disk');
});

it('redraws in place, and lets messages scroll by above', () => {
  const { talk, written } = terminal();
  talk.progress(PROGRESS);
  talk.progress({ ...PROGRESS, batchCount: 43 });
  talk.event({ type: 'warning', message: 'look here' });
  expect(screen(written)).toEqual(['look here', expect.stringContaining('43 batches done')]);
});

it('makes room for data on the same terminal, and leaves nothing behind', () => {
  const { talk, written } = terminal();
  talk.progress(PROGRESS);
  talk.beforeData();
  written.push('data\n');
  talk.progress(PROGRESS);
  talk.failure(new MillraceError('DISK_FAILED', 'no disk'));
  expect(screen(written)).toEqual([
    'data',
    'millrace: no disk (DISK_FAILED)',
    'See to the disk, then start again.',
    '',
  ]);
});

it('never wraps', () => {
  const { talk, written } = terminal('info', 40);
  talk.progress(PROGRESS);
  expect(screen(written)[0]).toHaveLength(39);
});

it('keeps quiet about what is below the level', () => {
  const { talk, written } = terminal('error');
  talk.progress(PROGRESS);
  talk.event({ type: 'warning', message: 'look here' });
  talk.notice('info', 'started');
  expect(written).toEqual([]);
});

it('does not let a message steer the terminal', () => {
  const { talk, written } = terminal();
  talk.event({ type: 'warning', message: 'bad \u001B[2Jrecord' });
  expect(written).toEqual(['bad record\n']);
});
