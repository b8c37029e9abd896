/** Blocks to adopt in a log that MANIFEST names outside the checkpoint directory. @module */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { queued } from '../../test/support/block-samples.ts';
import { HOME, HomeHistory, RECEIVER_LOG } from '../../test/support/home-history.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import { readManifest } from '../checkpoint/manifest.ts';
import type { Manifest } from '../checkpoint/manifest.ts';
import { present } from '../core/assert.ts';
import { MillraceError } from '../core/errors.ts';
import { EventBus } from '../core/events.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import type { Disk, WriteMode } from '../wal/disk.ts';
import { examineDirectory } from './examination.ts';
import type { Examination } from './examination.ts';
import { recoverDirectory } from './recovery.ts';
import type { Recovered } from './recovery.ts';

const ELSEWHERE = '/third/receiver-log-0';
const SEGMENT_BYTES = 64 * 1024;

/** A run with one block that was not registered, whose receiver log is elsewhere afterwards. */
async function movedLog(): Promise<{ history: HomeHistory; manifest: Manifest }> {
  const history = new HomeHistory();
  const run = await history.start();
  await run.register();
  await run.receive();
  history.kill();
  const { disk } = history;
  const from = join(HOME, RECEIVER_LOG);
  await disk.makeDirectory(ELSEWHERE);
  for (const name of (await disk.list(from)) ?? []) {
    await disk.rename(join(from, name), join(ELSEWHERE, name));
  }
  await disk.syncDirectory(ELSEWHERE);
  await disk.removeTree(from);
  const manifest = present(await readManifest({ disk, directory: HOME }), 'MANIFEST');
  const quarantined = [{ log: RECEIVER_LOG, directory: ELSEWHERE }];
  return { history, manifest: { ...manifest, quarantined } };
}

async function recover(
  disk: Disk,
  manifest: Manifest,
): Promise<{ examination: Examination; recovered: Recovered }> {
  const directory = join(HOME, 'checkpoints');
  const store = await CheckpointStore.open({ disk, directory, keep: 2 });
  const place = { disk, directory: HOME, codec: msgpackCodec, events: new EventBus() };
  const examination = await examineDirectory({ ...place, manifest, store, sourceIdsMax: 100 });
  const recovered = await recoverDirectory(
    {
      ...place,
      clock: new ManualClock(),
      manifest: { ...manifest, epoch: manifest.epoch + 1 },
      driverSegmentBytes: SEGMENT_BYTES,
      receiverSegmentBytes: SEGMENT_BYTES,
      onDriverPoison: () => {},
      onDriverShortage: () => {},
    },
    examination,
  );
  return { examination, recovered };
}

/** Direct writes work in the checkpoint directory only. */
function choosy(disk: Disk): Disk {
  const refuse = (path: string, mode: WriteMode): void => {
    if (mode === 'buffered' || path.startsWith(HOME)) return;
    throw new MillraceError('DISK_FAILED', `no direct writes to ${path}`);
  };
  return {
    ...disk,
    create: async (path, mode) => (refuse(path, mode), disk.create(path, mode)),
    open: async (path, mode) => (refuse(path, mode), disk.open(path, mode)),
  };
}

it('are adopted there, also where direct writes are not known', async () => {
  const { history, manifest } = await movedLog();
  const { examination, recovered } = await recover(choosy(history.disk.attach()), manifest);
  expect(recovered).toMatchObject({ adoptedCount: 1, droppedCount: 0 });
  expect(queued(examination.state)).toEqual(['lines/0/1.1/0', 'lines/0/1.1/1']);
  history.powerCut('drop-all');
  const again = await recover(history.disk.attach(), manifest);
  expect(again.recovered).toMatchObject({ adoptedCount: 0, droppedCount: 0 });
  expect(queued(again.examination.state)).toEqual(['lines/0/1.1/0', 'lines/0/1.1/1']);
  expect(await history.disk.list(HOME)).not.toContain(RECEIVER_LOG);
});
