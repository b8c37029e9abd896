/** What each version of the format has written can still be read. Damage: state-snapshots.test.ts
 * of the driver. @module */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { GOLDEN_BATCHES, goldenRun } from '../../test/support/golden-state.ts';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import { decodeCheckpoint } from '../driver/checkpoint-content.ts';
import { restoreState } from '../driver/state-snapshots.ts';
import { crc32 } from '../serde/crc32.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';

/** Directories of golden files, each with the versions of the states that its checkpoint names. */
const GOLDEN: readonly (readonly [directory: string, version: number | undefined])[] = [
  ['state-v1', undefined],
  ['state-v2', 1],
];

/** A disk with a golden snapshot, changed or not. */
async function diskWith(of: string, name: string, change = (bytes: Buffer): Buffer => bytes) {
  const disk = new MemoryDisk();
  await disk.makeDirectory('/the-home/state');
  const file = await disk.create(`/the-home/state/${name}`, 'buffered');
  await file.write([change(golden(of, name))], 0);
  await file.close();
  return { disk, directory: '/the-home', codec: msgpackCodec };
}

function golden(of: string, name: string): Buffer {
  return readFileSync(fileURLToPath(new URL(`../../test/fixtures/${of}/${name}`, import.meta.url)));
}

function pointerOf(of: string) {
  const payload = golden(of, 'checkpoint-payload.msgpack');
  const { stateSnapshot } = decodeCheckpoint(payload, msgpackCodec, 10);
  if (stateSnapshot === undefined) throw new Error('the golden checkpoint points to nothing');
  return stateSnapshot;
}

it.each(GOLDEN)('reads the snapshot that the checkpoint of %s points to', async (of, version) => {
  const pointer = pointerOf(of);
  expect(pointer.operators.map(([id, keyCount, found]) => [id, keyCount, found])).toEqual([
    ['updated', 5, version],
    ['mapped', 7, version],
  ]);
  const run = goldenRun();
  await restoreState(run.state, pointer, await diskWith(of, pointer.name));
  await run.run(GOLDEN_BATCHES, GOLDEN_BATCHES);
  const updated = run.records('updated', GOLDEN_BATCHES) as [unknown, unknown][];
  const at = new Date(0);
  expect(new Map(updated).get('a')).toEqual({
    values: [6],
    before: { values: [1], before: null, at },
    at,
  });
  expect(new Map(updated).get(2n)).toEqual({ values: [3], before: null, at });
  const mapped = run.records('mapped', GOLDEN_BATCHES) as [unknown, unknown][];
  expect(mapped).toHaveLength(7);
  expect(mapped).toContainEqual([{ x: 1, y: [null, true] }, [4]]);
  expect(mapped).toContainEqual(['initial', [0]]);
  expect(mapped).toContainEqual(['é'.repeat(40), [5]]);
});

it('refuses a newer format, and says so', async () => {
  const pointer = pointerOf('state-v2');
  // The version is the first element of the head's message, right behind its header.
  const newer = await diskWith('state-v2', pointer.name, (bytes) => {
    bytes[33] = 9;
    return resealed(bytes);
  });
  await expect(restoreState(goldenRun().state, pointer, newer)).rejects.toMatchObject({
    code: 'FORMAT_UNKNOWN',
  });
});

/** The first frame with CRCs that fit what it holds. */
function resealed(bytes: Buffer): Buffer {
  const length = bytes.readUInt32LE(20);
  bytes.writeUInt32LE(crc32(bytes.subarray(32, 32 + length)), 24);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 28), 0), 28);
  return bytes;
}
