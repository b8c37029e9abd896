import { describe, expect, it } from 'vitest';
import { FakeReceiverHost } from '../../test/support/fake-receiver-host.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { MillraceError } from '../core/errors.ts';
import type { RateAllowance, SourcePositions } from '../dstream/receiver.ts';
import { lineAt, makeLines } from './generator-lines.ts';
import { GeneratorReceiver } from './generator-receiver.ts';
import type { GeneratorReceiverOptions } from './generator-receiver.ts';

interface Setting {
  readonly options: GeneratorReceiverOptions;
  readonly index?: number;
  readonly count?: number;
  readonly lastPosition?: SourcePositions;
  readonly isHeld?: boolean;
  readonly allowance?: RateAllowance;
}

function start(setting: Setting) {
  const { options, index = 0, count = 1, lastPosition = {}, isHeld = false } = setting;
  const receiver = new GeneratorReceiver(options);
  const host = new FakeReceiverHost<string>(receiver, {
    receiverIndex: index,
    receiverCount: count,
    lastPosition,
  });
  if (isHeld) host.hold();
  if (setting.allowance !== undefined) host.allowanceNow = setting.allowance;
  receiver.onStart();
  return { receiver, host };
}

function recordsOf(host: FakeReceiverHost<string>): string[] {
  return host.calls.flatMap((call) => call.records);
}

