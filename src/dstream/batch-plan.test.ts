import { describe, expect, it } from 'vitest';
import { graphOf } from '../../test/support/inline-driver.ts';
import type { SharedBytes } from '../blocks/block-ref.ts';
import type { StreamId } from '../core/ids.ts';
import { expandStage, operatorOfShuffle, planJob, planStates, shuffleIdsOf } from './batch-plan.ts';
import type { Branch, BranchLeaf, ExpansionContext, JobPlan } from './batch-plan.ts';
import type { PipelineContext } from './pipeline-context.ts';
import { StreamTimes } from './stream-times.ts';
import type { Leaf } from './task-spec.ts';

function plan(build: (ssc: PipelineContext) => void, outputId = 'print-0'): JobPlan {
  const graph = graphOf(build);
  return planJob(graph, outputId, new StreamTimes(graph.nodes, 1_000));
}

/** `input > op > op`, one line per branch. */
function shown(branches: readonly Branch[]): string[] {
  return branches.map(({ leaf, via }) => [shownLeaf(leaf), ...via].join(' > '));
}

function shownLeaf(leaf: BranchLeaf): string {
  if (leaf.kind === 'window') {
    return `{${leaf.batches.flatMap(({ branches }) => shown(branches)).join(', ')}}`;
  }
  const age = leaf.ageMs === 0 ? '' : `@${leaf.ageMs}`;
  return leaf.kind === 'input' ? leaf.streamId + age : `[${leaf.shuffleIds.join(' ')}${age}]`;
}

function piece(offsetBytes: number): SharedBytes {
  return { kind: 'arena', extentIndex: 0, offsetBytes, lengthBytes: 1 };
}

function queueLeaf(streamId: string, slice: number): Leaf {
  return { kind: 'queue', streamId: streamId as StreamId, queueIndex: 0, slice, slices: 2 };
}

const pair = (text: string): [string, number] => [text, 1];

describe('planJob', () => {
  it('fuses narrow operators into the stage that reads', () => {
    const { shuffles, result } = plan((ssc) =>
      ssc
        .generatorStream()
        .map((x) => x)
        .filter(() => true)
        .print(),
    );
    expect(shuffles).toEqual([]);
    expect(shown(result.branches)).toEqual(['generatorStream-0 > map-0 > filter-0']);
  });

  it('cuts a stage at every shuffle, deepest first', () => {
    const { shuffles, result } = plan((ssc) =>
      ssc
        .generatorStream()
        .mapToPair(pair)
        .reduceByKey((a, b) => a + b, { partitions: 5 })
        .mapValues((n) => n + 1)
        .count()
        .map((n) => n)
        .print(),
    );
    expect(
      shuffles.map((stage) => [stage.shuffleId, stage.partitions, shown(stage.branches)]),
    ).toEqual([
      ['reduceByKey-0', 5, ['generatorStream-0 > mapToPair-0']],
      ['count-0', 1, ['[reduceByKey-0] > mapValues-0']],
    ]);
    expect(shown(result.branches)).toEqual(['[count-0] > map-0']);
  });

  it('lets unions concatenate, in the order of their parents', () => {
    const { result } = plan((ssc) => {
      const a = ssc.generatorStream({ id: 'a' });
      const b = ssc.generatorStream({ id: 'b' });
      ssc
        .union([b.map((x) => x), a.union(b), a.countByValue().map(() => '')])
        .filter(() => true)
        .print();
    });
    expect(shown(result.branches)).toEqual([
      'b > map-0 > filter-0',
      'a > filter-0',
      'b > filter-0',
      '[countByValue-0] > map-1 > filter-0',
    ]);
  });

  it('gives an operator of two streams two shuffles', () => {
    const { shuffles, result } = plan((ssc) => {
      const a = ssc.generatorStream({ id: 'a' }).mapToPair(pair);
      const b = ssc.generatorStream({ id: 'b' }).mapToPair(pair).groupByKey();
      a.join(b, { partitions: 3 }).print();
    });
    expect(shuffles.map((stage) => [stage.shuffleId, stage.operatorId, stage.partitions])).toEqual([
      ['join-0:left', 'join-0', 3],
      ['groupByKey-0', 'groupByKey-0', undefined],
      ['join-0:right', 'join-0', 3],
    ]);
    expect(shown(result.branches)).toEqual(['[join-0:left join-0:right]']);
  });

  it('has a shuffle once, however often it is read', () => {
    const build = (ssc: PipelineContext): void => {
      const counts = ssc.generatorStream().countByValue();
      counts
        .join(counts)
        .union(counts.mapValues((n): [number, number] => [n, n]))
        .print();
      counts.count().print();
    };
    const first = plan(build);
    expect(first.shuffles.map((stage) => stage.shuffleId)).toEqual([
      'countByValue-0',
      'join-0:left',
      'join-0:right',
    ]);
    expect(plan(build, 'print-1').shuffles[0]).toEqual(first.shuffles[0]);
  });

  it('is plain data', () => {
    const job = plan((ssc) => ssc.generatorStream().countByValue().print());
    expect(structuredClone(job)).toEqual(job);
  });

  it('refuses what is no output', () => {
    expect(() => plan((ssc) => ssc.generatorStream().print(), 'generatorStream-0')).toThrow(
      expect.objectContaining({ code: 'BROKEN_INVARIANT' }),
    );
  });
});

