/** The package as a user gets it: packed, installed into an empty project, type-checked against its
 * declarations, and run from its own command on a TypeScript pipeline without a build step.
 *
 * Finds what tests inside the repository cannot: files missing from the tarball, entry points of
 * threads that do not resolve, dependencies that only the repository has. Needs a built dist/.
 * @module */
import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterAll, beforeAll, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');
/** What users may have, beside the project's own version. The oldest one also checks the package's
 * declarations themselves, which takes it most of its time. */
const OLDER_VERSIONS = ['5.0.4', '5.9.3', '6.0.3'];
const OLDEST = '5.0.4';
/** Files of test/types/ that every version must take, each `@ts-expect-error` included. */
const TYPE_TESTS = ['dstream.types.ts', 'testing.types.ts', 'context.types.ts'];
const RECORD_COUNT = 500;
const HAS_COMMAND = existsSync(join(ROOT, 'src/cli/main.ts'));

const PROJECT: Readonly<Record<string, string>> = {
  'package.json': JSON.stringify({ name: 'user-app', private: true, type: 'module' }),
  'tsconfig.json': JSON.stringify({
    compilerOptions: {
      target: 'es2023',
      module: 'nodenext',
      strict: true,
      skipLibCheck: false,
      noEmit: true,
      allowImportingTsExtensions: true,
      types: ['node'],
      typeRoots: [join(ROOT, 'node_modules/@types')],
    },
    include: ['*.ts', 'lib/*.ts'],
  }),
  'lib/shout.ts': `export function shout(word: string): string {
  return word.toUpperCase();
}
`,
  // An enum: what Node's own type stripping refuses.
  'pipeline.ts': `import { definePipeline, milliseconds } from 'millrace';
import { shout } from './lib/shout.ts';

enum Mark {
  Loud = '!',
}

export default definePipeline({ name: 'user-app', batchInterval: milliseconds(200) }, (ssc) => {
  const lines = ssc.generatorStream({ total: ${RECORD_COUNT}, recordBytes: 20 });
  const words = lines.map((line) => shout(line.split(' ')[0] ?? '') + Mark.Loud);
  words.mapToPair((word) => [word, 1]).reduceByKey((a, b) => a + b).saveAsTextFiles('out/words');
});
`,
  'words.ts': `import { testStream, testStream2 } from 'millrace/testing';

export const counts: Promise<[string, number][][]> = testStream([['a'], []], (s) => s.countByValue());
export const joined: Promise<[string, [number, boolean]][][]> = testStream2(
  [[['a', 1]]],
  [[['a', true]]],
  (l, r) => l.join(r),
);
`,
  'words.test.mjs': `import { deepStrictEqual } from 'node:assert';
import { test } from 'node:test';
import { testStream } from 'millrace/testing';

test('counts words', async () => {
  const out = await testStream([['a', 'b', 'a'], []], (s) => s.countByValue({ partitions: 1 }));
  deepStrictEqual(out, [[['a', 2], ['b', 1]], []]);
});
`,
};

let project: string;

/** Runs a program in the user's project. Rejects when it fails, with all that it printed. */
async function run(file: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(file, args, { cwd: project, encoding: 'utf8' });
  return stdout;
}

beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), 'millrace-user-'));
  for (const [path, text] of Object.entries(PROJECT)) {
    mkdirSync(dirname(join(project, path)), { recursive: true });
    writeFileSync(join(project, path), text);
  }
  await run('npm', 'pack', ROOT, '--ignore-scripts', '--silent');
  const tarball = readdirSync(project).find((name) => name.endsWith('.tgz')) ?? 'no tarball';
  const versions = OLDER_VERSIONS.map(
    (version) => `typescript-${version}@npm:typescript@${version}`,
  );
  const quietly = ['--prefer-offline', '--no-audit', '--no-fund'];
  await run('npm', 'install', `./${tarball}`, ...versions, ...quietly);
});

afterAll(() => rmSync(project, { recursive: true, force: true }));

it('type-checks in a strict project that checks libraries too', async () => {
  await expect(run(process.execPath, TSC, '-p', '.')).resolves.toBe('');
});

it.each(OLDER_VERSIONS)('has the same types for TypeScript %s', async (version) => {
  const folder = join(project, 'types');
  for (const name of TYPE_TESTS) cpSync(join(ROOT, 'test/types', name), join(folder, name));
  const { compilerOptions } = JSON.parse(PROJECT['tsconfig.json'] ?? '') as {
    readonly compilerOptions: object;
  };
  const skipLibCheck = version !== OLDEST;
  const given = { ...compilerOptions, target: 'es2022', skipLibCheck };
  const settings = { compilerOptions: given, include: ['*.ts'] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(settings));
  const compiler = join(project, `node_modules/typescript-${version}/bin/tsc`);
  await expect(run(process.execPath, compiler, '-p', 'types')).resolves.toBe('');
});

it('refuses in its types what would not run', async () => {
  writeFileSync(
    join(project, 'wrong.ts'),
    "import { definePipeline } from 'millrace';\n" +
      'export default definePipeline({ nme: 1 }, () => {});\n',
  );
  try {
    const failure: unknown = await run(process.execPath, TSC, '-p', '.').catch((e: unknown) => e);
    expect(failure).toMatchObject({ stdout: expect.stringContaining('wrong.ts(2,') });
  } finally {
    rmSync(join(project, 'wrong.ts'));
  }
});

it('can be imported by its name, and by nothing else', async () => {
  const script =
    "import('millrace').then((m) => console.log(typeof m.definePipeline));" +
    "import('millrace/dist/core/errors.js').catch((e) => console.log(e.code));";
  const printed = await run(process.execPath, '-e', script);
  expect(printed.trim().split('\n').sort()).toEqual(['ERR_PACKAGE_PATH_NOT_EXPORTED', 'function']);
});

it('has the test kit, and of the sources beside it only those that were compiled', async () => {
  await run(process.execPath, '--test', 'words.test.mjs');
  const folder = join(project, 'node_modules/millrace');
  const filesOf = (name: string): string[] =>
    readdirSync(join(folder, name), { recursive: true }).map(String);
  const compiled = new Set(filesOf('dist/testing'));
  const sources = filesOf('src/testing').filter((path) => path.endsWith('.ts'));
  expect(sources).toContain('kit/index.ts');
  expect(sources.filter((path) => !compiled.has(path.replace(/ts$/, 'js')))).toEqual([]);
});

it.skipIf(!HAS_COMMAND)(
  'runs a TypeScript pipeline with an enum and a local import, every record once',
  async () => {
    await run('npx', '--no-install', 'millrace', 'run', 'pipeline.ts');
    const counts = outputLines('out').map((line) => /^\((W\d+!),(\d+)\)$/.exec(line));
    expect(counts).not.toContain(null);
    const total = counts.reduce((sum, match) => sum + Number(match?.[2]), 0);
    expect(total).toBe(RECORD_COUNT);
  },
);

/** The lines of all part files below `folder`, each of whose batches must be complete. */
function outputLines(folder: string): string[] {
  return readdirSync(join(project, folder)).flatMap((batch) => {
    const files = readdirSync(join(project, folder, batch));
    expect(files).toContain('_SUCCESS');
    return files
      .filter((name) => name.startsWith('part-'))
      .flatMap((name) => readFileSync(join(project, folder, batch, name), 'utf8').split('\n'))
      .filter((line) => line !== '');
  });
}
