import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { samplePlace } from './sample-place.ts';

let place: string;
beforeEach(() => {
  place = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-place-')));
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

it('is the nearest directory above a checkpoint directory that is not there yet', () => {
  expect(samplePlace(join(place, 'a', 'b'))).toBe(place);
});

it('lies beside a checkpoint directory that is there, also behind a link, and not in it', () => {
  mkdirSync(join(place, 'data', 'home'), { recursive: true });
  expect(samplePlace(join(place, 'data', 'home'))).toBe(join(place, 'data'));
  symlinkSync(join(place, 'data', 'home'), join(place, 'link'));
  expect(samplePlace(join(place, 'link'))).toBe(join(place, 'data'));
});

it('is a mount point itself: what lies above that is another disk', () => {
  expect(samplePlace('/proc')).toBe('/proc');
});

it('is where the command was called when nothing is kept', () => {
  expect(samplePlace(false)).toBe(process.cwd());
});
