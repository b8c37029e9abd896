import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isDirectory, mayAccess } from './path-access.ts';

/** Whom no mode of a file stops. */
const isRoot = process.getuid?.() === 0;

let place: string;
let file: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'millrace-access-'));
  file = join(place, 'file');
  writeFileSync(file, 'content');
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

it('knows a directory, also behind a link, from a file and from what is not there', () => {
  const folder = join(place, 'folder');
  mkdirSync(folder);
  symlinkSync(folder, join(place, 'link'));
  const paths = [folder, join(place, 'link'), file, join(place, 'absent')];
  expect(paths.map(isDirectory)).toEqual([true, true, false, false]);
});

it('allows neither reading nor writing of what is not there', () => {
  const absent = join(place, 'absent');
  expect([mayAccess(absent, 'read'), mayAccess(absent, 'write')]).toEqual([false, false]);
  expect([mayAccess(file, 'read'), mayAccess(file, 'write')]).toEqual([true, true]);
});

it('asks for what is meant: a file may be readable and not writable, or the other way', () => {
  chmodSync(file, 0o400);
  expect([mayAccess(file, 'read'), mayAccess(file, 'write')]).toEqual([true, isRoot]);
  chmodSync(file, 0o200);
  expect([mayAccess(file, 'read'), mayAccess(file, 'write')]).toEqual([isRoot, true]);
});
