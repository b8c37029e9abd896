/** docs/guarantees.md names a test for each sentence: that test has to exist. @module */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** `file` › part of a test's name, up to the end of a table cell or of a line in it. */
const NAMED = /`((?:src|test)\/[^`]+\.ts)` › ([^|\n]+?) *(?:<br>|\|)/g;
const SENTENCE = /^\| (G\d+) \|/gm;

/** What is wrong with the page; `read` gives a file's text, `undefined` when there is none. */
function findUnshown(page: string, read: (path: string) => string | undefined): string[] {
  const problems: string[] = [];
  for (const line of page.split('\n')) {
    const [, sentence] = new RegExp(SENTENCE.source).exec(line) ?? [];
    const named = [...line.matchAll(NAMED)];
    if (sentence !== undefined && named.length === 0) problems.push(`${sentence} names no test`);
    for (const [, path = '', name = ''] of named) {
      const text = read(path);
      if (text === undefined) problems.push(`there is no ${path}`);
      else if (!text.includes(name)) problems.push(`${path} has no test "${name}"`);
    }
  }
  return problems;
}

it('finds a sentence without a test, a test that is gone, and a file that is gone', () => {
  const page = [
    '| G1 | it is so | |',
    '| G2 | it is so | `test/a.test.ts` › does it |',
    '| G3 | it is so | `test/a.test.ts` › does something else |',
    '| G4 | it is so | `test/a.test.ts` › does it<br>`test/b.test.ts` › does it |',
  ].join('\n');
  const read = (path: string) => (path === 'test/a.test.ts' ? "it('does it', …)" : undefined);
  expect(findUnshown(page, read)).toEqual([
    'G1 names no test',
    'test/a.test.ts has no test "does something else"',
    'there is no test/b.test.ts',
  ]);
});

it('each sentence of docs/guarantees.md has a test that exists, and a number of its own', () => {
  const page = readFileSync(`${ROOT}docs/guarantees.md`, 'utf8');
  const read = (path: string) =>
    existsSync(`${ROOT}${path}`) ? readFileSync(`${ROOT}${path}`, 'utf8') : undefined;
  expect(findUnshown(page, read)).toEqual([]);
  const numbers = [...page.matchAll(SENTENCE)].map(([, sentence]) => sentence);
  expect(numbers).toEqual(numbers.map((_, index) => `G${index + 1}`));
  expect(numbers.length).toBeGreaterThan(20);
});
