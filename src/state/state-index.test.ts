/** The index against a Map, with hashes that crowd around the end of its memory. @module */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { scaled, seedNote, simSeed } from '../../test/support/sim-runs.ts';
import { ChunkPool } from './chunk-pool.ts';
import { StateIndex } from './state-index.ts';

const SLOTS = 1024;
const hash = fc.oneof(fc.integer({ min: SLOTS - 4, max: SLOTS + 3 }), fc.nat(4));
const step = fc.record({
  kind: fc.constantFrom('insert', 'remove', 'replace'),
  hash,
  pick: fc.nat(),
});

it(`finds every entry, however their slots collide (${seedNote})`, () => {
  const property = fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
    const index = new StateIndex(new ChunkPool());
    const oracle = new Map<number, number>();
    for (const [address, { kind, hash: ofKey, pick }] of steps.entries()) {
      const [chosen, itsHash] = [...oracle][pick % Math.max(1, oracle.size)] ?? [];
      if (kind === 'insert' || chosen === undefined || itsHash === undefined) {
        index.insert(ofKey, address);
        oracle.set(address, ofKey);
      } else if (kind === 'remove') {
        index.remove(itsHash, chosen);
        oracle.delete(chosen);
        expect(index.has(itsHash, chosen)).toBe(false);
      } else {
        index.replace(itsHash, chosen, address);
        oracle.delete(chosen);
        oracle.set(address, itsHash);
      }
      for (const [at, its] of oracle) expect(index.has(its, at), `entry ${at}`).toBe(true);
      expect(index.count).toBe(oracle.size);
    }
  });
  fc.assert(property, { seed: simSeed, numRuns: scaled(500) });
});

it('keeps every entry while it grows', () => {
  const pool = new ChunkPool();
  const index = new StateIndex(pool);
  for (let n = 0; n < 10 * SLOTS; n += 1) index.insert(Math.imul(n, 0x9e37_79b1) >>> 0, n);
  for (let n = 0; n < 10 * SLOTS; n += 1) {
    expect(index.has(Math.imul(n, 0x9e37_79b1) >>> 0, n)).toBe(true);
  }
  index.close();
  expect(pool.usedBytes).toBe(0);
});

it('refuses to change what is not there', () => {
  const index = new StateIndex(new ChunkPool());
  index.insert(1, 5);
  expect(() => index.remove(1, 6)).toThrow(/names an entry that is not there/);
});
