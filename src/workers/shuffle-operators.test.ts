import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BATCH_TIME, InlineBatch, graphOf, runBatch } from '../../test/support/inline-driver.ts';
import type { BatchInput } from '../../test/support/inline-driver.ts';
import type { DStream } from '../dstream/dstream.ts';
import type { PipelineContext } from '../dstream/pipeline-context.ts';

const seed = Number(process.env['MILLRACE_SEED'] ?? 20_240_611);

type Pairs = DStream<[string, number]>;

function pairs(ssc: PipelineContext, id = 'in'): Pairs {
  return ssc.queueStream<string, number>([], { id });
}

function byText(a: unknown, b: unknown): number {
  return String(a) < String(b) ? -1 : 1;
}

const LETTERS: BatchInput = {
  in: [
    [
      ['a', 1],
      ['b', 2],
      ['a', 3],
    ],
    [
      ['c', 4],
      ['a', 5],
    ],
  ],
};

describe('count', () => {
  it('gives one record a batch, 0 for an empty one', async () => {
    const build = (ssc: PipelineContext): void => pairs(ssc).count().print();
    expect(await runBatch(build, LETTERS)).toEqual([[5]]);
    expect(await runBatch(build, { in: [[], []] })).toEqual([[0]]);
    expect(await runBatch(build, {})).toEqual([[0]]);
  });

  it('counts a window without looking at its records, unless an operator must', async () => {
    const counts = async (build: (s: Pairs) => DStream<unknown>): Promise<unknown[][]> =>
      runBatch((ssc) => build(pairs(ssc).window('3s')).count().print(), LETTERS);
    // Every batch of this driver has the same records.
    expect(await counts((s) => s)).toEqual([[15]]);
    expect(await counts((s) => s.filter(([key]) => key === 'a'))).toEqual([[9]]);
    const before = (ssc: PipelineContext): void =>
      pairs(ssc)
        .filter(([key]) => key === 'a')
        .window('3s')
        .count()
        .print();
    expect(await runBatch(before, LETTERS)).toEqual([[9]]);
  });

  it('counts what operators before it let through', async () => {
    const build = (ssc: PipelineContext): void =>
      pairs(ssc)
        .filter(([key]) => key === 'a')
        .count()
        .print();
    expect(await runBatch(build, LETTERS)).toEqual([[3]]);
  });
});

describe('combineByKey', () => {
  it('creates and merges on each partition, then combines in their order', async () => {
    const build = (ssc: PipelineContext): void =>
      pairs(ssc)
        .combineByKey(
          (n) => [`c${n}`],
          (list, n) => {
            list.push(`v${n}`);
            return list;
          },
          (a, b) => [...a, '|', ...b],
          { partitions: 1 },
        )
        .print();
    expect(await runBatch(build, LETTERS)).toEqual([
      [
        ['a', ['c1', 'v3', '|', 'c5']],
        ['b', ['c2']],
        ['c', ['c4']],
      ],
    ]);
  });

  it.each([
    ['create', 0],
    ['mergeValue', 1],
    ['mergeCombiners', 2],
  ])('names the operator when %s fails', async (_name, index) => {
    const fail = (): never => {
      throw new Error('no');
    };
    const fns = [
      (n: number) => n,
      (a: number, b: number) => a + b,
      (a: number, b: number) => a - b,
    ];
    fns[index] = fail;
    const [create, value, combiners] = fns as [() => number, () => number, () => number];
    const build = (ssc: PipelineContext): void =>
      pairs(ssc).combineByKey(create, value, combiners, { id: 'mine' }).print();
    await expect(runBatch(build, LETTERS)).rejects.toThrow('operator mine failed');
  });

  it('refuses a promise from any of its functions', async () => {
    const late = (() => Promise.resolve(1)) as unknown as () => number;
    const build = (ssc: PipelineContext): void =>
      pairs(ssc)
        .combineByKey(
          late,
          (a) => a,
          (a) => a,
        )
        .print();
    await expect(runBatch(build, LETTERS)).rejects.toThrow('the function returned a promise');
  });
});

describe('aggregateByKey', () => {
  it('begins each key with a copy of zero of its own', async () => {
    const zero: string[] = ['z'];
    const build = (ssc: PipelineContext): void =>
      pairs(ssc)
        .aggregateByKey(
          zero,
          (list, n) => {
            list.push(`${n}`);
            return list;
          },
          (a, b) => [...a, ...b],
          { partitions: 1 },
        )
        .print();
    expect(await runBatch(build, LETTERS)).toEqual([
      [
        ['a', ['z', '1', '3', 'z', '5']],
        ['b', ['z', '2']],
        ['c', ['z', '4']],
      ],
    ]);
    expect(zero).toEqual(['z']);
  });
});

