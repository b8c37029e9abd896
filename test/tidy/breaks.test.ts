/** Deliberate breaks keep up with the code that they break: `npm run test:sabotage` takes long, and
 * a place that is gone should not wait for it. @module */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { BREAKS } from '../sabotage/breaks.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

it('each deliberate break finds its place, and only once', () => {
  const lost = BREAKS.filter(({ file, find }) => {
    return readFileSync(join(ROOT, file), 'utf8').split(find).length !== 2;
  });
  expect(lost.map(({ name, file }) => `${file}: ${name}`)).toEqual([]);
});
