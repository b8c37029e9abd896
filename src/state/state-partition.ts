/** One hash partition of one stateful operator, as its owner, the driver, keeps it.
 *
 *     apply(delta)  ─►  entries appended to the last chunk ─►  index slots turned to them
 *                       what they replaced is garbage ─► chunks with most of it are compacted
 *
 * Entries never change and chunks are only appended to, so an image of the index with the chunks of
 * one moment stays what it is while batches go on (`freeze`). A change costs its touched keys:
 * copies of runs of bytes, no key is compared or decoded. Garbage is at most as much as what lives,
 * and a megabyte. Tasks read through `handle` (state-reader.ts) between two changes.
 * @module */
import { assert, present } from '../core/assert.ts';
import type { ChunkPool } from './chunk-pool.ts';
import { ExpiryTimers } from './expiry-timers.ts';
import {
  addressOf,
  CHUNK_BYTES_MAX,
  CHUNKS_MAX,
  chunkOf,
  EntryCursor,
  entryBytes,
  NO_ADDRESS,
  offsetOf,
  REMOVED,
} from './state-entry.ts';
import { StateIndex } from './state-index.ts';
import type { StateHandle } from './state-reader.ts';

const FIRST_CHUNK_BYTES = 64 * 1024;
const GARBAGE_BYTES_FEW = 1024 * 1024;

interface Chunk {
  readonly memory: SharedArrayBuffer;
  readonly bytes: Buffer;
  readonly view: DataView;
  usedBytes: number;
  liveBytes: number;
}

/** A partition as it was at one moment. */
export interface FrozenPartition {
  readonly handle: StateHandle;
  readonly keyCount: number;
  readonly liveBytes: number;
  /** Gives its memory back. Exactly once. */
  close(): void;
}

export class StatePartition {
  readonly #pool: ChunkPool;
  readonly #seed: number;
  readonly #index: StateIndex;
  readonly #chunks: (Chunk | undefined)[] = [];
  readonly #timers: ExpiryTimers | undefined;
  #last = -1;
  #usedBytes = 0;
  #liveBytes = 0;

  /** @param options hasExpiry: keys may expire, so timers are kept; keys: so many are about to
   *   come. */
  constructor(
    pool: ChunkPool,
    {
      seed,
      hasExpiry,
      keys = 0,
    }: { readonly seed: number; readonly hasExpiry: boolean; readonly keys?: number },
  ) {
    this.#pool = pool;
    this.#seed = seed;
    this.#index = new StateIndex(pool, keys);
    this.#timers = hasExpiry ? new ExpiryTimers() : undefined;
  }

  get keyCount(): number {
    return this.#index.count;
  }

