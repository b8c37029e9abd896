/** Where the entry file of one of our threads is: beside its starter, source or compiled alike.
 *
 * tsc rewrites `.ts` in imports, not in `new URL('../executor-main.ts', import.meta.url)`. So the
 * starter's own extension decides: a starter that runs from `.ts` starts `.ts`, else `.js`.
 * @module */
import { MillraceError } from './errors.ts';

/** @param relative as in source, with `.ts`: `'./executor-main.ts'`; `.js` is understood too.
 * @param base `import.meta.url` of the starter. */
export function threadEntry(relative: string, base: string): URL {
  const stem = /^(\.{1,2}\/.+)\.[jt]s$/.exec(relative)?.[1];
  if (stem === undefined) {
    throw new MillraceError('BROKEN_INVARIANT', `${relative} is no relative path of a module`);
  }
  return new URL(`${stem}${isTypeScript(base) ? '.ts' : '.js'}`, base);
}

/** A loader or bundler may add a query to the address of a module. */
function isTypeScript(base: string): boolean {
  return new URL(base).pathname.endsWith('.ts');
}
