/** The house rules that a linter does not know: who may touch the real world, and how files look.
 *
 * A rule is data: a pattern, the files that may match it with the reason why, and one bad sample on
 * which the rule must fire. Patterns see code with its comments blanked out, so prose may name what
 * code may not use. Imports between layers are in .oxlintrc.json, not here.
 * @module */

/** One source file. */
export interface SourceFile {
  /** From the repository's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** A place that breaks a rule: `path:line what`. */
export type Finding = string;

/** Forbids a pattern outside of listed files. */
export interface Ban {
  readonly name: string;
  /** What to use instead. */
  readonly instead: string;
  readonly pattern: RegExp;
  /** Paths under which the rule holds. */
  readonly scope: 'src' | 'repository';
  /** File or folder (ending in `/`) → why it may. */
  readonly allowed: Readonly<Record<string, string>>;
  /** Code on which the rule must fire. */
  readonly bad: string;
  /** True when comments and tests count too. */
  readonly inProse?: boolean;
}

const LINE_COLUMNS_MAX = 100;
const FILE_LINES_MAX = 600;

const OWN_FILES = 'opens files of its own: a user names them, the log does not own them';

export const BANS: readonly Ban[] = [
  {
    name: 'real clock and timers',
    instead: 'take a Clock (core/clock.ts)',
    pattern: anyOf(
      /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bprocess\.hrtime\b/,
      /(?<![.\w])set(?:Timeout|Interval)\(|\bAbortSignal\.timeout\b/,
      /'(?:node:)?timers(?:\/promises)?'/,
    ),
    scope: 'src',
    allowed: { 'src/core/clock.ts': 'the one real clock' },
    bad: 'const startedAt = Date.now();',
  },
  {
    name: 'real randomness',
    instead: 'take a Random (core/random.ts)',
    pattern: /\bMath\.random\b|\brandom(?:UUID|Bytes|Int|FillSync)\b|\bgetRandomValues\b/,
    scope: 'src',
    allowed: { 'src/core/random.ts': 'the one real generator' },
    bad: 'const jitter = Math.random() * 10;',
  },
  {
    name: 'file system',
    instead: 'take a Disk (wal/disk.ts)',
    pattern: /'(?:node:)?fs(?:\/promises)?'/,
    scope: 'src',
    allowed: {
      'src/wal/system-calls.ts': "the engine's only real disk",
      'src/wal/lock-file.ts': 'one stat, between whose answer and use nothing may happen',
      'src/blocks/shared-store.ts': 'spill files are scratch: never synced, gone with the run',
      'src/blocks/spill-file.ts': 'scratch without a name, read through its descriptor',
      'src/driver/directory-lock.ts': 'the lock lives in a file descriptor of this process',
      'src/driver/owner-file.ts': 'the lock where there is no flock; it must not wait for a disk',
      'src/driver/lock-owner.ts': 'reads /proc to see whether a process still lives',
      'src/driver/pipeline-bundle.ts': 'writes the bundle that every thread imports',
      'src/sources/': OWN_FILES,
      'src/sinks/': OWN_FILES,
      'src/cli/': OWN_FILES,
    },
    bad: "import { readFile } from 'node:fs/promises';",
  },
  {
    name: 'msgpackr',
    instead: 'take a Codec (serde/codec.ts)',
    pattern: /'msgpackr[^']*'/,
    scope: 'src',
    allowed: { 'src/serde/msgpack-codec.ts': 'the one codec' },
    bad: "import { Packr } from 'msgpackr';",
  },
  {
    name: 'comlink',
    instead: 'go through workers/rpc.ts, which rejects calls when a thread dies',
    pattern: /'comlink[^']*'/,
    scope: 'src',
    allowed: { 'src/workers/rpc.ts': 'the one control plane' },
    bad: "import { wrap } from 'comlink';",
  },
  {
    name: 'piscina',
    instead: 'go through driver/executor-pool.ts',
    pattern: /'piscina[^']*'/,
    scope: 'src',
    allowed: { 'src/driver/executor-pool.ts': 'the one task pool' },
    bad: "import { Piscina } from 'piscina';",
  },
  {
    name: 'environment variables',
    instead: 'take an option; cli/ reads the environment',
    pattern: /\bprocess\.env\b|\{[^}]*\benv\b[^}]*\} = process\b/,
    scope: 'src',
    allowed: {
      'src/cli/': 'the command line is where the environment comes in',
      'src/testing/kit/seed-variable.ts': 'a failing test is replayed without being edited',
    },
    bad: "const isVerbose = process.env['DEBUG'] !== undefined;",
  },
  {
    name: 'console',
    instead: 'use the logger; cli/ writes to the streams that it was given',
    pattern: /\bconsole\s*\./,
    scope: 'src',
    allowed: {},
    bad: "console.log('started');",
  },
  {
    name: 're-export of everything',
    instead: 'name what is exported',
    pattern: /^ *export \*/m,
    scope: 'src',
    allowed: {},
    bad: "export * from './ids.ts';",
  },
  {
    name: 'open end without an issue',
    instead: 'write the issue number: TODO(#12)',
    pattern: /\b(?:TODO|FIXME|XXX)\b(?!\(#\d+\))/,
    scope: 'repository',
    allowed: {},
    bad: `// ${'TO'}DO: handle the other case`,
    inProse: true,
  },
  {
    name: 'path of one machine',
    instead: 'write a path relative to the repository',
    pattern: /(?<![\w.~-])\/(?:work|home|root|Users)\/\w/,
    scope: 'repository',
    allowed: {},
    bad: `const fixture = '/${'home'}/someone/data.txt';`,
    inProse: true,
  },
  {
    name: 'test that cannot tell',
    instead: 'remove .only and .skip, or skip by a named condition (skipIf)',
    pattern: /\b(?:it|test|describe)\.(?:only|skip|todo)\b/,
    scope: 'repository',
    allowed: {},
    bad: `it.${'only'}('works', () => {});`,
    inProse: true,
  },
];

/** Where `ban` is broken in `files`. */
export function findBanned(ban: Ban, files: readonly SourceFile[]): Finding[] {
  const findings: Finding[] = [];
  for (const file of files) {
    if (!applies(ban, file.path) || isAllowed(ban, file.path)) continue;
    findings.push(...matches(ban, file).map((line) => `${file.path}:${line} ${ban.instead}`));
  }
  return findings;
}

/** Exceptions of `ban` that point at nothing, or at files which no longer need them. */
export function findStaleExceptions(ban: Ban, files: readonly SourceFile[]): Finding[] {
  const isNeeded = (path: string): boolean =>
    files.some((file) => covers(path, file.path) && matches(ban, file).length > 0);
  return Object.keys(ban.allowed)
    .filter((path) => !isNeeded(path))
    .map((path) => `${path}: the exception from "${ban.name}" is no longer needed`);
}

/** Lines longer than 100 columns. Addresses cannot be broken and do not count; suites under test/
 * hold texts of pipelines, logs and sources whose lines are what they are. */
export function findLongLines({ path, text }: SourceFile): Finding[] {
  if (path.startsWith('test/')) return [];
  return text.split('\n').flatMap((line, index) => {
    const columns = Array.from(line).length;
    if (columns <= LINE_COLUMNS_MAX || /https?:\/\/\S{40,}/.test(line)) return [];
    return [`${path}:${index + 1} ${columns} columns, at most ${LINE_COLUMNS_MAX}`];
  });
}

/** A file that has grown past 600 lines. */
export function findLongFile({ path, text }: SourceFile): Finding[] {
  const lines = text.split('\n').length - 1;
  return lines <= FILE_LINES_MAX ? [] : [`${path}: ${lines} lines, at most ${FILE_LINES_MAX}`];
}

/** A source file that does not open with its header: a doc comment that ends with `@module`. */
export function findMissingHeader({ path, text }: SourceFile): Finding[] {
  const header = /^(?:#![^\n]*\n)?\/\*\*[\s\S]*?\*\//.exec(text)?.[0];
  return header?.includes('@module') === true
    ? []
    : [`${path}:1 open with a header comment that ends with @module`];
}

/** `code` with every comment turned into spaces; strings and line numbers stay. */
export function blankComments(code: string): string {
  return code.replaceAll(new RegExp(TOKENS, 'g'), (token) =>
    token.startsWith('//') || token.startsWith('/*') ? token.replaceAll(/[^\n]/g, ' ') : token,
  );
}

// Comments, and everything that may hold what looks like a comment: strings, templates, regexes.
const TOKENS = anyOf(
  /\/\/[^\n]*/,
  /\/\*[\s\S]*?\*\//,
  /'(?:\\.|[^'\\\n])*'/,
  /"(?:\\.|[^"\\\n])*"/,
  /`(?:\\[\s\S]|[^`\\])*`/,
  /(?<=[=(,:[!&|?{};]\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\//,
);

function matches(ban: Ban, { text }: SourceFile): number[] {
  const code = ban.inProse === true ? text : blankComments(text);
  const pattern = new RegExp(ban.pattern, `${ban.pattern.flags}g`);
  return [...code.matchAll(pattern)].map(({ index }) => code.slice(0, index).split('\n').length);
}

function applies(ban: Ban, path: string): boolean {
  if (ban.scope === 'repository') return path !== 'test/tidy/rules.ts'; // names what it bans
  return path.startsWith('src/') && !path.endsWith('.test.ts');
}

function isAllowed(ban: Ban, path: string): boolean {
  return Object.keys(ban.allowed).some((allowed) => covers(allowed, path));
}

function covers(allowed: string, path: string): boolean {
  return allowed.endsWith('/') ? path.startsWith(allowed) : path === allowed;
}

function anyOf(...patterns: readonly RegExp[]): RegExp {
  return new RegExp(patterns.map(({ source }) => source).join('|'));
}
