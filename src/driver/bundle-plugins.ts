/** What esbuild is told beyond its options, so that a bundle is one file that can lie anywhere.
 *
 * Both plugins write marks instead of addresses, `"millrace-self:…"` and `"millrace-origin:…"`: the
 * code with marks is equal in every folder, and is what gets hashed; `placeBundle` then turns marks
 * into the addresses of this machine.
 * @module */
import { dirname, extname, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Loader, Plugin } from 'esbuild';

const SELF_MARK = 'millrace-self:';
const REQUIRED_SELF_MARK = 'millrace-required-self:';
const ORIGIN_MARK = 'millrace-origin:';
const KINDS = [SELF_MARK, REQUIRED_SELF_MARK, ORIGIN_MARK].join('|');
const MARKS = new RegExp(`"(${KINDS})([^"\\\\\\n]*)"`, 'g');

const LOADERS: ReadonlyMap<string, Loader> = new Map([
  ...(['.ts', '.mts', '.cts'] as const).map((ext) => [ext, 'ts'] as const),
  ...(['.js', '.mjs', '.cjs'] as const).map((ext) => [ext, 'js'] as const),
  ['.tsx', 'tsx'],
  ['.jsx', 'jsx'],
]);

/** Names that stand for `import.meta.…`; each module of the bundle has constants of its own. Taken
 * apart (`const { url } = import.meta`), it is that of the bundle. */
export const IMPORT_META_NAMES: Readonly<Record<string, string>> = {
  'import.meta.url': '__millrace_url',
  'import.meta.filename': '__millrace_filename',
  'import.meta.dirname': '__millrace_dirname',
};

/** Makes `import 'millrace'` mean the package that is running, wherever it was installed: a second
 * copy would have classes of its own. */
export function selfPlugin(exportedPaths: ReadonlySet<string>): Plugin {
  return {
    name: 'millrace-self',
    setup(build) {
      build.onResolve({ filter: /^millrace(\/|$)/ }, ({ path, kind }) => {
        const subpath = `.${path.slice('millrace'.length)}`;
        const mark = kind === 'require-call' ? REQUIRED_SELF_MARK : SELF_MARK;
        return exportedPaths.has(subpath)
          ? { path: mark + subpath, external: true }
          : { errors: [{ text: `millrace has no entry "${path}"` }] };
      });
    },
  };
}

/** Lets `import.meta.url` (and filename, dirname) of each file be that of the file itself.
 * @param directory that origins are noted relative to. */
export function originPlugin(
  directory: string,
  readText: (path: string) => Promise<string>,
): Plugin {
  return {
    name: 'millrace-origin',
    setup(build) {
      build.onLoad({ filter: /\.[cm]?[jt]sx?$/, namespace: 'file' }, async ({ path }) => {
        const loader = LOADERS.get(extname(path));
        if (loader === undefined) return undefined;
        const text = await readText(path);
        if (!text.includes('import.meta')) return { contents: text, loader };
        return { contents: withOrigin(text, relative(directory, path)), loader };
      });
    },
  };
}

/** The bundle's code as it runs here. @param selfUrls by exported path of millrace. */
export function placeBundle(
  code: string,
  directory: string,
  selfUrls: ReadonlyMap<string, string>,
): string {
  return code.replaceAll(MARKS, (mark: string, kind: string, rest: string) => {
    if (kind === SELF_MARK) return JSON.stringify(selfUrls.get(rest) ?? mark);
    // The same module as for an import: Node's require takes ES modules, by path.
    if (kind === REQUIRED_SELF_MARK) return JSON.stringify(fileURLToPath(selfUrls.get(rest) ?? ''));
    const [what = '', ...path] = rest.split(':');
    return JSON.stringify(placeOf(what, resolve(directory, decodeURI(path.join(':')))));
  });
}

/** Gives the bundle of a CommonJS pipeline the `require` that it calls, resolving as it would in
 * the pipeline's own file. In the first line, so that no line number changes; only where it is
 * called, since modules may declare a `require` of their own. */
export function withRequire(code: string, fileName: string): string {
  if (!code.includes('__require(')) return code;
  const origin = JSON.stringify(`${ORIGIN_MARK}url:${encodeURI(fileName)}`);
  return (
    'import { createRequire as __millraceRequire } from "node:module"; ' +
    `const require = __millraceRequire(${origin}); ${code}`
  );
}

/** Constants in the first line, so that no line number changes. */
function withOrigin(text: string, path: string): string {
  const address = encodeURI(path.split(sep).join('/'));
  const constants = ['url', 'filename', 'dirname']
    .map((what) => `const __millrace_${what} = "${ORIGIN_MARK}${what}:${address}";`)
    .join(' ');
  const hashbang = /^#![^\n]*\n/.exec(text)?.[0] ?? '';
  return `${hashbang}${constants} ${text.slice(hashbang.length)}`;
}

function placeOf(what: string, path: string): string {
  if (what === 'filename') return path;
  return what === 'dirname' ? dirname(path) : pathToFileURL(path).href;
}