  /** Bytes of the entries that count. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** For tasks; good until the next change. */
  get handle(): StateHandle {
    const chunks = this.#chunks.map((chunk) => chunk?.memory ?? null);
    return { index: this.#index.memory, chunks, seed: this.#seed };
  }

  /** Hashes of keys that may have been touched last before `thresholdMs`. */
  due(thresholdMs: number): Uint32Array {
    return this.#timers?.due(thresholdMs) ?? new Uint32Array();
  }

  /** Takes over what a task changed, or entries of a snapshot, whose `replaces` are NO_ADDRESS. */
  apply(delta: Uint8Array): void {
    const cursor = new EntryCursor(delta);
    let runStart = 0;
    while (cursor.advance()) {
      const { at, next, hash, replaces } = cursor;
      if (cursor.valueBytes === REMOVED) {
        this.#copyRun(delta.subarray(runStart, at));
        runStart = next;
        this.#index.remove(hash, replaces);
        this.#discard(replaces);
        continue;
      }
      if (!this.#hasRoom(next - at, at - runStart)) {
        this.#copyRun(delta.subarray(runStart, at));
        runStart = at;
        this.#openChunk(next - at);
      }
      const address = addressOf(this.#last, this.#lastChunk.usedBytes + at - runStart);
      if (replaces === NO_ADDRESS) {
        this.#index.insert(hash, address);
        this.#timers?.add(hash, cursor.touchedMs);
      } else {
        this.#index.replace(hash, replaces, address);
        this.#discard(replaces);
      }
    }
    this.#copyRun(delta.subarray(runStart));
    this.#compact();
  }

  /** Timers before `thresholdMs` have been looked at, and what was due has been removed. The others
   * move to the last touch of their keys. */
  settle(due: Uint32Array, thresholdMs: number): void {
    const timers = this.#timers;
    if (timers === undefined) return;
    timers.take(thresholdMs);
    const cells = new Uint32Array(this.#index.memory);
    const mask = cells.length / 2 - 1;
    for (const hash of due) {
      let earliestMs = Infinity;
      for (let slot = hash & mask; cells[2 * slot + 1] !== 0; slot = (slot + 1) & mask) {
        if (cells[2 * slot] !== hash) continue;
        earliestMs = Math.min(earliestMs, this.#touchedMs((cells[2 * slot + 1] as number) - 1));
      }
      if (earliestMs !== Infinity) timers.add(hash, earliestMs);
    }
    if (timers.isCrowded(this.keyCount)) this.#makeTimers(timers, cells);
  }

  /** The partition as it is now, which stays while batches go on. */
  freeze(): FrozenPartition {
    const { index, chunks, seed } = this.handle;
    const copy = this.#pool.acquire(index.byteLength);
    new Uint8Array(copy).set(new Uint8Array(index));
    for (const chunk of chunks) if (chunk !== null) this.#pool.hold(chunk);
    return {
      handle: { index: copy, chunks, seed },
      keyCount: this.keyCount,
      liveBytes: this.#liveBytes,
      close: () => {
        this.#pool.drop(copy);
        for (const chunk of chunks) if (chunk !== null) this.#pool.drop(chunk);
      },
    };
  }

  /** No task may read it any more. */
  close(): void {
    this.#index.close();
    for (const chunk of this.#chunks) if (chunk !== undefined) this.#pool.drop(chunk.memory);
    this.#chunks.length = 0;
  }

  get #lastChunk(): Chunk {
    return this.#chunkAt(this.#last);
  }

  #chunkAt(index: number): Chunk {
    return present(this.#chunks[index], 'a chunk of keyed state');
  }

  #touchedMs(address: number): number {
    return this.#chunkAt(chunkOf(address)).view.getFloat64(offsetOf(address) + 16, true);
  }

  /** @param aheadBytes that will be copied there before. */
  #hasRoom(bytes: number, aheadBytes = 0): boolean {
    const last = this.#chunks[this.#last];
    if (last === undefined) return false;
    const start = last.usedBytes + aheadBytes;
    return start < CHUNK_BYTES_MAX && start + bytes <= last.memory.byteLength;
  }

  /** A quarter of what lives, so that a small state takes little. */
  #openChunk(bytes: number): void {
    const quarter = Math.max(this.#liveBytes / 4, FIRST_CHUNK_BYTES);
    const memory = this.#pool.acquire(Math.max(bytes, Math.min(quarter, CHUNK_BYTES_MAX)));
    const chunk = { memory, bytes: Buffer.from(memory), view: new DataView(memory) };
    const free = this.#chunks.indexOf(undefined);
    this.#last = free === -1 ? this.#chunks.length : free;
    assert(
      this.#last < CHUNKS_MAX,
      'a partition of keyed state has 32 GiB: give it more partitions',
    );
    this.#chunks[this.#last] = { ...chunk, usedBytes: 0, liveBytes: 0 };
  }

  #copyRun(run: Uint8Array): void {
    if (run.byteLength === 0) return;
    const chunk = this.#lastChunk;
    chunk.bytes.set(run, chunk.usedBytes);
    chunk.usedBytes += run.byteLength;
    chunk.liveBytes += run.byteLength;
    this.#usedBytes += run.byteLength;
    this.#liveBytes += run.byteLength;
  }

  /** The entry is nobody's any more. */
  #discard(address: number): void {
    const chunk = this.#chunkAt(chunkOf(address));
    const at = offsetOf(address);
    const bytes = entryBytes(
      chunk.view.getUint32(at + 4, true),
      chunk.view.getUint32(at + 8, true),
    );
    chunk.liveBytes -= bytes;
    this.#liveBytes -= bytes;
  }

  #compact(): void {
    while (this.#usedBytes > 2 * this.#liveBytes + GARBAGE_BYTES_FEW) {
      const worst = this.#worstChunk();
      if (worst === -1) return;
      this.#moveLiving(worst);
    }
  }

  /** The one with the smallest part of living bytes, but for the one that is being filled. */
  #worstChunk(): number {
    let worst = -1;
    let worstShare = 1;
    for (const [index, chunk] of this.#chunks.entries()) {
      if (chunk === undefined || index === this.#last) continue;
      const share = chunk.liveBytes / chunk.usedBytes;
      if (share < worstShare) [worst, worstShare] = [index, share];
    }
    return worst;
  }

  #moveLiving(index: number): void {
    const chunk = this.#chunkAt(index);
    const used = chunk.bytes.subarray(0, chunk.usedBytes);
    const cursor = new EntryCursor(used);
    while (cursor.advance()) {
      const before = addressOf(index, cursor.at);
      if (!this.#index.has(cursor.hash, before)) continue;
      const bytes = cursor.next - cursor.at;
      if (!this.#hasRoom(bytes)) this.#openChunk(bytes);
      this.#index.replace(cursor.hash, before, addressOf(this.#last, this.#lastChunk.usedBytes));
      this.#copyRun(used.subarray(cursor.at, cursor.next));
      this.#liveBytes -= bytes; // the same bytes, elsewhere
    }
    this.#usedBytes -= chunk.usedBytes;
    this.#chunks[index] = undefined;
    this.#pool.drop(chunk.memory);
  }

  #makeTimers(timers: ExpiryTimers, cells: Uint32Array): void {
    timers.clear();
    for (let i = 0; i < cells.length; i += 2) {
      const cell = cells[i + 1] as number;
      if (cell !== 0) timers.add(cells[i] as number, this.#touchedMs(cell - 1));
    }
  }
}
