/** @module */
import { describe, expect, it } from 'vitest';
import { millraceFailure } from '../../../test/support/millrace-failure.ts';
import type { DStream } from '../../dstream/dstream.ts';
import { testStream, testStream2 } from './test-stream.ts';

/** A call as plain JavaScript may make it. */
const loose = testStream as unknown as (...args: readonly unknown[]) => Promise<unknown[][]>;

describe('testStream', () => {
  it('gives one array for each batch, in partition order', async () => {
    const out = await testStream([['a', 'b'], ['b'], []], (s) => s.map((word) => word + word));
    expect(out).toEqual([['aa', 'bb'], ['bb'], []]);
  });

  it('has pairs where the inputs are pairs', async () => {
    const inputs = [[['a', 1]], [['b', 2]]] satisfies [string, number][][];
    const out = await testStream(inputs, (s) => s.mapValues((n) => n.toFixed(1)));
    const typed: [string, string][][] = out;
    expect(typed).toEqual([[['a', '1.0']], [['b', '2.0']]]);
  });

  it('runs empty batches when there are more batches than inputs', async () => {
    const out = await testStream([[1]], (s) => s.count(), { batches: 3 });
    expect(out).toEqual([[1], [0], [0]]);
    expect(await testStream([[1], [2]], (s) => s, { batches: 1 })).toEqual([[1]]);
    expect(await testStream([], (s: DStream<number>) => s.count())).toEqual([]);
  });

  it('cuts the records of a batch into contiguous partitions, empty ones too', async () => {
    const glom = (s: DStream<number>): DStream<number[]> => s.glom();
    expect(await testStream([[1, 2, 3, 4, 5], []], glom)).toEqual([
      [
        [1, 2],
        [3, 4, 5],
      ],
      [[], []],
    ]);
    expect(await testStream([[1, 2]], glom, { inputPartitions: 3 })).toEqual([[[], [1], [2]]]);
  });

  it('spreads shuffles over `partitions`', async () => {
    const parts = (partitions: number) =>
      testStream([[1, 2, 3]], (s) => s.countByValue().glom(), { partitions });
    const lengths = (await Promise.all([1, 2, 7].map(parts))).map((out) => out[0]?.length);
    expect(lengths).toEqual([1, 2, 7]);
  });

  it('calls closures, and the functions of each batch in order', async () => {
    const seen: string[] = [];
    await testStream([['a'], ['b']], (s) => s.map((word) => seen.push(word)));
    expect(seen).toEqual(['a', 'b']);
  });

  it('takes records over threads in spirit: what a codec changes is changed', async () => {
    class Point {
      x = 1;
    }
    const back = await testStream([[new Point()]], (s) => s.map((p) => p instanceof Point));
    expect(back).toEqual([[false]]);
    const made = await testStream([[1]], (s) => s.map(() => new Point()));
    expect(made[0]?.[0]).toEqual({ x: 1 });
    expect(made[0]?.[0]).not.toBeInstanceOf(Point);
    const mixed = ['text', 'ü', 1, null, undefined, new Date(0), new Map([['k', 1]]), 2n];
    expect(await testStream([mixed], (s) => s)).toEqual([mixed]);
  });

  it('shares nothing with its inputs', async () => {
    const record = { n: 1 };
    await testStream([[record]], (s) =>
      s.map((each) => {
        each.n = 2;
        return each;
      }),
    );
    expect(record).toEqual({ n: 1 });
  });

  it('keeps state over windows, and under windows of one batch', async () => {
    const inputs = [[1], [2], [3], [4], [5]].map((batch) => batch.map((n) => ['a', n] as const));
    type Pairs = DStream<readonly [string, number]>;
    const sums = (s: Pairs): DStream<[string, number]> =>
      s.updateStateByKey((values, n: number | undefined) => values.reduce((x, y) => x + y, n ?? 0));
    const over = await testStream(inputs, (s) => sums(s.window('2s', '2s')));
    expect(over).toEqual([[], [['a', 3]], [], [['a', 10]], []]);
    const under = await testStream(inputs, (s) => sums(s).window('1s', '2s'));
    expect(under).toEqual([[], [['a', 3]], [], [['a', 10]], []]);
  });

  it('runs many at once', async () => {
    const runs = Array.from({ length: 300 }, (_, n) => testStream([[n]], (s) => s.count()));
    expect(await Promise.all(runs)).toEqual(runs.map(() => [[1]]));
  });

  it('takes as many records as a test may have', async () => {
    const records = Array.from({ length: 30_000 }, (_, n) => `record ${n} ${'.'.repeat(600)}`);
    expect(await testStream([records], (s) => s.count())).toEqual([[30_000]]);
  });
});

