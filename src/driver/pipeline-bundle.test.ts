import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { cpSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MillraceError } from '../core/errors.ts';
import { bundlePipeline } from './pipeline-bundle.ts';

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'millrace bundle-')));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function put(path: string, lines: readonly string[]): string {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), lines.join('\n'));
  return join(root, path);
}

async function refusalOf(location: string): Promise<MillraceError> {
  const outcome = await bundlePipeline(location).catch((error: unknown) => error);
  if (outcome instanceof MillraceError && outcome.code === 'PIPELINE_INVALID') return outcome;
  throw new Error(`not refused: ${String(outcome)}`);
}

/** Runs the bundle in a process of its own, as a thread would import it. */
function run(moduleUrl: string): { stdout: string; stderr: string; status: number | null } {
  const script = `const m = await import(${JSON.stringify(moduleUrl)});
    process.stdout.write(JSON.stringify(await m.default));`;
  const args = ['--enable-source-maps', '--import', 'tsx', '--input-type=module', '-e', script];
  return spawnSync(process.execPath, args, { encoding: 'utf8' });
}

describe('bundlePipeline', () => {
  it('compiles TypeScript with its local imports', async () => {
    put('lib/shout.ts', ['export enum Mark { Loud = "!" }']);
    put('lib/plain.js', ['export const two = 2;']);
    const path = put('pipeline.ts', [
      "import { Mark } from './lib/shout.ts';",
      "import { two } from './lib/plain.js';",
      'class Box { constructor(readonly value: number) {} }',
      'export default [Mark.Loud, new Box(two).value];',
    ]);
    const { moduleUrl, codeHash } = await bundlePipeline(path);
    expect(codeHash).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.parse(run(moduleUrl).stdout)).toEqual(['!', 2]);
    expect(await bundlePipeline(pathToFileURL(path))).toEqual({ moduleUrl, codeHash });
    expect(await bundlePipeline(pathToFileURL(path).href)).toEqual({ moduleUrl, codeHash });
  });

  it.each(['.ts', '.mts', '.js', '.mjs'])('takes a pipeline%s', async (extension) => {
    const path = put(`pipeline${extension}`, ['export default 7;']);
    expect(run((await bundlePipeline(path)).moduleUrl).stdout).toBe('7');
  });

  it('takes CommonJS: require of packages, of local files and of millrace', async () => {
    put('lib/two.cjs', ['module.exports = { two: 2 };']);
    put('node_modules/three/index.js', ['module.exports = 3;']);
    const path = put('pipeline.cjs', [
      "const { two } = require('./lib/two.cjs');",
      "const { definePipeline } = require('millrace');",
      "const { sep } = require('node:path');",
      "module.exports = [two, require('three'), sep.length, typeof definePipeline];",
    ]);
    const { moduleUrl } = await bundlePipeline(path);
    expect(run(moduleUrl)).toMatchObject({ stdout: '[2,3,1,"function"]', status: 0 });
  });

  it('leaves a module alone that makes its own require', async () => {
    const path = put('pipeline.js', [
      "import { createRequire } from 'node:module';",
      'const require = createRequire(import.meta.url);',
      "export default require('node:path').sep;",
    ]);
    const { moduleUrl } = await bundlePipeline(path);
    expect(run(moduleUrl)).toMatchObject({ stdout: '"/"', status: 0 });
  });

  it('resolves millrace to the package that is running', async () => {
    const path = put('pipeline.ts', [
      "import { definePipeline } from 'millrace';",
      "export default definePipeline({ name: 'p' }, () => {}).options.name;",
    ]);
    const { moduleUrl } = await bundlePipeline(path);
    const text = readFileSync(fileURLToPath(moduleUrl), 'utf8');
    expect(text).toContain(`from "${new URL('../index.ts', import.meta.url).href}"`);
    expect(run(moduleUrl).stdout).toBe('"p"');
  });

  it('resolves packages as from the pipeline, and leaves them outside', async () => {
    put('node_modules/dep/package.json', ['{"name":"dep","type":"module","exports":"./i.js"}']);
    put('node_modules/dep/i.js', ["export default 'dep itself';"]);
    const path = put('app/src/pipeline.ts', ["import dep from 'dep';", 'export default dep;']);
    for (const [runsFromSource, place] of [
      [false, 'node_modules/.cache/millrace'],
      [true, '.millrace/bundles'],
    ] as const) {
      const { moduleUrl } = await bundlePipeline(path, { runsFromSource });
      expect(dirname(fileURLToPath(moduleUrl))).toBe(join(root, place));
      expect(run(moduleUrl).stdout).toBe('"dep itself"');
    }
  });

  it('lies beside the pipeline without node_modules, and leaves nothing else', async () => {
    const path = put('pipeline.ts', ['export default 1;']);
    const { moduleUrl } = await bundlePipeline(path);
    expect(dirname(fileURLToPath(moduleUrl))).toBe(join(root, '.millrace/bundles'));
    expect(readdirSync(join(root, '.millrace/bundles'))).toHaveLength(1);
  });

  it('goes to the temporary directory when the project cannot be written', async () => {
    const path = put('pipeline.ts', ['export default 1;']);
    put('.millrace', ['a file where the folder would be']);
    const { moduleUrl } = await bundlePipeline(path);
    expect(fileURLToPath(moduleUrl).startsWith(realpathSync(tmpdir()))).toBe(true);
    expect(fileURLToPath(moduleUrl).startsWith(root)).toBe(false);
    rmSync(dirname(fileURLToPath(moduleUrl)), { recursive: true });
  });

  it('writes a cut-off bundle again', async () => {
    const path = put('pipeline.ts', ['export default 1;']);
    const bundlePath = fileURLToPath((await bundlePipeline(path)).moduleUrl);
    const whole = readFileSync(bundlePath, 'utf8');
    writeFileSync(bundlePath, whole.slice(0, 10));
    await bundlePipeline(path);
    expect(readFileSync(bundlePath, 'utf8')).toBe(whole);
  });

  it('gives each file its own import.meta', async () => {
    put('lib/where é#.ts', ['#!/usr/bin/env node', 'export const where = import.meta.url;']);
    const path = put('pipeline.ts', [
      "import { where } from './lib/where é#.ts';",
      'export default [import.meta.url, import.meta.dirname, import.meta.filename, where];',
    ]);
    const { stdout } = run((await bundlePipeline(path)).moduleUrl);
    expect(JSON.parse(stdout)).toEqual([
      pathToFileURL(path).href,
      root,
      path,
      pathToFileURL(join(root, 'lib/where é#.ts')).href,
    ]);
  });

  it('hashes the same code in another folder to the same, and other code to another', async () => {
    const files = ["import { b } from './b.ts';", 'export default [b, import.meta.url];'];
    put('one/app/b.ts', ['export const b = import.meta.url;']);
    put('one/app/pipeline.ts', files);
    cpSync(join(root, 'one'), join(root, 'another/place'), { recursive: true });
    const one = await bundlePipeline(join(root, 'one/app/pipeline.ts'));
    const copy = await bundlePipeline(join(root, 'another/place/app/pipeline.ts'));
    expect(copy.codeHash).toBe(one.codeHash);
    expect(copy.moduleUrl).not.toBe(one.moduleUrl);
    put('one/app/b.ts', ['export const b = 2;']);
    const changed = await bundlePipeline(join(root, 'one/app/pipeline.ts'));
    expect(changed.codeHash).not.toBe(one.codeHash);
  });

  it('keeps file and line in stack traces', async () => {
    const path = put('pipeline.ts', [
      'interface Gone { a: number }',
      'const where = import.meta.url;',
      'function fail(gone: Gone): never {',
      '  throw new Error(`thrown ${gone.a} ${where}`);',
      '}',
      'export default fail({ a: 1 });',
    ]);
    const { stderr, status } = run((await bundlePipeline(path)).moduleUrl);
    expect(status).toBe(1);
    const places = stderr.replaceAll(pathToFileURL(path).href, path);
    expect(places).toContain(`at fail (${path}:4:9)`);
    expect(places).toContain(`at <anonymous> (${path}:6:16)`);
  });
});

