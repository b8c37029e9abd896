/** @module */
import { beforeEach, expect, it } from 'vitest';
import { EventBus } from '../core/events.ts';
import type { StreamId } from '../core/ids.ts';
import { toWireError } from '../serde/wire-error.ts';
import type { ReceiverEvent } from '../workers/protocol.ts';
import { ReceiverReports } from './receiver-reports.ts';

const LINES = { streamId: 'lines' as StreamId, receiverIndex: 0 };
const MORE = { streamId: 'lines' as StreamId, receiverIndex: 1 };
const RESTARTING = { kind: 'restarting', reason: 'tired', delayMs: 5 } as const;

let reports: ReceiverReports;
let told: unknown[];

beforeEach(() => {
  const bus = new EventBus();
  told = [];
  bus.subscribe(({ type, ...rest }) => {
    told.push('receiverIndex' in rest ? [type, rest.receiverIndex] : [type]);
  });
  reports = new ReceiverReports(bus);
});

function tell(...events: readonly ReceiverEvent[]): void {
  for (const event of events) reports.tell(LINES, 'receiver executor 0', event);
}

it('tells once that a receiver has stopped, whoever says so first', () => {
  tell({ kind: 'started' }, { kind: 'stopped' }, { kind: 'stopped' });
  reports.allStopped();
  expect(told).toEqual([
    ['receiver-started', 0],
    ['receiver-stopped', 0],
  ]);
});

it('tells it of those whose threads had no time to say so, and of nobody else', () => {
  tell({ kind: 'started' });
  reports.tell(MORE, 'receiver executor 0', { kind: 'started' });
  tell(RESTARTING);
  reports.allStopped();
  tell({ kind: 'stopped' }); // too late
  expect(told.slice(2)).toEqual([
    ['receiver-restarting', 0],
    ['receiver-stopped', 1],
  ]);
});

it('a receiver that never came to run does not stop', () => {
  const error = toWireError(new Error('no such host'));
  tell({ kind: 'error', message: 'onStart failed', error }, RESTARTING, { kind: 'stopped' });
  expect(told).toEqual([
    ['receiver-error', 0],
    ['receiver-restarting', 0],
  ]);
  expect(reports.hasStarted(LINES)).toBe(false);
});

it('a thread that died takes its receivers with it, and is told with their names', () => {
  tell({ kind: 'started' });
  reports.executorDied('receiver executor 0', [LINES, MORE], 'exit 1');
  reports.allStopped();
  expect(told).toEqual([['receiver-started', 0], ['executor-died']]);
  expect(reports.hasStarted(LINES)).toBe(true);
});

it('a source that has ended may have more to send in a new life', () => {
  tell({ kind: 'started' }, { kind: 'ended' });
  expect([reports.hasEnded(LINES), reports.hasEnded(MORE)]).toEqual([true, false]);
  reports.begins(LINES);
  expect(reports.hasEnded(LINES)).toBe(false);
});
