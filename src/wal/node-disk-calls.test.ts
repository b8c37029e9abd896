/** What the real disk makes of what the operating system says, where a healthy one does not say it.
 * @module */
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MillraceError } from '../core/errors.ts';
import { allocatePages } from '../core/shared-memory.ts';
import type { Disk } from './disk.ts';
import { diskOver } from './node-disk.ts';
import { O_DIRECT, pooledCall } from './system-calls.ts';
import type { CallName, RunCall } from './system-calls.ts';

let root: string;
let calls: CallName[];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-calls-'));
  calls = [];
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** Real calls, except that every call of `name` fails. */
function refusing(name: CallName, errno: string): Disk {
  const run: RunCall = (call) => {
    if (call.name !== name) return pooledCall(call);
    const details = { path: call.path, call: name, errno };
    return Promise.reject(new MillraceError('DISK_FAILED', `${name}: ${errno}`, { details }));
  };
  return diskOver(run, allocatePages);
}

/** Real calls, except that the kernel does not take the last view of the `nth` write. */
function shortAt(nth: number): Disk {
  const run: RunCall = (call) => {
    calls.push(call.name);
    const args: unknown[] = call.args;
    const isShort = call.name === 'writev' && calls.filter((n) => n === 'writev').length === nth;
    if (isShort && Array.isArray(args[1])) args[1] = args[1].slice(0, -1);
    return pooledCall(call);
  };
  return diskOver(run, allocatePages);
}

/** More than three calls of the kernel take, two bytes each. */
const views = Array.from({ length: 2_500 }, (_, n) => Buffer.from([n & 255, n >> 8]));

describe('a write of more views than one call takes', () => {
  it('ends with the first call that took less, and says what was taken', async () => {
    const file = await shortAt(2).create(join(root, 'a'), 'buffered');
    expect(await file.write(views, 0)).toBe(2 * (2 * 1024 - 1));
    await file.close();
    expect(calls.filter((name) => name === 'writev')).toHaveLength(2);
    const taken = Buffer.concat(views.slice(0, 2 * 1024 - 1));
    expect(await readFile(join(root, 'a'))).toEqual(taken);
  });

  it.each([
    [3, 4_998, 0],
    [Number.POSITIVE_INFINITY, 5_000, 1],
  ])('is synced only when all of it was taken (short at %d)', async (nth, taken, syncs) => {
    const file = await shortAt(nth).create(join(root, 'a'), 'buffered');
    expect(await file.writeSynced?.(views, 0)).toBe(taken);
    await file.close();
    expect(calls.filter((name) => name === 'fdatasync')).toHaveLength(syncs);
  });
});

/** Real calls through the page cache, whatever this file system thinks of direct ones; the kernel
 * takes `lessBytes` fewer of each write. */
function indirect(lessBytes: number): Disk {
  const run: RunCall = (call) => {
    const args: unknown[] = call.args;
    if (call.name === 'open') args[1] = Number(args[1]) & ~O_DIRECT;
    if (call.name === 'writev' && Array.isArray(args[1])) {
      args[1] = args[1].map((view: Uint8Array) => view.subarray(lessBytes));
    }
    return pooledCall(call);
  };
  return diskOver(run, allocatePages);
}

describe('direct writes', () => {
  it('are there when the page of the probe is taken and comes back whole', async () => {
    expect(await indirect(0).supportsDirect(root)).toBe(true);
    expect(await indirect(512).supportsDirect(root)).toBe(false);
    expect(await readdir(root)).toEqual([]);
  });

  it.each(['EINVAL', 'EOPNOTSUPP'])('are not there when the probe says %s', async (errno) => {
    expect(await refusing('open', errno).supportsDirect(root)).toBe(false);
    expect(await refusing('writev', errno).supportsDirect(root)).toBe(false);
    expect(await readdir(root)).toEqual([]);
  });

  it('are not decided about when the probe fails for another reason', async () => {
    const failed = refusing('writev', 'EIO').supportsDirect(root);
    await expect(failed).rejects.toMatchObject({ code: 'DISK_FAILED', details: { errno: 'EIO' } });
    expect(await readdir(root)).toEqual([]);
  });
});

it('an answer other than the one that is no failure is told', async () => {
  for (const [name, ask] of [
    ['readdir', (disk: Disk) => disk.list(root)],
    ['unlink', (disk: Disk) => disk.unlink(join(root, 'a'))],
    ['readWhole', (disk: Disk) => disk.readWhole(join(root, 'a'), 10)],
    ['stat', (disk: Disk) => disk.makeDirectory(join(root, 'b'))],
  ] as const) {
    const denied = { details: { call: name, errno: 'EPERM' } };
    await expect(ask(refusing(name, 'EPERM'))).rejects.toMatchObject(denied);
  }
});
