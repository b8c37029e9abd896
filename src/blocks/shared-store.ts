/** Shuffle pieces and results: written once by a task, read by other threads, freed by batch.
 *
 * A piece lies in the arena's task region; when that has no room, it goes to a file of the run's
 * spill directory, so that memory stays bounded whatever a shuffle weighs. The driver frees both.
 * Spill files are scratch: never synced, and gone with the run. @module */
import { mkdirSync, openSync, closeSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { MillraceError } from '../core/errors.ts';
import type { BlockArena } from './block-arena.ts';
import type { SharedBytes } from './block-ref.ts';

export class SharedStore {
  readonly #arena: BlockArena;
  readonly #owner: number;
  readonly #spillDirectory: string;
  #extentIndex: number | undefined;
  #at = 0;
  #end = 0;
  #spillSeq = 0;

  /** @param owner positive id of the task attempt, unique in this run.
   * @param spillDirectory made when it is first needed. */
  constructor(arena: BlockArena, owner: number, spillDirectory: string) {
    this.#arena = arena;
    this.#owner = owner;
    this.#spillDirectory = spillDirectory;
  }

  /** Copies `bytes` to where other threads can read them. The caller of the task owns the result:
   * one reference per piece, to be freed with `freeShared`. */
  write(bytes: Uint8Array): SharedBytes {
    const room = this.#end - this.#at;
    if (bytes.byteLength > room && !this.#openExtents(bytes.byteLength)) return this.spill(bytes);
    const extentIndex = this.#extentIndex as number;
    const offsetBytes = this.#at;
    this.#arena.bytes.set(bytes, offsetBytes);
    // Pieces start on multiples of 8, so that number arrays in them can be viewed in place.
    this.#at += Math.ceil(bytes.byteLength / 8) * 8;
    this.#arena.hold(extentIndex);
    return { kind: 'arena', extentIndex, offsetBytes, lengthBytes: bytes.byteLength };
  }

  /** Ends writing: the task keeps no reference of its own. Call it exactly once, on every path. */
  close(): void {
    if (this.#extentIndex !== undefined) this.#arena.drop(this.#extentIndex);
    this.#extentIndex = undefined;
    this.#at = this.#end = 0;
  }

  #openExtents(bytes: number): boolean {
    const { extentBytes } = this.#arena.handle;
    const extents = Math.ceil(bytes / extentBytes);
    if (extents > this.#arena.runExtentsMax('tasks')) return false;
    const index = this.#arena.acquire('tasks', this.#owner, extents);
    if (index === undefined) return false;
    this.close();
    this.#extentIndex = index;
    this.#at = index * extentBytes;
    this.#end = (index + extents) * extentBytes;
    return true;
  }

  /** Like `write`, to a file of the spill directory. */
  spill(bytes: Uint8Array): SharedBytes {
    mkdirSync(this.#spillDirectory, { recursive: true });
    const path = join(this.#spillDirectory, `${this.#owner}-${this.#spillSeq}.spill`);
    this.#spillSeq += 1;
    const fd = openSync(path, 'wx');
    try {
      let at = 0;
      while (at < bytes.byteLength) at += writeSync(fd, bytes, at, bytes.byteLength - at, at);
    } finally {
      closeSync(fd);
    }
    return { kind: 'file', path, offsetBytes: 0, lengthBytes: bytes.byteLength };
  }
}

/** The bytes of a piece: a view for the arena, a copy for a spill file. */
export function readShared(arena: BlockArena, shared: SharedBytes): Uint8Array {
  const { offsetBytes, lengthBytes } = shared;
  if (shared.kind === 'arena') return arena.bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
  const bytes = Buffer.allocUnsafeSlow(lengthBytes);
  const fd = openSync(shared.path, 'r');
  try {
    let at = 0;
    while (at < lengthBytes) {
      const count = readSync(fd, bytes, at, lengthBytes - at, offsetBytes + at);
      if (count === 0) {
        throw new MillraceError('DISK_FAILED', `spill file ${shared.path} is shorter than written`);
      }
      at += count;
    }
  } finally {
    closeSync(fd);
  }
  return bytes;
}

/** Driver: frees a piece, after every task that reads it has ended. */
export function freeShared(arena: BlockArena, shared: SharedBytes): void {
  if (shared.kind === 'arena') arena.drop(shared.extentIndex);
  else unlinkSync(shared.path);
}
