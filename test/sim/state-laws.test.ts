/** The laws of keyed state, against a Map that is slow and obvious: what tasks were tried again, what
 * threads died, where a life ended and in how many partitions the next one went on makes no
 * difference. MILLRACE_SEED replays a run. @module */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SharedBytes } from '../../src/blocks/block-ref.ts';
import { freeShared } from '../../src/blocks/shared-store.ts';
import { MillraceError } from '../../src/core/errors.ts';
import { seededRandom } from '../../src/core/random.ts';
import type { TaskPool } from '../../src/driver/executor-pool.ts';
import type { State } from '../../src/dstream/state-spec.ts';
import type { TaskResult } from '../../src/dstream/task-spec.ts';
import { SavedState } from '../support/saved-state.ts';
import { scaled, scaledTimeoutMs, seedNote, simSeed } from '../support/sim-runs.ts';
import { INTERVAL_MS, StateRun, timeOf } from '../support/state-run.ts';
import type { BuildState, StateRunOptions } from '../support/state-run.ts';

const IDLE_BATCHES = 2;
const SPAN_BATCHES = 3;
const INITIAL: readonly (readonly [string, number])[] = [
  ['a', 100],
  ['quiet', 7],
];

/** 0 drops a key, other values add. */
function sum(values: readonly number[], state: number | undefined): number | undefined {
  return values.includes(0) ? undefined : values.reduce((a, b) => a + b, state ?? 0);
}

/** 0 removes, 1 only looks, other values add. */
function count(key: unknown, value: number | undefined, state: State<number>): unknown {
  if (state.isTimingOut()) return ['idle', key, state.get()];
  if (value === 0) {
    state.remove();
    return ['gone', key];
  }
  const before = state.exists() ? state.get() : 0;
  if (value === 1) return before === 0 ? undefined : ['seen', key, before];
  state.update(before + (value ?? 0));
  return [key, state.get()];
}

const build: BuildState = (pairs, keep) => {
  keep('sums', pairs.updateStateByKey(sum, { initialState: INITIAL }));
  const timeout = IDLE_BATCHES * INTERVAL_MS;
  const counts = pairs.mapWithState(count, { timeout, initialState: new Map(INITIAL) });
  keep('counts', counts);
  keep('snapshots', counts.stateSnapshots());
  const within = SPAN_BATCHES * INTERVAL_MS;
  keep(
    'firsts',
    pairs.dedupeBy(([key]) => key, { within }),
  );
};

type Script = readonly (readonly (readonly [string, number])[])[];
type Output = 'sums' | 'counts' | 'snapshots' | 'firsts';
type Content = Readonly<Record<Output, readonly string[]>>;

/** What each output has to have in each batch, sorted. */
function oracle(script: Script): Content[] {
  const sums = new Map(INITIAL);
  const counts = new Map(INITIAL);
  const touched = new Map(INITIAL.map(([key]) => [key, 0]));
  const passed = new Map<string, number>();
  return script.map((given, now) => {
    // Two tasks read every second record each; those of the first come first.
    const batch = [0, 1].flatMap((slice) => given.filter((_, index) => index % 2 === slice));
    for (const key of new Set(batch.map(([each]) => each))) {
      const values = batch.flatMap(([each, value]) => (each === key ? [value] : []));
      const state = sum(values, sums.get(key));
      if (state === undefined) sums.delete(key);
      else sums.set(key, state);
    }
    const out: unknown[] = [];
    for (const [key, value] of batch) {
      const result = count(key, value, stateIn(counts, key, false));
      if (counts.has(key)) touched.set(key, now);
      if (result !== undefined) out.push(result);
    }
    for (const key of counts.keys()) {
      if ((touched.get(key) ?? 0) >= now - IDLE_BATCHES) continue;
      out.push(count(key, undefined, stateIn(counts, key, true)));
      counts.delete(key);
    }
    const firsts = batch.filter(([key]) => {
      if (now - (passed.get(key) ?? -Infinity) <= SPAN_BATCHES) return false;
      passed.set(key, now);
      return true;
    });
    return {
      sums: sorted([...sums]),
      counts: sorted(out),
      snapshots: sorted([...counts]),
      firsts: sorted(firsts),
    };
  });
}

function stateIn(map: Map<string, number>, key: string, isTimingOut: boolean): State<number> {
  return {
    exists: () => map.has(key),
    get: () => map.get(key) ?? Number.NaN,
    getOption: () => map.get(key),
    update: (state) => void map.set(key, state),
    remove: () => void map.delete(key),
    isTimingOut: () => isTimingOut,
  };
}

function sorted(records: readonly unknown[]): string[] {
  return records.map((record) => JSON.stringify(record)).toSorted();
}

function contentOf(run: StateRun, index: number): Content {
  const of = (name: Output): string[] => sorted(run.records(name, index));
  return {
    sums: of('sums'),
    counts: of('counts'),
    snapshots: of('snapshots'),
    firsts: of('firsts'),
  };
}

/** Threads die before a task, or after it when its answer is lost. */
function mortal(seed: number): NonNullable<StateRunOptions['wrap']> {
  const random = seededRandom(seed);
  const die = (attempt: number): void => {
    if (attempt < 3 && random.next() < 0.2) throw new MillraceError('EXECUTOR_DIED', 'died');
  };
  return (pool, arena): TaskPool => ({
    async run(spec) {
      die(spec.attempt);
      const result = await pool.run(spec);
      try {
        die(spec.attempt);
      } catch (error) {
        // What a dead thread had taken is given back, as the real pool does it.
        for (const bytes of sharedIn(result)) freeShared(arena, bytes);
        throw error;
      }
      return result;
    },
    close: () => pool.close(),
  });
}

