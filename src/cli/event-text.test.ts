/** @module */
import { expect, it } from 'vitest';
import type { BatchTimeMs } from '../core/ids.ts';
import { eventLevel, eventText } from './event-text.ts';

const RECOVERED = {
  type: 'engine-recovered',
  blocks: 3,
  batches: 1,
  adopted: 2,
  dropped: 0,
  tornTails: [],
} as const;

it('a recovery is worth a warning when something was dropped or torn', () => {
  expect(eventLevel(RECOVERED)).toBe('info');
  expect(eventLevel({ ...RECOVERED, dropped: 1 })).toBe('warn');
  expect(eventLevel({ ...RECOVERED, tornTails: ['driver-log'] })).toBe('warn');
});

it('a recovery without work says so in words', () => {
  const nothing = { ...RECOVERED, blocks: 0, batches: 0, adopted: 0 };
  expect(eventText(nothing)).toBe('the run before has left nothing to do');
  expect(eventText({ ...nothing, dropped: 1 })).toContain('send again 1');
  expect(eventText({ ...nothing, tornTails: ['driver-log'] })).toContain('torn: driver-log');
});

it('a log that goes on elsewhere asks for no restart', () => {
  const text = eventText({
    type: 'log-quarantined',
    receivers: ['lines/0'],
    error: 'fdatasync of /c/1.wal failed: EIO; what was acknowledged is kept',
    from: '/c/receiver-log-0',
    to: '/q/id/receiver-log-0.1q',
  });
  expect(text).toBe(
    'the log /c/receiver-log-0 has failed: fdatasync of /c/1.wal failed: EIO; what was ' +
      'acknowledged is kept. lines/0 go on in /q/id/receiver-log-0.1q; the failed log is read ' +
      'until its blocks are done',
  );
});

it('records that a batch runs without were not synced, or were given up by a repair', () => {
  const lost = { type: 'blocks-lost', batchTimeMs: 1_000 as BatchTimeMs, recordCount: 20 } as const;
  const start = 'batch 1000 runs without 20 records that';
  const unsynced = `${start} had not been synced when an earlier process died`;
  expect(eventText({ ...lost, droppedCount: 0 })).toBe(unsynced);
  const dropped = 'a repair of this directory has dropped';
  expect(eventText({ ...lost, droppedCount: 20 })).toBe(`${start} ${dropped}`);
  expect(eventText({ ...lost, droppedCount: 3 })).toBe(`${unsynced}, or (3) that ${dropped}`);
});
