/** The rules of rules.ts, held against the repository. Each is first shown to fire. @module */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import {
  BANS,
  blankComments,
  findBanned,
  findLongFile,
  findLongLines,
  findMissingHeader,
  findStaleExceptions,
} from './rules.ts';
import type { SourceFile } from './rules.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDERS = ['src', 'test', 'benchmarks', 'examples', 'docs', 'scripts', '.ci'];
const TEXT_FILE = /\.(?:ts|mjs|js|json|md|txt|ya?ml|sh)$|\/run$/;
const files = FOLDERS.flatMap(readFolder).concat(readRootFiles());
const typescript = files.filter(({ path }) => path.endsWith('.ts'));
const sources = typescript.filter(({ path }) => path.startsWith('src/'));

describe.each(BANS)('$name', (ban) => {
  it('is found in a bad sample', () => {
    const sample = { path: 'src/driver/sample.ts', text: `\n${ban.bad}\n` };
    expect(findBanned(ban, [sample])).toEqual([`src/driver/sample.ts:2 ${ban.instead}`]);
  });

  it('is found nowhere outside of the listed files', () => {
    expect(findBanned(ban, files)).toEqual([]);
  });

  it('has no exception that nothing needs', () => {
    expect(findStaleExceptions(ban, files)).toEqual([]);
  });
});

describe('bans', () => {
  it('do not fire on prose', () => {
    const text = "// Date.now() is banned\n/* so is console.log */ const url = 'http://a/b';\n";
    const prose = BANS.filter((ban) => ban.inProse !== true);
    for (const ban of prose) expect(findBanned(ban, [{ path: 'src/a.ts', text }])).toEqual([]);
  });

  it('do not fire where the exception is', () => {
    for (const ban of BANS) {
      for (const allowed of Object.keys(ban.allowed)) {
        const path = allowed.endsWith('/') ? `${allowed}a.ts` : allowed;
        expect(findBanned(ban, [{ path, text: ban.bad }])).toEqual([]);
        expect(findStaleExceptions(ban, [{ path, text: ban.bad }])).not.toContain(path);
      }
    }
  });

  it('report an exception that nothing needs', () => {
    const ban = BANS.find(({ name }) => name === 'real clock and timers');
    expect(ban && findStaleExceptions(ban, [])).toHaveLength(1);
  });
});

describe('blankComments', () => {
  it('keeps lines, strings and regular expressions', () => {
    const code = ["const a = 'x // y'; // z", 'const b = /\\/\\/[/*]/g;', '/* one', 'two */ c();'];
    expect(blankComments(code.join('\n')).split('\n')).toEqual([
      "const a = 'x // y';     ",
      'const b = /\\/\\/[/*]/g;',
      '      ',
      '       c();',
    ]);
  });
});

describe('form of the files', () => {
  it('has no line over 100 columns', () => {
    const long = { path: 'a.ts', text: `\n${'x'.repeat(101)}\n` };
    expect(findLongLines(long)).toEqual(['a.ts:2 101 columns, at most 100']);
    expect(findLongLines({ path: 'a.ts', text: 'x'.repeat(100) })).toEqual([]);
    expect(typescript.flatMap(findLongLines)).toEqual([]);
  });

  it('has no file over 600 lines', () => {
    expect(findLongFile({ path: 'a.ts', text: '\n'.repeat(601) })).toEqual([
      'a.ts: 601 lines, at most 600',
    ]);
    expect(findLongFile({ path: 'a.ts', text: '\n'.repeat(600) })).toEqual([]);
    expect(typescript.flatMap(findLongFile)).toEqual([]);
  });

  it('opens every source file with a header', () => {
    const missing = ['a.ts:1 open with a header comment that ends with @module'];
    expect(findMissingHeader({ path: 'a.ts', text: 'export {};' })).toEqual(missing);
    expect(findMissingHeader({ path: 'a.ts', text: '/** Half. */\n' })).toEqual(missing);
    expect(findMissingHeader({ path: 'a.ts', text: '#!/x\n/** A. @module */' })).toEqual([]);
    const headed = sources.filter(({ path }) => !path.endsWith('.test.ts'));
    expect(headed.flatMap(findMissingHeader)).toEqual([]);
  });
});

function readFolder(folder: string): SourceFile[] {
  return readdirSync(`${ROOT}${folder}`, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(ROOT.length))
    .filter((path) => TEXT_FILE.test(path))
    .map(readSource);
}

function readRootFiles(): SourceFile[] {
  return readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isFile() && TEXT_FILE.test(entry.name))
    .map((entry) => entry.name)
    .filter((name) => name !== 'package-lock.json')
    .map(readSource);
}

function readSource(path: string): SourceFile {
  return { path, text: readFileSync(`${ROOT}${path}`, 'utf8') };
}
