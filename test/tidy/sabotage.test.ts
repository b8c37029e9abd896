/** Each deliberate break finds the place that it breaks: a change that moves the place has to move the
 * break too, and hears so at once, not when all breaks are run. @module */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { BREAKS } from '../sabotage/breaks.ts';
import type { Break } from '../sabotage/breaks/break.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

function findLost(breaks: readonly Break[], read: (path: string) => string): string[] {
  return breaks.flatMap(({ name, file, find }) => {
    const places = read(file).split(find).length - 1;
    return places === 1 ? [] : [`${name}: ${places} such places in ${file}`];
  });
}

it('finds a break whose place is gone, or is there twice', () => {
  const [sample] = BREAKS.map((each) => ({ ...each, name: 'x', file: 'a.ts', find: 'b();' }));
  expect(findLost(sample === undefined ? [] : [sample], () => 'c();')).toHaveLength(1);
  expect(findLost(sample === undefined ? [] : [sample], () => 'b(); b();')).toHaveLength(1);
  expect(findLost(sample === undefined ? [] : [sample], () => 'a(); b();')).toEqual([]);
});

it('every deliberate break has its place, once, and a name of its own', () => {
  expect(findLost(BREAKS, (path) => readFileSync(join(ROOT, path), 'utf8'))).toEqual([]);
  expect(new Set(BREAKS.map(({ name }) => name)).size).toBe(BREAKS.length);
});
