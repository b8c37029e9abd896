/** The bytes of a block, there and back. MILLRACE_SEED replays a run. @module */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StreamId } from '../core/ids.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import {
  BIN_OFFSET_BYTES,
  BLOCK_SCHEMA,
  SLOT_ALIGN_BYTES,
  SLOT_HEADER_BYTES,
  alignSlot,
  binLengthBytes,
  binOfPayload,
  packTrailer,
  readBlockMeta,
  sealSlot,
} from './block-layout.ts';
import type { BlockMeta } from './block-layout.ts';

const seed = Number(process.env['MILLRACE_SEED'] ?? 20_260_103);

const META: BlockMeta = {
  blockId: {
    streamId: 'lines-0' as StreamId,
    receiverIndex: 1,
    incarnation: { epoch: 3, n: 2 },
    seq: 17,
  },
  recordCount: 2,
  codec: 'utf8',
  positions: [{ partition: 'p', follows: null, last: 5 }],
  sourceIds: [{ key: 'k', digest: 'd', recordCount: 2 }],
  isBuffered: true,
};

/** Seals `bin` into a slot of memory that was used before. @returns slot and payload. */
function seal(bin: Uint8Array, meta: BlockMeta = META) {
  const trailer = packTrailer(meta, msgpackCodec);
  const slotBytes = alignSlot(BIN_OFFSET_BYTES + bin.byteLength + trailer.byteLength);
  const memory = new Uint8Array(slotBytes + 2 * SLOT_ALIGN_BYTES).fill(0xee);
  const slot = memory.subarray(SLOT_ALIGN_BYTES, SLOT_ALIGN_BYTES + slotBytes);
  slot.set(bin, BIN_OFFSET_BYTES);
  const payloadBytes = sealSlot(slot, bin.byteLength, trailer);
  const payload = slot.subarray(SLOT_HEADER_BYTES, SLOT_HEADER_BYTES + payloadBytes);
  return { memory, slot, payload };
}

describe('a sealed slot', () => {
  const bin = Uint8Array.of(1, 2, 3, 4);

  it('has the bytes that docs/wal-format.md promises', () => {
    const { payload } = seal(bin);
    expect([...payload.subarray(0, 12)]).toEqual([
      0x98,
      0xcc,
      BLOCK_SCHEMA,
      0xc6,
      0,
      0,
      0,
      4,
      1,
      2,
      3,
      4,
    ]);
    expect(msgpackCodec.unpack(payload)).toEqual([
      BLOCK_SCHEMA,
      Buffer.from(bin),
      ['lines-0', 1, 3, 2, 17],
      2,
      'utf8',
      [['p', null, 5]],
      [['k', 'd', 2]],
      true,
    ]);
  });

  it('leaves the record header alone, and ends in zeros', () => {
    const { memory, slot, payload } = seal(bin);
    expect(slot.subarray(0, SLOT_HEADER_BYTES).every((byte) => byte === 0xee)).toBe(true);
    const rest = slot.subarray(SLOT_HEADER_BYTES + payload.byteLength);
    expect(rest.length).toBeGreaterThan(0);
    expect(rest.every((byte) => byte === 0)).toBe(true);
    const around = [...memory.subarray(0, SLOT_ALIGN_BYTES), ...memory.subarray(-SLOT_ALIGN_BYTES)];
    expect(around.every((byte) => byte === 0xee)).toBe(true);
  });

  it('may fill its last page exactly', () => {
    const trailerBytes = packTrailer(META, msgpackCodec).byteLength;
    const exact = new Uint8Array(SLOT_ALIGN_BYTES - BIN_OFFSET_BYTES - trailerBytes).fill(7);
    const { slot, payload } = seal(exact);
    expect(slot.byteLength).toBe(SLOT_ALIGN_BYTES);
    expect(payload.byteLength).toBe(SLOT_ALIGN_BYTES - SLOT_HEADER_BYTES);
    expect(binOfPayload(payload)).toEqual(exact);
  });

  it('is refused when the block has outgrown it', () => {
    const trailer = packTrailer(META, msgpackCodec);
    const slot = new Uint8Array(SLOT_ALIGN_BYTES);
    expect(() => sealSlot(slot, SLOT_ALIGN_BYTES - BIN_OFFSET_BYTES, trailer)).toThrow('outgrew');
  });
});

