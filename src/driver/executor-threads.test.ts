/** @module */
import { expect, it } from 'vitest';
import { MillraceError } from '../core/errors.ts';
import type { ReceiverExecutorApi, ReceiverExecutorData } from '../workers/protocol.ts';
import { ReceiverThreads } from './executor-threads.ts';

/** Threads that only note what is done with them. */
function newThreads(count: number) {
  const calls: string[] = [];
  let startedCount = 0;
  const threads = new ReceiverThreads(count, (executorIndex) => {
    startedCount += 1;
    const name = `${executorIndex}#${startedCount}`;
    calls.push(`start ${name}`);
    return {
      begin: () => {
        calls.push(`begin ${name}`);
        const exited = Promise.resolve(new MillraceError('EXECUTOR_DIED', name));
        return { api: {} as ReceiverExecutorApi, exited, terminate: () => Promise.resolve() };
      },
      dismiss: async () => {
        await Promise.resolve();
        calls.push(`dismiss ${name}`);
      },
    };
  });
  return { threads, calls };
}

function dataOf(executorIndex: number): ReceiverExecutorData {
  return { executorIndex } as ReceiverExecutorData;
}

it('an executor gets the thread that waits for it, its successor a new one', () => {
  const { threads, calls } = newThreads(2);
  expect(calls.splice(0)).toEqual(['start 0#1', 'start 1#2']);
  threads.spawn(dataOf(1));
  threads.spawn(dataOf(0));
  threads.spawn(dataOf(1));
  expect(calls).toEqual(['begin 1#2', 'begin 0#1', 'start 1#3', 'begin 1#3']);
});

it('only threads that nobody has taken are dismissed, once', async () => {
  const { threads, calls } = newThreads(3);
  threads.spawn(dataOf(1));
  calls.length = 0;
  await threads.close();
  expect(calls.splice(0)).toEqual(['dismiss 0#1', 'dismiss 2#3']);
  await threads.close();
  expect(calls).toEqual([]);
});
