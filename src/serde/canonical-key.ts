/** Keys of pairs: which are equal, where they are kept while grouping, to which partition they go.
 *
 * Two keys are equal when their canonical msgpack messages are: keys of objects sorted, entries of
 * maps and sets sorted, −0 written as 0. Strings, numbers, booleans, bigints, null and undefined
 * are their own canonical form, because a JavaScript Map already tells them apart in just this way
 * (NaN = NaN, −0 = 0, 1 ≠ '1' ≠ 1n). Everything else goes through the codec.
 * The hash is fixed for good: state and shuffles of a replayed batch depend on it.
 * @module */
import type { Codec } from './codec.ts';

/** A map from keys, in the sense of this file, to values other than undefined. Not for keys
 * that change afterwards.
 *
 * In front of the Map of primitive keys stands a small cache of short strings. A Map has to hash
 * and compare each string anew: 46 ns for a word cut from a line, 26 ns with the cache in front
 * (Node 20, 1,000 different words). Colliding keys only miss the cache, so nobody can slow it down
 * with them. */
export class KeyMap<V> {
  readonly #codec: Codec;
  readonly #direct = new Map<unknown, V>();
  readonly #structured = new Map<string, { readonly key: unknown; value: V }>();
  // Slot i: a key of #direct, and its value. '' is never cached: it marks a free slot.
  readonly #cachedKeys: string[] = new Array<string>(CACHE_SLOTS).fill('');
  readonly #cachedValues: (V | undefined)[] = new Array<undefined>(CACHE_SLOTS).fill(undefined);

  constructor(codec: Codec) {
    this.#codec = codec;
  }

  get size(): number {
    return this.#direct.size + this.#structured.size;
  }

  get(key: unknown): V | undefined {
    if (typeof key === 'string' && isCached(key)) return this.#getShort(key);
    if (typeof key !== 'object' || key === null) return this.#direct.get(key);
    return this.#structured.get(canonicalText(key, this.#codec))?.value;
  }