describe('a pipeline that cannot be compiled', () => {
  it('names a file that does not exist', async () => {
    const path = join(root, 'none.ts');
    expect((await refusalOf(path)).message).toBe(`there is no pipeline at ${path}`);
  });

  it('shows the place of a syntax error', async () => {
    const path = put('pipeline.ts', ['const fine = 1;', "\tconst é = 'x' y;"]);
    const error = await refusalOf(path);
    expect(error.message).toBe(
      `${path} cannot be compiled:\n` +
        `${path}:2:16: Expected ";" but found "y"\n    \tconst é = 'x' y;\n    \t              ^`,
    );
    expect(error.details['line']).toBe(2);
  });

  it('names a missing import and who asked for it', async () => {
    const path = put('pipeline.ts', ["import './lib/a.ts';"]);
    const importer = put('lib/a.ts', ['', "import './gone.ts';"]);
    const error = await refusalOf(path);
    expect(error.message).toContain(`${importer}:2:8: Could not resolve "./gone.ts"`);
    expect(error.details['path']).toBe(importer);
  });

  it('names an entry that millrace does not have', async () => {
    const path = put('pipeline.ts', ["import 'millrace/secrets';"]);
    expect((await refusalOf(path)).message).toContain('millrace has no entry "millrace/secrets"');
  });

  it('stays readable with many errors', async () => {
    const imports = Array.from({ length: 12 }, (_, i) => `import './gone-${i}.ts';`);
    const { message } = await refusalOf(put('pipeline.ts', imports));
    expect(message).toContain('… and 7 more');
  });
});

it('can be imported by a test of millrace itself', async () => {
  mkdirSync(join(root, 'node_modules'));
  const path = put('pipeline.ts', [
    "import { definePipeline } from 'millrace';",
    'export default definePipeline;',
  ]);
  const { moduleUrl } = await bundlePipeline(path);
  const { default: imported } = (await import(moduleUrl)) as { default: unknown };
  const { definePipeline } = await import('../dstream/pipeline.ts');
  expect(imported).toBe(definePipeline);
});
