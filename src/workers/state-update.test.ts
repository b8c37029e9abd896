/** What functions of stateful operators see and may do, batch by batch. That the state itself is
 * kept whatever happens: test/sim/state-laws.test.ts. @module */
import { describe, expect, it } from 'vitest';
import { StateRun } from '../../test/support/state-run.ts';
import type { BuildState } from '../../test/support/state-run.ts';
import type { DStream } from '../dstream/dstream.ts';
import type { State } from '../dstream/state-spec.ts';

type Pairs = readonly (readonly [unknown, number])[];

async function runAll(batches: readonly Pairs[], build: BuildState): Promise<StateRun> {
  const run = new StateRun(batches, build);
  await run.run(0, batches.length - 1);
  return run;
}

function pairs(...keys: readonly string[]): Pairs {
  return keys.map((key) => [key, 1]);
}

/** The records of each batch; order means nothing across keys. */
function recordsOf(run: StateRun, count: number): readonly unknown[] {
  return Array.from({ length: count }, (_, index) =>
    run
      .records('out', index)
      .map((record) => JSON.stringify(record))
      .toSorted()
      .map((text) => JSON.parse(text) as unknown),
  );
}

const sum = (values: readonly number[], state: number | undefined): number =>
  values.reduce((a, b) => a + b, state ?? 0);

describe('updateStateByKey', () => {
  it('gives the whole state after each batch', async () => {
    const batches = [
      pairs('a'),
      pairs('a', 'b'),
      pairs('a', 'b', 'c'),
      pairs('a', 'b'),
      pairs('a'),
      [],
    ];
    const run = await runAll(batches, (stream, keep) => keep('out', stream.updateStateByKey(sum)));
    expect(recordsOf(run, 6)).toEqual([
      [['a', 1]],
      [
        ['a', 2],
        ['b', 1],
      ],
      [
        ['a', 3],
        ['b', 2],
        ['c', 1],
      ],
      [
        ['a', 4],
        ['b', 3],
        ['c', 1],
      ],
      [
        ['a', 5],
        ['b', 3],
        ['c', 1],
      ],
      [
        ['a', 5],
        ['b', 3],
        ['c', 1],
      ],
    ]);
  });

  it('begins with the initial state', async () => {
    const batches = [pairs('a', 'a'), pairs('b')];
    const initialState = new Map([
      ['a', 1],
      ['c', 2],
    ]);
    const run = await runAll(batches, (stream, keep) =>
      keep('out', stream.updateStateByKey(sum, { initialState })),
    );
    expect(recordsOf(run, 2)).toEqual([
      [
        ['a', 3],
        ['c', 2],
      ],
      [
        ['a', 3],
        ['b', 1],
        ['c', 2],
      ],
    ]);
  });

  it('calls its function for keys with values only, with all of them', async () => {
    const calls: unknown[] = [];
    const batches = [pairs('a', 'b'), pairs('b', 'b'), []];
    await runAll(batches, (stream, keep) => {
      const f = (values: number[], state: number | undefined): number | undefined => {
        calls.push([[...values], state]);
        return values.length > 1 ? undefined : 1;
      };
      keep('out', stream.updateStateByKey(f));
    });
    expect(calls).toEqual([
      [[1], undefined],
      [[1], undefined],
      [[1, 1], 1],
    ]);
  });

  it('tells keys apart as shuffles do', async () => {
    const keys = [
      1,
      '1',
      1n,
      -0,
      0,
      null,
      { a: 1, b: 2 },
      { b: 2, a: 1 },
      [1],
      Number.NaN,
      'é',
      '',
    ];
    const batch: Pairs = keys.map((key) => [key, 1] as const);
    const run = await runAll([batch, batch], (stream, keep) =>
      keep('out', stream.updateStateByKey(sum)),
    );
    const found = new Map(run.records('out', 1) as [unknown, number][]);
    expect(found.size).toBe(10);
    expect(found.get(0)).toBe(4);
    expect(found.get(1n)).toBe(2);
    expect(found.get('')).toBe(2);
  });
});

