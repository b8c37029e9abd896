/** @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { AnnounceDesk, HandSlotLog, lifeOf, settle } from '../../test/support/receiver-side.ts';
import { BlockArena } from '../blocks/block-arena.ts';
import { SLOT_HEADER_BYTES } from '../blocks/block-layout.ts';
import { BlockWriter } from '../blocks/block-writer.ts';
import { MillraceError } from '../core/errors.ts';
import { crc32 } from '../serde/crc32.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { BlockPusher, IN_FLIGHT_BYTES_MAX } from './block-pusher.ts';
import type { PushedBlock } from './block-pusher.ts';

const MIB = 1024 * 1024;
let arena: BlockArena;
let log: HandSlotLog;
let desk: AnnounceDesk;
let pusher: BlockPusher;
let writer: BlockWriter;
let nextSeq: number;

beforeEach(() => {
  arena = BlockArena.create(MIB);
  log = new HandSlotLog();
  desk = new AnnounceDesk();
  pusher = pusherOf({ log: { wal: log, name: 'receiver-log-3' } });
  writer = new BlockWriter(arena, msgpackCodec, 1);
  nextSeq = 0;
});

function pusherOf(more: Partial<ConstructorParameters<typeof BlockPusher>[0]>): BlockPusher {
  return new BlockPusher({ arena, durability: 'sync', announce: desk.announce, ...more });
}

/** A block of one record. */
function block(record: unknown): PushedBlock {
  const { streamId, receiverIndex, incarnation } = lifeOf();
  const blockId = { streamId, receiverIndex, incarnation, seq: nextSeq };
  nextSeq += 1;
  writer.append(record);
  return writer.cut({ blockId, positions: [], sourceIds: [], isBuffered: true });
}

const ADDED = { kind: 'added' };

