import { describe, expect, it } from 'vitest';
import { MillraceError } from '../core/errors.ts';
import { seededRandom } from '../core/random.ts';
import { Draw } from '../testing/draw.ts';
import type { DiskFile } from './disk.ts';
import { ReadWindow } from './read-window.ts';
import { SegmentReader } from './segment-reader.ts';

const MIB = 1024 * 1024;
const PAGE = 4096;
const PATH = '/log/1.wal';

interface Call {
  readonly at: number;
  readonly bytes: number;
  settle(error?: Error): void;
}

/** A file in memory; its reads wait for the test where it says so. */
class MemoryFile implements Pick<DiskFile, 'path' | 'read'> {
  readonly path = PATH;
  readonly content: Buffer;
  readonly calls: Call[] = [];
  isHeld = false;
  /** Thrown once by a read that touches the byte. */
  failure: { readonly at: number; readonly errno: string } | undefined;

  constructor(bytes: number) {
    this.content = Buffer.alloc(bytes);
    for (let at = 0; at + 4 <= bytes; at += 4) this.content.writeUInt32LE(at, at);
  }

  read(into: Uint8Array, at: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const settle = (error?: Error): void => {
        if (error !== undefined) return reject(error);
        into.set(this.content.subarray(at, at + into.byteLength));
        return resolve(Math.min(into.byteLength, this.content.byteLength - at));
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

function lost(errno: string): MillraceError {
  const details = { path: PATH, call: 'read', errno };
  return new MillraceError('DISK_FAILED', `read of ${PATH} failed: ${errno}`, { details });
}

function open(bytes: number) {
  const file = new MemoryFile(bytes);
  const window = new ReadWindow({ allocateAligned: (size) => new Uint8Array(size) });
  return { file, window, reader: new SegmentReader(file as unknown as DiskFile, bytes, window) };
}

function held(reader: SegmentReader, at: number, bytes: number): Buffer {
  return reader.bytes.subarray(at - reader.startBytes, at - reader.startBytes + bytes);
}

describe('a segment is read', () => {
  it.each([1, 2, 3, 4, 5])('whole, by records of any length (%i)', async (seed) => {
    const draw = new Draw(seededRandom(seed));
    const { file, reader, window } = open(40 * MIB + 12);
    let at = PAGE;
    let largest = 0;
    while (at < file.content.byteLength) {
      const wanted = draw.chance(0.1) ? draw.below(12 * MIB) : draw.below(2 * MIB);
      const length = Math.min(1 + wanted, file.content.byteLength - at);
      largest = Math.max(largest, length);
      expect(await reader.moveTo(at, length)).toBe(true);
      expect(held(reader, at, length).equals(file.content.subarray(at, at + length))).toBe(true);
      at += length;
    }
    expect(await reader.moveTo(at, 1)).toBe(false);
    expect(window.heldBytes).toBeLessThanOrEqual(Math.max(16 * MIB, 8 * MIB + largest + 2 * PAGE));
  });

  it('each byte of it once, while records fit into a part', async () => {
    const { file, reader } = open(20 * MIB);
    for (let at = 0; at < 20 * MIB - 700_000; at += 700_000) await reader.moveTo(at, 700_000);
    expect(file.calls.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(20 * MIB);
  });

  it('one part ahead of what is looked at, and not behind its end', async () => {
    const { file, reader } = open(6 * MIB);
    await reader.moveTo(0, 100);
    expect(file.calls.map(({ at, bytes }) => [at, bytes])).toEqual([
      [0, 4 * MIB],
      [4 * MIB, 2 * MIB],
    ]);
    await reader.moveTo(4 * MIB - 50, 100);
    expect(file.calls).toHaveLength(2);
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
    file.failure = { at: 5 * MIB, errno: 'EIO' };
    expect(await reader.moveTo(0, 100)).toBe(true);
    expect(reader.fault).toBeUndefined();
    expect(await reader.moveTo(3 * MIB, 2 * MIB)).toBe(true);
    expect(reader.fault).toMatchObject({ fromBytes: 3 * MIB, errno: 'EIO' });
  });

  it('is not told where nobody looks', async () => {
    const { file, reader } = open(20 * MIB);
    file.failure = { at: 5 * MIB, errno: 'EIO' };
    await reader.moveTo(0, 100);
    await reader.settle();
    expect(reader.fault).toBeUndefined();
  });

  it('and an error that says nothing about bytes is thrown where they are needed', async () => {
    const { file, reader } = open(20 * MIB);
    file.failure = { at: 5 * MIB, errno: 'EMFILE' };
    expect(await reader.moveTo(0, 100)).toBe(true);
    await expect(reader.moveTo(4 * MIB, 100)).rejects.toMatchObject({ code: 'DISK_FAILED' });
  });
});

it('who closes the file waits for the read that is under way', async () => {
  const { file, reader } = open(20 * MIB);
  await reader.moveTo(0, 100);
  expect(await reader.moveTo(5 * MIB, 100)).toBe(true);
  file.isHeld = true;
  await reader.moveTo(9 * MIB, 100);
  let isSettled = false;
  const settled = reader.settle().then(() => (isSettled = true));
  await Promise.resolve();
  expect(isSettled).toBe(false);
  file.calls.at(-1)?.settle();
  await settled;
});
