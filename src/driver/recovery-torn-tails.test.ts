/** A torn tail that cannot be kept aside. @module */
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { LINES } from '../../test/support/block-samples.ts';
import { HOME, HomeHistory, RECEIVER_LOG } from '../../test/support/home-history.ts';
import type { BlockInfo } from '../blocks/block-ref.ts';
import { segmentName } from '../wal/segment-name.ts';

const SEGMENT = join(HOME, RECEIVER_LOG, segmentName(1));

let history: HomeHistory;
let registered: BlockInfo;

/** A registered block, and behind it one that a crash has torn. */
beforeEach(async () => {
  history = new HomeHistory();
  const run = await history.start();
  registered = await run.register();
  const torn = await run.receive({ isBuffered: false });
  history.kill();
  history.damage(SEGMENT, (torn.position?.offsetBytes ?? 0) + 60);
});

it('on a full disk is told, and the start goes on without it', async () => {
  history.disk.failCall('create', 1, 'ENOSPC');
  const { tracker, home } = await history.start();
  expect(history.disk.struckCalls).toMatchObject([{ path: `${SEGMENT}.torn.part` }]);
  expect(home.recovered.tornTails).toEqual([]);
  expect(history.events).toContainEqual({
    type: 'warning',
    message: expect.stringMatching(
      /^a torn tail is not kept: create of .*\.torn\.part: ENOSPC/,
    ) as string,
  });
  expect(tracker.state.queues.get(LINES)).toEqual([registered]);
});

it('on a disk that fails ends the start before anything is changed', async () => {
  history.disk.failCall('create', 1, 'EIO');
  const before = await history.files();
  await expect(history.start()).rejects.toMatchObject({ code: 'DISK_FAILED' });
  expect(history.disk.struckCalls).toMatchObject([{ path: `${SEGMENT}.torn.part` }]);
  expect(await history.files()).toEqual(before);
  const { tracker, home } = await history.start();
  expect(home.recovered.tornTails).toEqual([`${SEGMENT}.torn`]);
  expect(tracker.state.queues.get(LINES)).toEqual([registered]);
});
