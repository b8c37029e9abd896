/** The documents say what is so: their code type-checks and runs, their commands and flags exist,
 * their tables are those of the source, and their links lead somewhere. Needs a built dist/.
 * @module */
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/core/errors.ts';
import { describeFlags } from '../../src/core/options.ts';
import type * as Millrace from '../../src/index.ts';
import type { Lsn } from '../../src/core/ids.ts';
import { crc32 } from '../../src/serde/crc32.ts';
import { encodeRecordHeader, headerSeed, RECORD_TYPES } from '../../src/wal/record-header.ts';
import { readLines } from '../support/batch-output.ts';
import { Document, readDocuments, ROOT, sourceFiles } from '../support/documents.ts';
import type { FencedBlock } from '../support/documents.ts';
import { freePorts } from '../support/peers.ts';
import { PostgresPlace, whyNoPostgres } from '../support/postgres-place.ts';

const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');
const TSX = pathToFileURL(join(ROOT, 'node_modules/tsx/dist/loader.mjs')).href;
/** Only what would wait for ever is cut off by it. */
const BODY_LIMIT_MS = 100_000;
const TOOLS = [
  'wal inspect',
  'wal verify',
  'wal repair',
  'wal export',
  'doctor',
  'bench wal',
  'tune',
  'explain',
];

const documents = readDocuments();
const blocks = documents.flatMap((document) => document.blocks);
const readme = new Document('README.md');
const running = new Document('docs/running.md');
/** A user's project with millrace installed. */
let project: string;
let port: number;
/** Stands for the server that examples name, where there can be one. */
let postgres: PostgresPlace | undefined;
const POSTGRES_URL = /postgres:\/\/[^']+/;
const children = new Set<ReturnType<typeof spawn>>();

/** Names of files that pieces of code give themselves in their first line. */
function nameOf({ text, place }: FencedBlock): string {
  const [, name] = /^\/\/ ([\w.-]+\.ts)\n/.exec(text) ?? [];
  return name ?? `${place.replaceAll(/[^a-z0-9]+/gi, '-')}.ts`;
}

beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), 'millrace-docs-'));
  [port = 0] = await freePorts(1);
  if (whyNoPostgres() === undefined) postgres = await PostgresPlace.start();
  mkdirSync(join(project, 'node_modules/.bin'), { recursive: true });
  symlinkSync(ROOT, join(project, 'node_modules/millrace'));
  symlinkSync('../millrace/dist/cli/main.js', join(project, 'node_modules/.bin/millrace'));
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
  for (const block of blocks) {
    if (block.language !== 'ts') continue;
    const text = block.text.replaceAll('8080', String(port));
    writeFileSync(join(project, nameOf(block)), text.replace(POSTGRES_URL, postgres?.url ?? '$&'));
  }
  writeOperatorExamples();
});

/** The examples of the operators, which unit tests run, as one module for the type checker. */
function writeOperatorExamples(): void {
  const examples = new Document('docs/operators.md').blocks.map(
    ({ place, text }) => `async () => { // ${place}\n${text}}`,
  );
  writeFileSync(
    join(project, 'operators.ts'),
    `import { definePipeline } from 'millrace';
import { runPipeline, testStream, testStream2 } from 'millrace/testing';
export const examples = [\n${examples.join(',\n')}];\n`,
  );
}

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await postgres?.close();
  rmSync(project, { recursive: true, force: true });
});

/** Takes away what earlier runs left: output together with the logs that it belongs to, for batches
 * of another log may have the time of the next one's. */
function forgetRuns(): void {
  for (const left of ['.millrace', 'service-home', 'out']) {
    rmSync(join(project, left), { recursive: true, force: true });
  }
}

/** Runs a shell line as the README has it, in the project. */
function shell(line: string) {
  const local = line.replaceAll('npx millrace', 'node_modules/.bin/millrace');
  const command = local.replaceAll('8080', String(port));
  return spawnSync('bash', ['-c', command], {
    cwd: project,
    encoding: 'utf8',
    timeout: BODY_LIMIT_MS,
  });
}

/** The same, for a command that goes on. */
function begin(line: string): ReturnType<typeof spawn> {
  const command = `exec ${line.replaceAll('npx millrace', 'node_modules/.bin/millrace')}`;
  const child = spawn('bash', ['-c', command], { cwd: project, stdio: 'ignore' });
  children.add(child);
  return child;
}

