/** @module */
import { expect, it } from 'vitest';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import { LoadLoop } from './load-loop.ts';

const LINES = Array.from({ length: 10 }, () => 'w0');

/** A loop whose calls are acknowledged when the test says so. */
function makeLoop() {
  const clock = new ManualClock();
  const calls: { readonly position: number; readonly acknowledge: () => void }[] = [];
  const failures: unknown[] = [];
  const busyShares = [0.1, 0.2, 0.7, 0.4, 0.5];
  const loop = new LoadLoop({
    clock,
    lines: LINES,
    store: (_, position) =>
      new Promise((resolve) => {
        calls.push({ position, acknowledge: resolve });
      }),
    nextTurn: () => Promise.resolve(),
    busyShare: () => busyShares.shift() ?? 0,
    onFailed: (error) => failures.push(error),
  });
  return { clock, calls, loop };
}

/** Until nothing is left to do but what the test decides. */
function quiet(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

it('has at most 512 calls outstanding, however fast it may go', async () => {
  const { calls, loop } = makeLoop();
  const running = loop.run();
  await quiet();
  expect(calls).toHaveLength(512);
  calls[0]?.acknowledge();
  await quiet();
  expect(calls).toHaveLength(513);
  expect(calls[512]?.position).toBe(5_130);
  loop.stop();
  expect(await running).toBeUndefined();
});

it('keeps the pace that it is told, and makes up for what a stall has delayed', async () => {
  const { calls, clock, loop } = makeLoop();
  loop.order({ kind: 'order', phase: 'settle', recordsPerSecond: 1_000 });
  void loop.run();
  await quiet();
  expect(calls).toHaveLength(1);
  clock.advance(9);
  await quiet();
  expect(calls).toHaveLength(1);
  clock.advance(1);
  await quiet();
  expect(calls).toHaveLength(2);
  clock.advance(50);
  await quiet();
  expect(calls).toHaveLength(7);
  loop.stop();
});

it('times acknowledgements at half speed only, and waits for all of them at the end', async () => {
  const { calls, clock, loop } = makeLoop();
  loop.order({ kind: 'order', phase: 'full' });
  loop.order({ kind: 'order', phase: 'settle', recordsPerSecond: 1_000 });
  const running = loop.run();
  await quiet();
  loop.order({ kind: 'order', phase: 'half', recordsPerSecond: 1_000 });
  await quiet();
  clock.advance(10);
  await quiet();
  expect(calls).toHaveLength(3);
  loop.order({ kind: 'order', phase: 'end' });
  for (const [index, afterMs] of [5, 2, 3].entries()) {
    clock.advance(afterMs);
    calls[index]?.acknowledge();
    await quiet();
  }
  // The first call was made before half speed; the others at 0 and 10 ms of it.
  expect(await running).toEqual({ ackMs: [17, 10], busyShare: 0.2, halfRecords: 20, halfMs: 10 });
});

it('does not end before one acknowledgement is timed', async () => {
  const { calls, loop } = makeLoop();
  loop.order({ kind: 'order', phase: 'half', recordsPerSecond: 1 });
  loop.order({ kind: 'order', phase: 'end' });
  const running = loop.run();
  await quiet();
  expect(calls).toHaveLength(1);
  calls[0]?.acknowledge();
  expect((await running)?.ackMs).toEqual([0]);
});
