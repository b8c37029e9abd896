/** A partition of keyed state against a Map. @module */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scaled, seedNote, simSeed } from '../../test/support/sim-runs.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { ChunkPool } from './chunk-pool.ts';
import { DeltaWriter } from './delta-writer.ts';
import { KeyEncoder } from './key-encoder.ts';
import { CHUNK_BYTES_MAX, NO_ADDRESS } from './state-entry.ts';
import { StatePartition } from './state-partition.ts';
import { StateReader } from './state-reader.ts';
import type { StateHandle } from './state-reader.ts';
import { StateValues } from './state-value.ts';

const HASH_SEED = 7;
const options = { seed: HASH_SEED, hasExpiry: true };

interface Touch {
  readonly key: unknown;
  /** Absent: the key goes. */
  readonly value?: unknown;
}

/** As a task does it: each key at most once. */
function deltaOf(handle: StateHandle, touches: readonly Touch[], timeMs: number): Uint8Array {
  const reader = new StateReader(handle);
  const keys = new KeyEncoder(msgpackCodec, handle.seed);
  const values = new StateValues(msgpackCodec);
  const delta = new DeltaWriter(timeMs);
  for (const { key, value } of touches) {
    keys.encode(key);
    const { hash, bytes, lengthBytes } = keys;
    const replaces = reader.find(hash, bytes, lengthBytes);
    if (value !== undefined) {
      values.encode(value);
      delta.put({ hash, bytes, lengthBytes, replaces }, values);
    } else if (replaces !== NO_ADDRESS) delta.remove({ hash, bytes, lengthBytes, replaces });
  }
  return delta.finish() ?? new Uint8Array();
}

function contentOf(handle: StateHandle): Map<unknown, unknown> {
  const reader = new StateReader(handle);
  const content = new Map<unknown, unknown>();
  reader.forEach((address) => {
    const key = msgpackCodec.unpack(reader.keyOf(address));
    expect(content.has(key), `key ${String(key)} is there twice`).toBe(false);
    content.set(key, msgpackCodec.unpack(reader.valueOf(address)));
  });
  return content;
}

const key = fc.oneof(fc.nat(40), fc.string({ maxLength: 3 }), fc.bigInt({ min: -3n, max: 3n }));
const touch = fc.record(
  {
    key,
    value: fc.oneof(fc.nat(), fc.string({ maxLength: 200 }), fc.constant('x'.repeat(70_000))),
  },
  { requiredKeys: ['key'] },
);
const batches = fc.array(fc.uniqueArray(touch, { selector: (each) => each.key, maxLength: 30 }), {
  maxLength: 25,
});

describe(`a partition of keyed state (${seedNote})`, () => {
  it('has after every change what a Map has, and frozen what it had', () => {
    const property = fc.property(batches, fc.nat(24), (script, frozenAt) => {
      const pool = new ChunkPool();
      const partition = new StatePartition(pool, options);
      const oracle = new Map<unknown, unknown>();
      const kept: [frozen: ReturnType<StatePartition['freeze']>, was: Map<unknown, unknown>][] = [];
      for (const [index, touches] of script.entries()) {
        partition.apply(deltaOf(partition.handle, touches, index));
        for (const { key: changed, value } of touches) {
          if (value === undefined) oracle.delete(changed);
          else oracle.set(changed, value);
        }
        expect(contentOf(partition.handle)).toEqual(oracle);
        expect(partition.keyCount).toBe(oracle.size);
        if (index === frozenAt) kept.push([partition.freeze(), new Map(oracle)]);
      }
      for (const [frozen, was] of kept) {
        expect(contentOf(frozen.handle)).toEqual(was);
        frozen.close();
      }
      partition.close();
      expect(pool.usedBytes).toBe(0);
    });
    fc.assert(property, { seed: simSeed, numRuns: scaled(150) });
  });

  it('tells which keys may be idle, until they are settled', () => {
    const idleMs = 3;
    const property = fc.property(batches, (script) => {
      const partition = new StatePartition(new ChunkPool(), options);
      const touched = new Map<unknown, number>();
      for (const [timeMs, touches] of script.entries()) {
        const threshold = timeMs - idleMs;
        const due = partition.due(threshold);
        const reader = new StateReader(partition.handle);
        const now = new Set<unknown>(touches.map((each) => each.key));
        const expired: unknown[] = [];
        for (const hash of due) {
          for (const address of reader.withHash(hash)) {
            const found = msgpackCodec.unpack(reader.keyOf(address));
            if (reader.touchedMs(address) < threshold && !now.has(found)) expired.push(found);
          }
        }
        const idle = [...touched].filter(([each, at]) => at < threshold && !now.has(each));
        expect(new Set(expired)).toEqual(new Set(idle.map(([each]) => each)));
        expect(expired.length).toBe(idle.length);
        const gone = expired.map((each) => ({ key: each }));
        partition.apply(deltaOf(partition.handle, [...touches, ...gone], timeMs));
        partition.settle(due, threshold);
        for (const each of gone) touched.delete(each.key);
        for (const { key: changed, value } of touches) {
          if (value === undefined) touched.delete(changed);
          else touched.set(changed, timeMs);
        }
      }
    });
    fc.assert(property, { seed: simSeed, numRuns: scaled(150) });
  });

  it('stays as large as what lives in it, however often that changes', () => {
    const pool = new ChunkPool();
    const partition = new StatePartition(pool, options);
    const touches = Array.from({ length: 1_000 }, (_, n) => ({ key: n, value: 'v'.repeat(1_000) }));
    let largest = 0;
    for (let timeMs = 0; timeMs < 100; timeMs += 1) {
      const due = partition.due(timeMs - 3);
      partition.apply(deltaOf(partition.handle, touches, timeMs));
      partition.settle(due, timeMs - 3);
      largest = Math.max(largest, pool.heldBytes);
    }
    expect(partition.liveBytes).toBeGreaterThan(1_000 * 1_000);
    // Twice the living, the garbage that is let be, and chunks of the sizes that it grew through.
    expect(largest).toBeLessThan(4 * partition.liveBytes + 3 * 1024 * 1024);
  });

  it('takes entries that are larger than a chunk, and small ones behind them', () => {
    const partition = new StatePartition(new ChunkPool(), options);
    const large = Buffer.alloc(CHUNK_BYTES_MAX + 10, 'l');
    const touches = [
      { key: 'a', value: 1 },
      { key: 'large', value: large },
      { key: 'b', value: 2 },
      { key: 'c', value: 3 },
    ];
    partition.apply(deltaOf(partition.handle, touches, 1));
    const content = contentOf(partition.handle);
    expect(large.equals(content.get('large') as Buffer)).toBe(true);
    expect([content.get('a'), content.get('b'), content.get('c')]).toEqual([1, 2, 3]);
  });

  it('gives its memory back when the last of its images is closed', () => {
    const pool = new ChunkPool();
    const partition = new StatePartition(pool, options);
    partition.apply(deltaOf(partition.handle, [{ key: 'k', value: 1 }], 1));
    const first = partition.freeze();
    const second = partition.freeze();
    first.close();
    expect(contentOf(second.handle)).toEqual(new Map([['k', 1]]));
    expect(contentOf(partition.handle)).toEqual(new Map([['k', 1]]));
    second.close();
    partition.close();
    expect(pool.usedBytes).toBe(0);
  });
});
