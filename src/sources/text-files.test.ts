import {
  appendFile,
  mkdir,
  mkdtemp,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FileShare } from '../dstream/task-spec.ts';
import {
  fileIdentity,
  foldInode,
  listCandidates,
  readLines,
  selectNewFiles,
} from './text-files.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(realpathSync(tmpdir()), 'millrace-text-files-'));
});

afterEach(() => rm(directory, { recursive: true }));

async function put(
  name: string,
  content: string | Uint8Array,
  mtimeSeconds = 1_000,
): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  await utimes(path, mtimeSeconds, mtimeSeconds);
  return path;
}

async function only(): Promise<FileShare> {
  const [share, ...others] = await listCandidates(directory);
  expect(others).toEqual([]);
  if (share === undefined) throw new Error('no candidate');
  return share;
}

async function linesOf(share: FileShare): Promise<string[]> {
  const lines: string[] = [];
  for await (const run of readLines(share)) lines.push(...run);
  return lines;
}

function share(changes: Partial<FileShare>): FileShare {
  return { path: '/in/a', sizeBytes: 1, mtimeMs: 5, birthtimeMs: 3, inode: 7, ...changes };
}

describe('listCandidates', () => {
  it('lists regular files by (mtime, name), but no hidden or temporary ones', async () => {
    await put('b', '', 2_000);
    await put('a', '', 2_000);
    await put('z', '', 1_000.5);
    await put('.hidden', '');
    await put('part.tmp', '');
    await mkdir(join(directory, 'sub'));
    await symlink(join(directory, 'gone'), join(directory, 'dangling'));
    const found = await listCandidates(directory);
    expect(found.map((file) => file.path)).toEqual(['z', 'a', 'b'].map((n) => join(directory, n)));
    expect(found[0]?.mtimeMs).toBe(1_000_500);
  });

  it('records what the file system says of a file', async () => {
    const path = await put('a', 'abc\n');
    const { ino } = await stat(path, { bigint: true });
    const inode = foldInode(ino); // some file systems number files past 2^53
    expect(await only()).toMatchObject({ path, sizeBytes: 4, mtimeMs: 1_000_000, inode });
  });

  it('lists many files', async () => {
    await Promise.all(Array.from({ length: 200 }, (_, index) => put(`f${index}`, '', index)));
    const names = (await listCandidates(directory)).map((file) => file.path);
    expect(names).toEqual(Array.from({ length: 200 }, (_, index) => join(directory, `f${index}`)));
  });

  it.each([
    ['missing', 'does not exist: create it'],
    ['file', 'is a file: give the directory'],
  ])('says what to do about a directory that is %s', async (name, remedy) => {
    await put('file', '');
    await expect(listCandidates(join(directory, name))).rejects.toMatchObject({
      code: 'SOURCE_FAILED',
      message: expect.stringContaining(remedy),
    });
  });

  it('refuses a file whose name is not UTF-8 instead of passing over it for ever', async () => {
    await writeFile(Buffer.concat([Buffer.from(`${directory}/x`), Buffer.from([0xff])]), '');
    await expect(listCandidates(directory)).rejects.toThrow(/name is not UTF-8: rename it/);
  });
});

describe('selectNewFiles', () => {
  it('takes each file once, and forgets what is no longer listed', () => {
    const [a, b, c] = [
      share({ path: '/in/a' }),
      share({ path: '/in/b' }),
      share({ path: '/in/c' }),
    ];
    const first = selectNewFiles([a, b], new Set());
    expect(first).toEqual({ fresh: [a, b], stillSeen: [] });
    const seen = new Set([...first.stillSeen, ...first.fresh.map(fileIdentity)]);
    expect(selectNewFiles([b, c], seen)).toEqual({ fresh: [c], stillSeen: [fileIdentity(b)] });
  });

  it('tells files of one name apart by inode and birth, not by size or change time', () => {
    const identity = fileIdentity(share({}));
    expect(fileIdentity(share({ sizeBytes: 2, mtimeMs: 6 }))).toBe(identity);
    expect(fileIdentity(share({ inode: 8 }))).not.toBe(identity);
    expect(fileIdentity(share({ birthtimeMs: 4 }))).not.toBe(identity);
    expect(fileIdentity(share({ path: '/in/b' }))).not.toBe(identity);
  });

  it('takes the modification time where there is no birth time', () => {
    const before = fileIdentity(share({ birthtimeMs: 0 }));
    expect(fileIdentity(share({ birthtimeMs: 0, sizeBytes: 2 }))).toBe(before);
    expect(fileIdentity(share({ birthtimeMs: 0, mtimeMs: 6 }))).not.toBe(before);
    expect(fileIdentity(share({ birthtimeMs: 5, mtimeMs: 5 }))).not.toBe(
      fileIdentity(share({ birthtimeMs: 0, mtimeMs: 5 })),
    );
  });

  it('takes a file again that was removed and created anew under the same name', async () => {
    await put('a', '1\n', 1_000);
    const old = await only();
    await rm(old.path);
    await birthAfter(old);
    await put('a', '2\n', 2_000);
    const { fresh } = selectNewFiles([await only()], new Set([fileIdentity(old)]));
    expect(fresh).toHaveLength(1);
  });

  /** Many kernels give files the time of the last tick, 10 ms ago at most; and the number of a file
   * that was removed is free at once. Resolves when a file made now has another birth. */
  async function birthAfter(old: FileShare): Promise<void> {
    for (let birthtimeMs = old.birthtimeMs; birthtimeMs === old.birthtimeMs;) {
      if (birthtimeMs === 0) return; // this file system keeps none
      await put('b', '');
      ({ birthtimeMs } = await only());
      await rm(join(directory, 'b'));
    }
  }

  it('does not take a file again that was only read, linked or renamed in', async () => {
    const outside = await put('.a.tmp', '1\n');
    await rename(outside, join(directory, 'a'));
    const first = await only();
    await linesOf(first);
    expect(fileIdentity(await only())).toBe(fileIdentity(first));
  });
});