describe('persist', () => {
  it('keeps partitions and order, and is computed once for all that read it', async () => {
    let calls = 0;
    const graph = graphOf((ssc) => {
      const kept = pairs(ssc)
        .map(([key]) => {
          calls += 1;
          return key;
        })
        .cache();
      kept.foreachBatch(() => undefined, { id: 'one' });
      kept.union(kept).foreachBatch(() => undefined, { id: 'two' });
    });
    const batch = new InlineBatch(graph, LETTERS);
    expect(await batch.collect('one')).toEqual([
      ['a', 'b', 'a'],
      ['c', 'a'],
    ]);
    expect((await batch.collect('two')).length).toBe(4);
    expect(calls).toBe(5);
    const empty = new InlineBatch(graph, { in: [[], [['x', 1]]] });
    expect(await empty.collect('one')).toEqual([[], ['x']]);
  });
});

describe('reduce', () => {
  const concatenated = (ssc: PipelineContext): void =>
    pairs(ssc)
      .map(([key, n]) => key + n)
      .reduce((a, b) => a + b)
      .print();

  it('combines in partition order, and gives nothing for an empty batch', async () => {
    expect(await runBatch(concatenated, LETTERS)).toEqual([['a1b2a3c4a5']]);
    expect(await runBatch(concatenated, { in: [[], [['x', 1]], []] })).toEqual([['x1']]);
    expect(await runBatch(concatenated, {})).toEqual([[]]);
  });

  it('combines values that are undefined too', async () => {
    const build = (ssc: PipelineContext): void =>
      ssc
        .queueStream<number | undefined>([], { id: 'in' })
        .reduce((a, b) => (a ?? 10) + (b ?? 20))
        .print();
    expect(await runBatch(build, { in: [[undefined, undefined], [undefined]] })).toEqual([[50]]);
  });
});

describe('countByValue', () => {
  it('counts each different record of any shape; nothing for an empty batch', async () => {
    const build = (ssc: PipelineContext): void =>
      ssc.queueStream<unknown>([], { id: 'in' }).countByValue({ partitions: 1 }).print();
    const input = {
      in: [
        ['a', [1], { x: 1, y: 2 }, null],
        [{ y: 2, x: 1 }, 'a', [1], 'a', -0, 0],
      ],
    };
    expect(await runBatch(build, input)).toEqual([
      [
        ['a', 3],
        [null, 1],
        [0, 2],
        [[1], 2],
        [{ x: 1, y: 2 }, 2],
      ],
    ]);
    expect(await runBatch(build, {})).toEqual([[]]);
  });
});

describe('reduceByKey', () => {
  it('combines before and after the shuffle, in partition order', async () => {
    const build = (ssc: PipelineContext): void =>
      pairs(ssc)
        .mapValues((n) => `${n}`)
        .reduceByKey((a, b) => `(${a}${b})`)
        .print();
    expect((await runBatch(build, LETTERS)).flat().toSorted(byText)).toEqual([
      ['a', '((13)5)'],
      ['b', '2'],
      ['c', '4'],
    ]);
  });

  it('sends a key once per map task', async () => {
    const graph = graphOf((ssc) =>
      pairs(ssc)
        .reduceByKey((a, b) => a + b, { partitions: 1 })
        .print(),
    );
    const many = Array.from({ length: 10_000 }, (_, i) => [`k${i % 3}`, 1]);
    const batch = new InlineBatch(graph, { in: [many] });
    const [outcome] = await batch.run('print-0', { kind: 'count' });
    expect(outcome).toEqual({ value: { kind: 'count', recordCount: 3 }, inputRecordCount: 3 });
    expect(batch.stored[0]?.byteLength).toBeLessThan(64);
  });

  it('gives equal keys of any shape to one partition', async () => {
    const build = (ssc: PipelineContext): void =>
      ssc
        .queueStream<[unknown, number][]>([], { id: 'in' })
        .map((pair) => pair as unknown as [unknown, number])
        .reduceByKey((a, b) => a + b, { partitions: 4 })
        .print();
    const keys = [[1, 'a'], { b: 1, a: 2 }, { a: 2, b: 1 }, new Date(7), 0, -0, 'x', Number.NaN];
    const input = { in: [keys.map((key) => [key, 1]), keys.map((key) => [key, 10])] };
    const merged = (await runBatch(build, input)).flat() as [unknown, number][];
    expect(new Map(merged.map(([key, n]) => [JSON.stringify(key), n]))).toEqual(
      new Map([
        ['[1,"a"]', 11],
        ['{"b":1,"a":2}', 22],
        ['"1970-01-01T00:00:00.007Z"', 11],
        ['0', 22],
        ['"x"', 11],
        ['null', 11], // NaN
      ]),
    );
    expect(merged).toHaveLength(6);
  });
});

