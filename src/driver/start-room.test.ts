/** @module */
import { expect, it } from 'vitest';
import { HOME, HomeHistory } from '../../test/support/home-history.ts';
import { MillraceError } from '../core/errors.ts';
import type { Disk } from '../wal/disk.ts';
import type { Examination } from './examination.ts';
import { makeStartRoom } from './start-room.ts';

const KIB = 1024;
const SEGMENTS = { driverSegmentBytes: 64 * KIB, receiverSegmentBytes: 64 * KIB };
/** A home whose last run was killed, with what a start finds in it. */
async function killed() {
  const history = new HomeHistory();
  const run = await history.start();
  await run.register({ isBuffered: false });
  await run.idle();
  history.kill();
  const { examination } = await history.recover();
  history.kill();
  const before = await history.files();
  return { history, examination, before, neededBytes: await needed(history, examination) };
}

/** What a start says that it needs when there is nothing. */
async function needed(history: HomeHistory, examination: Examination): Promise<number> {
  const refused = makeStartRoom(withRoom(history, 0), examination);
  const error = await refused.catch((thrown: unknown) => thrown);
  const wantedBytes = error instanceof MillraceError ? error.details['wantedBytes'] : undefined;
  // MANIFEST and checkpoint, and a first segment for each of the two logs.
  expect(wantedBytes).toBeGreaterThanOrEqual(128 * KIB + 2 * (4 + 64) * KIB);
  return Number(wantedBytes);
}

it('is there, and nothing is touched', async () => {
  const { history, examination, before, neededBytes } = await killed();
  await makeStartRoom(withRoom(history, neededBytes), examination);
  expect(await history.files()).toEqual(before);
});

it('is made of the spares of an earlier run', async () => {
  const { history, examination, neededBytes } = await killed();
  const spares = async (): Promise<string[]> =>
    [...(await history.files()).keys()].filter((path) => path.includes('spare-'));
  expect(await spares()).not.toEqual([]);
  await makeStartRoom(withRoom(history, neededBytes - 100), examination);
  expect(await spares()).toEqual([]);
});

it('is not enough: it says how much is missing, and changes nothing', async () => {
  const { history, examination, before, neededBytes } = await killed();
  const spares = [...before].filter(([path]) => path.includes('spare-'));
  const spareBytes = spares.reduce((sum, [, content]) => sum + content.length, 0);
  const freeBytes = neededBytes - spareBytes - 1_000;
  await expect(makeStartRoom(withRoom(history, freeBytes), examination)).rejects.toMatchObject({
    code: 'DISK_FULL',
    exitCode: 74,
    details: { missingBytes: 1_000 },
    message: expect.stringContaining('1000B are missing; nothing was changed') as string,
  });
  expect(await history.files()).toEqual(before);
});

it('is not asked for where the file system does not tell', async () => {
  const { history, examination } = await killed();
  const disk: Disk = history.disk.attach();
  await makeStartRoom({ disk, directory: HOME, ...SEGMENTS }, examination);
});

function withRoom(history: HomeHistory, freeBytes: number) {
  const disk: Disk = { ...history.disk.attach(), freeBytes: () => Promise.resolve(freeBytes) };
  return { disk, directory: HOME, ...SEGMENTS };
}
