import { describe, expect, it } from 'vitest';
import { graphOf } from '../../test/support/inline-driver.ts';
import { GraphBuilder } from './graph-builder.ts';
import { describeGraph, firstDifference, graphHash } from './graph.ts';
import type { NodeDescription } from './graph.ts';
import type { PipelineContext } from './pipeline-context.ts';

function wordCount(ssc: PipelineContext): void {
  ssc
    .generatorStream({ seed: 7 })
    .flatMap((line) => line.split(' '))
    .mapToPair((word) => [word, 1])
    .reduceByKey((a, b) => a + b, { partitions: 3 })
    .print();
}

const described = describeGraph(graphOf(wordCount));

function changed(index: number, change: Partial<NodeDescription>): readonly NodeDescription[] {
  return described.map((node, i) => (i === index ? { ...node, ...change } : node));
}

describe('ids', () => {
  it('counts per kind, in order of creation', () => {
    const graph = graphOf((ssc) => {
      const queue = ssc.queueStream([['a']]);
      queue
        .map((x) => x)
        .filter(() => true)
        .map((x) => x)
        .print();
      queue.print();
    });
    expect(graph.nodes.map((node) => node.id)).toEqual([
      'queueStream-0',
      'map-0',
      'filter-0',
      'map-1',
      'print-0',
      'print-1',
    ]);
    expect(graph.node('map-1').parents).toEqual(['filter-0']);
  });

  it("takes the user's own, without shifting the others", () => {
    const graph = graphOf((ssc) => {
      const lines = ssc.generatorStream({ id: 'lines' });
      lines
        .map((x) => x, { id: 'same' })
        .map((x) => x)
        .print(5, { id: 'shown' });
    });
    expect(graph.nodes.map((node) => node.id)).toEqual(['lines', 'same', 'map-1', 'shown']);
  });

  it('refuses an id that is taken, whoever took it first', () => {
    const duplicate = expect.objectContaining({
      code: 'PIPELINE_INVALID',
      message: expect.stringContaining('two operators have the id map-1') as string,
    });
    expect(() =>
      graphOf((ssc) => {
        const queue = ssc.queueStream([[1]]);
        queue.map((x) => x, { id: 'map-1' });
        queue.map((x) => x);
      }),
    ).toThrow(duplicate);
  });

  it.each(['', 'a b', 'a:left', 'a/b', 'x'.repeat(129)])('refuses the id %j', (id) => {
    expect(() => graphOf((ssc) => ssc.generatorStream({ id }).print())).toThrow(
      `cannot be the id of generatorStream`,
    );
  });
});

describe('a sealed graph', () => {
  it('takes no more operators', () => {
    let leaked: PipelineContext | undefined;
    graphOf((ssc) => {
      leaked = ssc;
      ssc.generatorStream().print();
    });
    expect(() => leaked?.generatorStream()).toThrow(
      expect.objectContaining({ code: 'CONTEXT_STATE' }),
    );
  });

  it('cannot be changed through what it gives out', () => {
    const builder = new GraphBuilder('test');
    const parents: string[] = [];
    builder.add({ kind: 'queueStream', id: undefined, parents, options: { batchCount: 0 } });
    const graph = builder.seal();
    parents.push('x');
    expect(graph.nodes[0]?.parents).toEqual([]);
    expect(() => Object.assign(graph.nodes[0] ?? {}, { id: 'y' })).toThrow(TypeError);
  });
});

describe('graphHash', () => {
  it('is the same for two builds, and in any order of option keys', () => {
    expect(graphHash(describeGraph(graphOf(wordCount)))).toBe(graphHash(described));
    const reordered = described.map((node) => ({
      ...node,
      options: Object.fromEntries(Object.entries(node.options).toReversed()),
    }));
    expect(graphHash(reordered)).toBe(graphHash(described));
  });

  it.each([
    ['kind', changed(1, { kind: 'map' })],
    ['id', changed(1, { id: 'flatMap-9' })],
    ['parents', changed(2, { parents: ['generatorStream-0'] })],
    ['option', changed(3, { options: { partitions: 4 } })],
    ['missing operator', described.slice(0, -1)],
  ])('differs for another %s', (_what, other) => {
    expect(graphHash(other)).not.toBe(graphHash(described));
  });

  it('survives a structured clone', () => {
    expect(graphHash(structuredClone(described))).toBe(graphHash(described));
  });
});

describe('firstDifference', () => {
  it('is undefined for equal graphs', () => {
    expect(firstDifference(described, structuredClone(described))).toBeUndefined();
  });

  it.each([
    [changed(1, { kind: 'map' }), 'operator flatMap-0: kind is "flatMap" in a and "map" in b'],
    [
      changed(2, { parents: ['generatorStream-0'] }),
      'operator mapToPair-0: parents is ["flatMap-0"] in a and ["generatorStream-0"] in b',
    ],
    [
      changed(3, { options: { partitions: 4 } }),
      'operator reduceByKey-0: option partitions is 3 in a and 4 in b',
    ],
    [
      changed(3, { options: {} }),
      'operator reduceByKey-0: option partitions is 3 in a and absent in b',
    ],
    [described.slice(0, -1), 'operator print-0 is in a but not in b'],
    [
      [...described, { id: 'new', kind: 'print', parents: [], options: {} } as const],
      'operator new is in b but not in a',
    ],
    [described.toReversed(), 'operator generatorStream-0 is number 1 in a and not in b'],
  ])('names the operator and what differs (%#)', (other, sentence) => {
    expect(firstDifference(described, other, ['a', 'b'])).toBe(sentence);
    expect(graphHash(other)).not.toBe(graphHash(described));
  });
});
