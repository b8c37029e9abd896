/** @module */
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SpilledBin } from './block-ref.ts';
import { SpillFile, readSpilled } from './spill-file.ts';

const MIB = 2 ** 20;
let directory: string;
let file: SpillFile;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'spill-'));
  file = new SpillFile(directory, 'spill-1.blocks');
});

afterEach(() => {
  file.close();
  rmSync(directory, { recursive: true });
});

function bin(length: number, fill: number): Uint8Array {
  return new Uint8Array(length).fill(fill);
}

/** True when the place holds what was written. */
async function holds({ fd, offsetBytes, lengthBytes }: SpilledBin, written: Uint8Array) {
  const into = Buffer.alloc(lengthBytes);
  expect(await readSpilled(fd, into, offsetBytes)).toBe(lengthBytes);
  return into.equals(written);
}

describe('SpillFile', () => {
  it('keeps what is written, without a name that a killed process could leave', async () => {
    const bins = [bin(10, 1), bin(MIB, 2), bin(4096, 3)];
    const spilled = await Promise.all(bins.map((each) => file.write(each)));
    for (const [n, place] of spilled.entries()) {
      expect(await holds(place, bins[n] as Uint8Array)).toBe(true);
    }
    expect(readdirSync(directory)).toEqual([]);
    expect(file.usedBytes).toBe(4096 + MIB + 4096);
  });

  it('uses places again, and is cut to nothing when all are free', async () => {
    const first = await file.write(bin(MIB, 1));
    const second = await file.write(bin(MIB, 2));
    file.free(first);
    const third = await file.write(bin(MIB, 3));
    expect(third.offsetBytes).toBe(first.offsetBytes);
    expect(file.lengthBytes).toBe(2 * MIB);
    expect(await holds(second, bin(MIB, 2))).toBe(true);
    expect(await holds(third, bin(MIB, 3))).toBe(true);
    file.free(second);
    file.free(third);
    expect([file.lengthBytes, file.usedBytes]).toEqual([0, 0]);
  });

  it('opens nothing before it is needed, and can be closed then', () => {
    file.close();
    file.close();
    expect(readdirSync(directory)).toEqual([]);
  });

  it('says where it failed, and keeps no place', async () => {
    const nowhere = new SpillFile(join(directory, 'nowhere'), 'spill-1.blocks');
    await expect(nowhere.write(bin(10, 1))).rejects.toMatchObject({ code: 'DISK_FAILED' });
    await expect(nowhere.write(bin(10, 1))).rejects.toThrow('nowhere/spill-1.blocks');
    expect(nowhere.usedBytes).toBe(0);
  });

  it('takes no name that is taken, and leaves what is there', async () => {
    writeFileSync(join(directory, 'spill-1.blocks'), 'of somebody else');
    await expect(file.write(bin(10, 1))).rejects.toMatchObject({ code: 'DISK_FAILED' });
    expect(readFileSync(join(directory, 'spill-1.blocks'), 'utf8')).toBe('of somebody else');
    rmSync(join(directory, 'spill-1.blocks'));
    expect(await holds(await file.write(bin(10, 1)), bin(10, 1))).toBe(true); // tried again
  });

  it('says that it cannot be read', async () => {
    const fd = openSync(directory, 'r'); // a directory has no bytes to read
    try {
      const reading = readSpilled(fd, Buffer.alloc(10), 0);
      await expect(reading).rejects.toMatchObject({ code: 'DISK_FAILED' });
    } finally {
      closeSync(fd);
    }
  });

  it('shows the reader that bytes are missing', async () => {
    const { fd } = await file.write(bin(4096, 1));
    expect(await readSpilled(fd, Buffer.alloc(5000), 0)).toBe(4096);
  });
});
