/** @module */
import { describe, expect, it } from 'vitest';
import type { RecordCodec } from '../serde/codec.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { recordsOfBin } from './block-records.ts';

/** A bin, somewhere within larger memory. */
function binOf(parts: readonly Uint8Array[], ends?: readonly number[], at = 8): Uint8Array {
  const data = Buffer.concat(parts);
  const tableAt = Math.ceil(data.byteLength / 4) * 4;
  let end = 0;
  const table = Uint32Array.from(ends ?? parts.map((part) => (end += part.byteLength)));
  const memory = new Uint8Array(at + tableAt + table.byteLength + 8).fill(0x2a);
  memory.set(data, at);
  memory.fill(0, at + data.byteLength, at + tableAt);
  memory.set(new Uint8Array(table.buffer), at + tableAt);
  return memory.subarray(at, at + tableAt + table.byteLength);
}

function read(bin: Uint8Array, codec: RecordCodec, recordCount: number): unknown[] {
  const found: unknown[] = [];
  const records = recordsOfBin(bin, { codec, recordCount }, msgpackCodec);
  expect(records.count).toBe(recordCount);
  records.forEach((record) => found.push(record));
  return found;
}

const bytes = (...texts: string[]): Uint8Array[] => texts.map((text) => Buffer.from(text));

describe('recordsOfBin', () => {
  it.each<[RecordCodec, string[]]>([
    ['ascii', ['one', '', 'a\nb\r\n', 'x'.repeat(1_000)]],
    ['ascii', Array.from({ length: 60 }, (_, n) => String(n).repeat((n * 7) % 40))],
    ['ascii', ['a'.repeat(511), 'b', 'c', 'd'.repeat(512), 'e'.repeat(513), 'f']],
    ['utf8', ['é', '', '日本\n', '𝄞', 'plain']],
  ])('reads %s texts as they are', (codec, texts) => {
    expect(read(binOf(bytes(...texts)), codec, texts.length)).toEqual(texts);
  });

  it('reads messages', () => {
    const values = [1, 'text', { a: [null, true] }, new Map([['k', 1n]])];
    const bin = binOf(values.map((value) => msgpackCodec.pack(value)));
    expect(read(bin, 'msgpack', values.length)).toEqual(values);
  });

  it('reads them again as often as it is asked', () => {
    const records = recordsOfBin(
      binOf(bytes('a', 'b')),
      { codec: 'ascii', recordCount: 2 },
      msgpackCodec,
    );
    const found: unknown[] = [];
    records.forEach((record) => found.push(record));
    records.forEach((record) => found.push(record));
    expect(found).toEqual(['a', 'b', 'a', 'b']);
  });

  it('reads a block of nothing but empty texts', () => {
    expect(read(binOf(bytes('', '', '')), 'ascii', 3)).toEqual(['', '', '']);
  });

  it.each<[string, Uint8Array, number]>([
    ['more records than bytes', binOf(bytes('abcd')), 3],
    ['a negative count', binOf(bytes('abcd')), -1],
    ['ends that fall', binOf(bytes('abcd', 'efgh'), [8, 4]), 2],
    ['an end within the table', binOf(bytes('abcd'), [5]), 1],
    ['an end far away', binOf(bytes('abcd'), [0xffff_ffff]), 1],
    ['a table that is not aligned', binOf(bytes('abcd'), undefined, 9), 1],
  ])('refuses %s', (_name, bin, recordCount) => {
    expect(() => recordsOfBin(bin, { codec: 'ascii', recordCount }, msgpackCodec)).toThrow(
      expect.objectContaining({ code: 'WAL_CORRUPT' }),
    );
  });
});