/** Repeats a command until it succeeds. */
async function eventually(line: string): Promise<string> {
  const endMs = performance.now() + BODY_LIMIT_MS;
  for (;;) {
    const { status, stdout } = shell(line);
    if (status === 0) return stdout;
    if (performance.now() > endMs) throw new Error(`${line} never succeeded`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function kill(child: ReturnType<typeof spawn>): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

function ofLanguage(language: string): FencedBlock[] {
  return blocks.filter((block) => block.language === language);
}

describe('TypeScript', () => {
  it('type-checks in a strict project', () => {
    const compilerOptions = {
      target: 'es2023',
      module: 'nodenext',
      strict: true,
      noImplicitOverride: true,
      noUncheckedIndexedAccess: true,
      noPropertyAccessFromIndexSignature: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      allowImportingTsExtensions: true,
      types: ['node'],
      typeRoots: [join(ROOT, 'node_modules/@types')],
    };
    writeFileSync(
      join(project, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, include: ['*.ts'] }),
    );
    expect(ofLanguage('ts').length).toBeGreaterThanOrEqual(3);
    const { status, stdout } = spawnSync(process.execPath, [TSC, '-p', '.'], {
      cwd: project,
      encoding: 'utf8',
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });

  const pipelines = ofLanguage('ts').filter(({ text }) => text.includes('export default'));
  const named = pipelines.map((block) => [block.place, nameOf(block)] as const);
  it.for(named)('%s runs', ([, file], { skip }) => {
    skip(file.includes('postgres') && postgres === undefined, 'it needs Postgres');
    forgetRuns();
    const ended = shell(`npx millrace run ${file} --batches 2 --batch-interval 200ms`);
    expect(ended.status, ended.stderr).toBe(0);
    expect(ended.stdout).toMatch(/^Time: \d+ ms$/m);
  });

  const programs = ofLanguage('ts').filter(({ text }) =>
    text.includes('StreamingContext.getOrCreate('),
  );
  it.each(programs.map((block) => [block.place, nameOf(block)]))('%s runs', async (_, file) => {
    forgetRuns();
    const program = begin(`${process.execPath} --import ${TSX} ${file}`);
    const answer = await eventually(
      `curl -sf -H 'content-type: text/plain' --data-binary x http://127.0.0.1:8080/`,
    );
    expect(answer).toBe('{"records":1}\n');
    await kill(program);
  });
});

describe('tests', () => {
  const tests = ofLanguage('ts').filter(({ text }) => text.includes("'node:test'"));
  it.each(tests.map((block) => [block.place, nameOf(block)]))('%s passes', (_, file) => {
    const ended = shell(`${process.execPath} --import ${TSX} --test ${file}`);
    expect(ended.status, ended.stdout).toBe(0);
    expect(ended.stdout).toMatch(/^# pass [1-9]|^ℹ pass [1-9]/m);
  });
});

describe('shell', () => {
  it('the first commands of the README do what it says, also after kill -9', async () => {
    forgetRuns();
    const block = readme.blocks.find(({ text }) => text.includes('npx millrace run'));
    const [run = '', curl = '', ...others] = (block?.text ?? '').trim().split('\n');
    expect([run, others]).toEqual([expect.stringMatching(/^npx millrace run /), []]);
    const quiet = curl.replace('curl', 'curl -sf');
    const first = begin(run);
    expect(await eventually(quiet)).toBe('{"records":1}\n');
    await kill(first);
    const second = begin(run);
    expect(await eventually(quiet)).toBe('{"records":1}\n');
    second.kill('SIGTERM');
    await new Promise((resolve) => second.once('exit', resolve));
    const counts: Record<string, number> = {};
    for (const line of readLines(join(project, 'out/counts'))) {
      const [, word = '', count] = /^\((.*),(\d+)\)$/.exec(line) ?? [];
      counts[word] = (counts[word] ?? 0) + Number(count);
    }
    expect(counts).toEqual({ to: 4, be: 4, or: 2, not: 2 });
  });

  const measuring = ofLanguage('sh').flatMap(({ text }) => {
    return text.split('\n').filter((line) => line.startsWith('npx millrace bench '));
  });
  it.each(measuring)('%s works', (line) => {
    const [, , file = ''] = / --(html|json) (\S+)/.exec(line) ?? [];
    const { status, stderr, stdout } = shell(`${line} --smoke`);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stdout).toContain('M records/s');
    expect(existsSync(join(project, file))).toBe(true);
  });

  it('npm commands name scripts that there are', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const texts = [
      ...ofLanguage('sh'),
      ...documents.flatMap((document) => document.codeSpans),
    ].flatMap(({ place, text }) => {
      const calls = [...text.matchAll(/\bnpm (?:run ([\w:-]+)|(start|test))/g)];
      return calls.map(([, script, short]) => [place, script ?? short] as const);
    });
    expect(texts.length).toBeGreaterThan(3);
    for (const [place, script = ''] of texts) expect(scripts, place).toHaveProperty([script]);
  });

  it('everything else in shell blocks is known', () => {
    const known =
      /^(npx millrace (run|bench wal|tune|check|explain) |curl |npm ci( && npm (start|test))?$)/;
    for (const { place, text } of ofLanguage('sh')) {
      for (const line of text.trim().split('\n')) expect(line, place).toMatch(known);
    }
  });
});

describe('flags', () => {
  it('that documents name are in the help', () => {
    const helpOf = (command: string): string => shell(`npx millrace ${command} --help`).stdout;
    const run = helpOf('run');
    const tools = new Map(TOOLS.map((tool) => [tool, helpOf(tool)]));
    // Commands of others, and `npm run … -- --flag`, which is one of a script.
    const isOfAnother = (text: string): boolean => /\bcurl\b|\bnpm run\b/.test(text);
    const ofUsers = documents.filter(({ path }) => /^(README|docs)/.test(path));
    const named = ofUsers.flatMap((document) =>
      [...document.codeSpans, ...document.blocks].flatMap(({ place, text }) =>
        isOfAnother(text)
          ? []
          : [...text.matchAll(/(?<![\w-])--[a-z-]+/g)].map(([flag]) => ({ place, text, flag })),
      ),
    );
    expect(named.length).toBeGreaterThan(8);
    for (const { place, text, flag } of named) {
      const [, help] = [...tools].find(([tool]) => text.includes(tool.replace('wal ', ''))) ?? [];
      const isOfTools = /^docs\/(wal-tools|performance|upgrades)\.md/.test(place);
      const all = isOfTools ? [run, ...tools.values()].join('\n') : run;
      expect(help ?? all, place).toMatch(new RegExp(`^ +(-\\w, )?${flag}\\b`, 'm'));
    }
  });

  it('of the systemd unit are taken', () => {
    forgetRuns();
    const [unit] = running.blocks.filter(({ language }) => language === 'ini');
    const settings = parseIni(unit?.text ?? '');
    const command = settings.get('Service.ExecStart') ?? '';
    expect(command).toMatch(/^\/srv\/wordcount\/node_modules\/\.bin\/millrace run wordcount\.ts /);
    const local = command
      .replace('/srv/wordcount/', '')
      .replace(/--checkpoint \S+/, '--checkpoint service-home');
    const { status, signal, stderr } = shell(`${local} --batches 1`);
    expect({ status, signal, stderr }).toMatchObject({ status: 0, signal: null });
    expect(existsSync(join(project, 'service-home/MANIFEST'))).toBe(true);
    const prevented = (settings.get('Service.RestartPreventExitStatus') ?? '')
      .split(' ')
      .map(Number);
    const codes = new Set<number>(Object.values(ERROR_CODES).map(([, exitCode]) => exitCode));
    expect(new Set([1, ...prevented])).toEqual(codes);
  });

  function parseIni(text: string): Map<string, string> {
    const settings = new Map<string, string>();
    let section = '';
    for (const line of text.trim().split('\n')) {
      if (line === '') continue;
      const [, name] = /^\[(\w+)\]$/.exec(line) ?? [];
      const [, key, value] = /^(\w+)=(.+)$/.exec(line) ?? [];
      expect(name ?? key, line).toBeDefined();
      if (name !== undefined) section = name;
      else settings.set(`${section}.${key}`, value ?? '');
    }
    return settings;
  }
});

describe('tables', () => {
  const exitCodes = new Set<number>(Object.values(ERROR_CODES).map(([, exitCode]) => exitCode));

  it('exit codes are those of the errors', () => {
    const inReadme = readme.table('exit code').map(([code]) => Number(code));
    expect(inReadme).toEqual([0, ...exitCodes].toSorted((a, b) => a - b));
    const refusals = running.table('exit code').map(([code]) => Number(code));
    expect(inReadme).toEqual(expect.arrayContaining(refusals));
    const { stdout: help } = shell('npx millrace run --help');
    const ofHelp = [...help.matchAll(/^ {2}(\d+) {2,}/gm)].map(([, code]) => Number(code));
    expect(ofHelp.filter((code) => code < 128)).toEqual(inReadme);
  });

  it('error codes that documents name exist', () => {
    const named = documents.flatMap((document) =>
      document.codeSpans.filter(({ text }) => /^[A-Z]+(_[A-Z]+)+$/.test(text)),
    );
    const constants = sourceFiles()
      .filter((path) => /^src\/.*\.ts$/.test(path))
      .map((path) => readFileSync(join(ROOT, path), 'utf8'))
      .join('\n');
    expect(named.length).toBeGreaterThan(3);
    for (const { place, text } of named) {
      const isKnown = text in ERROR_CODES || new RegExp(`const ${text}\\b`).test(constants);
      expect(isKnown, `${place}: ${text}`).toBe(true);
    }
  });

  it('the README lists every input, operator and output, and no other', async () => {
    const dist = new URL('../../dist/index.js', import.meta.url).href;
    const { DStream, PipelineContext } = (await import(dist)) as typeof Millrace;
    const methods = [PipelineContext, DStream].flatMap(({ prototype }) =>
      Object.getOwnPropertyNames(prototype).filter((name) => name !== 'constructor'),
    );
    const internal = new Set(['unionAll', 'transformAll']);
    const listed = readme.codeSpans
      .filter(({ text }) => methods.includes(text))
      .map(({ text }) => text);
    expect(new Set(listed)).toEqual(new Set(methods.filter((name) => !internal.has(name))));
  });
});

/** Methods of listeners, the types that they get, and the parts of those. */
function listenerNames(): string[] {
  const source = readFileSync(join(ROOT, 'src/driver/streaming-listener.ts'), 'utf8');
  const names = source.matchAll(/^(?:export interface | {2}readonly | {2}(?=on))(\w+)/gm);
  return [...names].map(([, name = '']) => name);
}

describe('the migration table', () => {
  const page = new Document('docs/migration.md');
  const rows = page.tables('Spark').map(([spark = '', ours = '', difference]) => {
    const namesOf = (cell: string) =>
      [...cell.matchAll(/`([\w.-]+)/g)].map(([, name = '']) => name);
    return { spark: namesOf(spark), ours, names: namesOf(ours), difference };
  });
  let methods: Set<string>;
  let others: Set<string>;
  beforeAll(async () => {
    const dist = new URL('../../dist/', import.meta.url).href;
    const {
      DStream,
      PipelineContext,
      Receiver,
      StatefulDStream,
      StreamingContext,
      definePipeline,
    } = (await import(`${dist}index.js`)) as typeof Millrace;
    const kit = (await import(`${dist}testing/kit/index.js`)) as object;
    const namesIn = (shape: object) => Object.getOwnPropertyNames(shape);
    methods = new Set(
      [DStream, StatefulDStream, PipelineContext, StreamingContext].flatMap(({ prototype }) =>
        namesIn(prototype),
      ),
    );
    const tables = ['option', 'event'].flatMap((head) => {
      const cells = new Document('docs/reference.md').table(head).map(([cell = '']) => cell);
      return cells.flatMap((cell) =>
        [...cell.matchAll(/`([\w-]+)`/g)].map(([, name = '']) => name),
      );
    });
    others = new Set([
      ...namesIn(Receiver.prototype),
      'onStart',
      'onStop',
      'onEvent',
      ...Object.getOwnPropertyNames(StreamingContext).map((name) => `StreamingContext.${name}`),
      ...listenerNames(),
      ...Object.keys({ definePipeline, ...kit }),
      ...tables,
    ]);
  });

  it('names on our side only what there is', () => {
    expect(rows.length).toBeGreaterThan(80);
    const known = new Set([...methods, ...others]);
    for (const { ours, names } of rows) {
      if (names.length === 0) expect(ours).toMatch(/^(not yet|none)$/);
      expect(names.filter((name) => !known.has(name))).toEqual([]);
    }
  });

  it('calls nothing absent that there is, and names every operator and input', () => {
    const absent = rows.filter(({ ours }) => ours === 'not yet').flatMap(({ spark }) => spark);
    expect(absent.filter((name) => methods.has(name) && name !== 'checkpoint')).toEqual([]);
    const named = new Set(rows.flatMap(({ names }) => names));
    const internal = new Set([
      'constructor',
      'unionAll',
      'transformAll',
      'totals',
      'executorStats',
    ]);
    expect([...methods].filter((name) => !named.has(name) && !internal.has(name))).toEqual([]);
  });
});

describe('the reference', () => {
  const reference = new Document('docs/reference.md');
  const plain = (cell: string | undefined): string => (cell ?? '').replaceAll('`', '');

  it('lists every option with its flag', () => {
    const listed = reference.table('option').map(([option, flag]) => [plain(option), plain(flag)]);
    const flags = new Map<string, string>(
      describeFlags().map(({ option, flag }) => [option, flag]),
    );
    const source = readFileSync(join(ROOT, 'src/core/options-types.ts'), 'utf8');
    const ofPipelines = source.slice(source.indexOf('export interface PipelineOptions'));
    const options = [...ofPipelines.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => name);
    expect(listed.map(([option]) => option)).toEqual(options);
    for (const [option = '', flag] of listed) {
      expect(flag?.split(', ')[0], option).toBe(flags.get(option) ?? '');
    }
  });

  it('lists every error with its class and exit code', () => {
    const listed = reference
      .table('code')
      .map(([code, kind, exit]) => [plain(code), [kind, Number(exit)]]);
    expect(Object.fromEntries(listed)).toEqual(ERROR_CODES);
  });

  it('lists every event', () => {
    const source = readFileSync(join(ROOT, 'src/core/events.ts'), 'utf8');
    const events = [...source.matchAll(/readonly type: '([a-z-]+)'/g)].map(([, name]) => name);
    const listed = reference.table('event').flatMap(([names]) => plain(names).split(', '));
    expect(new Set(listed)).toEqual(new Set(events));
  });
});

describe('formats', () => {
  it('the record header of the log format is one', () => {
    const format = new Document('docs/wal-format.md');
    const block = format.blocks.find(({ text }) => text.includes('4d52 '));
    const header = encodeRecordHeader(
      {
        type: RECORD_TYPES.payload,
        isRoundedUp: true,
        payloadBytes: 1000,
        payloadCrc: 0x12345678,
        lsn: 42 as Lsn,
        durableLsn: 40 as Lsn,
      },
      headerSeed(0xdeadbeef, 8192),
    );
    expect(block?.text.replaceAll(/\s/g, '')).toBe(Buffer.from(header).toString('hex'));
  });

  it('the MANIFEST of the checkpoint format is one', () => {
    const [, block] = new Document('docs/checkpoint-format.md').blocks;
    const [json = '', sum] = (block?.text ?? '').trim().split('\n');
    expect(JSON.parse(json)).toMatchObject({ formatVersion: 2, pipelineName: 'wordcount' });
    const expected = crc32(Buffer.from(json)).toString(16).padStart(8, '0');
    expect(sum).toBe(`crc32 ${expected}`);
  });
});

describe('links', () => {
  it('lead to files and headings that there are', () => {
    const links = documents.flatMap((document) =>
      document.links.map(({ place, text }) => [place, text, document.resolves(text)] as const),
    );
    expect(links.length).toBeGreaterThan(10);
    expect(links.filter(([, , resolves]) => !resolves)).toEqual([]);
  });

  it('names of source files are those of files', () => {
    const files = sourceFiles();
    const isFile = (name: string): boolean =>
      existsSync(join(ROOT, name)) || files.some((path) => path.endsWith(`/${name}`));
    const named = documents
      .filter(({ path }) => path !== 'CHANGELOG.md')
      .flatMap((document) => document.codeSpans)
      .filter(({ text }) => /^[\w./-]+\.(ts|mjs|json|md)$/.test(text) && !text.startsWith('../'));
    const missing = named.filter(({ text }) => !isFile(text) && !text.startsWith('wordcount'));
    expect(named.length).toBeGreaterThan(40);
    expect(missing).toEqual([]);
  });
});
