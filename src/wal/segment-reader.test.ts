import { describe, expect, it } from 'vitest';
import { MillraceError } from '../core/errors.ts';
import { seededRandom } from '../core/random.ts';
import { Draw } from '../testing/draw.ts';
import type { DiskFile } from './disk.ts';
import { ReadMemory } from './read-memory.ts';
import { SegmentReader } from './segment-reader.ts';

const MIB = 1024 * 1024;
const PAGE = 4096;
const PATH = '/log/1.wal';

/** No two words of it are the same. */
const WORDS = new Uint32Array(7 * MIB);
for (let index = 0; index < WORDS.length; index += 1) WORDS[index] = index;
const CONTENT = Buffer.from(WORDS.buffer);

interface Call {
  readonly at: number;
  readonly bytes: number;
  settle(error?: Error): void;
}

/** A file in memory; its reads wait for the test where it says so. */
class MemoryFile implements DiskFile {
  readonly path = PATH;
  readonly content: Buffer;
  readonly calls: Call[] = [];
  isHeld = false;
  /** Where the next read ends, that would go beyond. */
  shortAt = Number.POSITIVE_INFINITY;
  readonly write = never;
  readonly sync = never;
  readonly syncAll = never;
  readonly sizeBytes = never;
  readonly close = never;
  /** Thrown once by a read that touches the byte. */
  failure: { readonly at: number; readonly errno: string } | undefined;

  constructor(bytes: number) {
    this.content = CONTENT.subarray(0, bytes);
  }

  read(into: Uint8Array, at: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const settle = (error?: Error): void => {
        if (error !== undefined) return reject(error);
        const isShort = this.shortAt > at && this.shortAt < at + into.byteLength;
        const part = this.content.subarray(at, isShort ? this.shortAt : at + into.byteLength);
        if (isShort) this.shortAt = Number.POSITIVE_INFINITY;
        into.set(part);
        return resolve(part.byteLength);
      };
      this.calls.push({ at, bytes: into.byteLength, settle });
      const { failure } = this;
      if (failure !== undefined && failure.at >= at && failure.at < at + into.byteLength) {
        this.failure = undefined;
        settle(lost(failure.errno));
      } else if (!this.isHeld) settle();
    });
  }
}

function never(): Promise<never> {
  return Promise.reject(new Error('nothing but reads'));
}

function lost(errno: string): MillraceError {
  const details = { path: PATH, call: 'read', errno };
  return new MillraceError('DISK_FAILED', `read of ${PATH} failed: ${errno}`, { details });
}

function open(bytes: number) {
  const file = new MemoryFile(bytes);
  const memory = new ReadMemory({ allocateAligned: (size) => new Uint8Array(size) });
  return { file, memory, reader: new SegmentReader(file, bytes, memory) };
}

function held(reader: SegmentReader, at: number, bytes: number): Buffer {
  return reader.bytes.subarray(at - reader.startBytes, at - reader.startBytes + bytes);
}

