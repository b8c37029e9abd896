/** Numbers of touched keys against a Map. @module */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { check, scaled, seedNote, simSeed } from '../../test/support/sim-runs.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { ChunkPool } from './chunk-pool.ts';
import { DeltaWriter } from './delta-writer.ts';
import { hashBytes } from './key-encoder.ts';
import { NO_ADDRESS } from './state-entry.ts';
import { StatePartition } from './state-partition.ts';
import { StateReader } from './state-reader.ts';
import { TouchedKeys } from './touched-keys.ts';

const seed = simSeed;
const HASH_SEED = 7;
const key = fc.oneof(
  fc.nat(40),
  fc.string({ maxLength: 40 }),
  fc.tuple(fc.nat(3), fc.nat(3)),
  fc.bigInt({ min: -3n, max: 3n }),
);

/** A partition that has these keys, each with its number in the list as the value. */
function partitionWith(keys: readonly unknown[]): StatePartition {
  const partition = new StatePartition(new ChunkPool(), { seed: HASH_SEED, hasExpiry: false });
  const touched = new TouchedKeys(new StateReader(partition.handle), msgpackCodec);
  const delta = new DeltaWriter(0);
  for (const each of keys) {
    const before = touched.count;
    const number = touched.touch(each);
    const bytes = msgpackCodec.pack(number);
    const value = { bytes, lengthBytes: bytes.byteLength };
    if (number === before) delta.put(touched.placeOf(number), value);
  }
  partition.apply(delta.finish() ?? new Uint8Array());
  return partition;
}

/** How the codec writes a key: what tells keys apart. */
function textOf(each: unknown): string {
  return Buffer.from(msgpackCodec.pack(each)).toString('latin1');
}

it(`numbers each key once, and knows its entry (${seedNote})`, () => {
  const lists = fc.array(key, { maxLength: 60 });
  const property = fc.property(lists, lists, fc.nat(9), (kept, touches, size) => {
    // Enough to outgrow every first size.
    const more = size === 9 ? Array.from({ length: 3_000 }, (_, i) => `key-${i % 1_500}`) : [];
    const partition = partitionWith([...kept, ...more.slice(0, 700)]);
    const reader = new StateReader(partition.handle);
    const touched = new TouchedKeys(reader, msgpackCodec);
    const numbers = new Map<string, number>();
    for (const each of [...touches, ...more]) {
      const text = textOf(each);
      const expected = numbers.get(text) ?? numbers.size;
      numbers.set(text, expected);
      check(touched.touch(each) === expected, `${text} has another number`);
    }
    expect(touched.count).toBe(numbers.size);
    const addresses = new Set<number>();
    for (const [text, number] of numbers) {
      const { bytes, at = 0, lengthBytes, hash, replaces } = touched.placeOf(number);
      const written = Buffer.from(text, 'latin1');
      check(written.equals(bytes.subarray(at, at + lengthBytes)), `${text} has other bytes`);
      const address = reader.find(hash, written, lengthBytes);
      check(replaces === address, `${text} has another entry`);
      check(touched.addressOf(number) === address, `${text} has two entries`);
      if (replaces !== NO_ADDRESS) addresses.add(replaces);
    }
    reader.forEach((address) => {
      const bytes = reader.keyOf(address);
      const hash = hashBytes(bytes, bytes.byteLength, HASH_SEED);
      check(touched.has(hash, address) === addresses.has(address), 'an untouched key was touched');
    });
  });
  fc.assert(property, { seed, numRuns: scaled(200) });
});