  set(key: unknown, value: V): void {
    if (typeof key !== 'object' || key === null) {
      this.#direct.set(key, value);
      if (typeof key === 'string' && isCached(key)) this.#cache(key, value);
      return;
    }
    const text = canonicalText(key, this.#codec);
    const entry = this.#structured.get(text);
    if (entry === undefined) this.#structured.set(text, { key, value });
    else entry.value = value;
  }

  /** Primitive keys first, each group in the order in which its keys came first. */
  forEach(visit: (key: unknown, value: V) => void): void {
    for (const [key, value] of this.#direct) visit(key, value);
    for (const { key, value } of this.#structured.values()) visit(key, value);
  }

  #getShort(key: string): V | undefined {
    const slot = cacheSlot(key);
    if (this.#cachedKeys[slot] === key) return this.#cachedValues[slot];
    const value = this.#direct.get(key);
    if (value !== undefined) {
      this.#cachedKeys[slot] = key;
      this.#cachedValues[slot] = value;
    }
    return value;
  }

  #cache(key: string, value: V): void {
    const slot = cacheSlot(key);
    this.#cachedKeys[slot] = key;
    this.#cachedValues[slot] = value;
  }
}

const CACHE_SLOTS = 4_096;
/** Longer strings cost more to hash here than the cache saves. */
const CACHED_CHARS_MAX = 24;

function isCached(key: string): boolean {
  return key.length > 0 && key.length <= CACHED_CHARS_MAX;
}

function cacheSlot(key: string): number {
  const hash = textHash(key, TEXT_SEED);
  return (hash ^ (hash >>> 15)) & (CACHE_SLOTS - 1);
}

/** Which of `partitions` partitions a key belongs to: the same for equal keys, in every thread and
 * every run. @throws {MillraceError} RECORD_UNSUPPORTED for a key that the codec refuses. */
export function partitionOfKey(key: unknown, partitions: number, codec: Codec): number {
  return partitions === 1 ? 0 : keyHash(key, codec) % partitions;
}

/** 0 … 2^32 − 1. */
function keyHash(key: unknown, codec: Codec): number {
  switch (typeof key) {
    case 'string':
      return mix(textHash(key, TEXT_SEED));
    case 'number':
      return numberHash(key);
    case 'bigint':
      return mix(textHash(key.toString(), BIGINT_SEED));
    case 'boolean':
      return mix(key ? 1 : 2);
    case 'undefined':
      return mix(3);
    default:
      return key === null ? mix(4) : mix(textHash(canonicalText(key, codec), STRUCTURE_SEED));
  }
}

// Seeds keep '1', 1n and [1] from always sharing a partition.
const TEXT_SEED = 0x811c_9dc5;
const BIGINT_SEED = 0x9e37_79b9;
const STRUCTURE_SEED = 0x85eb_ca6b;

/** FNV-1a over UTF-16 units. */
function textHash(text: string, seed: number): number {
  let hash = seed;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193);
  return hash;
}

const numberView = new DataView(new ArrayBuffer(8));

function numberHash(value: number): number {
  if ((value | 0) === value) return mix(value | 0);
  // One hash for every NaN: its bits are not fixed by the language.
  if (Number.isNaN(value)) return mix(5);
  numberView.setFloat64(0, value, true);
  return mix(numberView.getInt32(0, true) ^ Math.imul(numberView.getInt32(4, true), 0x0100_0193));
}

/** Finalizer of MurmurHash3: without it the low bits, which choose the partition, are poor. */
function mix(bits: number): number {
  let hash = bits ^ (bits >>> 16);
  hash = Math.imul(hash, 0x85eb_ca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The canonical message of a key: equal bytes for equal keys, in every thread and every run. It
 * can be unpacked. @throws {MillraceError} RECORD_UNSUPPORTED for a key that the codec refuses. */
export function canonicalKeyBytes(key: unknown, codec: Codec): Uint8Array {
  // Any NaN that a computation gave is written as the one of the language.
  return codec.pack(Number.isNaN(key) ? Number.NaN : canonicalForm(key, codec));
}

/** The canonical message as text with one character per byte, fit to be a Map key. */
function canonicalText(key: unknown, codec: Codec): string {
  return latin1(codec.pack(canonicalForm(key, codec)));
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** Equal for values that differ only in the order of keys, or in the sign of zero. */
function canonicalForm(value: unknown, codec: Codec): unknown {
  if (typeof value === 'number') return value === 0 ? 0 : value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return Array.from(value, (part) => canonicalForm(part, codec));
  if (value instanceof Map) {
    const entries = [...value].map((entry) => entry.map((part) => canonicalForm(part, codec)));
    return new Map(sortedByBytes(entries, codec) as [unknown, unknown][]);
  }
  if (value instanceof Set) {
    return new Set(
      sortedByBytes(
        [...value].map((part) => canonicalForm(part, codec)),
        codec,
      ),
    );
  }
  return isPlain(value) ? sortedFields(value, codec) : canonicalInstance(value, codec);
}

/** A class instance comes back from the codec as a plain object: it is the key that this one is, so
 * that the same key has one partition before and after a shuffle. Dates and such stay what they
 * are. */
function canonicalInstance(value: object, codec: Codec): unknown {
  if (value instanceof Date || ArrayBuffer.isView(value)) return value;
  const read = codec.unpack(codec.pack(value));
  if (typeof read !== 'object' || read === null) return canonicalForm(read, codec);
  return isPlain(read) || Array.isArray(read) ? canonicalForm(read, codec) : read;
}

function sortedFields(value: object, codec: Codec): unknown {
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, part]) => [name, canonicalForm(part, codec)]));
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function sortedByBytes<T>(parts: readonly T[], codec: Codec): T[] {
  return parts
    .map((part) => ({ part, text: latin1(codec.pack(part)) }))
    .toSorted((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0))
    .map(({ part }) => part);
}
