/** @module */
import { describe, expect, it } from 'vitest';
import { graphOf } from '../../test/support/inline-driver.ts';
import type { DStream } from './dstream.ts';
import type { Graph } from './graph.ts';
import { stateSpec, stateVersionOf } from './state-spec.ts';
import type { State } from './state-spec.ts';

const keep = (_key: string, value: number | undefined, _state: State<number>) => value;

function build(use: (pairs: DStream<[string, number]>) => DStream<unknown>): Graph {
  return graphOf((ssc) => use(ssc.queueStream<string, number>([[['a', 1]]])).print());
}

describe('a stateful operator', () => {
  it('is the same whether it is told by a specification or by options', () => {
    const spec = stateSpec(keep)
      .initialState([['a', 1]])
      .timeout('2s')
      .partitions(3)
      .id('own');
    const bySpec = build((pairs) => pairs.mapWithState(spec)).node('own');
    const options = { initialState: new Map([['a', 1]]), timeout: 2_000, partitions: 3, id: 'own' };
    const byOptions = build((pairs) => pairs.mapWithState(keep, options)).node('own');
    expect(bySpec).toEqual(byOptions);
    expect(bySpec).toMatchObject({
      kind: 'mapWithState',
      options: { partitions: 3, timeoutMs: 2_000 },
      initialState: [['a', 1]],
    });
  });

  it('says of which version its states are, and how they come to be so', () => {
    const migrate = (old: unknown): number => Number(old);
    const node = build((pairs) => {
      return pairs.mapWithState(stateSpec(keep).id('own').version(2, migrate));
    }).node('own');
    expect([node.options, node.fns, stateVersionOf(node)]).toEqual([
      { version: 2 },
      { migrate },
      2,
    ]);
    const plain = build((pairs) => pairs.mapWithState(keep)).stateful[0];
    expect(plain === undefined ? 0 : stateVersionOf(plain)).toBe(1);
  });

  it('leaves a specification as it is when another is made of it', () => {
    const plain = stateSpec(keep);
    plain.timeout('1s');
    expect(build((pairs) => pairs.mapWithState(plain)).stateful[0]?.options).toEqual({});
  });

  it('takes options beside a specification, and they win over its own', () => {
    const spec = stateSpec(keep).timeout('2s').partitions(3);
    const node = build((pairs) => pairs.mapWithState(spec, { id: 'own', partitions: 5 })).node(
      'own',
    );
    expect(node.options).toEqual({ partitions: 5, timeoutMs: 2_000 });
    for (const [options, message] of [
      [{ Id: 'own' }, /no option Id/],
      [7, /options must be an object, not 7/],
    ] as const) {
      const given = options as object;
      expect(() => build((pairs) => pairs.mapWithState(spec, given))).toThrow(message);
    }
  });

  it('has an id of its own kind, and a view of its state', () => {
    const graph = build((pairs) => {
      const counts = pairs.mapWithState(keep);
      counts.print();
      return counts.stateSnapshots();
    });
    expect(graph.stateful.map(({ id }) => id)).toEqual(['mapWithState-0']);
    expect(graph.node('stateSnapshots-0').parents).toEqual(['mapWithState-0']);
  });

  it.each([
    ['an unknown option', { timeOut: 1 }, /no option timeOut/],
    ['no partitions', { partitions: 0 }, /partitions must be an integer from 1/],
    ['no time', { timeout: 0 }, /timeout \(in ms\) must be an integer from 1/],
    ['words for a time', { timeout: 'soon' }, /timeout: .*no duration/],
    ['no version', { version: 0 }, /version must be an integer from 1/],
    ['a migration without a version', { migrate: Number }, /migrate needs version: 2 or higher/],
    ['a migration to the first one', { version: 1, migrate: Number }, /needs version: 2/],
    [
      'an asynchronous migration',
      { version: 2, migrate: async () => {} },
      /migrate must not be asynchronous/,
    ],
    ['state that is no pairs', { initialState: ['a'] }, /initialState must be pairs/],
    ['state that is nothing to go through', { initialState: 7 }, /initialState must be pairs/],
  ])('refuses %s', (_what, options, message) => {
    const given = options as object;
    expect(() => build((pairs) => pairs.mapWithState(keep, given))).toThrow(message);
  });

  it('refuses what may not wait, and a timeout of updateStateByKey', () => {
    const waits: unknown = async () => 1;
    expect(() => build((pairs) => pairs.mapWithState(waits as typeof keep))).toThrow(
      /must not be asynchronous/,
    );
    const options = { timeout: 1 } as object;
    const f = (values: number[]): number => values.length;
    expect(() => build((pairs) => pairs.updateStateByKey(f, options))).toThrow(/no option timeout/);
  });
});
