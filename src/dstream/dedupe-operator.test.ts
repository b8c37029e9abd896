/** @module */
import { describe, expect, it } from 'vitest';
import { graphOf } from '../../test/support/inline-driver.ts';
import type { DStream } from './dstream.ts';
import type { DedupeOptions } from './dedupe-operator.ts';
import { describeGraph } from './graph.ts';
import type { Graph } from './graph.ts';

type KeyOf = (line: string) => string;

function build(options: DedupeOptions, key: KeyOf = (line) => line): Graph {
  return graphOf((ssc) =>
    ssc
      .queueStream([['a']], { id: 'q' })
      .dedupeBy(key, options)
      .print(),
  );
}

describe('dedupeBy', () => {
  it('is a stateful operator over pairs, with its own id or that of its place', () => {
    expect(describeGraph(build({ within: '10m', partitions: 3 })).slice(1, 3)).toEqual([
      { id: 'dedupeBy-0.pairs', kind: 'keyBy', parents: ['q'], options: {} },
      {
        id: 'dedupeBy-0',
        kind: 'dedupeBy',
        parents: ['dedupeBy-0.pairs'],
        options: { timeoutMs: 600_000, partitions: 3 },
      },
    ]);
    const { stateful } = build({ within: 1, id: 'once' });
    expect(stateful.map(({ id, isPlaced }) => [id, isPlaced])).toEqual([['once', undefined]]);
    expect(build({ within: 1 }).stateful[0]?.isPlaced).toBe(true);
  });

  it('keeps its state as often as it is told', () => {
    const graph = graphOf((ssc) => {
      const lines = ssc.queueStream([['a']]);
      lines
        .dedupeBy((line) => line, { within: '1m' })
        .checkpoint('5s')
        .print();
    });
    expect(graph.node('dedupeBy-0').options).toEqual({ timeoutMs: 60_000, checkpointMs: 5_000 });
  });

  it.each<[string, unknown, RegExp]>([
    ['no span', {}, /dedupeBy: within: .* is no duration/],
    ['no options', undefined, /within: .* is no duration/],
    ['a span of nothing', { within: 0 }, /within \(in ms\) must be an integer from 1 to/],
    ['a span without an end', { within: Infinity }, /within: .* is no duration/],
    ['another option', { within: 1, timeout: 1 }, /no option timeout \(known are within, id,/],
    ['no partitions', { within: 1, partitions: 0 }, /partitions must be an integer from 1/],
  ])('refuses %s', (_, options, message) => {
    expect(() => build(options as DedupeOptions)).toThrow(message);
  });

  it('refuses a key function that has to be waited for', () => {
    const later = (async (line: string) => line) as unknown;
    expect(() => build({ within: 1 }, later as KeyOf)).toThrow(
      /dedupeBy: the key function must not be asynchronous/,
    );
  });

  it('is refused in the function of transform', () => {
    const all = (): Graph =>
      graphOf((ssc) => {
        const lines = ssc.queueStream([['a']]);
        lines
          .transform((each: DStream<string>) => each.dedupeBy((line) => line, { within: 1 }))
          .print();
      });
    expect(all).toThrow(/dedupeBy was called inside the function given to transform/);
  });
});
