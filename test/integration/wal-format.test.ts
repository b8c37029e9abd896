/** What version 1 of the log format has written can still be read: by this version, and by a reader
 * in another language that has only docs/wal-format.md. Needs a built dist/, and Python 3.7 or newer
 * for the reader's tests.
 * @module */
import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CommandPlace } from '../support/command.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures/wal-v1/', import.meta.url));
const READER = fileURLToPath(new URL('../../examples/wal-reader/read_wal.py', import.meta.url));
/** Without it the reader's tests are skipped, and `.ci/run` says so. */
const hasPython = isRecentPython('python3');
const HOMES = { closed: 0, torn: 1, damaged: 2, recycled: 0, mirrored: 0 };

let place: CommandPlace;
beforeEach(() => {
  place = new CommandPlace();
});
afterEach(() => place.close());

/** One line of `wal export`. */
type Line = Readonly<Record<string, unknown>>;

function linesOf(text: string): Line[] {
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]));
}

async function exported(home: string): Promise<Line[]> {
  return linesOf((await place.run('wal', 'export', home)).out);
}

function isRecentPython(command: string): boolean {
  const test = 'import sys; sys.exit(sys.version_info < (3, 7))';
  return spawnSync(command, ['-c', test]).status === 0;
}

function readInPython(home: string): { lines: Line[]; code: number | null } {
  const { status, stdout, stderr, error } = spawnSync('python3', [READER, home]);
  if (error !== undefined) throw error;
  expect(stderr.toString()).not.toContain('Traceback');
  return { lines: linesOf(stdout.toString()), code: status };
}

/** The verdicts without what depends on where the files lie. */
function summary(verified: string) {
  const { verdict, exitCode, logs } = JSON.parse(verified) as {
    verdict: string;
    exitCode: number;
    logs: { message?: string; place?: { path?: string }; holes?: object[] }[];
  };
  const placed = logs.map((log) => {
    const { message: _, holes: __, place: at, ...rest } = log;
    if (at === undefined) return rest;
    const { kind, fromBytes, toBytes, resumesAtLsn } = at as Record<string, unknown>;
    return { ...rest, place: { kind, fromBytes, toBytes, resumesAtLsn } };
  });
  return { verdict, exitCode, logs: placed };
}

describe.each(Object.entries(HOMES))('%s', (name, expectedCode) => {
  const home = join(FIXTURES, name);

  it('is judged and read as when it was written', async () => {
    const verified = await place.run('wal', 'verify', '--deep', '--json', home);
    expect(verified.code).toBe(expectedCode);
    const now = [summary(verified.out), ...(await exported(home))].map((line) =>
      JSON.stringify(line),
    );
    const expected = readFileSync(join(FIXTURES, `${name}.expected.jsonl`), 'utf8');
    expect(now).toEqual(expected.trimEnd().split('\n'));
  });

  it.skipIf(!hasPython)('is read the same in Python', async () => {
    const { lines, code } = readInPython(home);
    expect(code).toBe(expectedCode);
    expect(lines.length).toBeGreaterThan(2);
    expect(lines).toEqual(await exported(home));
  });
});

it.skipIf(!hasPython)('a foreign reader also finds every other byte that was changed', () => {
  const home = join(place.directory, 'home');
  cpSync(join(FIXTURES, 'closed'), home, { recursive: true });
  const path = join(home, 'receiver-log-0', '0000000000000001.wal');
  const bytes = readFileSync(path);
  for (const offset of [100, 4096, 4096 + 8, 4096 + 20, 8192 + 40]) {
    const copy = Buffer.from(bytes);
    copy[offset] = (copy[offset] ?? 0) ^ 4;
    writeFileSync(path, copy);
    expect(readInPython(home).code, `byte ${offset}`).toBe(2);
  }
});

it('a segment that grows may end before its header says, and only such a one', async () => {
  const home = join(place.directory, 'home');
  cpSync(join(FIXTURES, 'closed'), home, { recursive: true });
  const path = join(home, 'receiver-log-0', '0000000000000002.wal');
  const bytes = readFileSync(path);
  const used = bytes.subarray(0, 4096 * Math.ceil((bytes.findLastIndex(Boolean) + 1) / 4096));
  expect(used.byteLength).toBeLessThan(bytes.byteLength);
  for (const [features, code] of [
    [0, 2],
    [1, 0],
    [2, 3],
  ] as const) {
    used.writeUInt32LE(features, 12);
    used.writeUInt32LE(crc32(used.subarray(0, 4092)), 4092);
    writeFileSync(path, used);
    expect((await place.run('wal', 'verify', home)).code, `features ${features}`).toBe(code);
    if (hasPython) expect(readInPython(home).code, `features ${features}`).toBe(code);
  }
});

it('a log of a newer version is refused, not judged', async () => {
  const home = join(place.directory, 'home');
  cpSync(join(FIXTURES, 'closed'), home, { recursive: true });
  const path = join(home, 'receiver-log-0', '0000000000000002.wal');
  const bytes = readFileSync(path);
  bytes.writeUInt16LE(2, 4);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 4092)), 4092);
  writeFileSync(path, bytes);
  const { code, out } = await place.run('wal', 'verify', '--json', home);
  expect(code).toBe(3);
  expect(JSON.parse(out)).toMatchObject({ verdict: 'unreadable', exitCode: 3 });
  expect(out).toContain('newer version');
  for (const command of ['inspect', 'export']) {
    expect((await place.run('wal', command, home)).code).toBe(3);
  }
  if (hasPython) expect(readInPython(home).code).toBe(3);
});
