/** The byte format of version 1, pinned: if one of these changes, it is another format. @module */
import { describe, expect, it } from 'vitest';
import type { Lsn } from '../core/ids.ts';
import {
  decodeRecordHeader,
  encodeRecordHeader,
  headerSeed,
  nextOffset,
  readUint64,
  writeUint64,
} from './record-header.ts';
import type { RecordHeader } from './record-header.ts';
import { decodeSegmentHeader, encodeSegmentHeader, segmentSalt } from './segment-header.ts';
import type { SegmentHeader } from './segment-header.ts';
import { parseSegmentName, parseSpareName, segmentName, spareName } from './segment-name.ts';

const record: RecordHeader = {
  type: 1,
  isRoundedUp: true,
  payloadBytes: 1_000,
  payloadCrc: 0x1234_5678,
  lsn: 42 as Lsn,
  durableLsn: 40 as Lsn,
};
const SEED = headerSeed(0xdead_beef, 8192);

describe('a record header', () => {
  it('has these bytes', () => {
    expect(Buffer.from(encodeRecordHeader(record, SEED)).toString('hex')).toBe(
      '01014d52e8030000223c6785785634122a000000000000002800000000000000',
    );
  });

  it('reads back equal, also above 32 bits', () => {
    const large = { ...record, lsn: (2 ** 40 + 7) as Lsn, durableLsn: (2 ** 40 + 6) as Lsn };
    const bytes = Buffer.concat([Buffer.alloc(8), encodeRecordHeader(large, SEED)]);
    expect(decodeRecordHeader(bytes, 8, SEED)).toEqual(large);
  });

  it('is void at another offset and with another salt, whatever they are', () => {
    const bytes = Buffer.from(encodeRecordHeader(record, SEED));
    expect(decodeRecordHeader(bytes, 0, headerSeed(0xdead_beef, 8200))).toBeUndefined();
    expect(decodeRecordHeader(bytes, 0, headerSeed(0xdead_beee, 8192))).toBeUndefined();
  });

  it('is not found in zeros', () => {
    expect(decodeRecordHeader(Buffer.alloc(32), 0, SEED)).toBeUndefined();
  });

  it('of an unknown type or flag is told apart from a bad one', () => {
    const next = { ...record, type: 4 } as unknown as RecordHeader; // a later version's
    expect(decodeRecordHeader(Buffer.from(encodeRecordHeader(next, SEED)), 0, SEED)).toBe(
      'unknown',
    );
  });

  it('is followed by the next one on 8 bytes, or on a page', () => {
    expect(nextOffset({ ...record, isRoundedUp: false, payloadBytes: 1 }, 4096)).toBe(4136);
    expect(nextOffset(record, 4096)).toBe(8192);
  });
});

const segment: SegmentHeader = {
  logId: '00112233445566778899aabbccddeeff',
  epoch: 3,
  seq: 9,
  baseLsn: 1_001 as Lsn,
  segmentBytes: 64 * 1024 * 1024,
  isGrowing: false,
  previousLastLsn: 1_000 as Lsn,
  durableLsn: 1_004 as Lsn,
  previousHeaderCrc: 0xcafe_f00d,
  salt: 0x0bad_cafe,
};

describe('a segment header', () => {
  it('has these bytes, then zeros, then its CRC', () => {
    const page = Buffer.alloc(4096, 0xff);
    const crc = encodeSegmentHeader(segment, page);
    expect(page.toString('hex', 0, 88)).toBe(
      '4d52574c01000000000000000000000000112233445566778899aabbccddeeff' +
        '03000000000000000900000000000000e9030000000000000000000400000000' +
        'e803000000000000ec030000000000000df0fecafecaad0b',
    );
    expect(page.subarray(88, 4092).every((byte) => byte === 0)).toBe(true);
    expect(page.readUInt32LE(4092)).toBe(crc);
    expect(decodeSegmentHeader(page, 'x')).toEqual({ header: segment, crc });
  });

  it('never has the salt of another segment of its epoch', () => {
    const salts = Array.from({ length: 10_000 }, (_, seq) => segmentSalt({ ...segment, seq }));
    expect(new Set(salts).size).toBe(salts.length);
  });

  it('of a newer version is refused by name, a damaged one is not believed', () => {
    const page = Buffer.alloc(4096);
    encodeSegmentHeader(segment, page);
    page[200] = 1;
    expect(decodeSegmentHeader(page, 'x')).toBeUndefined();
    expect(decodeSegmentHeader(page.subarray(0, 100), 'x')).toBeUndefined();
  });
});

describe('file names', () => {
  it('sort like their numbers', () => {
    const names = [1, 9, 10, 255, 256, 2 ** 40].map((seq) => segmentName(seq));
    expect(names.toSorted()).toEqual(names);
    expect(names.map((name) => parseSegmentName(name))).toEqual([1, 9, 10, 255, 256, 2 ** 40]);
  });

  it('of other files are not taken for segments', () => {
    for (const name of ['0.wal', '000000000000000g.wal', '0000000000000001.wal.torn', 'LOCK']) {
      expect(parseSegmentName(name)).toBeUndefined();
    }
    expect(parseSpareName(spareName(12))).toBe(12);
    expect(parseSpareName('spare-.tmp')).toBeUndefined();
  });
});

it('64-bit numbers are little-endian and exact', () => {
  const bytes = Buffer.alloc(8);
  writeUint64(bytes, Number.MAX_SAFE_INTEGER, 0);
  expect(bytes.readBigUInt64LE()).toBe(BigInt(Number.MAX_SAFE_INTEGER));
  expect(readUint64(bytes, 0)).toBe(Number.MAX_SAFE_INTEGER);
});