it('a payload gives back the bin and everything about the block', () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 });
  const value = fc.oneof(fc.integer(), fc.maxSafeNat(), text);
  const meta = fc.record({
    blockId: fc.record({
      streamId: text as fc.Arbitrary<StreamId>,
      receiverIndex: fc.nat(63),
      incarnation: fc.record({ epoch: fc.nat(), n: fc.nat() }),
      seq: fc.maxSafeNat(),
    }),
    recordCount: fc.nat(),
    codec: fc.constantFrom<BlockMeta['codec']>('ascii', 'utf8', 'msgpack'),
    positions: fc.array(
      fc.record({ partition: text, follows: fc.oneof(value, fc.constant(null)), last: value }),
      { maxLength: 4 },
    ),
    sourceIds: fc.array(fc.record({ key: text, digest: text, recordCount: fc.nat() }), {
      maxLength: 4,
    }),
    isBuffered: fc.boolean(),
  });
  const property = fc.property(meta, fc.uint8Array({ maxLength: 5_000 }), (given, bin) => {
    const { payload } = seal(bin, given);
    expect(readBlockMeta(payload, msgpackCodec)).toEqual({ ...given, binBytes: bin.byteLength });
    expect(Buffer.compare(binOfPayload(payload), bin)).toBe(0);
  });
  fc.assert(property, { seed, numRuns: 200 });
});

describe('a malformed payload', () => {
  const { payload: good } = seal(Uint8Array.of(1, 2, 3, 4));
  const changed = (index: number, byte: number): Uint8Array =>
    new Uint8Array(good).with(index, byte);
  const withCode = (code: string): unknown => expect.objectContaining({ code });

  it.each<[string, Uint8Array]>([
    ['is empty', new Uint8Array(0)],
    ['ends within its first bytes', good.subarray(0, 6)],
    ['is no array', changed(0, 0x97)],
    ['has no schema', changed(1, 0xcd)],
    ['has no bin', changed(3, 0xc5)],
    ['says more bytes than it has', changed(5, 1)],
    ['says far more bytes than it has', changed(4, 0xff)],
  ])('that %s is damage', (_name, payload) => {
    expect(() => binOfPayload(payload)).toThrow(withCode('WAL_CORRUPT'));
    expect(() => readBlockMeta(payload, msgpackCodec)).toThrow(withCode('WAL_CORRUPT'));
  });

  it('of a newer schema is not damage', () => {
    expect(() => binOfPayload(changed(2, 2))).toThrow(withCode('FORMAT_UNKNOWN'));
  });

  it.each([
    ['is cut short', good.subarray(0, good.byteLength - 1)],
    ['goes on', Buffer.concat([good, Buffer.of(0)])],
  ])('that %s behind its bin is damage', (_name, payload) => {
    expect(() => readBlockMeta(payload, msgpackCodec)).toThrow(withCode('WAL_CORRUPT'));
  });

  const elements = ['lines-0', 1, 3, 2, 17];
  it.each<[string, unknown[]]>([
    ['a block id that is no array', ['lines-0', 2, 'utf8', [], [], true]],
    ['a block id that is too short', [elements.slice(1), 2, 'utf8', [], [], true]],
    ['a stream that is no text', [elements.with(0, 7), 2, 'utf8', [], [], true]],
    ['a sequence number with a fraction', [elements.with(4, 0.5), 2, 'utf8', [], [], true]],
    ['a negative count', [elements, -1, 'utf8', [], [], true]],
    ['an unknown codec', [elements, 2, 'latin1', [], [], true]],
    ['positions that are no array', [elements, 2, 'utf8', {}, [], true]],
    ['a position range that is no tuple', [elements, 2, 'utf8', [5], [], true]],
    ['a position that is an object', [elements, 2, 'utf8', [['p', null, {}]], [], true]],
    ['source ids that are no array', [elements, 2, 'utf8', [], 0, true]],
    ['a source id without a count', [elements, 2, 'utf8', [], [['k', 'd']], true]],
    ['a flag that is none', [elements, 2, 'utf8', [], [], 1]],
    ['an element too few', [elements, 2, 'utf8', [], []]],
  ])('with %s is damage', (_name, parts) => {
    const head = good.subarray(0, 12);
    const payload = Buffer.concat([head, ...parts.map((part) => msgpackCodec.pack(part))]);
    expect(() => readBlockMeta(payload, msgpackCodec)).toThrow(withCode('WAL_CORRUPT'));
  });
});

describe('sizes', () => {
  it.each([
    [0, 0],
    [1, 4096],
    [4096, 4096],
    [4097, 8192],
  ])('a slot for %i bytes has %i', (bytes, aligned) => expect(alignSlot(bytes)).toBe(aligned));

  it.each([
    [0, 0, 0],
    [1, 1, 8],
    [4, 2, 12],
    [5, 0, 8],
  ])('a bin of %i bytes and %i records has %i', (data, count, bytes) => {
    expect(binLengthBytes(data, count)).toBe(bytes);
  });
});
