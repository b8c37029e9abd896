/** Tests for how peers and ours are measured in turn and compared. @module */
import { expect, it } from 'vitest';
import { measurePairs } from './pairs.ts';
import type { Contestant } from './pairs.ts';

const guarantee = { survives: 'a kill', how: 'by the test' } as const;

/** Gives these rates, one a round, and writes down when it was asked. */
function scripted(name: string, rates: readonly number[], order: string[]): Contestant {
  const left = [...rates];
  return {
    name,
    guarantee,
    measure() {
      order.push(name);
      return Promise.resolve({ recordsPerSecond: left.shift() ?? Number.NaN });
    },
  };
}

it('takes each peer and ours in turn, every second round backwards', async () => {
  const order: string[] = [];
  const heard: string[] = [];
  const pairs = ['A', 'B'].map((name) => ({
    peer: scripted(name, [1, 1], order),
    ours: scripted(`ours of ${name}`, [1, 1], order),
  }));
  await measurePairs(pairs, { repetitions: 2, onSample: (text) => heard.push(text) });
  const forwards = ['A', 'ours of A', 'B', 'ours of B'];
  expect(order).toEqual([...forwards, ...forwards.toReversed()]);
  expect(heard[4]).toBe('2/2 ours of B');
});

it('compares neighbours of one round only', async () => {
  const pair = {
    peer: scripted('A', [100, 10, 50], []),
    ours: scripted('ours', [200, 40, 50], []),
  };
  const [result] = await measurePairs([pair], { repetitions: 3, onSample: () => {} });
  expect(result?.ratios).toEqual([2, 4, 1]);
  expect(result?.ratio).toEqual({ min: 1, median: 2, max: 4 });
  expect(result?.peer.spread).toEqual({ min: 10, median: 50, max: 100 });
  expect(result?.ours).toMatchObject({ name: 'ours', guarantee, spread: { median: 50 } });
});

it('ends with the name of whoever failed', async () => {
  const pair = {
    peer: scripted('A', [1], []),
    ours: { name: 'B', guarantee, measure: () => Promise.reject(new Error('a wrong count')) },
  };
  await expect(measurePairs([pair], { repetitions: 1, onSample: () => {} })).rejects.toThrow(
    expect.objectContaining({ message: 'B failed', cause: new Error('a wrong count') }),
  );
});
