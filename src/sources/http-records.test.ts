import { describe, expect, it } from 'vitest';
import { bodyFormat, parseBody } from './http-records.ts';
import { HttpRefusal } from './http-reply.ts';

function refusal(call: () => unknown): { status: number; error: string } {
  try {
    call();
  } catch (error) {
    if (error instanceof HttpRefusal) return { status: error.status, error: error.error };
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('bodyFormat', () => {
  it.each([
    [undefined, 'text'],
    ['', 'text'],
    ['text/plain', 'text'],
    ['Text/Plain; charset="UTF-8"', 'text'],
    ['text/plain;charset=us-ascii', 'text'],
    ['application/json', 'json'],
    ['application/x-ndjson; charset=utf-8', 'ndjson'],
  ])('takes %j as %s', (type, format) => {
    expect(bodyFormat(type)).toBe(format);
  });

  it.each(['application/x-www-form-urlencoded', 'text/html', 'text/plain; charset=latin1'])(
    'refuses %s with 415',
    (type) => {
      expect(refusal(() => bodyFormat(type)).status).toBe(415);
    },
  );
});

describe('parseBody, text', () => {
  it.each([
    ['', []],
    ['a', ['a']],
    ['a\nb\n', ['a', 'b']],
    ['a\r\nb\r\n', ['a', 'b']],
    ['a\n\nb', ['a', '', 'b']],
    ['\n', ['']],
    ['grün 🌊\n', ['grün 🌊']],
  ])('%j gives %j', (body, records) => {
    expect(parseBody(Buffer.from(body), 'text')).toEqual(records);
  });

  it('refuses what is not UTF-8 and says where', () => {
    const body = Buffer.concat([Buffer.from('ok\nßx'), Buffer.from([0xe2, 0x82])]);
    expect(() => parseBody(body, 'text')).toThrow(/byte 6 /);
    expect(refusal(() => parseBody(body, 'text'))).toEqual({ status: 400, error: 'not-utf8' });
  });
});

describe('parseBody, JSON', () => {
  it('takes strings as they are and other elements as compact JSON', () => {
    const body = Buffer.from('\ufeff[ "a\\nb", {"k": [1, 2]}, 7, null, "7", 9007199254740993 ]');
    expect(parseBody(body, 'json')).toEqual([
      'a\nb',
      '{"k":[1,2]}',
      '7',
      'null',
      '7',
      '9007199254740993',
    ]);
    expect(parseBody(Buffer.from('["a", "b"]'), 'json')).toEqual(['a', 'b']);
    expect(parseBody(Buffer.from('[]'), 'json')).toEqual([]);
  });

  it.each([
    ['{"a":1}', 'not-an-array'],
    ['"a"', 'not-an-array'],
    ['[1,', 'not-json'],
    ['a\nb', 'not-json'],
    [String.raw`["\ud800"]`, 'not-utf8'],
    [String.raw`[1, "\udc00"]`, 'not-utf8'],
  ])('refuses %s', (body, error) => {
    expect(refusal(() => parseBody(Buffer.from(body), 'json'))).toEqual({ status: 400, error });
  });

  it('takes one value per line as NDJSON, blank lines are none', () => {
    const body = Buffer.from('{"a": 1}\r\n\n"text"\n  \n[1, 2]');
    expect(parseBody(body, 'ndjson')).toEqual(['{"a":1}', 'text', '[1,2]']);
  });

  it('names the line that is not JSON', () => {
    expect(() => parseBody(Buffer.from('1\n\nx\n'), 'ndjson')).toThrow(/line 3 is not JSON/);
  });
});
