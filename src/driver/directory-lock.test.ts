import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MillraceError } from '../core/errors.ts';
import { lockDirectory } from './directory-lock.ts';
import type { DirectoryLock } from './directory-lock.ts';
import { currentOwner, formatOwner, isAlive, parseProcessStat } from './lock-owner.ts';

const MISSING = 'no-such-flock';
const hasFlock = spawnSync('flock', ['--help']).error === undefined;

let directory: string;
const locks: DirectoryLock[] = [];
const children: ChildProcess[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-lock-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const lock of locks.splice(0)) await lock.release();
  rmSync(directory, { recursive: true, force: true });
});

async function lock(flockCommand: string): Promise<DirectoryLock> {
  const taken = await lockDirectory(directory, { flockCommand });
  locks.push(taken);
  return taken;
}

async function refusal(flockCommand: string): Promise<MillraceError> {
  const outcome = await lock(flockCommand).catch((error: unknown) => error);
  if (outcome instanceof MillraceError) return outcome;
  throw new Error(`not refused: ${String(outcome)}`);
}

function codeOf(error: unknown): unknown {
  return error instanceof MillraceError ? error.code : error;
}

/** Of this process, on one file. */
function descriptorsOf(path: string): number[] {
  const numbers = readdirSync('/proc/self/fd').map(Number);
  return numbers.filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false; // of the listing itself
    }
  });
}

const CHILD = `
  import { lockDirectory } from ${JSON.stringify(new URL('./directory-lock.ts', import.meta.url))};
  const [directory, flockCommand] = process.argv.slice(-2);
  try {
    await lockDirectory(directory, { flockCommand });
    process.stdout.write('locked\\n');
    process.stdin.resume();
  } catch (error) {
    process.stdout.write(error.code + '\\n');
  }`;

/** A process that locks the directory, says how that went, and stays. */
async function lockingChild(flockCommand: string): Promise<{ child: ChildProcess; said: string }> {
  const args = ['--import', 'tsx', '--input-type=module', '-e', CHILD, directory, flockCommand];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  const said = (await once(child.stdout, 'data')) as [Buffer];
  return { child, said: said[0].toString().trim() };
}

