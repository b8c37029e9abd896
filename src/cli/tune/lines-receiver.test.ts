import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FakeReceiverHost } from '../../../test/support/fake-receiver-host.ts';
import { LinesReceiver, chunksOf } from './lines-receiver.ts';

let place: string;
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), 'millrace-lines-'));
});
afterAll(() => rmSync(place, { recursive: true, force: true }));

function receiverOf(text: string): { receiver: LinesReceiver; host: FakeReceiverHost<string> } {
  const path = join(place, 'lines.txt');
  writeFileSync(path, text);
  const receiver = new LinesReceiver(path);
  return { receiver, host: new FakeReceiverHost<string>(receiver) };
}

it('gives all lines, in order, again and again', async () => {
  const { receiver, host } = receiverOf('a\nb\r\n\nc');
  await receiver.onStart();
  await host.until(() => host.calls.length >= 3);
  await receiver.onStop();
  expect(host.calls.slice(0, 3).map(({ records }) => records)).toEqual(
    Array.from({ length: 3 }, () => ['a', 'b', '', 'c']),
  );
});

it('asks for no more than a rate lets in, and loses no line by that', async () => {
  const { receiver, host } = receiverOf('a\nb\nc\nd\ne\n');
  host.allowanceNow = { records: 2.5, waitMs: 0 };
  await receiver.onStart();
  await host.until(() => host.calls.length >= 4);
  await receiver.onStop();
  expect(host.calls.slice(0, 4).map(({ records }) => records)).toEqual([
    ['a', 'b'],
    ['c', 'd'],
    ['e'],
    ['a', 'b'],
  ]);
});

it('has at most 512 calls outstanding', async () => {
  const { receiver, host } = receiverOf('a\n');
  host.hold();
  await receiver.onStart();
  await host.until(() => host.heldCount === 512);
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(host.calls).toHaveLength(512);
  const stopped = receiver.onStop();
  host.release();
  await stopped;
});

it('starts anew when a line was not stored', async () => {
  const { receiver, host } = receiverOf('a\n');
  host.failWith(new Error('refused'));
  await receiver.onStart();
  await host.until(() => host.restarts.length > 0);
  await receiver.onStop();
  expect(host.restarts[0]?.reason).toContain('not stored');
});

it('refuses a file without a line', async () => {
  const { receiver } = receiverOf('');
  await expect(receiver.onStart()).rejects.toThrow('has no line');
  await receiver.onStop();
});

it('makes calls that fit into a block', () => {
  expect(chunksOf('x\n'.repeat(1_000)).map(({ length }) => length)).toEqual([512, 488]);
  const long = 'y'.repeat(40_000);
  expect(chunksOf(`${long}\n${long}\nz`).map(({ length }) => length)).toEqual([1, 2]);
});