describe('groupByKey', () => {
  it('keeps the values of a key in the order of partitions and records', async () => {
    const build = (ssc: PipelineContext): void => pairs(ssc).groupByKey().print();
    expect((await runBatch(build, LETTERS)).flat().toSorted(byText)).toEqual([
      ['a', [1, 3, 5]],
      ['b', [2]],
      ['c', [4]],
    ]);
  });
});

describe('repartition', () => {
  it('spreads the records evenly, losing none', async () => {
    const build = (ssc: PipelineContext): void => pairs(ssc).repartition(3).glom().print();
    const input = {
      in: Array.from({ length: 4 }, (_, p) => Array.from({ length: 10 }, (_r, i) => [`${p}`, i])),
    };
    const parts = (await runBatch(build, input)).map(([records]) => records as unknown[]);
    expect(parts.map((records) => records.length).toSorted(byText)).toEqual([13, 13, 14]);
    expect(parts.flat().map(String).toSorted()).toEqual(input.in.flat().map(String).toSorted());
  });

  it('spreads partitions of one record too', async () => {
    const build = (ssc: PipelineContext): void => pairs(ssc).repartition(4).print();
    const input = { in: ['a', 'b', 'c', 'd'].map((key) => [[key, 1]]) };
    expect((await runBatch(build, input)).map((records) => records.length)).toEqual([1, 1, 1, 1]);
  });
});

describe('joins', () => {
  const input: BatchInput = {
    left: [
      [
        ['a', 1],
        ['b', 2],
      ],
      [
        ['a', 3],
        ['l', 0],
      ],
    ],
    right: [
      [
        ['a', 10],
        ['r', 0],
      ],
      [
        ['b', 20],
        ['a', 30],
      ],
    ],
  };
  type Joined = (left: Pairs, right: Pairs) => DStream<unknown>;
  async function joined(join: Joined): Promise<unknown[]> {
    const build = (ssc: PipelineContext): void =>
      join(pairs(ssc, 'left'), pairs(ssc, 'right')).print();
    return (await runBatch(build, input))
      .flat()
      .toSorted((a, b) => (String(a) < String(b) ? -1 : 1));
  }
  const both = [
    ['a', [1, 10]],
    ['a', [1, 30]],
    ['a', [3, 10]],
    ['a', [3, 30]],
    ['b', [2, 20]],
  ];
  const onlyLeft = ['l', [0, undefined]];
  const onlyRight = ['r', [undefined, 0]];

  it('join gives every combination of the keys that both have', async () => {
    expect(await joined((l, r) => l.join(r))).toEqual(both);
  });

  it('outer joins add the keys that one side lacks', async () => {
    expect(await joined((l, r) => l.leftOuterJoin(r))).toEqual([...both, onlyLeft]);
    expect(await joined((l, r) => l.rightOuterJoin(r))).toEqual([...both, onlyRight]);
    expect(await joined((l, r) => l.fullOuterJoin(r))).toEqual([...both, onlyLeft, onlyRight]);
  });

  it('cogroup gives the values of both sides', async () => {
    expect(await joined((l, r) => l.cogroup(r))).toEqual([
      [
        'a',
        [
          [1, 3],
          [10, 30],
        ],
      ],
      ['b', [[2], [20]]],
      ['l', [[0], []]],
      ['r', [[], [0]]],
    ]);
  });

  it('joins a stream with itself', async () => {
    expect(await joined((l) => l.join(l))).toEqual([
      ['a', [1, 1]],
      ['a', [1, 3]],
      ['a', [3, 1]],
      ['a', [3, 3]],
      ['b', [2, 2]],
      ['l', [0, 0]],
    ]);
  });
});

describe('union', () => {
  it('puts the partitions of one stream after those of the other', async () => {
    const build = (ssc: PipelineContext): void => {
      const [a, b] = [pairs(ssc, 'a'), pairs(ssc, 'b')];
      ssc
        .union([b, a, b])
        .map(([key]) => key)
        .print();
    };
    const input: BatchInput = { a: [[['a1', 0]], [['a2', 0]]], b: [[['b', 0]]] };
    expect(await runBatch(build, input)).toEqual([['b'], ['a1'], ['a2'], ['b']]);
  });

  it('feeds a shuffle with all of them', async () => {
    const build = (ssc: PipelineContext): void =>
      pairs(ssc, 'a').union(pairs(ssc, 'b')).groupByKey({ partitions: 1 }).print();
    const input: BatchInput = {
      b: [
        [
          ['k', 2],
          ['k', 3],
        ],
      ],
      a: [[['k', 1]]],
    };
    expect(await runBatch(build, input)).toEqual([[['k', [1, 2, 3]]]]);
  });
});

