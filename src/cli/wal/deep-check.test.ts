/** @module */
import { expect, it } from 'vitest';
import {
  packTrailer,
  sealSlot,
  BIN_OFFSET_BYTES,
  SLOT_HEADER_BYTES,
} from '../../blocks/block-layout.ts';
import type { Lsn, StreamId } from '../../core/ids.ts';
import type { RecordCodec } from '../../serde/codec.ts';
import { msgpackCodec } from '../../serde/msgpack-codec.ts';
import { DeepCheck } from './deep-check.ts';

const LOG = 'receiver-log-0';

/** Payload of a block with one record. */
function block(codec: RecordCodec, record: readonly number[]): Buffer {
  const tableAt = Math.ceil(record.length / 4) * 4;
  const slot = new Uint8Array(4096);
  slot.set(record, BIN_OFFSET_BYTES);
  new DataView(slot.buffer).setUint32(BIN_OFFSET_BYTES + tableAt, record.length, true);
  const incarnation = { epoch: 1, n: 1 };
  const blockId = { streamId: 's' as StreamId, receiverIndex: 0, incarnation, seq: 0 };
  const meta = { blockId, recordCount: 1, codec, positions: [], sourceIds: [], isBuffered: true };
  const payloadBytes = sealSlot(slot, tableAt + 4, packTrailer(meta, msgpackCodec));
  return Buffer.from(slot.buffer, SLOT_HEADER_BYTES, payloadBytes);
}

/** What the check says of payloads, each with the log it stands in. */
function check(...payloads: readonly (readonly [string, Uint8Array])[]): readonly string[] {
  const deep = new DeepCheck(msgpackCodec);
  payloads.forEach(([log, payload], index) => {
    const place = { segmentSeq: 1, path: 'a.wal', offsetBytes: 4096, payloadBytes: 0 };
    const lsn = (log === LOG ? 1 : index + 1) as Lsn;
    const record = { lsn, type: 1 as const, durableLsn: 0 as Lsn, payloadCrc: 77, ...place };
    deep.visit(log, record, Buffer.from(payload));
  });
  return deep.problems;
}

function added(payloadCrc: number): Uint8Array {
  const position = [LOG, 1, 1, 4096, 45, payloadCrc];
  const tuple = ['s', 0, 1, 1, 0, 1, 'ascii', 8, 'sync', position, [], [], true];
  return msgpackCodec.pack([1, 1, tuple]);
}

it('takes sound blocks of every codec', () => {
  const messages = msgpackCodec.pack({ a: 1 });
  expect(check([LOG, block('ascii', [65, 66])])).toEqual([]);
  expect(check([LOG, block('utf8', [0xc3, 0xa9])])).toEqual([]);
  expect(check([LOG, block('msgpack', [...messages])])).toEqual([]);
});

it('finds what no CRC can tell', () => {
  expect(check([LOG, block('ascii', [0xc3, 0xa9])])).toEqual([expect.stringContaining('ASCII')]);
  expect(check([LOG, block('utf8', [0xc3, 65])])).toEqual([expect.stringContaining('UTF-8')]);
  expect(check([LOG, block('msgpack', [0x92, 1])])).toHaveLength(1);
  expect(check(['driver-log', msgpackCodec.pack([1, 9, 0])])).toHaveLength(1);
});

it('compares what the driver log has registered with what is there', () => {
  const payload = block('ascii', [65]);
  expect(check(['driver-log', added(77)], [LOG, payload])).toEqual([]);
  expect(check(['driver-log', added(78)], [LOG, payload])).toEqual([
    expect.stringContaining('registered'),
  ]);
});
