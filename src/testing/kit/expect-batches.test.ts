/** @module */
import { AssertionError } from 'node:assert';
import { describe, expect, it } from 'vitest';
import { expectBatches } from './expect-batches.ts';

function failureOf(...args: Parameters<typeof expectBatches>): AssertionError {
  try {
    expectBatches(...args);
  } catch (error) {
    if (error instanceof AssertionError) return error;
    throw error;
  }
  throw new Error('it passed');
}

describe('expectBatches', () => {
  it.each([
    ['in any order', [[1, 2, 2], []], [[2, 1, 2], []]],
    ['nothing', [], []],
    ['pairs and objects', [[['a', { x: 1, y: [2] }]]], [[['a', { y: [2], x: 1 }]]]],
    [
      'maps, whatever their order',
      [
        [
          new Map([
            ['a', 1],
            ['b', 2],
          ]),
        ],
      ],
      [
        [
          new Map([
            ['b', 2],
            ['a', 1],
          ]),
        ],
      ],
    ],
    ['NaN and undefined', [[Number.NaN, undefined]], [[undefined, Number.NaN]]],
  ])('takes equal batches: %s', (_, actual, expected) => {
    expectBatches(actual, expected);
  });

  it.each<[string, [unknown[][], unknown[][]], string]>([
    ['a record too few', [[['a']], [['a', 'b']]], "batch 0 lacks [ 'b' ]"],
    [
      'a record too many',
      [
        [[], [1, 1]],
        [[], [1]],
      ],
      'batch 1 has [ 1 ] too much',
    ],
    ['another record', [[[1]], [['1']]], "batch 0 lacks [ '1' ] and has [ 1 ] too much"],
    ['as often', [[[1, 1, 2]], [[1, 2, 2]]], 'batch 0 lacks [ 2 ] and has [ 1 ] too much'],
    ['a batch too few', [[[1]], [[1], []]], '1 batches instead of 2'],
    ['a batch too many', [[[1], []], [[1]]], '2 batches instead of 1'],
    ['zero and minus zero', [[[0]], [[-0]]], 'batch 0 lacks [ -0 ] and has [ 0 ] too much'],
    ['deep down', [[[['a', [1]]]], [[['a', [2]]]]], "batch 0 lacks [ [ 'a', [ 2 ] ] ]"],
  ])('refuses others, and says why: %s', (_, sides, message) => {
    expect(failureOf(...sides).message).toContain(message);
  });

  it('shows both sides, and gives them to the test runner', () => {
    const long = Array.from({ length: 200 }, (_, n) => n);
    const failure = failureOf([long], [[...long, -1]]);
    expect(failure.message).toMatch(/\n {2}actual: {3}\[ \[ 0, 1, .* 198, 199 \] \]\n/);
    expect(failure.message).toMatch(/\n {2}expected: \[ \[ 0, 1, .* 199, -1 \] \]$/);
    expect(failure).toMatchObject({ actual: [long], expected: [[...long, -1]] });
    expect(failure.stack?.split('\n    at ')[1]).not.toContain('expect-batches.ts');
  });

  it('minds the order when it is told to', () => {
    expectBatches([[1, 2]], [[1, 2]], { ordered: true });
    const { message } = failureOf([[1, 2]], [[2, 1]], { ordered: true });
    expect(message).toContain('batch 0 has the records in another order');
    expect(failureOf([[1]], [[1, 2]], { ordered: true }).message).toContain('lacks [ 2 ]');
  });

  it('has one error for a wrong call', () => {
    const call = (): void => expectBatches([1] as never, [[1]], { order: true } as never);
    expect(call).toThrow(/^expectBatches: the actual batches must be .*; there is no option order/);
    expect(() => expectBatches([], [], { ordered: 1 } as never)).toThrow('true or false');
  });
});
