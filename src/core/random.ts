/** Randomness, injected: the engine draws from this interface and never from the runtime.
 *
 * The only importer of real randomness in the engine; tests, simulation and generated records use a
 * seeded sequence, so that one printed seed replays a run. Not for secrets.
 * @module */
import { randomBytes } from 'node:crypto';

export interface Random {
  /** The next number of the sequence, 0 ≤ n < 1. */
  next(): number;
}

/** The runtime's generator. Cannot be replayed. */
export const systemRandom: Random = { next: () => Math.random() };

/** A name that nothing else has, 32 hexadecimal digits: for what must differ between directories
 * and processes. Cannot be replayed: a simulation hands in names of its own. */
export function uniqueId(): string {
  return randomBytes(16).toString('hex');
}

const UINT32_RANGE = 0x1_0000_0000;

/** A sequence that depends on the seed alone, equal on every machine. Each call starts it anew.
 *
 * A Weyl counter through the 32-bit finalizer of MurmurHash3: 2^32 numbers before it repeats.
 * @param seed any number; the lowest 32 bits of its integer part count. */
export function seededRandom(seed: number): Random {
  let counter = seed | 0;
  return {
    next() {
      counter = (counter + 0x9e37_79b9) | 0;
      return mix(counter) / UINT32_RANGE;
    },
  };
}

/** Spreads every input bit over all 32 output bits. @returns 0 … 2^32 − 1. */
function mix(bits: number): number {
  let hash = bits ^ (bits >>> 16);
  hash = Math.imul(hash, 0x85eb_ca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