describe('mapWithState', () => {
  it('gives what its function returns for each record, and the state beside it', async () => {
    const batches = [pairs('a'), pairs('a', 'b', 'a'), []];
    const run = await runAll(batches, (stream, keep) => {
      const counts = stream.mapWithState((key, one, state: State<number>) => {
        const next = (state.exists() ? state.get() : 0) + (one ?? 0);
        state.update(next);
        return `${String(key)}${next}`;
      });
      keep('out', counts);
      keep('state', counts.stateSnapshots());
    });
    expect(recordsOf(run, 3)).toEqual([['a1'], ['a2', 'a3', 'b1'], []]);
    expect(new Map(run.records('state', 2) as [string, number][])).toEqual(
      new Map([
        ['a', 3],
        ['b', 1],
      ]),
    );
  });

  it('makes no record of undefined', async () => {
    const run = await runAll([pairs('a', 'b')], (stream, keep) =>
      keep(
        'out',
        stream.mapWithState((key) => (key === 'a' ? 1 : undefined)),
      ),
    );
    expect(run.records('out', 0)).toEqual([1]);
  });

  it('times a key out in the first batch that is later than its idle time, once', async () => {
    const batches = [pairs('a', 'b'), pairs('b'), [], [], [], []];
    const run = await runAll(batches, (stream, keep) => {
      const f = (key: unknown, value: number | undefined, state: State<number>): unknown => {
        if (state.isTimingOut()) return ['out', key, value ?? null, state.get()];
        if (!state.exists()) state.update(7);
        return undefined;
      };
      const counts = stream.mapWithState(f, { timeout: 2_000 });
      keep('out', counts);
      keep('state', counts.stateSnapshots());
    });
    // Seen in the batches at 1 s and 2 s: more than 2 s later is 4 s and 5 s.
    expect(recordsOf(run, 6)).toEqual([
      [],
      [],
      [],
      [['out', 'a', null, 7]],
      [['out', 'b', null, 7]],
      [],
    ]);
    expect(run.records('state', 4)).toEqual([]);
  });

  it('goes on from a key that has timed out as from a new one', async () => {
    const batches = [pairs('a'), [], [], pairs('a')];
    const run = await runAll(batches, (stream, keep) => {
      const f = (_key: unknown, _one: number | undefined, state: State<number>): string => {
        if (state.isTimingOut()) return 'idle';
        const was = state.exists() ? 'known' : 'new';
        state.update(1);
        return was;
      };
      keep('out', stream.mapWithState(f, { timeout: 1_000 }));
    });
    expect(recordsOf(run, 4)).toEqual([['new'], [], ['idle'], ['new']]);
  });

  it('is the state of a removed key no longer, within a batch too', async () => {
    const run = await runAll([pairs('a', 'a', 'a'), pairs('a')], (stream, keep) => {
      const f = (_key: unknown, _one: number | undefined, state: State<number>): boolean => {
        const { length } = [state.exists()].filter(Boolean);
        if (length === 1) state.remove();
        else state.update(1);
        return length === 1;
      };
      keep('out', stream.mapWithState(f));
    });
    expect(recordsOf(run, 2)).toEqual([[false, false, true], [true]]);
  });

  it('says what a function may not do', async () => {
    const told: string[] = [];
    const attempt = (act: () => unknown): void => {
      try {
        act();
        told.push('done');
      } catch (error) {
        told.push((error as Error).message);
      }
    };
    let kept: State<number> | undefined;
    await runAll([pairs('a'), [], pairs('b')], (stream, keep) => {
      const f = (_key: unknown, _one: number | undefined, state: State<number>): void => {
        if (state.isTimingOut()) {
          attempt(() => state.update(2));
          attempt(() => state.remove());
          return;
        }
        if (kept !== undefined) return;
        kept = state;
        attempt(() => state.get());
        const before = state.getOption() ?? 'none';
        state.update(1);
        const then = state.getOption();
        state.remove();
        told.push(`${before} before, ${then}, ${state.getOption() ?? 'none'} after`);
        attempt(() => state.update(1));
        attempt(() => state.remove());
        attempt(() => state.get());
      };
      const initialState: [string, number][] = [['idle', 1]];
      const counts: DStream<unknown> = stream.mapWithState(f, { timeout: 1_000, initialState });
      keep('out', counts);
    });
    attempt(() => kept?.exists());
    expect(told).toEqual([
      'the key has no state: look at exists() first, or take getOption()',
      'none before, 1, none after',
      'the state cannot be updated: it was removed in this call',
      'the state cannot be removed: it was removed in this call',
      'the key has no state: look at exists() first, or take getOption()',
      'the state cannot be updated: it is timing out, look at isTimingOut() first',
      'the state cannot be removed: it is timing out, and goes after this call',
      'the state of a key can be used only in the call that it was given to',
    ]);
  });

  it('costs what a batch touches: other keys are not even read', async () => {
    const values = { read: 0 };
    const first: Pairs = Array.from({ length: 500 }, (_, n) => [`k${n}`, 1]);
    const run = await runAll([first, pairs('k1', 'k2', 'k1'), []], (stream, keep) => {
      const f = (_key: unknown, _one: number | undefined, state: State<number>): void => {
        if (state.exists()) values.read += 1;
        state.update(1);
      };
      keep('out', stream.mapWithState(f));
    });
    expect(values.read).toBe(3);
    expect(run.state.keyCount).toBe(500);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('mine');
      },
      /operator own failed .*mine/,
    ],
    [
      'keeps what cannot be kept',
      (_k: unknown, _v: unknown, state: State<unknown>) => state.update(() => 1),
      /operator own failed/,
    ],
    ['returns a promise', () => Promise.resolve(1), /returned a promise/],
  ])('is named when its function %s', async (_what, f, message) => {
    const run = new StateRun([pairs('a')], (stream, keep) =>
      keep(
        'out',
        stream.mapWithState(f as () => number, {
          id: 'own',
        }),
      ),
    );
    await expect(run.run(0, 0)).rejects.toThrow(message);
  });
});
