import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineSplitter, splitLines } from './line-splitter.ts';

const seed = Number(process.env['MILLRACE_SEED'] ?? 20_262);

function feed(splitter: LineSplitter, chunks: readonly Buffer[]): string[] {
  const lines: string[] = [];
  for (const chunk of chunks) {
    const whole = splitter.push(chunk);
    if (whole !== undefined) lines.push(...whole.toString().split('\n'));
  }
  return lines;
}

describe('LineSplitter', () => {
  it(`gives the same lines however the bytes are cut (MILLRACE_SEED=${seed})`, () => {
    const text = fc.array(fc.constantFrom('a', 'ß', '🌊', '\n', '\n\n'), { maxLength: 40 });
    const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 });
    const property = fc.property(text, cuts, (parts, sizes) => {
      const bytes = Buffer.from(parts.join(''));
      const chunks: Buffer[] = [];
      for (let at = 0, i = 0; at < bytes.byteLength; i += 1) {
        const size = sizes[i % sizes.length] ?? 1;
        chunks.push(bytes.subarray(at, at + size));
        at += size;
      }
      const splitter = new LineSplitter(1_000);
      const lines = feed(splitter, chunks);
      const rest = splitter.finish();
      const all = rest === undefined ? lines : [...lines, rest.toString()];
      const expected = bytes.toString().split('\n');
      if (expected.at(-1) === '') expected.pop();
      expect(all).toEqual(expected);
    });
    fc.assert(property, { seed, numRuns: 500 });
  });

  it('takes a line of exactly the bound, whole or in pieces', () => {
    const splitter = new LineSplitter(4);
    expect(feed(splitter, [Buffer.from('abcd\nab'), Buffer.from('cd\n')])).toEqual([
      'abcd',
      'abcd',
    ]);
    expect(splitter.failure).toBeUndefined();
  });

  it('hands out the lines before one that is too long, then nothing', () => {
    const splitter = new LineSplitter(4);
    expect(feed(splitter, [Buffer.from('ab\ncd\nabcde\nef\n')])).toEqual(['ab', 'cd']);
    expect(splitter.failure?.lineOffset).toBe(6);
    expect(splitter.push(Buffer.from('x\n'))).toBeUndefined();
    expect(splitter.finish()).toBeUndefined();
  });

  it('notices a line that grows too long without ever ending', () => {
    const splitter = new LineSplitter(4);
    feed(splitter, [Buffer.from('1\nab'), Buffer.from('c'), Buffer.from('de')]);
    expect(splitter.failure?.lineOffset).toBe(2);
    expect(splitter.abandon()).toBe(0);
  });

  it('forgets the line that has begun, and says how much of it there was', () => {
    const splitter = new LineSplitter(10);
    feed(splitter, [Buffer.from('a\nbcd')]);
    expect(splitter.abandon()).toBe(3);
    expect(splitter.finish()).toBeUndefined();
  });
});

describe('splitLines', () => {
  it('takes CRLF as one line end, a lone CR inside a line as content', () => {
    expect(splitLines('a\r\n\r\nb\rc\r')).toEqual(['a', '', 'b\rc']);
  });
});
