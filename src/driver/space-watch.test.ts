/** @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { settle } from '../../test/support/receiver-side.ts';
import { withoutWaiting } from '../../test/support/without-waiting.ts';
import { EventBus } from '../core/events.ts';
import type { EngineEvent } from '../core/events.ts';
import { SpaceWatch } from './space-watch.ts';

const SHORT = { directory: '/the-home/log', wantedBytes: 64, missingBytes: 10 };

let events: EngineEvent[];
let held: boolean[];
let space: SpaceWatch;

beforeEach(() => {
  events = [];
  held = [];
  const bus = new EventBus();
  bus.subscribe((event) => events.push(event));
  space = new SpaceWatch({
    events: bus,
    receivers: [['lines/0', 'other/0'], ['lines/1']],
    onDriverHeld: (isHeld) => held.push(isHeld),
  });
});

describe('a receiver log without room', () => {
  it('is told with what is full, how much is missing, and who is held', () => {
    space.ofReceiverLog(0, SHORT);
    expect(events).toEqual([{ type: 'sources-held', receivers: ['lines/0', 'other/0'], ...SHORT }]);
    expect(space.heldReceivers).toEqual(['lines/0', 'other/0']);
    space.ofReceiverLog(0, undefined);
    expect(events.at(-1)).toEqual({
      type: 'sources-released',
      receivers: ['lines/0', 'other/0'],
      directory: '/the-home/log',
    });
    expect(space.heldReceivers).toEqual([]);
  });

  it('is told once, and does not close the gate of the driver log', () => {
    space.ofReceiverLog(1, SHORT);
    space.ofReceiverLog(1, { ...SHORT, missingBytes: 5 });
    expect(events).toHaveLength(1);
    expect(space.admit()).toBeUndefined();
    expect(held).toEqual([]);
  });
});

describe('the driver log without room', () => {
  it('holds everybody back, and lets blocks wait in order', async () => {
    space.ofDriverLog(SHORT);
    expect(held).toEqual([true]);
    expect(space.heldReceivers).toEqual(['lines/0', 'other/0', 'lines/1']);
    const passed: number[] = [];
    for (const number of [1, 2, 3]) void space.admit()?.then(() => passed.push(number));
    await settle();
    expect(passed).toEqual([]);
    space.ofDriverLog(undefined);
    await settle();
    expect(passed).toEqual([1, 2, 3]);
    expect(held).toEqual([true, false]);
  });

  it('releases only whose own log has room', () => {
    space.ofReceiverLog(1, SHORT);
    space.ofDriverLog(SHORT);
    space.ofDriverLog(undefined);
    expect(events.at(-1)).toMatchObject({ receivers: ['lines/0', 'other/0'] });
    expect(space.heldReceivers).toEqual(['lines/1']);
  });

  it('lets nobody wait beyond the end', async () => {
    space.ofDriverLog(SHORT);
    const waiting = space.admit();
    space.close();
    await expect(withoutWaiting(waiting)).rejects.toMatchObject({ code: 'DISK_FULL' });
    await expect(space.admit()).rejects.toMatchObject({ code: 'DISK_FULL' });
  });
});
