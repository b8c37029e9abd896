/** States of an earlier version, at the start that finds them. What may be migrated is
 * upgrade-plan.test.ts. @module */
import { describe, expect, it } from 'vitest';
import { SavedState } from '../../test/support/saved-state.ts';
import { StateRun, timeOf } from '../../test/support/state-run.ts';
import type { KeyedStateOptions } from '../dstream/state-spec.ts';

interface Total {
  readonly total: number;
}
type Options = KeyedStateOptions<unknown, Total>;

const BATCHES = [
  [['a', 1] as const, ['b', 2] as const, ['gone', 3] as const, [{ x: 1 }, 4] as const],
  [],
  [['a', 10] as const],
];
const sum = (values: number[], before = 0): number => before + values.reduce((a, b) => a + b, 0);

/** What was: numbers, in version 1. */
async function saved(): Promise<SavedState> {
  const run = new StateRun(BATCHES, (pairs, keep) => {
    keep('out', pairs.updateStateByKey(sum, { id: 'sums' }));
  });
  await run.run(0, 0);
  return SavedState.of(run.state, timeOf(0));
}

/** What is: objects. */
function objects(options: Options, partitions = 2): StateRun {
  const f = (values: number[], state: Total | undefined): Total => ({
    total: sum(values, state?.total),
  });
  return new StateRun(
    BATCHES,
    (pairs, keep) => keep('out', pairs.updateStateByKey(f, { id: 'sums', ...options })),
    { partitions },
  );
}

const calls: unknown[] = [];
const MIGRATING: Options = {
  version: 2,
  migrate(old: number, fromVersion) {
    calls.push([old, fromVersion]);
    return old === 3 ? undefined : { total: 100 * old };
  },
};

describe('state of an earlier version', () => {
  it.each([2, 5])('is migrated key by key, into %i partitions', async (partitions) => {
    calls.length = 0;
    const run = objects(MIGRATING, partitions);
    await (await saved()).restoreTo(run.state);
    expect(calls).toHaveLength(4);
    expect(new Set(calls.map(String))).toEqual(new Set(['1,1', '2,1', '3,1', '4,1']));
    expect(run.state.keyCount).toBe(3);
    await run.run(1, 2);
    expect(new Map(run.records('out', 1) as [unknown, Total][])).toEqual(
      new Map<unknown, Total>([
        ['a', { total: 100 }],
        ['b', { total: 200 }],
        [{ x: 1 }, { total: 400 }],
      ]),
    );
    expect(run.records('out', 2)).toContainEqual(['a', { total: 110 }]);
  });

  it('is of the new version from the next snapshot on, which is due', async () => {
    const run = objects(MIGRATING);
    await (await saved()).restoreTo(run.state);
    expect(run.state.changedBytes).toBeGreaterThan(0);
    const later = await SavedState.of(run.state, timeOf(0));
    calls.length = 0;
    const next = objects(MIGRATING);
    await later.restoreTo(next.state);
    expect([calls, next.state.keyCount]).toEqual([[], 3]);
    expect(next.state.changedBytes).toBe(0);
  });

  it('is due for a snapshot also when all its keys are dropped', async () => {
    const run = objects({ version: 2, migrate: () => undefined });
    await (await saved()).restoreTo(run.state);
    expect(run.state.keyCount).toBe(0);
    expect(run.state.changedBytes).toBeGreaterThan(0);
  });

  it('keeps the time of its last touch', async () => {
    const quiet = [[['a', 1] as const], [], [], []];
    const mapped = (options: KeyedStateOptions<unknown, number>): StateRun =>
      new StateRun(quiet, (pairs, keep) => {
        const stream = pairs.mapWithState<unknown, number, number, void>(
          (_key, value, state) => (state.isTimingOut() ? undefined : state.update(value ?? 0)),
          { id: 'mapped', timeout: '2s', ...options },
        );
        keep('out', stream.stateSnapshots());
      });
    const first = mapped({});
    await first.run(0, 0);
    const state = await SavedState.of(first.state, timeOf(0));
    const second = mapped({ version: 3, migrate: Number });
    await state.restoreTo(second.state);
    await second.run(1, 3);
    expect([1, 2, 3].map((n) => second.records('out', n).length)).toEqual([1, 1, 0]);
  });

  it('that is left out begins anew, and is not migrated', async () => {
    calls.length = 0;
    const run = objects(MIGRATING);
    await (await saved()).restoreTo(run.state, []);
    await run.run(1, 2);
    expect(run.records('out', 2)).toEqual([['a', { total: 10 }]]);
    expect(calls).toEqual([]);
  });

  it('makes room for states that grow', async () => {
    const text = 'x'.repeat(3 * 1024 * 1024);
    const run = objects({ version: 2, migrate: (old) => ({ total: Number(old), text }) as Total });
    await (await saved()).restoreTo(run.state);
    expect(run.state.liveBytes).toBeGreaterThan(12 * 1024 * 1024);
    await run.run(2, 2);
    expect(run.records('out', 2)).toContainEqual(['a', { total: 11 }]);
  });

  it.each<[string, Options['migrate'], RegExp]>([
    [
      'throws',
      () => {
        throw new RangeError('boom');
      },
      /migrate of operator sums failed for the key .*, whose state of batch 1000 is .*boom/,
    ],
    ['is asynchronous in secret', () => Promise.resolve() as never, /returned a promise/],
    ['makes what cannot be packed', () => ({ total: (() => 1) as never }), /sums failed/],
  ])('whose migrate %s ends the start', async (_name, migrate, message) => {
    const run = objects({ version: 2, ...(migrate === undefined ? {} : { migrate }) });
    const state = await saved();
    await expect(state.restoreTo(run.state)).rejects.toMatchObject({
      code: 'MIGRATION_FAILED',
      message: expect.stringMatching(message) as string,
      details: { operatorId: 'sums', batchTimeMs: 1_000, version: 1 },
    });
  });
});
