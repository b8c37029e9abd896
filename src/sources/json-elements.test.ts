import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arrayElements, compactJson } from './json-elements.ts';

const seed = Number(process.env['MILLRACE_SEED'] ?? 20_263);

describe('arrayElements', () => {
  it(`equals parsing and printing each element (MILLRACE_SEED=${seed})`, () => {
    const spaces = fc.integer({ min: 0, max: 3 });
    const property = fc.property(
      fc.array(fc.jsonValue(), { maxLength: 6 }),
      spaces,
      (value, indent) => {
        const printed = JSON.stringify(value, null, indent);
        const again: unknown = JSON.parse(printed);
        const elements = (again as unknown[]).map((element) => JSON.stringify(element));
        expect(arrayElements(printed)).toEqual(elements);
        expect(compactJson(printed)).toBe(JSON.stringify(again));
      },
    );
    fc.assert(property, { seed, numRuns: 1_000 });
  });

  it('keeps digits that a number cannot hold', () => {
    expect(arrayElements('[9007199254740993, {"a": 1e400}, 1.0]')).toEqual([
      '9007199254740993',
      '{"a":1e400}',
      '1.0',
    ]);
  });

  it('is not led astray by brackets, commas, quotes and backslashes in strings', () => {
    expect(arrayElements(String.raw`[ {"],\"[": "\\"} , "a,\\\"b" ]`)).toEqual([
      String.raw`{"],\"[":"\\"}`,
      String.raw`"a,\\\"b"`,
    ]);
  });

  it('finds nothing in an empty array', () => {
    expect(arrayElements(' [ \n ] ')).toEqual([]);
  });
});
