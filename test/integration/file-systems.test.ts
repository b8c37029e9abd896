/** File systems as the kernel of this machine has them: a directory in memory, and two copies of
 * which one is there. Needs a built dist/. @module */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PipelineSite } from '../support/pipeline-site.ts';

const MEMORY = '/dev/shm';
const TMPFS = 0x0102_1994;
/** More than what one of these runs writes. */
const ROOM_BYTES = 48 * 1024 * 1024;
const hasMemory = existsSync(MEMORY) && isRoomyTmpfs(MEMORY);

function isRoomyTmpfs(directory: string): boolean {
  const { type, bavail, bsize } = statfsSync(directory);
  return type === TMPFS && bavail * bsize >= ROOM_BYTES;
}

let site: PipelineSite;
beforeEach(() => {
  site = new PipelineSite();
  site.pipeline(
    `ssc.generatorStream({ total: 500, recordsPerSecond: 100000 })
      .saveAsTextFiles(directory + '/out/lines');`,
  );
});
afterEach(() => site.close());

it.skipIf(!hasMemory)(
  'a directory in memory is taken, and the start says what it is worth',
  async () => {
    const checkpointDir = mkdtempSync(join(MEMORY, 'millrace-'));
    try {
      const run = await site.start({ checkpointDir });
      await run.context.awaitTermination();
      const told = run.of('warning').map(({ message }) => message);
      expect(told).toContainEqual(
        expect.stringMatching(/is on tmpfs.*nothing in it survives a reboot/),
      );
      expect(site.saved('out/lines')).toHaveLength(500);
    } finally {
      rmSync(checkpointDir, { recursive: true });
    }
  },
);

it.skipIf(!hasMemory)('two copies, one of them in memory, hold the same', async () => {
  const mirrorDir = mkdtempSync(join(MEMORY, 'millrace-'));
  try {
    const run = await site.start({ mirrorDir });
    await run.context.awaitTermination();
    for (const entry of ['.', 'driver-log', 'driver-log-mirror', 'receiver-log-0', 'checkpoints']) {
      const [ours, theirs] = [join(site.checkpointDir, entry), join(mirrorDir, entry)];
      const files = readdirSync(ours, { withFileTypes: true }).filter(
        (each) => each.isFile() && each.name !== 'LOCK',
      );
      expect(readdirSync(theirs).toSorted()).toEqual(readdirSync(ours).toSorted());
      for (const { name } of files) {
        expect(readFileSync(join(theirs, name)).equals(readFileSync(join(ours, name))), name).toBe(
          true,
        );
      }
    }
  } finally {
    rmSync(mirrorDir, { recursive: true });
  }
});

it('two copies on one file system are told, and one inside the other is refused', async () => {
  const run = await site.start({ mirrorDir: join(site.directory, 'mirror') });
  await run.context.awaitTermination();
  expect(run.of('warning').map(({ message }) => message)).toContainEqual(
    expect.stringContaining('are on the same file system'),
  );
  const inside = site.start({ mirrorDir: join(site.checkpointDir, 'mirror') });
  await expect(inside).rejects.toMatchObject({ code: 'OPTIONS_INVALID', exitCode: 64 });
  const without = site.start({ checkpointDir: false, mirrorDir: join(site.directory, 'mirror') });
  await expect(without).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
});
