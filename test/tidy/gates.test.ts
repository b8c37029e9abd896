/** Proof that the gates of `npm run check` can fail: each tool is run on files made to break it,
 * with the project's own configuration, in a folder that lives for this file only.
 * @module */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const CONFIGS = ['.oxlintrc.json', '.oxfmtrc.json', 'knip.json', 'package.json', 'tsconfig.json'];

const BELOW_SOURCES = ['core', 'serde', 'wal', 'blocks', 'checkpoint', 'state', 'dstream'];
const BELOW_DRIVER = [...BELOW_SOURCES, 'sources', 'sinks', 'workers'];

/** Layer → the layers it may import, as docs/decisions/0001-layers.md says. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  serde: ['core'],
  wal: ['core', 'serde'],
  blocks: ['core', 'serde'],
  checkpoint: ['core', 'serde', 'wal', 'blocks'],
  state: ['core', 'serde', 'wal', 'blocks', 'checkpoint'],
  dstream: ['core', 'serde', 'wal', 'blocks', 'checkpoint', 'state'],
  sources: BELOW_SOURCES,
  sinks: BELOW_SOURCES,
  workers: [...BELOW_SOURCES, 'sources', 'sinks'],
  // Of workers only protocol.ts and rpc.ts: a case of its own below.
  driver: [...BELOW_SOURCES, 'sources', 'sinks'],
  ui: [...BELOW_DRIVER, 'driver'],
  cli: [...BELOW_DRIVER, 'driver'],
  testing: [...BELOW_DRIVER, 'driver'],
};
const LAYERS = Object.keys(MAY_IMPORT);

/** Rule → a file that breaks it, and nothing else. */
const BROKEN: Readonly<Record<string, string>> = {
  'typescript(no-floating-promises)':
    'export function start(close: () => Promise<void>): void {\n  close();\n}',
  'typescript(no-misused-promises)':
    'export function all(names: string[], send: (name: string) => Promise<void>): void {\n' +
    '  names.forEach(async (name) => send(name));\n}',
  'typescript(no-unnecessary-condition)':
    'export function first(name: string): string {\n  return name ?? "none";\n}',
  'typescript(switch-exhaustiveness-check)':
    'export function act(event: "a" | "b"): void {\n  switch (event) {\n    case "a":\n  }\n}',
  'typescript(no-explicit-any)': 'export function take(value: any): void {\n  void value;\n}',
  'typescript(no-non-null-assertion)':
    'export function head(names: string[]): string {\n  return names[0]!;\n}',
  'eslint(max-params)':
    'export function add(a: number, b: number, c: number, d: number): number {\n' +
    '  return a + b + c + d;\n}',
  'eslint(max-lines-per-function)':
    'export function fill(list: number[]): void {\n' + '  list.push(1);\n'.repeat(70) + '}',
  'eslint(max-lines)': `export const list: number[] = [];\n${'list.push(1);\n'.repeat(600)}`,
  'eslint(no-console)': 'console.log("started");\nexport {};',
  'node(no-process-env)': 'export const home: string | undefined = process.env["HOME"];',
  'import(no-default-export)': 'export default 1;',
};

interface Diagnostic {
  readonly code: string;
  readonly filename: string;
  readonly message: string;
}

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-gates-'));
  for (const config of CONFIGS) cpSync(join(ROOT, config), join(folder, config));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('oxlint', () => {
  it('finds in each broken file the one rule that it breaks, and nothing in a sound one', () => {
    const names = Object.keys(BROKEN).map((code) => code.replaceAll(/[^a-z]+/g, '-'));
    Object.values(BROKEN).forEach((text, index) => write(`src/core/${names[index]}x.ts`, text));
    write('src/core/sound.ts', 'export const limit = 1;');
    const found = lint('src/core').map(({ code, filename }) => `${code} ${filename}`);
    const expected = Object.keys(BROKEN).map((code, i) => `${code} src/core/${names[i]}x.ts`);
    expect(new Set(found)).toEqual(new Set(expected));
  });

  it('finds an import cycle, also one of types', () => {
    write('src/serde/a.ts', "import type { B } from './b.ts';\nexport type A = B | 1;");
    write('src/serde/b.ts', "import type { A } from './a.ts';\nexport type B = { a: A };");
    const found = lint('src/serde').map(({ code, filename }) => `${code} ${filename}`);
    expect(found).toContain('import(no-cycle) src/serde/a.ts');
  });

  it('allows between layers exactly the imports of the table', () => {
    for (const from of LAYERS) {
      const imports = LAYERS.filter((to) => to !== from).map((to) => `import '../${to}/probe.ts';`);
      write(`src/${from}/probe.ts`, imports.join('\n'));
    }
    const refused = restrictedImports('src');
    for (const from of LAYERS) {
      for (const to of LAYERS.filter((layer) => layer !== from)) {
        const isRefused = refused.has(`src/${from}/probe.ts '../${to}/probe.ts'`);
        expect(`${from} → ${to} ${isRefused ? 'refused' : 'allowed'}`).toBe(
          `${from} → ${to} ${MAY_IMPORT[from]?.includes(to) === true ? 'allowed' : 'refused'}`,
        );
      }
    }
  });

  it('lets the driver see of workers/ only the protocol and the rpc', () => {
    write(
      'src/driver/special.ts',
      "import '../workers/protocol.ts';\nimport '../workers/rpc.ts';\n" +
        "await import('../workers/task-runner.ts');",
    );
    write('src/wal/special.ts', "import '../serde/crc32.ts';\nimport '../serde/codec.ts';");
    write('src/cli/commands/special.ts', "import '../../driver/a.ts';\nimport '../../index.ts';");
    const special = [...restrictedImports('src')].filter((found) => found.includes('special.ts'));
    expect(special.sort()).toEqual([
      "src/cli/commands/special.ts '../../index.ts'",
      "src/driver/special.ts '../workers/task-runner.ts'",
      "src/wal/special.ts '../serde/codec.ts'",
    ]);
  });
});

