import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { recordedIo } from '../../../test/support/recorded-io.ts';
import { inScratch } from './scratch.ts';
import type { ScratchRun } from './scratch.ts';

let directory: string;
let recorded: ReturnType<typeof recordedIo>;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-scratch-'));
  recorded = recordedIo();
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function run(use: (run: ScratchRun) => Promise<number>): Promise<number> {
  const order = { directory, prefix: '.run-', name: 'test', totalMs: 1_000 };
  return inScratch(recorded.io, order, use);
}

it.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129], // a terminal that was closed
] as const)('%s ends the run, and leaves nothing behind', async (name, exitCode) => {
  const listenersBefore = process.listenerCount(name);
  const ended = run(async ({ scratch, signal }) => {
    writeFileSync(join(scratch, 'log'), 'x');
    process.emit(name, name);
    signal.throwIfAborted();
    return 0;
  });
  expect(await ended).toBe(exitCode);
  expect(readdirSync(directory)).toEqual([]);
  expect(process.listenerCount(name)).toBe(listenersBefore);
});

it('tells of what a killed run has left, and leaves it alone', async () => {
  writeFileSync(join(directory, '.run-old'), '');
  expect(await run(() => Promise.resolve(0))).toBe(0);
  expect(recorded.said.err.join('')).toContain(
    `${join(directory, '.run-old')} belongs to another run`,
  );
  expect(readdirSync(directory)).toEqual(['.run-old']);
});

it('says where it cannot write', async () => {
  rmSync(directory, { recursive: true });
  await expect(run(() => Promise.resolve(0))).rejects.toMatchObject({
    code: 'DISK_FAILED',
    message: expect.stringContaining('name another directory') as string,
  });
  expect(existsSync(directory)).toBe(false);
});
