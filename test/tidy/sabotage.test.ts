/** Each deliberate break finds the place that it breaks: a change that moves the place has to move the
 * break too, and hears so at once, not when all breaks are run. And each is judged by its own code,
 * though one vitest runs many of them. @module */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { BREAKS } from '../sabotage/breaks.ts';
import { unit } from '../sabotage/breaks/break.ts';
import type { Break } from '../sabotage/breaks/break.ts';
import { Lane } from '../sabotage/lane.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

function findLost(breaks: readonly Break[], read: (path: string) => string): string[] {
  return breaks.flatMap(({ name, file, find }) => {
    const places = read(file).split(find).length - 1;
    return places === 1 ? [] : [`${name}: ${places} such places in ${file}`];
  });
}

it('finds a break whose place is gone, or is there twice', () => {
  const caughtBy = unit('a.test.ts');
  const sample = { name: 'x', violates: 'I1', file: 'a.ts', find: 'b();', replace: '', caughtBy };
  expect(findLost([sample], () => 'c();')).toHaveLength(1);
  expect(findLost([sample], () => 'b(); b();')).toHaveLength(1);
  expect(findLost([sample], () => 'a(); b();')).toEqual([]);
});

it('every deliberate break has its place, once, and a name of its own', () => {
  expect(findLost(BREAKS, (path) => readFileSync(join(ROOT, path), 'utf8'))).toEqual([]);
  expect(new Set(BREAKS.map(({ name }) => name)).size).toBe(BREAKS.length);
});

it('judges a break by its own code, whatever was broken before it', async () => {
  const [real] = BREAKS.filter(({ file }) => file === 'src/driver/cleaning.ts');
  if (real === undefined) throw new Error('nothing breaks src/driver/cleaning.ts any more');
  const harmless = { ...real, replace: `${real.find} ` };
  const broken = { ...real, replace: '((' };
  const lost = { ...real, find: 'what no file has' };
  const elsewhere = { ...real, caughtBy: unit('src/core/random.test.ts') };
  const lane = new Lane();
  const results: string[] = [];
  try {
    expect(await lane.check([real.caughtBy])).toEqual([]);
    for (const each of [real, harmless, real, broken, harmless, lost, elsewhere, real]) {
      results.push((await lane.try(each)).result);
    }
  } finally {
    lane.close();
  }
  const [caught, survived, none] = ['caught', 'SURVIVED', 'NO RESULT'];
  const wanted = [caught, survived, caught, none, survived, 'NOT FOUND', survived, caught];
  expect(results).toEqual(wanted);
});