describe('readLines', () => {
  it.each([
    ['', []],
    ['a', ['a']],
    ['a\r\n\nb\n', ['a', '', 'b']],
    ['grün\n🌊', ['grün', '🌊']],
  ])('%j has the lines %j', async (content, lines) => {
    await put('a', content);
    expect(await linesOf(await only())).toEqual(lines);
  });

  it('reads a file of many chunks in bounded runs', async () => {
    const lines = Array.from({ length: 60_000 }, (_, index) => `line ${index} ß`);
    await put('a', `${lines.join('\n')}\n`);
    const runs: number[] = [];
    const read: string[] = [];
    for await (const run of readLines(await only())) {
      runs.push(run.join('\n').length);
      read.push(...run);
    }
    expect(read).toEqual(lines);
    expect(runs.length).toBeGreaterThan(3);
    expect(Math.max(...runs)).toBeLessThanOrEqual(256 * 1024 + 20);
  });

  it('names the byte that is not UTF-8, also far into the file', async () => {
    const text = Buffer.from(`${'x'.repeat(99)}\n`.repeat(5_000));
    await put('a', Buffer.concat([text, Buffer.from([0x61, 0xff, 0x0a])]));
    await expect(linesOf(await only())).rejects.toMatchObject({
      code: 'SOURCE_FAILED',
      message: expect.stringContaining('byte 500001 begins no character'),
    });
  });

  it('refuses a line of more than 8 MiB', async () => {
    await put('a', Buffer.alloc(8 * 1024 * 1024 + 1, 'x'));
    await expect(linesOf(await only())).rejects.toThrow(/line at byte 0 is longer than 8388608/);
  });

  it('refuses a file that grew, was touched, was replaced, or is gone', async () => {
    const path = await put('a', 'abc\n');
    const original = await only();
    await appendFile(path, 'more\n');
    await utimes(path, 1_000, 1_000);
    await expect(linesOf(original)).rejects.toThrow(/size 4 → 9 bytes/);
    await put('a', 'abc\n', 2_000);
    await expect(linesOf(original)).rejects.toThrow(/modified 1970-01-01T00:16:40.000Z → /);
    await rename(await put('b', 'abc\n'), path);
    await expect(linesOf(original)).rejects.toThrow(/inode \d+ → \d+, it is another file/);
    await rm(path);
    await expect(linesOf(original)).rejects.toMatchObject({
      code: 'SOURCE_FAILED',
      message: expect.stringMatching(/ENOENT.*put it back unchanged/),
    });
  });

  it('notices a change while it reads', async () => {
    const path = await put('a', `${'x'.repeat(99)}\n`.repeat(10_000));
    const run = readLines(await only())[Symbol.asyncIterator]();
    await run.next();
    await appendFile(path, 'more\n');
    const rest = (async () => {
      while ((await run.next()).done !== true);
    })();
    await expect(rest).rejects.toThrow(/size 1000000 → 1000005 bytes, modified/);
  });

  it.runIf(process.platform === 'linux')('closes the file when its reader gives up', async () => {
    await put('a', `${'x'.repeat(99)}\n`.repeat(10_000));
    for await (const run of readLines(await only())) {
      expect(run.length).toBeGreaterThan(0);
      expect(openFiles()).toContain(join(directory, 'a'));
      break;
    }
    expect(openFiles()).not.toContain(join(directory, 'a'));
  });
});

describe('foldInode', () => {
  it('keeps small numbers and folds large ones into safe integers, always alike', () => {
    expect(foldInode(123n)).toBe(123);
    const large = 2n ** 64n - 3n;
    expect(Number.isSafeInteger(foldInode(large))).toBe(true);
    expect(foldInode(large)).toBe(foldInode(large));
    expect(foldInode(2n ** 60n)).not.toBe(foldInode(2n ** 61n));
  });
});

/** Paths of this process's open files; others may come and go meanwhile. */
function openFiles(): string[] {
  return readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ''; // closed by now, as the one that lists them
    }
  });
}
