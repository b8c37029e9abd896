/** Which records `dedupeBy` lets pass, and what it keeps. That it is kept whatever happens:
 * test/sim/state-laws.test.ts. @module */
import { describe, expect, it } from 'vitest';
import { StateRun, timeOf } from '../../test/support/state-run.ts';

type Records = readonly (readonly [unknown, number])[];

const WITHIN = { within: '2s' };

/** Record `n` of a key says which one it is. */
function first(...keys: readonly string[]): Records {
  return keys.map((key, n) => [key, n] as const);
}

function dedupe(batches: readonly Records[], options = WITHIN): StateRun {
  return new StateRun(batches, (records, keep) => {
    keep(
      'out',
      records.dedupeBy(([key]) => key, options),
    );
  });
}

async function deduped(batches: readonly Records[], options = WITHIN): Promise<StateRun> {
  const run = dedupe(batches, options);
  await run.run(0, batches.length - 1);
  return run;
}

/** Of each batch; order means nothing across keys. */
function passed(run: StateRun, batchCount: number): readonly unknown[] {
  return Array.from({ length: batchCount }, (_, index) =>
    run.records('out', index).toSorted((a, b) => (String(a) < String(b) ? -1 : 1)),
  );
}

describe('of the records of a key', () => {
  it('only the first passes, up to as late as told, and the next one after that', async () => {
    const run = await deduped([
      first('a', 'b'),
      first('a', 'c'),
      first('a'),
      first('b', 'a'),
      first('c', 'a'),
    ]);
    // First at 1 s: repeats at 2 s and 3 s are dropped, that at 4 s passes. `c` begins at 2 s.
    expect(passed(run, 5)).toEqual([
      [
        ['a', 0],
        ['b', 1],
      ],
      [['c', 1]],
      [],
      [
        ['a', 1],
        ['b', 0],
      ],
      [['c', 0]],
    ]);
  });

  it('repeats do not make the span longer: what comes for ever passes again', async () => {
    const run = await deduped(Array.from({ length: 8 }, () => first('a')));
    expect(passed(run, 8).map((records) => (records as unknown[]).length)).toEqual([
      1, 0, 0, 1, 0, 0, 1, 0,
    ]);
  });

  it('in one batch the first of the first partition passes', async () => {
    // Two tasks read every second record each.
    const run = await deduped([first('a', 'b', 'b', 'a', 'c', 'c')]);
    expect(passed(run, 1)).toEqual([
      [
        ['a', 0],
        ['b', 2],
        ['c', 4],
      ],
    ]);
  });

  it('with a span shorter than a batch, repeats are dropped in their batch only', async () => {
    const run = await deduped([first('a', 'a'), first('a')], { within: '1ms' });
    expect(passed(run, 2)).toEqual([[['a', 0]], [['a', 0]]]);
  });

  it('keys are told apart as shuffles do', async () => {
    const keys = [1, '1', 1n, -0, 0, null, undefined, { a: 1, b: 2 }, { b: 2, a: 1 }, Number.NaN];
    const batch = keys.map((key, n) => [key, n] as const);
    const run = await deduped([batch, batch]);
    const numbers = (run.records('out', 0) as [unknown, number][]).map(([, n]) => n);
    expect(new Set(numbers)).toEqual(new Set([0, 1, 2, 4, 5, 6, 8, 9]));
    expect(run.records('out', 1)).toEqual([]);
  });
});

describe('the state', () => {
  it('has the keys of running spans, and loses each in the batch where it is due', async () => {
    const batches = [first('a', 'b'), first('a', 'c'), [], [], [], []];
    const run = dedupe(batches);
    const counts: number[] = [];
    for (const index of batches.keys()) {
      await run.run(index, index);
      counts.push(run.state.keyCount);
    }
    expect(counts).toEqual([2, 3, 3, 1, 0, 0]);
  });

  it('is not changed by a repeat', async () => {
    const run = dedupe([first('a', 'b'), first('a', 'b', 'a')]);
    await run.run(0, 0);
    expect(run.state.changedBytes).toBeGreaterThan(0);
    run.state.freeze(timeOf(0), 'log').close();
    await run.run(1, 1);
    expect(run.state.changedBytes).toBe(0);
  });

  it('has no records: a key costs its own bytes and 24, whatever the record weighs', async () => {
    const key = 'message-0001';
    const small = await deduped([[[key, 0]]]);
    const large = new StateRun([[[key, 0]]], (records, keep) => {
      const heavy = records.map(([id]) => ({ id, body: 'x'.repeat(10_000) }));
      keep(
        'out',
        heavy.dedupeBy(({ id }) => id, WITHIN),
      );
    });
    await large.run(0, 0);
    // 24 of the entry and 13 of the packed key, rounded up to 8.
    expect([small.state.liveBytes, large.state.liveBytes]).toEqual([40, 40]);
    expect(large.records('out', 0)).toEqual([{ id: key, body: 'x'.repeat(10_000) }]);
  });
});

it('a key function that fails is named with its operator', async () => {
  const run = new StateRun([first('a')], (records, keep) => {
    const failing = (): string => {
      throw new Error('no id');
    };
    keep('out', records.dedupeBy(failing, { ...WITHIN, id: 'once' }));
  });
  await expect(run.run(0, 0)).rejects.toThrow(/operator once\.pairs failed .*no id/);
});
