/** @module */
import { expect, it, vi } from 'vitest';
import { StopRequest } from './stop-request.ts';

function request(isSupervised = false) {
  const onFirst = vi.fn<(reason: string) => void>();
  const onSecond = vi.fn<(exitCode: number) => void>();
  const stop = new StopRequest({ onFirst, onSecond, isSupervised: () => isSupervised });
  return { stop, onFirst, onSecond };
}

it('asks once and keeps the request for who comes later', async () => {
  const { stop, onFirst } = request();
  stop.make('standard output was closed');
  stop.make('the supervisor is gone');
  expect(onFirst.mock.calls).toEqual([['standard output was closed']]);
  expect(stop.isMade).toBe(true);
  await stop.made;
});

it('ends at once at the second signal, with the code of that signal', () => {
  const { stop, onFirst, onSecond } = request();
  stop.signal('SIGINT');
  expect(onFirst.mock.calls).toEqual([['SIGINT received']]);
  expect(onSecond).not.toHaveBeenCalled();
  stop.signal('SIGTERM');
  expect(onSecond.mock.calls).toEqual([[143]]);
});

it('leaves repeated signals to the supervisor, where there is one', () => {
  const { stop, onFirst, onSecond } = request(true);
  stop.signal('SIGTERM');
  stop.signal('SIGTERM');
  expect(onFirst).toHaveBeenCalledOnce();
  expect(onSecond).not.toHaveBeenCalled();
});
