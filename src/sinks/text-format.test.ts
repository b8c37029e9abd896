import { describe, expect, it } from 'vitest';
import { formatText } from './text-format.ts';

describe('formatText', () => {
  it.each([
    ['a b\nc', 'a b\nc'],
    [['word', 3], '(word,3)'],
    [
      [
        ['a', 1],
        ['b', [2, 'c']],
      ],
      '((a,1),(b,(2,c)))',
    ],
    [['k', [1, 2, 3]], '(k,[1,2,3])'],
    [['k', undefined], '(k,undefined)'],
    [[1, 2, 3], '[1,2,3]'],
    [[1], '[1]'],
    [[], '[]'],
    [{ a: ['x', 1] }, '{"a":["x",1]}'],
    [-0, '0'],
    [Number.NaN, 'NaN'],
    [-Infinity, '-Infinity'],
    [1.5, '1.5'],
    [true, 'true'],
    [null, 'null'],
    [undefined, 'undefined'],
    [2n ** 70n, '1180591620717411303424'],
    [['k', 7n], '(k,7)'],
    [new Map([['a', 1]]), '{"a":1}'],
    [new Set([1, 'b']), '[1,"b"]'],
  ])('prints %o as %s', (record, text) => {
    expect(formatText(record)).toBe(text);
  });

  it('refuses a function, also inside a pair', () => {
    expect(() => formatText(['k', () => 1])).toThrow(/function/);
  });
});