function sharedIn(result: TaskResult): SharedBytes[] {
  if (!result.ok) return [];
  const { value } = result;
  const shared =
    value.kind === 'shuffle-write'
      ? value.pieces
      : value.kind === 'state-update'
        ? [value.delta, value.output]
        : value.kind === 'collect'
          ? [value.bytes]
          : [];
  return shared.filter((bytes) => bytes !== null);
}

const KEYS = ['a', 'b', 'c', 'd', 'e', 'quiet'];
const batch = fc.array(fc.tuple(fc.constantFrom(...KEYS), fc.nat(4)), { maxLength: 12 });
const script = fc.array(batch, { minLength: 1, maxLength: 12 });

describe(`keyed state (${seedNote})`, () => {
  const timeout = scaledTimeoutMs();

  it('is what a Map would be, whatever threads die', { timeout }, async () => {
    const property = fc.asyncProperty(script, fc.nat(), fc.nat(3), async (batches, seed, more) => {
      const run = new StateRun(batches, build, { wrap: mortal(seed), partitions: 1 + more });
      await run.run(0, batches.length - 1);
      const expected = oracle(batches);
      for (const [index, content] of expected.entries()) {
        expect(contentOf(run, index), `batch ${index}`).toEqual(content);
      }
    });
    await fc.assert(property, { seed: simSeed, numRuns: scaled(250) });
  });

  it('is the window, where it slides, whatever threads die', { timeout }, async () => {
    const plus = (a: number, b: number): number => a + b;
    const minus = (a: number, b: number): number => a - b;
    const span = fc.record({
      length: fc.integer({ min: 1, max: 4 }),
      slide: fc.constantFrom(1, 2),
    });
    const property = fc.asyncProperty(script, fc.nat(), span, async (given, seed, each) => {
      const [lengthMs, slideMs] = [each.length * INTERVAL_MS, each.slide * INTERVAL_MS];
      const slid: BuildState = (pairs, keep) => {
        keep('sums', pairs.reduceByKeyAndWindow(plus, minus, lengthMs, slideMs));
      };
      const run = new StateRun(given, slid, { wrap: mortal(seed), partitions: 1 + (seed % 4) });
      await run.run(0, given.length - 1);
      const kept = new Set<string>();
      for (let end = each.slide; end <= given.length; end += each.slide) {
        const held = given.slice(Math.max(0, end - each.length), end).flat();
        for (const [key] of held) kept.add(key);
        const sums = [...kept].map((key) => [
          key,
          held.reduce((total, [of, n]) => (of === key ? total + n : total), 0),
        ]);
        expect(sorted(run.records('sums', end - 1)), `batch ${end - 1}`).toEqual(sorted(sums));
      }
    });
    await fc.assert(property, { seed: simSeed, numRuns: scaled(150) });
  });

  it(
    'is the same after a snapshot and a replay, in any number of partitions',
    { timeout },
    async () => {
      const cut = fc.tuple(fc.nat(11), fc.nat(4), fc.integer({ min: 1, max: 4 }));
      const property = fc.asyncProperty(
        script,
        fc.array(cut, { maxLength: 3 }),
        async (batches, cuts) => {
          const last = batches.length - 1;
          const expected = oracle(batches);
          let run = new StateRun(batches, build);
          let at = 0;
          for (const [ahead, replayed, partitions] of cuts) {
            const snapshotAt = at + (ahead % 4);
            const diedAt = Math.min(snapshotAt + replayed, last);
            if (snapshotAt > last) break;
            await run.run(at, snapshotAt);
            const next = new StateRun(batches, build, { partitions });
            const saved = await SavedState.of(run.state, timeOf(snapshotAt));
            await saved.restoreTo(next.state);
            await run.run(snapshotAt + 1, diedAt);
            await next.run(snapshotAt + 1, diedAt, true);
            expect(next.kept, 'a replay has no outputs').toEqual([]);
            [run, at] = [next, diedAt + 1];
          }
          await run.run(at, last);
          for (const [index, content] of expected.entries()) {
            if (index >= at) expect(contentOf(run, index), `batch ${index}`).toEqual(content);
          }
        },
      );
      await fc.assert(property, { seed: simSeed, numRuns: scaled(250) });
    },
  );

  it('is in a failed batch what it was before it', async () => {
    const batches = [[['a', 2]], [['a', 3]]] as const;
    const isBroken = { value: false };
    const run = new StateRun(batches, (pairs, keep) => {
      const f = (values: number[], state: number | undefined): number => {
        if (isBroken.value) throw new Error('no more');
        return values.reduce((a, b) => a + b, state ?? 0);
      };
      keep('sums', pairs.updateStateByKey(f));
    });
    await run.run(0, 0);
    isBroken.value = true;
    await expect(run.run(1, 1)).rejects.toMatchObject({ code: 'TASK_FAILED' });
    const frozen = run.state.freeze(timeOf(0), 'log');
    expect(frozen.head.operators).toMatchObject([{ id: 'updateStateByKey-0', keyCount: 1 }]);
    expect(run.state.updates('updateStateByKey-0', timeOf(1))).toHaveLength(2);
  });
});
