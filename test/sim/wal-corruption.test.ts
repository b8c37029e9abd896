/** Every bit of a small log flipped, the file cut at every byte, sectors lost and swapped.
 *
 *     page 0          page 1                         page 2
 *     header          records 1, 2, 3 (one group)    record 4 (a slot; its group was synced too)
 *
 * Record 4 says that 3 is durable; nothing in the log says so of 4. So harm to 1-3 must always be
 * reported as damage, and harm to 4 never, unless a witness outside knows of it.
 * @module */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Lsn } from '../../src/core/ids.ts';
import { crc32 } from '../../src/serde/crc32.ts';
import { scanLog } from '../../src/wal/log-scan.ts';
import { judgeLog } from '../../src/wal/log-verdict.ts';
import type { LogVerdict } from '../../src/wal/log-verdict.ts';
import { WriteAheadLog } from '../../src/wal/write-ahead-log.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { MemoryDisk } from '../support/memory-disk.ts';

const DIRECTORY = '/logs/small';
const SEGMENT = `${DIRECTORY}/0000000000000001.wal`;
const PAGE = 4096;
const FILE_BYTES = 3 * PAGE;
const SECTOR = 512;
/** Has the header of record 4. */
const WITNESS_SECTOR = (2 * PAGE) / SECTOR;
const PAYLOADS = [
  Buffer.from('first'),
  Buffer.alloc(900, 'second '),
  Buffer.alloc(1_501, 'third '),
  Buffer.alloc(3_000, 'fourth '),
];

let disk = new MemoryDisk();
let sound = new Uint8Array(0);
/** Bytes of the records' headers and payloads: [from, to). */
let ranges: (readonly [from: number, to: number])[] = [];

beforeAll(async () => {
  disk = new MemoryDisk();
  const log = await WriteAheadLog.open({
    disk: disk.attach(),
    clock: new ManualClock(),
    directory: DIRECTORY,
    logId: 'ffeeddccbbaa99887766554433221100',
    epoch: 1,
    baseLsn: 1 as Lsn,
    segmentBytes: FILE_BYTES,
    sparesMin: 0,
    mode: 'direct',
    durability: 'sync',
  });
  const [first, second, third, fourth] = PAYLOADS as [Buffer, Buffer, Buffer, Buffer];
  const small = await Promise.all([first, second, third].map((bytes) => log.append(bytes)));
  const slot = disk.allocateAligned(PAGE);
  slot.set(fourth, 32);
  const last = await log.appendSlot(slot, fourth.byteLength, crc32(fourth));
  ranges = [...small, last].map(({ offsetBytes }, index) => [
    offsetBytes,
    offsetBytes + 32 + (PAYLOADS[index]?.byteLength ?? 0),
  ]);
  sound = disk.contentOf(SEGMENT).slice();
});

interface Outcome {
  readonly verdict: LogVerdict;
  /** With a witness outside that knows record 4 durable. */
  readonly witnessed: LogVerdict;
  /** How many of the payloads came back; all of them checked to be equal. */
  readonly count: number;
}

async function read(): Promise<Outcome> {
  let count = 0;
  const scan = await scanLog(disk, DIRECTORY, (_, payload) => {
    if (PAYLOADS[count]?.equals(payload) !== true) throw new Error('an invented record');
    count += 1;
  });
  return { verdict: judgeLog(scan, 0 as Lsn), witnessed: judgeLog(scan, 4 as Lsn), count };
}

/** Index of the record that has byte `at`, or of the padding behind it. */
function recordAt(at: number): { index: number; isPadding: boolean } | undefined {
  const index = ranges.findLastIndex(([from]) => at >= from);
  const range = ranges[index];
  return range === undefined ? undefined : { index, isPadding: at >= range[1] };
}

/** What is wrong with the outcome of harm to byte `at`; `undefined` when it is as it must be. */
function mistake({ verdict, witnessed, count }: Outcome, at: number): string | undefined {
  const place = recordAt(at);
  if (place === undefined) return verdict.kind === 'damaged' ? undefined : 'a bad header passed';
  if (place.isPadding) {
    return count === 4 && verdict.kind === 'clean' ? undefined : 'padding was taken for content';
  }
  if (count !== place.index) return `${count} records came back`;
  if (witnessed.kind !== 'damaged') return 'a witnessed record was lost in silence';
  const isDamage = verdict.kind === 'damaged';
  return isDamage === place.index < 3 ? undefined : `verdict ${verdict.kind}`;
}