describe.each([
  ['flock', 'flock'],
  ['owner files', MISSING],
])('a lock by %s', (_, command) => {
  const canRun = hasFlock || command === MISSING;

  it.runIf(canRun)('keeps another process out until it is released', async () => {
    const held = await lock(command);
    expect((await lockingChild(command)).said).toBe('DIRECTORY_LOCKED');
    await held.release();
    await held.release();
    expect((await lockingChild(command)).said).toBe('locked');
  });

  it.runIf(canRun)('names the directory and the owner, and ends with its kill -9', async () => {
    const { child, said } = await lockingChild(command);
    expect(said).toBe('locked');
    const error = await refusal(command);
    expect(error.code).toBe('DIRECTORY_LOCKED');
    expect(error.details).toEqual({ directory, ownerPid: child.pid });
    expect(error.message).toContain(`${directory} is in use by process ${child.pid}`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await lock(command);
  });

  it.runIf(canRun)('keeps this process out too', async () => {
    await lock(command);
    expect((await refusal(command)).details['ownerPid']).toBe(process.pid);
  });

  it.runIf(canRun)('can be taken and released again and again', async () => {
    for (let i = 0; i < 5; i += 1) await (await lock(command)).release();
    expect(readdirSync(directory).length).toBeLessThanOrEqual(2);
  });

  it.runIf(canRun && hasFlock)('excludes the other kind', async () => {
    const other = command === MISSING ? 'flock' : MISSING;
    const held = await lock(command);
    expect((await refusal(other)).details['ownerPid']).toBe(process.pid);
    await held.release();
    await lock(other);
    expect((await refusal(command)).details['ownerPid']).toBe(process.pid);
  });

  it.runIf(canRun)('is one lock for all paths of a directory', async () => {
    const link = `${directory}-link`;
    symlinkSync(directory, link);
    try {
      await lock(command);
      const outcome = await lockDirectory(link, { flockCommand: command }).catch(codeOf);
      expect(outcome).toBe('DIRECTORY_LOCKED');
    } finally {
      unlinkSync(link);
    }
  });

  it.runIf(canRun)('is lost when the directory is moved, and stays with it', async () => {
    const held = await lock(command);
    const moved = `${directory}-moved`;
    renameSync(directory, moved);
    try {
      expect(held.whyLost()?.code).toBe('DIRECTORY_LOCKED');
      const outcome = await lockDirectory(moved, { flockCommand: command }).catch(codeOf);
      expect(outcome).toBe('DIRECTORY_LOCKED');
    } finally {
      renameSync(moved, directory);
    }
    expect(held.whyLost()).toBeUndefined();
  });

  it.runIf(canRun)('holds while its owner is stopped', async () => {
    const { child } = await lockingChild(command);
    child.kill('SIGSTOP');
    expect((await refusal(command)).details['ownerPid']).toBe(child.pid);
  });

  it.runIf(canRun)('says which directory cannot be locked', async () => {
    rmSync(directory, { recursive: true });
    const error = await refusal(command);
    expect([error.code, error.message.includes(directory)]).toEqual(['DISK_FAILED', true]);
  });
});

describe('a lock by flock', () => {
  it.runIf(hasFlock)('is lost with its file, to whoever comes next', async () => {
    const old = await lock('flock');
    expect(old.whyLost()).toBeUndefined();
    unlinkSync(join(directory, 'LOCK'));
    expect(old.whyLost()?.message).toContain(`${directory} does not belong to this process`);
    const next = await lock('flock'); // a new file: nothing can be known of the old one
    await old.release();
    expect([old.whyLost(), next.whyLost()]).toEqual([undefined, undefined]);
    expect(readFileSync(join(directory, 'LOCK'), 'utf8')).toBe(formatOwner(currentOwner()));
  });

  it.runIf(hasFlock)('says what went wrong when it cannot be given back', async () => {
    const held = await lockDirectory(directory, { flockCommand: 'flock' });
    const [fd = -1] = descriptorsOf(join(directory, 'LOCK'));
    closeSync(fd);
    await expect(held.release()).rejects.toMatchObject({ code: 'DISK_FAILED' });
  });

  it('gives way to owner files when the helper cannot lock', async () => {
    await lock('false-flock-that-does-not-exist');
    expect(readdirSync(directory)).toContain('LOCK.1');
  });
});

describe('owner files', () => {
  const self = currentOwner();
  const gone = [
    ['of an earlier boot', { ...self, bootId: 'another' }],
    ['of a pid that was used again', { ...self, startTicks: '1' }],
    ['of a process that is gone', { ...self, pid: 2 ** 22 + 1 }],
  ] as const;

  it.each(gone)('%s are stale', async (_, owner) => {
    expect(isAlive(owner)).toBe(false);
    writeFileSync(join(directory, 'LOCK.4'), formatOwner(owner));
    await lock(MISSING);
    expect(readFileSync(join(directory, 'LOCK.5'), 'utf8')).toBe(formatOwner(self));
    expect(readdirSync(directory).toSorted()).toEqual(['LOCK', 'LOCK.5']);
  });

  it.runIf(hasFlock)(
    'that seem stale are replaced: an owner that lives after all notices',
    async () => {
      const held = await lock(MISSING);
      writeFileSync(join(directory, 'LOCK.1'), formatOwner({ ...self, bootId: 'another' }));
      expect(held.whyLost()).toBeUndefined(); // the same file, as if seen from another machine
      const next = await lock('flock');
      expect(held.whyLost()?.code).toBe('DIRECTORY_LOCKED');
      await held.release();
      expect(next.whyLost()).toBeUndefined();
    },
  );

  it.runIf(hasFlock)('take the place of a LOCK whose owner seems to be gone', async () => {
    const held = await lock('flock');
    writeFileSync(join(directory, 'LOCK'), formatOwner({ ...self, bootId: 'another' }));
    await lock(MISSING);
    expect(held.whyLost()?.code).toBe('DIRECTORY_LOCKED');
  });

  it('are given up only by their owner', async () => {
    const held = await lock(MISSING);
    unlinkSync(join(directory, 'LOCK.1'));
    const next = await lock(MISSING);
    await held.release();
    expect(next.whyLost()).toBeUndefined();
    expect((await refusal(MISSING)).code).toBe('DIRECTORY_LOCKED');
  });

  it('of a process that is being killed count until its last thread is gone', () => {
    const stat = (state: string, threads: number): string =>
      `12 (node (x) y) ${state} 1 12 12 0 -1 4 0 0 0 0 1 1 0 0 20 0 ${threads} 0 777 0`;
    expect(parseProcessStat(stat('T', 11))).toEqual({ startTicks: '777', hasEnded: false });
    expect(parseProcessStat(stat('Z', 3)).hasEnded).toBe(false);
    expect(parseProcessStat(stat('Z', 1)).hasEnded).toBe(true);
  });

  it('of another container are not judged', async () => {
    const foreign = { ...self, pid: 2 ** 22 + 1, namespace: 'pid:[1]' };
    writeFileSync(join(directory, 'LOCK.1'), formatOwner(foreign));
    const error = await refusal(MISSING);
    expect(error.message).toContain(`remove ${join(directory, 'LOCK.1')}`);
  });

  it('that cannot be read are not judged either', async () => {
    writeFileSync(join(directory, 'LOCK.1'), '{"pid":');
    expect((await refusal(MISSING)).code).toBe('DIRECTORY_LOCKED');
  });

  it('let only one of several processes take over at the same moment', async () => {
    writeFileSync(join(directory, 'LOCK.1'), formatOwner({ ...self, bootId: 'another' }));
    const racers = [1, 2, 3].map(() => racingChild());
    await Promise.all(racers.map((racer) => answerOf(racer, 'hello')));
    for (let round = 0; round < 30; round += 1) {
      const outcomes = await Promise.all(racers.map((racer) => answerOf(racer, 'lock')));
      expect(outcomes.toSorted()).toEqual(['DIRECTORY_LOCKED', 'DIRECTORY_LOCKED', 'locked']);
      await Promise.all(racers.map((racer) => answerOf(racer, 'release')));
    }
  });
});

const ownerFileUrl = new URL('./owner-file.ts', import.meta.url).href;
const lockOwnerUrl = new URL('./lock-owner.ts', import.meta.url).href;
const RACER = `
  import { takeOwnerFile, releaseOwnerFile } from '${ownerFileUrl}';
  import { currentOwner } from '${lockOwnerUrl}';
  import { createInterface } from 'node:readline';
  const directory = process.argv.at(-1);
  let taken;
  const answers = {
    hello: () => 'hello',
    lock: () => {
      taken = takeOwnerFile(directory, currentOwner());
      return taken.kind === 'taken' ? 'locked' : 'DIRECTORY_LOCKED';
    },
    release: () => {
      if (taken.kind === 'taken') releaseOwnerFile(taken.path);
      return 'released';
    },
  };
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(answers[line]() + '\\n');
  }`;

function racingChild(): ChildProcess {
  const args = ['--import', 'tsx', '--input-type=module', '-e', RACER, directory];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

async function answerOf({ stdin, stdout }: ChildProcess, question: string): Promise<string> {
  if (stdin === null || stdout === null) throw new Error('no pipes');
  const answer = once(stdout, 'data') as Promise<[Buffer]>;
  stdin.write(`${question}\n`);
  return (await answer)[0].toString().trim();
}