describe('planJob of windows', () => {
  it('reads the batches of a window by their ages, the oldest first', () => {
    const { shuffles, result } = plan((ssc) =>
      ssc
        .generatorStream({ id: 'in' })
        .map((x) => x)
        .window('2s')
        .filter(() => true)
        .window('2s', '4s')
        .print(),
    );
    expect(shuffles).toEqual([]);
    expect(shown(result.branches)).toEqual([
      '{{in@2000 > map-0, in@1000 > map-0} > filter-0, {in@1000 > map-0, in > map-0} > filter-0}',
    ]);
  });

  it('has each shuffle of each age once, and before what reads it', () => {
    const { shuffles, result } = plan((ssc) => {
      const words = ssc.generatorStream({ id: 'in' });
      words.countByValueAndWindow('3s', '1s', { id: 'n' }).window('2s').print();
    });
    expect(shown(result.branches)).toEqual(['{[n@1000], [n]}']);
    expect(shuffles.map(({ shuffleId, ageMs }) => `${shuffleId}@${ageMs}`)).toEqual([
      'n.batch@3000',
      'n.batch@2000',
      'n.batch@1000',
      'n@1000',
      'n.batch@0',
      'n@0',
    ]);
  });
});

describe('planStates', () => {
  it('runs each stateful operator that an output needs once, after what it reads', () => {
    const graph = graphOf((ssc) => {
      const pairs = ssc.generatorStream({ id: 'in' }).mapToPair(pair);
      const lower = pairs.window('2s').mapWithState((key) => pair(key), { id: 'lower' });
      lower.mapWithState((key) => key, { id: 'unread' });
      lower.stateSnapshots().print();
      lower
        .mapWithState((key) => key, { id: 'upper' })
        .count()
        .print();
      pairs.reduceByKey((a, b) => a + b).print();
    });
    const plans = planStates(graph, new StreamTimes(graph.nodes, 1_000));
    const written = plans.map(({ operatorId, outputId, shuffles }) => [
      operatorId,
      outputId,
      shuffles.map((stage) => [stage.shuffleId, ...shown(stage.branches)]),
    ]);
    const below = ['lower', '{in@1000 > mapToPair-0, in > mapToPair-0}'];
    expect(written).toEqual([
      ['lower', 'print-0', [below]],
      ['upper', 'print-1', [below, ['upper', '[lower]']]],
    ]);
  });
});

describe('expandStage', () => {
  const context: ExpansionContext = {
    defaultPartitions: 2,
    leavesOf: (id) => (id === 'empty' ? [] : [queueLeaf(id, 0), queueLeaf(id, 1)]),
    piecesOf: (id) => [
      [piece(id.length), null],
      [null, null],
      [piece(100), piece(101)],
    ],
  };

  it('gives one partition for each leaf of an input, in order, none for an empty one', () => {
    const { result } = plan((ssc) => {
      const [a, empty, b] = ['a', 'empty', 'b'].map((id) => ssc.queueStream([['x']], { id }));
      a!
        .union(empty!)
        .union(b!)
        .map((x) => x)
        .print();
    });
    expect(expandStage(result, () => context)).toEqual([
      { leaf: queueLeaf('a', 0), via: ['map-0'] },
      { leaf: queueLeaf('a', 1), via: ['map-0'] },
      { leaf: queueLeaf('b', 0), via: ['map-0'] },
      { leaf: queueLeaf('b', 1), via: ['map-0'] },
    ]);
  });

  it('gives each reduce partition its pieces in the order of the map partitions', () => {
    const { result } = plan((ssc) => {
      const a = ssc.generatorStream().mapToPair(pair);
      a.join(a).print();
    });
    expect(expandStage(result, () => context)).toEqual([
      {
        leaf: {
          kind: 'shuffle',
          operatorId: 'join-0',
          inputs: [
            { shuffleId: 'join-0:left', pieces: [piece(11), piece(100)] },
            { shuffleId: 'join-0:right', pieces: [piece(12), piece(100)] },
          ],
        },
        via: [],
      },
      {
        leaf: {
          kind: 'shuffle',
          operatorId: 'join-0',
          inputs: [
            { shuffleId: 'join-0:left', pieces: [piece(101)] },
            { shuffleId: 'join-0:right', pieces: [piece(101)] },
          ],
        },
        via: [],
      },
    ]);
  });

  it("takes the operator's partition count before the batch's, and keeps empty partitions", () => {
    const count = (options?: { partitions: number }): number => {
      const { result } = plan((ssc) => ssc.generatorStream().countByValue(options).print());
      return expandStage(result, () => ({ ...context, piecesOf: () => [] })).length;
    };
    expect([count(), count({ partitions: 7 })]).toEqual([2, 7]);
    const { result } = plan((ssc) => ssc.generatorStream().count().print());
    expect(expandStage(result, () => ({ ...context, piecesOf: () => [] }))).toHaveLength(1);
  });
});

describe('shuffle ids', () => {
  it('lead back to their operator', () => {
    const graph = graphOf((ssc) => {
      const a = ssc.generatorStream().mapToPair(pair);
      a.cogroup(a, { id: 'both' }).print();
      a.groupByKey().print();
    });
    const ids = ['both', 'groupByKey-0'].flatMap((id) => shuffleIdsOf(graph.node(id)));
    expect(ids).toEqual(['both:left', 'both:right', 'groupByKey-0']);
    expect(ids.map(operatorOfShuffle)).toEqual(['both', 'both', 'groupByKey-0']);
  });
});
