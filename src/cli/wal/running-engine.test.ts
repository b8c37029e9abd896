import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { lockDirectory } from '../../driver/directory-lock.ts';
import { currentOwner, formatOwner } from '../../driver/lock-owner.ts';
import { isEngineRunning } from './running-engine.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'millrace-running-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

it.each(['flock', 'no-such-flock'])('sees a lock that was taken by %s', async (flockCommand) => {
  expect(await isEngineRunning(home)).toBe(false);
  const lock = await lockDirectory(home, { flockCommand });
  expect(await isEngineRunning(home)).toBe(true);
  await lock.release();
  expect(await isEngineRunning(home)).toBe(false);
});

it('knows that an owner is gone, and nothing of one in another container', async () => {
  const { pid } = spawnSync(process.execPath, ['--version']);
  for (const gone of [{ pid, startTicks: '1' }, { bootId: 'another' }, { namespace: 'pid:[1]' }]) {
    const owner = formatOwner({ ...currentOwner(), ...gone });
    writeFileSync(join(home, 'LOCK'), owner);
    writeFileSync(join(home, 'LOCK.1'), owner);
    expect(await isEngineRunning(home), owner).toBe(false);
  }
  expect(readdirSync(home)).toEqual(['LOCK', 'LOCK.1']);
});
