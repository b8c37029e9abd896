/** @module */
import { expect, it } from 'vitest';
import { resolveOptions } from '../../core/options.ts';
import { buildGraph, definePipeline } from '../../dstream/pipeline.ts';
import { CrashHistory } from './crash-history.ts';
import type { CrashSubject, HistoryResult } from './crash-history.ts';
import { checkCrashOptions } from './crash-options.ts';
import { undisturbedPlan } from './crash-plan.ts';
import type { LifePlan } from './crash-plan.ts';

const words = definePipeline({ name: 'words', batchInterval: '1s' }, (ssc) => {
  const lines = ssc.socketTextStream('localhost', 9999, { id: 'lines' });
  lines.flatMap((line) => line.split(' ')).saveAsTextFiles('out/words', undefined, { id: 'out' });
});
const given = checkCrashOptions(buildGraph(words), { input: { lines: [['a b', 'c'], ['d'], []] } });
const subject: CrashSubject = {
  definitionOf: () => Promise.resolve(words),
  given,
  resolved: resolveOptions({ module: words.options }),
  sizes: { blockBytesMax: 16 * 1024, extentBytes: 32 * 1024, extents: 64 },
};
const QUIET = undisturbedPlan(given).lives[0]!;

function run(seed: number, ...lives: readonly Partial<LifePlan>[]): Promise<HistoryResult> {
  const plan = { redeliveryShare: 0, lives: lives.map((life) => ({ ...QUIET, ...life })) };
  return new CrashHistory(subject, plan, { seed, usualSteps: 1_000 }).run();
}

function batchesOf({ captured }: HistoryResult): unknown {
  return [...captured.of('out')].toSorted(([a], [b]) => a - b);
}

const BATCHES = [
  [1000, [['a', 'b', 'c']]],
  [2000, [['d']]],
  [3000, [[]]],
];

it('gives each batch its records and its time, wherever the process dies', async () => {
  const result = await run(
    1,
    { ending: { kind: 'kill', at: { step: 'R4.after', nth: 2 } } },
    { ending: { kind: 'power-cut', at: { step: 'recovery.replay', nth: 1 } } },
    { ending: { kind: 'kill', at: { event: 40 } } },
    {},
  );
  expect(batchesOf(result)).toEqual(BATCHES);
  expect(result.lives).toEqual([
    expect.stringMatching(/^life 1: \d+ events, kill at R4.after, passed 2 times$/),
    expect.stringMatching(/^life 2: \d+ events, power-cut at recovery.replay, passed once$/),
    expect.stringMatching(/^life 3: 40 events, kill between two events$/),
    expect.stringMatching(/^life 4: \d+ events, to the end$/),
  ]);
  expect(Object.fromEntries(result.faults)).toEqual({ kill: 2, 'power-cut': 1 });
});

it('tells of threads that died', async () => {
  const result = await run(2, { executorDeathShare: 0.02, taskDeathShare: 1 }, {});
  expect(batchesOf(result)).toEqual(BATCHES);
  const [first] = result.lives;
  expect(first).toMatch(/receiver threads that died: [1-3], tasks that failed: \d+, to the end$/);
});

it('does the same from the same seed, event by event, not from another', async () => {
  const lives = [{ ending: { kind: 'kill', at: { event: 200 } } }, {}] as const;
  const [first, second, other] = [
    await run(3, ...lives),
    await run(3, ...lives),
    await run(4, ...lives),
  ];
  expect(second.hash).toBe(first.hash);
  expect(second.stepCount).toBe(first.stepCount);
  expect(other.hash).not.toBe(first.hash);
});
