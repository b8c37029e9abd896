import { describe, expect, it } from 'vitest';
import { InlineBatch, graphOf } from '../../test/support/inline-driver.ts';
import { expandStage, planJob } from '../dstream/batch-plan.ts';
import type { ExpansionContext } from '../dstream/batch-plan.ts';
import type { DStream } from '../dstream/dstream.ts';
import { valueOfNothing } from '../dstream/empty-partition.ts';
import type { PipelineContext } from '../dstream/pipeline-context.ts';
import { StreamTimes } from '../dstream/stream-times.ts';
import type { TaskAction, TaskValue } from '../dstream/task-spec.ts';

type Pairs = DStream<[string, number]>;
type Build = (pairs: Pairs, other: Pairs) => DStream<unknown>;

const sum = (a: number, b: number): number => a + b;

/** Of a batch without records: what is known of each partition, and what tasks answer. */
async function ofNothing(build: Build, action: TaskAction) {
  const graph = graphOf((ssc: PipelineContext) => {
    const input = (id: string): Pairs => ssc.queueStream<string, number>([], { id });
    build(input('in'), input('other')).print();
  });
  const { result } = planJob(graph, 'print-0', new StreamTimes(graph.nodes, 1_000));
  const nothing: ExpansionContext = {
    defaultPartitions: 2,
    leavesOf: () => [],
    piecesOf: () => [],
  };
  const parts = expandStage(result, () => nothing);
  const batch = new InlineBatch(graph, {});
  const outcomes = await batch.run('print-0', action);
  return {
    known: parts.map((part) => valueOfNothing(graph, part, action)),
    answers: outcomes.map(({ value }) => value),
    records: await batch.collect('print-0'),
  };
}

function recordsOf(value: TaskValue | undefined): unknown {
  return value?.kind === 'collect' ? (value.records ?? []) : value;
}

const KNOWN: Readonly<Record<string, Build>> = {
  count: (s) => s.count(),
  reduce: (s) => s.reduce((a) => a),
  countByValue: (s) => s.countByValue(),
  reduceByKey: (s) => s.reduceByKey(sum),
  aggregateByKey: (s) => s.aggregateByKey(0, sum, sum),
  groupByKey: (s) => s.groupByKey(),
  repartition: (s) => s.repartition(3),
  persist: (s) => s.persist(),
  join: (s, other) => s.join(other),
  cogroup: (s, other) => s.cogroup(other),
  'one of two in a union': (s, other) => s.reduceByKey(sum).union(other.reduceByKey(sum)),
  'a shuffle and operators that look at each record': (s) =>
    s
      .reduceByKey(sum)
      .map(([key, n]) => key + n)
      .filter(() => true)
      .flatMap((text) => text.split(''))
      .mapToPair((text) => [text, 1])
      .mapValues((n) => n)
      .flatMapValues((n) => [n])
      .keyBy(() => 1),
  'a window of counts': (s) => s.count().window('3s'),
  'a window of shuffles': (s) => s.reduceByKey(sum).window('3s'),
  'a count over a window': (s) => s.window('3s').count(),
};

describe('a partition that holds nothing', () => {
  it.each(Object.entries(KNOWN))('is known to give what a task gives: %s', async (_, build) => {
    const { known, records } = await ofNothing(build, { kind: 'collect' });
    expect(known.map(recordsOf)).toEqual(records);
    expect(known.every((value) => value !== undefined)).toBe(true);
  });

  it.each(Object.entries(KNOWN))('has as many records as a task counts: %s', async (_, build) => {
    const { known, answers } = await ofNothing(build, { kind: 'count' });
    expect(known).toEqual(answers);
  });

  it('has no pieces for a shuffle', async () => {
    const action = { kind: 'shuffle-write', shuffleId: 'reduceByKey-0', partitions: 3 } as const;
    const { known, answers } = await ofNothing((s) => s.reduceByKey(sum), action);
    expect(known).toEqual(answers);
  });

  it.each<[string, Build]>([
    ['a function of a partition', (s) => s.reduceByKey(sum).mapPartitions(() => ['made'])],
    ['glom', (s) => s.reduceByKey(sum).glom()],
    ['a function of the 0 that count makes', (s) => s.count().map((n) => n + 1)],
    [
      'such a function before a window',
      (s) =>
        s
          .count()
          .map((n) => n + 1)
          .window('3s'),
    ],
  ])('has a task where it may give something: %s', async (_, build) => {
    const { known, records } = await ofNothing(build, { kind: 'collect' });
    expect(known.every((value) => value === undefined)).toBe(true);
    expect(records.flat().length).toBeGreaterThan(0);
  });

  it('has a task where that takes effect, or where a 0 goes into a shuffle', () => {
    const graph = graphOf((ssc) => ssc.queueStream([]).count().print());
    const part = { leaf: { kind: 'shuffle', operatorId: 'count-0', inputs: [] }, via: [] } as const;
    const shuffle = { kind: 'shuffle-write', shuffleId: 'count-1', partitions: 1 } as const;
    for (const action of [shuffle, { kind: 'foreach-partition' } as const]) {
      expect(valueOfNothing(graph, part, action)).toBeUndefined();
    }
  });

  it('has a task when one of its shuffles holds something', () => {
    const graph = graphOf((ssc) => {
      const input = (id: string): Pairs => ssc.queueStream<string, number>([], { id });
      input('in').join(input('other')).print();
    });
    const piece = { kind: 'arena', extentIndex: 0, offsetBytes: 0, lengthBytes: 1 } as const;
    const inputs = [
      { shuffleId: 'join-0:left', pieces: [] },
      { shuffleId: 'join-0:right', pieces: [piece] },
    ];
    const part = { leaf: { kind: 'shuffle', operatorId: 'join-0', inputs }, via: [] } as const;
    expect(valueOfNothing(graph, part, { kind: 'collect' })).toBeUndefined();
  });
});