describe('a segment is read', () => {
  it.each([1, 2, 3])('whole, by records of any length (%i)', async (seed) => {
    const draw = new Draw(seededRandom(seed));
    const { file, reader, memory } = open(24 * MIB + 12);
    let at = PAGE;
    let largest = 0;
    while (at < file.content.byteLength) {
      const wanted = draw.chance(0.1) ? draw.below(7 * MIB) : draw.below(2 * MIB);
      const length = Math.min(1 + wanted, file.content.byteLength - at);
      largest = Math.max(largest, length);
      expect(await reader.moveTo(at, length)).toBe(true);
      expect(held(reader, at, length).equals(file.content.subarray(at, at + length))).toBe(true);
      at += length;
    }
    expect(await reader.moveTo(at, 1)).toBe(false);
    expect(memory.heldBytes).toBeLessThanOrEqual(12 * MIB + largest + 2 * PAGE);
  });

  it('each byte of it once, while records fit into a part', async () => {
    const { file, reader } = open(20 * MIB);
    for (let at = 0; at < 20 * MIB - 700_000; at += 700_000) await reader.moveTo(at, 700_000);
    expect(file.calls.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(20 * MIB);
  });

  it('two parts ahead of what is looked at, and not behind its end', async () => {
    const { file, reader } = open(7 * MIB);
    const calls = (): number[] => file.calls.map(({ at }) => at / MIB);
    await reader.moveTo(0, 100);
    expect(calls()).toEqual([0, 2, 4]);
    await reader.moveTo(2 * MIB - 50, 100);
    expect(calls()).toEqual([0, 2, 4, 6]);
    await reader.moveTo(4 * MIB - 50, 100);
    expect(calls()).toEqual([0, 2, 4, 6]);
  });

  it('by whole pages, also where the file does not end on one', async () => {
    const { file, reader } = open(3 * MIB + 100);
    await reader.moveTo(0, 100);
    expect(file.calls.map(({ bytes }) => bytes)).toEqual([2 * MIB, MIB + PAGE]);
    expect(await reader.moveTo(2 * MIB - 50, MIB + 150)).toBe(true);
    expect(reader.endBytes).toBe(3 * MIB + 100);
  });

  it('on from where a part ended, also when that was too early', async () => {
    const { file, reader } = open(20 * MIB);
    file.shortAt = 3 * MIB;
    await reader.moveTo(0, 100);
    await reader.moveTo(2 * MIB - 8, 100);
    expect(reader.endBytes).toBe(3 * MIB);
    expect(await reader.moveTo(3 * MIB - 8, 100)).toBe(true);
    const from = 3 * MIB - 8;
    expect(held(reader, from, 100).equals(file.content.subarray(from, from + 100))).toBe(true);
  });

  it('again from a place in front of the window', async () => {
    const { file, reader } = open(20 * MIB);
    await reader.moveTo(9 * MIB, 100);
    expect(await reader.moveTo(MIB, 8)).toBe(true);
    expect(held(reader, MIB, 8).equals(file.content.subarray(MIB, MIB + 8))).toBe(true);
  });
});

describe('a device that loses bytes', () => {
  it('is told where they were read ahead, also when it gives them back later', async () => {
    const { file, reader } = open(20 * MIB);
    file.failure = { at: 3 * MIB, errno: 'EIO' };
    expect(await reader.moveTo(0, 100)).toBe(true);
    expect(reader.fault).toBeUndefined();
    expect(await reader.moveTo(MIB, 2 * MIB)).toBe(true);
    expect(reader.fault).toMatchObject({ fromBytes: MIB, errno: 'EIO' });
  });

  it('is told also where a long record is read by itself', async () => {
    const { file, reader } = open(20 * MIB);
    file.failure = { at: 5 * MIB, errno: 'EIO' };
    await reader.moveTo(0, 100);
    expect(await reader.moveTo(MIB, 9 * MIB)).toBe(true);
    expect(reader.fault).toEqual({ fromBytes: 4 * MIB, toBytes: 6 * MIB, errno: 'EIO' });
  });

  it('is another thing than a read that could not be made, which is made again', async () => {
    const { file, reader } = open(20 * MIB);
    file.failure = { at: 5 * MIB, errno: 'EMFILE' };
    await reader.moveTo(0, 100);
    expect(await reader.moveTo(MIB, 9 * MIB)).toBe(true);
    expect(reader.fault).toBeUndefined();
  });

  it('is not told where nobody looks', async () => {
    const { file, reader } = open(20 * MIB);
    file.failure = { at: 5 * MIB, errno: 'EIO' };
    await reader.moveTo(0, 100);
    await reader.close();
    expect(reader.fault).toBeUndefined();
  });

  it('and an error that says nothing about bytes is thrown where they are needed', async () => {
    const { file, reader } = open(20 * MIB);
    file.failure = { at: 3 * MIB, errno: 'EMFILE' };
    expect(await reader.moveTo(0, 100)).toBe(true);
    await expect(reader.moveTo(MIB, 2 * MIB)).rejects.toMatchObject({ code: 'DISK_FAILED' });
  });
});

it('who closes the reader waits for the reads that are under way', async () => {
  const { file, reader, memory } = open(20 * MIB);
  await reader.moveTo(0, 100);
  file.isHeld = true;
  await reader.moveTo(2 * MIB - 50, 100);
  let isClosed = false;
  const closed = reader.close().then(() => (isClosed = true));
  await new Promise((resolve) => setImmediate(resolve)); // all that can go on has gone on
  expect(isClosed).toBe(false);
  file.calls.at(-1)?.settle();
  await closed;
  const heldBytes = memory.heldBytes;
  memory.take(4 * MIB);
  expect(memory.heldBytes).toBe(heldBytes); // all of it was given back
});