describe('two outputs of one shuffle', () => {
  it('run its map stage once a batch', async () => {
    let mapped = 0;
    const graph = graphOf((ssc) => {
      const counts = pairs(ssc)
        .mapValues((n) => {
          mapped += 1;
          return n;
        })
        .reduceByKey((a, b) => a + b);
      counts.print();
      counts
        .map(([, n]) => n)
        .reduce((a, b) => a + b)
        .print();
    });
    const batch = new InlineBatch(graph, LETTERS);
    expect((await batch.collect('print-0')).flat()).toHaveLength(3);
    expect(await batch.collect('print-1')).toEqual([[15]]);
    expect(batch.ranShuffles).toEqual(['reduceByKey-0', 'reduce-0']);
    expect(mapped).toBe(5);
  });
});

describe('order', () => {
  const record = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.nat(9));
  const partitions = fc.array(fc.array(record, { maxLength: 12 }), { maxLength: 5 });
  // Every operator whose result depends on the order of its input.
  const graph = graphOf((ssc) => {
    const [left, right] = [pairs(ssc, 'left'), pairs(ssc, 'right')];
    left
      .mapValues(String)
      .reduceByKey((a, b) => a + b)
      .print();
    left.union(right).groupByKey().print();
    left.repartition(3).join(right).print();
    left
      .cogroup(right)
      .mapPartitions((records) => [[...records]])
      .print();
    right
      .countByValue()
      .repartition(2)
      .map(String)
      .reduce((a, b) => a + b)
      .print();
  });

  it(`of tasks changes nothing (MILLRACE_SEED=${seed})`, async () => {
    const property = fc.asyncProperty(
      partitions,
      partitions,
      fc.nat(),
      async (left, right, turn) => {
        const input: BatchInput = { left, right };
        const rotated = <T>(tasks: readonly T[]): readonly T[] => {
          const at = turn % Math.max(tasks.length, 1);
          return [...tasks.slice(at), ...tasks.slice(0, at)].toReversed();
        };
        for (const { id } of graph.outputs) {
          const first = await new InlineBatch(graph, input).collect(id);
          expect(await new InlineBatch(graph, input, { order: rotated }).collect(id)).toEqual(
            first,
          );
        }
      },
    );
    await fc.assert(property, { seed, numRuns: 60 });
  });
});

describe('failures of a shuffle', () => {
  const failing = async (use: (stream: Pairs) => DStream<unknown>): Promise<unknown> =>
    runBatch((ssc) => use(pairs(ssc)).print(), LETTERS).then(
      () => undefined,
      (error: unknown) => error,
    );

  it('name the operator, the output and the batch', async () => {
    const cause = new RangeError('too much');
    const error = await failing((s) =>
      s.reduceByKey(() => {
        throw cause;
      }),
    );
    expect(error).toMatchObject({
      code: 'TASK_FAILED',
      cause,
      message: expect.stringContaining(
        `reduceByKey-0 failed in batch ${BATCH_TIME} of output print-0 (partition 0, attempt 0): ` +
          'RangeError: too much',
      ) as string,
      details: { operatorId: 'reduceByKey-0', outputId: 'print-0', batchTimeMs: BATCH_TIME },
    });
  });

  it('tell of promises', async () => {
    const promise = Promise.reject(new Error('nobody waits'));
    const error = await failing((s) => s.map(([, n]) => n).reduce((() => promise) as never));
    expect(error).toMatchObject({ code: 'TASK_FAILED', details: { operatorId: 'reduce-0' } });
    expect(String(error)).toContain('returned a promise');
  });

  it('tell of records that cannot be sent', async () => {
    const values = await failing((s) => s.mapValues(() => (): number => 1).groupByKey());
    expect(values).toMatchObject({
      code: 'TASK_FAILED',
      details: { operatorId: 'groupByKey-0' },
      cause: { code: 'RECORD_UNSUPPORTED' },
    });
    const keys = await failing((s) => s.map(([key]) => [Symbol(key)]).countByValue());
    expect(keys).toMatchObject({
      details: { operatorId: 'countByValue-0' },
      cause: { code: 'RECORD_UNSUPPORTED' },
    });
  });

  it('tell of records that are no pairs', async () => {
    const error = await failing((s) => (s.map(([key]) => key) as unknown as Pairs).groupByKey());
    expect(error).toMatchObject({ details: { operatorId: 'groupByKey-0' } });
    expect(String(error)).toContain(
      'a [key, value] pair is needed, but the record is of type string',
    );
  });
});
