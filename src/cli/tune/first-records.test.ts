import { describe, expect, it } from 'vitest';
import { awaitFirstRecords } from './first-records.ts';
import type { FirstRecordsWait } from './first-records.ts';

const SETTING = { blockIntervalMs: 50, batchIntervalMs: 500, receiverExecutors: 1, executors: 1 };

interface Waited {
  readonly toldAtMs: readonly number[];
  readonly said: readonly string[];
  readonly waitedMs: number;
  readonly error: Error | undefined;
}

/** Waits in a time that only passes here. */
async function waited(
  comesAtMs: number,
  { takesLines = true, receiverError }: { takesLines?: boolean; receiverError?: string } = {},
): Promise<Waited> {
  let nowMs = 0;
  const toldAtMs: number[] = [];
  const said: string[] = [];
  const wait: FirstRecordsWait = {
    task: { setting: SETTING, inputIds: ['httpTextStream-0', 'lines'], takesLines },
    hasCome: () => nowMs >= comesAtMs,
    until: async (isSo, limitMs) => {
      const lastMs = nowMs + limitMs;
      while (!isSo() && nowMs < lastMs) nowMs += 100;
      await Promise.resolve();
    },
    receiverError: () => receiverError,
    tell: (text) => {
      toldAtMs.push(nowMs);
      said.push(text);
    },
  };
  const error = await awaitFirstRecords(wait).then(
    () => undefined,
    (thrown: unknown) => thrown as Error,
  );
  return { toldAtMs, said, waitedMs: nowMs, error };
}

describe('the wait for the first records', () => {
  it('says nothing while a start takes as long as starts take', async () => {
    expect(await waited(2_900)).toEqual({
      toldAtMs: [],
      said: [],
      waitedMs: 2_900,
      error: undefined,
    });
  });

  it('says once, and early, what it waits for and how long it still will', async () => {
    const { toldAtMs, said, waitedMs, error } = await waited(9_000);
    expect(toldAtMs).toEqual([3_000]);
    expect(said[0]).toBe(
      'no batch has had records of httpTextStream-0, lines yet: waiting up to 13 s more for the ' +
        'source to send',
    );
    expect([waitedMs, error]).toEqual([9_000, undefined]);
  });

  it('ends with what to do when nothing comes', async () => {
    const { waitedMs, error } = await waited(Infinity);
    expect(waitedMs).toBe(16_000);
    expect(error).toMatchObject({ code: 'RECEIVER_FAILED' });
    expect(error?.message).toContain('no record of httpTextStream-0, lines came within 16 s: let');
    expect(error?.message).toContain('or give --lines FILE');
    expect((await waited(Infinity, { takesLines: false })).error?.message).not.toContain('--lines');
  });

  it('says what a receiver has said, both times', async () => {
    const { said, error } = await waited(Infinity, { receiverError: 'no host' });
    for (const text of [said[0], error?.message]) {
      expect(text).toContain('(a receiver said: no host)');
    }
  });
});