/** Lets the event loop turn often enough for a receiver that went on to be noticed. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

async function runToEnd(setting: Setting): Promise<FakeReceiverHost<string>> {
  const { receiver, host } = start(setting);
  await host.until(() => host.endCount === 1);
  await receiver.onStop();
  return host;
}

function expected(total: number, options: { seed?: number; recordBytes?: number } = {}): string[] {
  const lines = makeLines(options.seed ?? 1, options.recordBytes ?? 100);
  return Array.from({ length: total }, (_, index) => lineAt(lines, index));
}

describe('GeneratorReceiver', () => {
  it('stores the lines of the seed in order, then ends', async () => {
    const host = await runToEnd({ options: { total: 2_500, seed: 7, recordBytes: 20 } });
    expect(recordsOf(host)).toEqual(expected(2_500, { seed: 7, recordBytes: 20 }));
    expect(host.calls.map((call) => call.options.position)).toEqual([
      { r0: 1_024 },
      { r0: 2_048 },
      { r0: 2_500 },
    ]);
    expect(host.endCount).toBe(1);
    expect(host.calls[0]?.records).toBe(host.calls[1]?.records); // the very same array
  });

  it.each([1, 2, 3, 5])('splits the total over %i receivers, each record once', async (count) => {
    const total = 5_003;
    const all: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const host = await runToEnd({ options: { total }, index, count });
      const own = recordsOf(host);
      expect(Math.abs(own.length - total / count)).toBeLessThan(1);
      expect(own[1]).toBe(lineAt(makeLines(1, 100), count + index));
      all.push(...own);
    }
    expect(all.sort()).toEqual(expected(total).sort());
  });

  it('goes on strictly after its own last position', async () => {
    const lastPosition = { r0: 9, r1: 1_000 };
    const host = await runToEnd({ options: { total: 5_000 }, index: 1, count: 2, lastPosition });
    const own = expected(5_000).filter((_, index) => index % 2 === 1);
    expect(recordsOf(host)).toEqual(own.slice(1_000));
    expect(host.calls[0]?.records).toHaveLength(24); // up to the next whole chunk
    expect(host.calls.at(-1)?.options.position).toEqual({ r1: 2_500 });
  });

  it('ends at once when its share was stored before, or is empty', async () => {
    const done = await runToEnd({ options: { total: 10 }, lastPosition: { r0: 10 } });
    const none = await runToEnd({ options: { total: 1 }, index: 1, count: 2 });
    expect([done.calls, none.calls]).toEqual([[], []]);
  });

  it('keeps a bounded number of calls outstanding, and ends when the last is durable', async () => {
    const options = { total: 6 * 512, callsMax: 4 };
    const { receiver, host } = start({ options, isHeld: true });
    await host.until(() => host.heldCount === 4);
    await turns();
    expect(host.calls).toHaveLength(4);
    host.release(2);
    await host.until(() => host.calls.length === 6);
    await turns();
    expect([host.heldCount, host.endCount]).toEqual([4, 0]);
    host.release();
    await host.until(() => host.endCount === 1);
    expect(host.calls).toHaveLength(6);
    await receiver.onStop();
  });

  it('makes calls that fit into a block, however long the records are', async () => {
    const options = { total: 18, recordBytes: 10_000 };
    const host = await runToEnd({ options });
    expect(host.calls.map((call) => call.records.length)).toEqual([4, 4, 4, 4, 2]);
    expect(recordsOf(host)).toEqual(expected(18, options));
  });

  it('restarts once when a call fails, and stores nothing more', async () => {
    const { receiver, host } = start({ options: { callsMax: 4 } });
    host.failWith(new MillraceError('BLOCK_REFUSED', 'gap'));
    await host.until(() => host.restarts.length > 0);
    await receiver.onStop();
    expect(host.restarts).toHaveLength(1);
    expect(host.endCount).toBe(0);
  });

  it('stops silently while calls are outstanding', async () => {
    const { receiver, host } = start({ options: { total: 1, callsMax: 1 }, isHeld: true });
    await host.until(() => host.heldCount === 1);
    await receiver.onStop();
    host.failWith(new MillraceError('RECEIVER_STOPPED', 'stopped'));
    host.release();
    await turns();
    expect([host.endCount, host.restarts, host.reports]).toEqual([0, [], []]);
  });

  it('lists all wrong options in one error', () => {
    const wrong = { recordsPerSecond: 0, recordBytes: 1, total: -1, seed: 0.5, callsMax: 0 };
    expect(() => new GeneratorReceiver(wrong)).toThrow(
      /recordsPerSecond 0 .*; recordBytes 1 .*; total -1 .*; seed 0.5 .*; callsMax 0 /,
    );
  });
});

describe('pacing', () => {
  it('stores what is due, split over the receivers, without drift', async () => {
    const clock = new ManualClock(5_000);
    const options = { recordsPerSecond: 3_000, clock };
    const { receiver, host } = start({ options, index: 1, count: 2 });
    for (let step = 0; step < 100; step += 1) {
      await clock.timers();
      clock.advance(10);
    }
    await clock.timers();
    expect(recordsOf(host)).toHaveLength(1_500);
    expect(host.calls).toHaveLength(102); // two steps went over the end of a chunk
    await receiver.onStop();
    expect(clock.pendingMs).toEqual([]);
  });

  it('waits for the next record at a low rate, and makes up for a stall', async () => {
    const clock = new ManualClock();
    const { receiver, host } = start({ options: { recordsPerSecond: 2, clock } });
    await clock.timers();
    expect(clock.pendingMs).toEqual([500]);
    clock.advance(499);
    expect(host.calls).toEqual([]);
    clock.advance(1);
    await host.until(() => host.calls.length === 1);
    await clock.timers();
    clock.advance(10_000);
    await host.until(() => recordsOf(host).length === 21);
    await receiver.onStop();
  });

  it('asks for what the rate allows, and waits for the next token', async () => {
    const clock = new ManualClock();
    const allowance = { records: 0, waitMs: 700 };
    const { receiver, host } = start({ options: { clock, total: 5_000 }, allowance });
    await turns();
    expect(host.calls).toEqual([]);
    expect(clock.pendingMs).toEqual([700]);
    host.allowanceNow = { records: 30, waitMs: 0 };
    clock.advance(700);
    await host.until(() => host.calls.length >= 2);
    host.allowanceNow = { records: 0, waitMs: 300 };
    await turns();
    expect(new Set(host.calls.map(({ records }) => records.length))).toEqual(new Set([30]));
    expect(clock.pendingMs).toEqual([300]);
    await receiver.onStop();
    expect(clock.pendingMs).toEqual([]);
  });
});