describe('a harmed log', () => {
  it('is whole to begin with', async () => {
    const { verdict, witnessed, count } = await read();
    expect(count).toBe(4);
    expect(verdict).toMatchObject({ kind: 'clean', lastLsn: 4, durableThrough: 3 });
    expect(verdict.suspects.map(({ lsn }) => lsn)).toEqual([4]);
    expect(witnessed).toMatchObject({ kind: 'clean', durableThrough: 4, suspects: [] });
  });

  it('tells every flipped bit apart', async () => {
    const mistakes: string[] = [];
    const bytes = disk.contentOf(SEGMENT);
    for (let at = 0; at < FILE_BYTES; at += 1) {
      // The header page is one checksum: one bit of each byte of its zeros is enough.
      const bits = at > 96 && at < PAGE - 4 ? [at % 8] : [0, 1, 2, 3, 4, 5, 6, 7];
      for (const bit of bits) {
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        const found = mistake(await read(), at);
        if (found !== undefined) mistakes.push(`byte ${at} bit ${bit}: ${found}`);
        bytes[at] = sound[at] ?? 0;
      }
    }
    expect(mistakes).toEqual([]);
  });

  it('refuses every cut: a segment had its full length before it had its name', async () => {
    const mistakes: string[] = [];
    for (let length = 0; length < FILE_BYTES; length += 1) {
      disk.overwrite(SEGMENT, sound.subarray(0, length));
      const { verdict, count } = await read();
      const whole = length < PAGE ? 0 : ranges.filter(([, to]) => to <= length).length;
      const isRight = verdict.kind === 'damaged' && count === whole;
      if (!isRight) mistakes.push(`${length} bytes: ${verdict.kind}, ${count} records`);
    }
    disk.overwrite(SEGMENT, sound);
    expect(mistakes).toEqual([]);
  });

  it('takes a write that stopped at any byte for torn, whatever the file held before', async () => {
    const mistakes: string[] = [];
    const [from] = ranges[3] ?? [0];
    for (const old of [0, 0xff]) {
      for (let end = from; end < FILE_BYTES; end += 1) {
        const bytes = sound.slice().fill(old, end);
        disk.overwrite(SEGMENT, bytes);
        const { verdict, count } = await read();
        const isWhole = end >= (ranges[3]?.[1] ?? 0);
        const isRight = count === (isWhole ? 4 : 3) && verdict.kind !== 'damaged';
        if (!isRight) mistakes.push(`at ${end}: ${verdict.kind}, ${count} records`);
      }
    }
    disk.overwrite(SEGMENT, sound);
    expect(mistakes).toEqual([]);
  });

  it('never loses a witnessed record when sectors are lost or swapped', async () => {
    const mistakes: string[] = [];
    const sectors = FILE_BYTES / SECTOR;
    for (let one = 0; one < sectors; one += 1) {
      for (let other = one; other < sectors; other += 1) {
        const bytes = sound.slice();
        const moved = sound.subarray(one * SECTOR, (one + 1) * SECTOR);
        if (one === other) bytes.fill(0, one * SECTOR, (one + 1) * SECTOR);
        else {
          bytes.set(sound.subarray(other * SECTOR, (other + 1) * SECTOR), one * SECTOR);
          bytes.set(moved, other * SECTOR);
        }
        disk.overwrite(SEGMENT, bytes);
        const { verdict, witnessed, count } = await read();
        // Harm to a record AND to the only one that witnesses it shows to witnesses outside.
        const hasWitness = one !== WITNESS_SECTOR && other !== WITNESS_SECTOR;
        const { kind } = hasWitness ? verdict : witnessed;
        if (kind !== 'damaged' && count < 3)
          mistakes.push(`sectors ${one} and ${other}: ${count} records`);
      }
    }
    disk.overwrite(SEGMENT, sound);
    expect(mistakes).toEqual([]);
  });
});
