/** @module */
import { describe, expect, it } from 'vitest';
import { graphOf } from '../../test/support/inline-driver.ts';
import type { DStream } from './dstream.ts';
import { describeGraph } from './graph.ts';
import { looksPlaced, OperatorPlaces, operatorCodes } from './operator-places.ts';
import type { PipelineContext } from './pipeline-context.ts';

type Build = (words: DStream<[string, number]>, ssc: PipelineContext) => void;

const sum = (values: number[], state = 0): number => values.reduce((a, b) => a + b, state);
const most = (values: number[], state = 0): number => Math.max(state, ...values);
const least = (values: number[], state = 0): number => Math.min(state, ...values);
const other = (values: number[], state = 0): number => values.length + state;

function graph(build: Build) {
  return graphOf((ssc) => {
    const words = ssc.socketTextStream('h', 1).mapToPair((word): [string, number] => [word, 1]);
    build(words, ssc);
  });
}

function places(before: Build, now: Build, hasCodes = true): OperatorPlaces {
  const former = graph(before);
  const codes = hasCodes ? operatorCodes(former.nodes) : undefined;
  return new OperatorPlaces({ nodes: describeGraph(former), codes }, graph(now).nodes);
}

const FIRST = 'updateStateByKey-0';
const SECOND = 'updateStateByKey-1';
const keep =
  (...functions: (typeof sum)[]): Build =>
  (words) => {
    for (const f of functions) words.updateStateByKey(f).print();
  };

describe('a stateful operator without an id', () => {
  it.each<[string, Build, Build, string, boolean]>([
    ['nothing has changed', keep(sum, most), keep(sum, most), SECOND, true],
    ['its function has changed', keep(sum), keep(other), FIRST, true],
    ['its function has changed, beside another', keep(sum, most), keep(sum, other), SECOND, true],
    ['both functions have changed', keep(sum, most), keep(least, other), FIRST, false],
    ['the two have changed places', keep(sum, most), keep(most, sum), FIRST, false],
    ['the two have changed places', keep(sum, most), keep(most, sum), SECOND, false],
    ['another was put in front of it', keep(sum), keep(most, sum), FIRST, false],
    ['another was put behind it', keep(sum), keep(sum, most), FIRST, true],
    ['the one in front of it is gone', keep(sum, most), keep(most), FIRST, false],
    [
      'an operator came in front',
      keep(sum),
      (words) =>
        words
          .filter(([word]) => word !== '')
          .updateStateByKey(sum)
          .print(),
      FIRST,
      true,
    ],
    [
      'it is another one altogether',
      keep(sum),
      (words) =>
        words
          .filter(([word]) => word !== '')
          .updateStateByKey(most)
          .print(),
      FIRST,
      false,
    ],
    [
      'its input has changed, and nothing else is like it',
      keep(sum),
      (_words, ssc) => ssc.queueStream<string, number>([]).updateStateByKey(sum).print(),
      FIRST,
      true,
    ],
  ])('%s', (_name, ...[before, now, id, isSame]) => {
    expect(places(before, now).isSame(id)).toBe(isSame);
  });

  it('is who has the id when the user says so', () => {
    const now: Build = (words) => {
      words.updateStateByKey(most, { id: 'most' }).print();
      words.updateStateByKey(sum, { id: FIRST }).print();
    };
    expect(places(keep(sum), now).isSame(FIRST)).toBe(true);
  });

  it('is another one when the one that had its place has an id of its own now', () => {
    const named: Build = (words) => {
      words.updateStateByKey(most).print();
      words.updateStateByKey(sum, { id: 'counts' }).print();
    };
    expect(places(keep(sum), named).isSame(FIRST)).toBe(false);
    expect(places(keep(sum), named).likeliest(FIRST)).toEqual(['counts']);
    // One that had its id before is settled, whatever else has come.
    const beside: Build = (words) => {
      words.updateStateByKey(other).print();
      words.updateStateByKey(sum, { id: 'counts' }).print();
    };
    expect(places(named, beside).isSame(FIRST)).toBe(true);
  });

  it('is told apart when its id was written by hand and is left to the place again', () => {
    const byHand: Build = (words) => {
      words.updateStateByKey(most, { id: SECOND }).print();
      words.updateStateByKey(sum, { id: FIRST }).print();
    };
    expect(places(byHand, keep(most, sum)).isSame(FIRST)).toBe(false);
    expect(places(byHand, keep(sum, most)).isSame(FIRST)).toBe(true);
  });

  it('of a checkpoint without codes is the same when it reads the same', () => {
    expect(places(keep(sum), keep(most), false).isSame(FIRST)).toBe(true);
    const now: Build = (words) =>
      words
        .mapValues((n) => n)
        .updateStateByKey(sum)
        .print();
    expect(places(keep(sum), now, false).isSame(FIRST)).toBe(false);
  });

  it('is looked for where it is now', () => {
    expect(places(keep(sum), keep(most, sum)).likeliest(FIRST)).toEqual([SECOND]);
    const nothing: Build = (words) => words.print();
    expect(places(keep(sum), nothing).likeliest(FIRST)).toEqual([]);
  });
});

describe('an input without an id', () => {
  const inputs =
    (...ports: number[]): Build =>
    (words, ssc) => {
      words.print();
      for (const port of ports) ssc.httpTextStream({ port }).print();
    };

  it.each<[string, Build, Build, boolean]>([
    ['has moved when two have changed places', inputs(1, 2), inputs(2, 1), true],
    ['has moved when one came in front', inputs(1), inputs(2, 1), true],
    ['has not when its port has changed', inputs(1, 2), inputs(3, 2), false],
    ['has not when it stands alone', inputs(1), inputs(2), false],
  ])('%s', (_name, ...[before, now, hasMoved]) => {
    expect(places(before, now).hasMoved('httpTextStream-0')).toBe(hasMoved);
  });
});

it('codes are of operators that something is kept of, and have no id of their own', () => {
  const found = graph((words) => {
    words.updateStateByKey(sum).print();
    words.updateStateByKey(sum, { id: 'mine' }).print();
  });
  const ids = operatorCodes(found.nodes).map(([id]) => id);
  expect(ids).toEqual(['socketTextStream-0', FIRST, 'print-0', 'print-1']);
});

it('parts of an operator without an id have ids from its place', () => {
  const { nodes } = graph((words) => {
    const numbers = words.map(([, n]) => n);
    const plus = (a: number, b: number): number => a + b;
    numbers.reduceByWindow(plus, '2s').print();
    numbers.reduceByWindow(plus, (a, b) => a - b, '2s').print();
    words.reduceByKeyAndWindow(plus, '2s', '1s').print();
    numbers.reduceByWindow(plus, (a, b) => a - b, '2s', '1s', { id: 'mine' }).print();
  });
  const isMine = (id: string): boolean => id.startsWith('mine');
  expect(nodes.filter(({ id }) => isMine(id)).length).toBeGreaterThan(1);
  for (const node of nodes) {
    expect([node.id, looksPlaced(node), node.isPlaced === true]).toEqual([
      node.id,
      !isMine(node.id),
      !isMine(node.id),
    ]);
  }
});