describe('testStream2', () => {
  it('has two inputs, of any kinds', async () => {
    const ages = [[['ann', 1]], [['bob', 2]]] satisfies [string, number][][];
    const towns = [[['ann', 'x']]] satisfies [string, string][][];
    expect(await testStream2(ages, towns, (l, r) => l.leftOuterJoin(r))).toEqual([
      [['ann', [1, 'x']]],
      [['bob', [2, undefined]]],
    ]);
    const keyed = await testStream2(ages, [['ann']], (l, r) => l.join(r.keyBy((name) => name)));
    expect(keyed).toEqual([[['ann', [1, 'ann']]], []]);
    expect(await testStream2([[1]], [[2], [3]], (l, r) => l.union(r))).toEqual([[1, 2], [3]]);
  });
});

describe('errors of functions', () => {
  it('name the operator and keep the error with its stack', async () => {
    const broken = new TypeError('no such word');
    const failure = await millraceFailure(
      testStream([['a'], ['b']], (s) =>
        s.map((word) => {
          if (word === 'b') throw broken;
          return word;
        }),
      ),
    );
    expect(failure.code).toBe('TASK_FAILED');
    expect(failure.message).toContain('operator map-0 failed in batch 2000');
    expect(failure.message).toContain('TypeError: no such word');
    expect(failure.cause).toBe(broken);
    expect((failure.cause as Error).stack).toContain('test-stream.test.ts');
  });

  it('call a function once, not again', async () => {
    let calls = 0;
    await millraceFailure(
      testStream([[1]], (s) =>
        s.map(() => {
          calls += 1;
          throw new Error('x');
        }),
      ),
    );
    expect(calls).toBe(1);
  });

  it('tell a record that cannot be packed, on its way in and on its way out', async () => {
    const into = await millraceFailure(testStream([[1], [2, 3, () => 4]], (s) => s));
    expect(into.code).toBe('RECORD_UNSUPPORTED');
    expect(into.message).toContain('testStream: record 2 of batch 1 of receiverStream-0');
    const out = await millraceFailure(testStream([[1]], (s) => s.map(() => () => 1)));
    expect(out).toMatchObject({ code: 'TASK_FAILED', details: { operatorId: 'output' } });
  });
});

describe('wrong use', () => {
  it.each([
    ['no batches', [undefined, (s: unknown) => s], /the input must be an array with an array/],
    ['records without batches', [[1, 2], (s: unknown) => s], /an array of records for each batch/],
    ['no function', [[[1]], 'count'], /must be a function, not 'count'/],
    ['an asynchronous one', [[[1]], async () => 1], /must not be asynchronous/],
    ['no stream', [[[1]], () => undefined], /returned undefined, but must return a stream/],
    ['a promise', [[[1]], () => Promise.resolve(1)], /returned Promise .*, but must return/],
    ['an unknown option', [[[1]], (s: unknown) => s, { slices: 1 }], /no option slices/],
    ['no partitions', [[[1]], (s: unknown) => s, { partitions: 0 }], /partitions must be an integ/],
    ['a bad interval', [[[1]], (s: unknown) => s, { batchInterval: '1 day' }], /batchInterval:/],
    ['an empty interval', [[[1]], (s: unknown) => s, { batchInterval: 0 }], /1 ms to 24 hours/],
    ['half a batch', [[[1]], (s: unknown) => s, { batches: 0.5 }], /batches must be an integer/],
  ])('%s: one clear error', async (_, args, message) => {
    const failure = await millraceFailure(loose(...args));
    expect(failure.message).toMatch(message);
    expect(failure.message).toMatch(/^testStream: /);
    expect(failure.exitCode).toBe(64);
  });

  it('lists all problems at once', async () => {
    const failure = await millraceFailure(loose(1, 2, { partitions: 0 }));
    expect(failure.message.split('; ')).toHaveLength(3);
  });

  it('tells what the function threw while it built', async () => {
    const failure = await millraceFailure(
      testStream([[1]], () => {
        throw new RangeError('not built');
      }),
    );
    expect(failure.message).toContain('threw RangeError: not built');
    expect((failure.cause as Error).stack).toContain('test-stream.test.ts');
    const wrong = await millraceFailure(testStream([[1]], (s) => s.repartition(0)));
    expect(wrong.message).toBe('repartition: partitions must be an integer from 1 to 4096, not 0');
  });

  it('refuses outputs, which would not run', async () => {
    const failure = await millraceFailure(
      testStream([[1]], (s) => {
        s.print();
        return s;
      }),
    );
    expect(failure.message).toContain('added the output print-0');
  });
});
