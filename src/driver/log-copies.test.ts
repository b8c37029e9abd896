/** @module */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { TwoCopies } from '../../test/support/two-copies.ts';
import { seededRandom } from '../core/random.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { writeSnapshot } from '../state/snapshot-file.ts';
import { chooseEntries } from './log-copies.ts';

const FIRST_RECORD_BYTES = 4096;

/** Two peers with four events in their driver logs, each in a group of its own. */
async function peers() {
  const copies = new TwoCopies(seededRandom(1));
  await copies.start([0, 1]);
  for (let block = 0; block < 4; block += 1) await copies.register();
  copies.kill();
  const places = ([0, 1] as const).map((side) => {
    const [disk, directory] = [copies.disks[side], copies.directory(side)];
    return { disk, directory, log: join(directory, 'driver-log') };
  });
  const [first, second] = places;
  if (first === undefined || second === undefined) throw new Error('there are two');
  const segmentOf = async ({ disk, log }: typeof first): Promise<string> => {
    const names = (await disk.list(log)) ?? [];
    return join(log, names.findLast((name) => name.endsWith('.wal')) ?? '');
  };
  const rot = async (place: typeof first): Promise<void> => {
    const path = await segmentOf(place);
    const bytes = place.disk.contentOf(path).slice();
    bytes[FIRST_RECORD_BYTES + 40] = (bytes[FIRST_RECORD_BYTES + 40] ?? 0) ^ 1;
    place.disk.overwrite(path, bytes);
  };
  const cut = async (place: typeof first): Promise<void> => {
    const path = await segmentOf(place);
    place.disk.overwrite(
      path,
      place.disk
        .contentOf(path)
        .slice()
        .fill(0, 2 * FIRST_RECORD_BYTES),
    );
  };
  const sideOf = async (preferred: 0 | 1): Promise<number | undefined> => {
    const choices = await chooseEntries([first, second], preferred);
    return choices.find(({ entry }) => entry === 'driver-log')?.side;
  };
  return { first, second, rot, cut, sideOf };
}

it('a log is read from the copy that is whole', async () => {
  const { first, rot, sideOf } = await peers();
  await rot(first);
  expect([await sideOf(0), await sideOf(1)]).toEqual([1, 1]);
});

it('of a damaged one and one that was cut short the damaged one is read: it refuses', async () => {
  const { first, second, rot, cut, sideOf } = await peers();
  await cut(first);
  await rot(second);
  expect([await sideOf(0), await sideOf(1)]).toEqual([1, 1]);
});

it('of a damaged one and a missing one the damaged one is read: it refuses', async () => {
  const { first, second, rot, sideOf } = await peers();
  await first.disk.removeTree(first.log);
  await rot(second);
  expect([await sideOf(0), await sideOf(1)]).toEqual([1, 1]);
});

it('keyed state is read from the copy whose snapshots are whole', async () => {
  const { first, second } = await peers();
  const sideOf = async (preferred: 0 | 1): Promise<number | undefined> => {
    const choices = await chooseEntries([first, second], preferred);
    return choices.find(({ entry }) => entry === 'state')?.side;
  };
  expect(await sideOf(0)).toBeUndefined();
  const name = 'state-0000000000001000.snapshot';
  for (const { disk, directory } of [first, second]) {
    await disk.makeDirectory(join(directory, 'state'));
    const file = await disk.create(join(directory, 'state', name), 'buffered');
    const head = { batchTimeMs: 1_000, logId: 'log', operators: [] };
    await writeSnapshot(file, { head, partitions: [], close: () => {} }, { codec: msgpackCodec });
    await file.close();
  }
  expect([await sideOf(0), await sideOf(1)]).toEqual([0, 1]);
  const path = join(first.directory, 'state', name);
  first.disk.overwrite(path, first.disk.contentOf(path).slice(0, -1));
  expect([await sideOf(0), await sideOf(1)]).toEqual([1, 1]);
});