describe('BlockPusher', () => {
  it('announces a block when it is in the log, with its place and its checksum', async () => {
    const one = block('abc');
    const outcome = pusher.push(one);
    await settle();
    expect(desk.batches).toEqual([]);
    log.sync();
    expect(await outcome).toEqual(ADDED);
    const payload = one.slot.subarray(SLOT_HEADER_BYTES, SLOT_HEADER_BYTES + one.payloadBytes);
    expect(desk.blocks).toEqual([
      {
        bytes: one.bytes,
        info: {
          blockId: one.blockId,
          recordCount: 1,
          codec: 'ascii',
          lengthBytes: one.bytes.lengthBytes,
          durability: 'sync',
          position: {
            log: 'receiver-log-3',
            lsn: 1,
            segmentSeq: 1,
            offsetBytes: 4096,
            payloadBytes: one.payloadBytes,
            payloadCrc: crc32(payload),
          },
          positions: [],
          sourceIds: [],
          isBuffered: true,
        },
      },
    ]);
  });

  it('announces without a place when the log is off', async () => {
    pusher = pusherOf({ durability: 'off' });
    expect(await pusher.push(block('a'))).toEqual(ADDED);
    expect(desk.blocks[0]?.info).toMatchObject({ durability: 'off' });
    expect(desk.blocks[0]?.info).not.toHaveProperty('position');
  });

  it('puts the blocks of one sync into one message, in order', async () => {
    const outcomes = ['a', 'b', 'c'].map((text) => pusher.push(block(text)));
    log.sync(2);
    await settle();
    log.sync();
    await Promise.all(outcomes);
    expect(desk.batches.map(({ seq, blocks }) => [seq, blocks.length])).toEqual([
      [1, 2],
      [2, 1],
    ]);
    expect(desk.records(arena)).toEqual([['a'], ['b'], ['c']]);
    expect(pusher.lastAnnouncementSeq).toBe(2);
  });

  it('does not wait for an answer before it sends the next message', async () => {
    desk.hold();
    const outcomes = ['a', 'b'].map((text) => pusher.push(block(text)));
    log.sync(1);
    await settle();
    log.sync(1);
    await settle();
    expect(desk.batches.map(({ seq }) => seq)).toEqual([1, 2]);
    desk.release();
    expect(await Promise.all(outcomes)).toEqual([ADDED, ADDED]);
  });

  it('hands the memory of an added block to the driver, and counts its records', async () => {
    const one = block('a');
    writer.close();
    const outcome = pusher.push(one);
    log.sync();
    await outcome;
    expect(arena.usedExtents('receivers')).toBe(1);
    expect([pusher.blockCount, pusher.recordCount]).toEqual([1, 1]);
    arena.drop(one.bytes.extentIndex);
    expect(arena.usedExtents('receivers')).toBe(0);
  });

  it.each<[string, () => void]>([
    ['is refused', () => (desk.refusal = 'a gap')],
    ['finds no driver', () => desk.failWith(new MillraceError('EXECUTOR_DIED', 'gone'))],
  ])('gives back the memory of a block that %s', async (_name, arrange) => {
    arrange();
    const outcome = pusher.push(block('a'));
    writer.close();
    log.sync();
    await Promise.allSettled([outcome]);
    await pusher.drain();
    expect(arena.usedExtents('receivers')).toBe(0);
    expect(pusher.blockCount).toBe(0);
    expect(pusher.inFlightBytes).toBe(0);
  });

  it('tells why a block was refused', async () => {
    desk.refusal = 'a gap';
    const outcome = pusher.push(block('a'));
    log.sync();
    expect(await outcome).toEqual({ kind: 'refused', reason: 'a gap' });
  });

  it('takes a missing answer for a refusal', async () => {
    pusher = pusherOf({ durability: 'off', announce: () => Promise.resolve([]) });
    expect(await pusher.push(block('a'))).toMatchObject({ kind: 'refused' });
  });

  it('announces nothing that the log did not take', async () => {
    const outcomes = ['a', 'b'].map((text) => pusher.push(block(text)));
    writer.close();
    log.poison();
    const code = expect.objectContaining({ code: 'WAL_POISONED' }) as unknown;
    for (const outcome of outcomes) await expect(outcome).rejects.toEqual(code);
    await pusher.drain();
    expect(desk.batches).toEqual([]);
    expect(arena.usedExtents('receivers')).toBe(0);
  });

  it('is full while log or driver has no room, and logs what comes all the same', async () => {
    pusher.hold('log', true);
    pusher.hold('driver', true);
    expect(pusher.isFull).toBe(true);
    const outcome = pusher.push(block('a'));
    log.sync();
    expect(await outcome).toEqual(ADDED);
    const room = pusher.waitForRoom();
    pusher.hold('log', false);
    await room;
    expect(pusher.isFull).toBe(true);
    pusher.hold('driver', false);
    expect(pusher.isFull).toBe(false);
  });

  it('is full at its limit of bytes in flight, until a block settles', async () => {
    const slot = new Uint8Array(IN_FLIGHT_BYTES_MAX / 2);
    const half = (text: string): PushedBlock => ({ ...block(text), slot });
    const first = pusher.push(half('a'));
    expect(pusher.isFull).toBe(false);
    const second = pusher.push(half('b'));
    expect(pusher.isFull).toBe(true);
    const room = pusher.waitForRoom();
    log.sync(1);
    await room;
    expect(pusher.isFull).toBe(false);
    expect(pusher.inFlightBytes).toBe(IN_FLIGHT_BYTES_MAX / 2);
    log.sync();
    expect(await Promise.all([first, second])).toEqual([ADDED, ADDED]);
    expect(pusher.inFlightBytes).toBe(0);
  });
});

describe('drain', () => {
  it('waits for what was pushed, well or badly settled', async () => {
    let isDrained = false;
    const outcomes = [pusher.push(block('a')), pusher.push(block('b'))];
    const drained = pusher.drain().then(() => (isDrained = true));
    log.sync(1);
    await settle();
    expect(isDrained).toBe(false);
    log.poison();
    await drained;
    expect((await Promise.allSettled(outcomes)).map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
    ]);
  });

  it('does not wait for what others push meanwhile', async () => {
    const first = pusher.push(block('a'));
    const drained = pusher.drain();
    const later = pusher.push(block('b'));
    log.sync(1);
    await Promise.all([first, drained]);
    log.sync();
    await later;
  });
});
