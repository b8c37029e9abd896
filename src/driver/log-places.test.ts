/** @module */
import { beforeEach, expect, it } from 'vitest';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import { readManifest, writeManifest } from '../checkpoint/manifest.ts';
import type { Manifest } from '../checkpoint/manifest.ts';
import { seededRandom } from '../core/random.ts';
import { LogPlaces } from './log-places.ts';

const HOME = '/the-home';
const ELSEWHERE = '/other-disk';
const LOG_ID = '00112233445566778899aabbccddeeff';
const FIRST: Manifest = { logId: LOG_ID, pipelineName: 'p', epoch: 5, copies: 1, lives: [] };
const MOVED = { log: 'receiver-log-0.5q', directory: `${ELSEWHERE}/${LOG_ID}/receiver-log-0.5q` };

let disk: MemoryDisk;
let places: LogPlaces;

beforeEach(async () => {
  disk = new MemoryDisk();
  await disk.makeDirectory(HOME);
  await writeManifest({ disk, directory: HOME }, FIRST);
  places = new LogPlaces({
    disk,
    directory: HOME,
    manifest: FIRST,
    firstName: (index) => `receiver-log-${index}`,
  });
});

it('begins in the checkpoint directory', () => {
  expect(places.nameOf(0)).toBe('receiver-log-0');
  expect(places.directoryOf('receiver-log-0')).toBe('/the-home/receiver-log-0');
  expect(places.isElsewhere('receiver-log-0')).toBe(false);
});

it('gives a failed log a successor elsewhere, still known after a power cut', async () => {
  expect(await places.move(0, ELSEWHERE)).toBe(MOVED.directory);
  expect(places.nameOf(0)).toBe(MOVED.log);
  expect(places.directoryOf(MOVED.log)).toBe(MOVED.directory);
  expect(places.hasFailed('receiver-log-0')).toBe(true);
  expect(places.nameOf(1)).toBe('receiver-log-1');
  disk.crash(seededRandom(1), 'drop-all');
  expect(await readManifest({ disk, directory: HOME })).toEqual({ ...FIRST, quarantined: [MOVED] });
  expect(await disk.list(MOVED.directory)).toEqual([]);
});

it('two logs that fail at once are both known', async () => {
  await Promise.all([places.move(0, ELSEWHERE), places.move(1, ELSEWHERE)]);
  const manifest = await readManifest({ disk, directory: HOME });
  expect(manifest?.quarantined?.map(({ log }) => log)).toEqual([
    'receiver-log-0.5q',
    'receiver-log-1.5q',
  ]);
});

it('forgets a log before its files go', async () => {
  await places.move(0, ELSEWHERE);
  await places.remove(MOVED.log);
  expect(await readManifest({ disk, directory: HOME })).toEqual(FIRST);
  expect(await disk.list(MOVED.directory)).toBeUndefined();
});

it('keeps the old log when MANIFEST cannot be written', async () => {
  disk.failAll('rename', 'EIO');
  await expect(places.move(0, ELSEWHERE)).rejects.toMatchObject({ code: 'DISK_FAILED' });
  expect(places.nameOf(0)).toBe('receiver-log-0');
  disk.heal();
  expect(await readManifest({ disk, directory: HOME })).toEqual(FIRST);
});