describe('knip', () => {
  it('finds an export and a file that nobody uses', () => {
    write('src/index.ts', "export { used } from './knip/used.ts';");
    write('src/knip/used.ts', 'export const used = 1;\nexport const forgotten = 2;');
    write('src/knip/lost.ts', 'export const lost = 3;');
    const { status, stdout } = run('knip', '--include', 'files,exports');
    expect(stdout).toMatch(/forgotten.*src\/knip\/used\.ts/);
    expect(stdout).toContain('src/knip/lost.ts');
    expect(stdout).not.toMatch(/^used /m);
    expect(status).toBe(1);
  });
});

describe('oxfmt and tsc', () => {
  it('find a file that is not formatted', () => {
    write('src/format/good.ts', "export const name = 'a';");
    expect(run('oxfmt', '--check', 'src/format').status).toBe(0);
    write('src/format/bad.ts', 'export const name = "a"');
    expect(run('oxfmt', '--check', 'src/format').status).toBe(1);
  });

  it('find a type that does not fit, and an index that may miss', () => {
    write('src/types/bad.ts', 'export const first = (names: string[]): string => names[0];');
    const { status, stdout } = run('tsc', '-p', 'tsconfig.json');
    expect(stdout).toContain('src/types/bad.ts(1,51): error TS2322');
    expect(status).not.toBe(0);
  });
});

describe('the closing line of vitest', () => {
  it('counts a failed test, a file that does not load and a hook that threw', () => {
    write('one/a.test.ts', "import { it } from 'vitest';\nit('a', () => {});\nit.todo('b');");
    write('one/b.test.ts', "import { it } from 'vitest';\nit('c', () => { throw 1; });");
    write('one/c.test.ts', "import './missing.ts';");
    write(
      'one/d.test.ts',
      "import { beforeAll, it } from 'vitest';\nbeforeAll(() => { throw 1; });\nit('d', () => {});",
    );
    const reporter = join(ROOT, 'test/plain-reporter.ts');
    const { status, stdout } = run('vitest', 'run', '--root', 'one', '--reporter', reporter);
    expect(stdout.trim().split('\n').at(-1)).toBe('1 passed, 3 failed, 2 skipped');
    expect(status).toBe(1);
  });
});

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), `${text}\n`);
}

function run(tool: string, ...args: string[]): { status: number | null; stdout: string } {
  const file = join(ROOT, 'node_modules/.bin', tool);
  return spawnSync(file, args, { cwd: folder, encoding: 'utf8', env: plainEnvironment() });
}

/** Without colours, and without what vitest tells its own children. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env;
  return { PATH, HOME, NO_COLOR: '1' };
}

function lint(path: string): Diagnostic[] {
  const { stdout } = run('oxlint', '--type-aware', '--deny-warnings', '-f', 'json', path);
  return (JSON.parse(stdout) as { diagnostics: Diagnostic[] }).diagnostics;
}

/** `file 'specifier'` of every import that a layer refuses. */
function restrictedImports(path: string): Set<string> {
  const refused = lint(path).filter(({ code }) => code === 'eslint(no-restricted-imports)');
  return new Set(refused.map(({ filename, message }) => `${filename} ${message.split(' ')[0]}`));
}
