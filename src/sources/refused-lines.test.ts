import { describe, expect, it } from 'vitest';
import { RefusedLines } from './refused-lines.ts';

describe('RefusedLines', () => {
  it('counts each line, reports at 1, 2, 4, 8 … and the total at the end', () => {
    const messages: string[] = [];
    const refused = new RefusedLines((message) => messages.push(message));
    for (let line = 0; line < 11; line += 1) refused.add('a line is bad');
    refused.reportTotal();
    refused.reportTotal();
    expect(messages.map((message) => Number(/\d+/.exec(message)?.[0]))).toEqual([1, 2, 4, 8, 11]);
    expect(refused.count).toBe(11);
  });

  it('has nothing to say without refusals', () => {
    const messages: string[] = [];
    new RefusedLines((message) => messages.push(message)).reportTotal();
    expect(messages).toEqual([]);
  });
});
