/** @module */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import { BlockArena } from '../blocks/block-arena.ts';
import { SLOT_HEADER_BYTES } from '../blocks/block-layout.ts';
import type { BlockRef, LogBytes } from '../blocks/block-ref.ts';
import { BlockWriter } from '../blocks/block-writer.ts';
import { SpillFile } from '../blocks/spill-file.ts';
import { MillraceError } from '../core/errors.ts';
import type { Lsn, StreamId } from '../core/ids.ts';
import { crc32 } from '../serde/crc32.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import type { Disk, DiskFile, WriteMode } from '../wal/disk.ts';
import { ReadMemory } from '../wal/read-memory.ts';
import { BlockReader, OPEN_FILES_MAX } from './block-reader.ts';

const STREAM = 'lines' as StreamId;
let arena: BlockArena;
let disk: MemoryDisk;
let reader: BlockReader;
let memory: ReadMemory;
/** Paths that are open. */
let open: string[];
let opened: number;
/** How often something was read from a file. */
let reads: number;

beforeEach(async () => {
  arena = BlockArena.create(16 * 64 * 1024);
  disk = new MemoryDisk();
  memory = new ReadMemory(disk);
  await disk.makeDirectory('/log');
  open = [];
  opened = 0;
  reads = 0;
  reader = new BlockReader({ arena, disk: { openForReading }, memory, codec: msgpackCodec });
});

async function openForReading(path: string, mode?: WriteMode): Promise<DiskFile> {
  const file = await (disk as Disk).openForReading(path, mode);
  open.push(path);
  opened += 1;
  return {
    path,
    write: (views, at) => file.write(views, at),
    read(into, at) {
      reads += 1;
      return file.read(into, at);
    },
    sync: () => file.sync(),
    syncAll: () => file.syncAll(),
    sizeBytes: () => file.sizeBytes(),
    close: () => {
      open.splice(open.indexOf(path), 1);
      return file.close();
    },
  };
}

/** A block with these records, in the arena. */
function cut(seq: number, records: readonly unknown[]) {
  const writer = new BlockWriter(arena, msgpackCodec, 7);
  writer.appendAll(records, 0);
  const blockId = { streamId: STREAM, receiverIndex: 0, incarnation: { epoch: 1, n: 1 }, seq };
  const block = writer.cut({ blockId, positions: [], sourceIds: [], isBuffered: false });
  writer.close();
  const { recordCount, codec, bytes } = block;
  const payload = block.slot.slice(SLOT_HEADER_BYTES, SLOT_HEADER_BYTES + block.payloadBytes);
  const ref: BlockRef = { streamId: STREAM, key: `lines/0/1.1/${seq}`, recordCount, codec, bytes };
  return { ref, payload };
}

/** Bytes of other records in front of a payload; records stand on multiples of 8. */
const BEFORE = 4_936;

/** The same block in a segment. */
async function logged(seq: number, records: readonly unknown[], path = '/log/1.wal') {
  const { ref, payload } = cut(seq, records);
  const file = await (disk as Disk).create(path, 'buffered');
  await file.write([Buffer.alloc(BEFORE), payload], 0);
  await file.close();
  const bytes: LogBytes = {
    kind: 'log',
    path,
    offsetBytes: BEFORE,
    lengthBytes: payload.byteLength,
    crc: crc32(payload),
    lsn: 9 as Lsn,
  };
  return { ...ref, bytes };
}

async function records(ref: BlockRef): Promise<unknown[]> {
  const found: unknown[] = [];
  (await reader.read(ref)).forEach((record) => found.push(record));
  return found;
}

describe('BlockReader', () => {
  it('reads the same records from the arena and from a log', async () => {
    for (const [n, content] of [
      ['a', 'bc', ''],
      ['ä', '€'],
      [{ n: 1 }, [2, null], 'x'],
    ].entries()) {
      const { ref } = cut(1, content);
      const inLog = await logged(1, content, `/log/${n}.wal`);
      expect(await records(ref)).toEqual(content);
      expect(await records(inLog)).toEqual(content);
    }
    await reader.close();
    expect(open).toEqual([]);
  });

  it('keeps values whole when the buffer is used for the next block', async () => {
    const bytes = (fill: number) => [
      { data: Buffer.alloc(500, fill) },
      new Uint8Array(9).fill(fill),
    ];
    const [first] = [await records(await logged(1, bytes(1), '/log/a'))];
    await records(await logged(2, bytes(2), '/log/b'));
    expect(first).toEqual(bytes(1));
    await reader.close();
  });

  it('opens a segment once, and a bounded number of them', async () => {
    const paths = Array.from({ length: OPEN_FILES_MAX + 2 }, (_, n) => `/log/${n}.wal`);
    const refs: BlockRef[] = [];
    for (const [n, path] of paths.entries()) refs.push(await logged(n, [path], path));
    for (let turn = 0; turn < 3; turn += 1) await records(refs[0] as BlockRef);
    expect(opened).toBe(1);
    for (const ref of refs) expect(await records(ref)).toHaveLength(1);
    expect(open).toEqual(paths.slice(2));
    await reader.close();
    expect(open).toEqual([]);
  });

  it('fetches the next block while the one before it is worked on', async () => {
    const [one, two] = [
      await logged(1, ['one'], '/log/1.wal'),
      await logged(2, ['two'], '/log/2.wal'),
    ];
    const records = await reader.read(one, two);
    await new Promise((resolve) => setImmediate(resolve));
    expect(reads).toBe(2);
    const seen: unknown[] = [];
    records.forEach((record) => seen.push(record)); // still good
    (await reader.read(two)).forEach((record) => seen.push(record));
    expect(seen).toEqual(['one', 'two']);
    expect(reads).toBe(2);
    const { heldBytes } = memory;
    for (let turn = 0; turn < 5; turn += 1) {
      await reader.read(one, two);
      await reader.read(one); // another one than was said
    }
    await reader.read(two, one);
    await reader.close();
    expect(open).toEqual([]);
    expect(memory.heldBytes).toBe(heldBytes);
  });

  it('tells that a block that was fetched is lost when that block is read', async () => {
    const one = await logged(1, ['one']);
    const gone = { ...one, key: 'lines/0/1.1/2', bytes: { ...one.bytes, path: '/log/2.wal' } };
    expect((await reader.read(one, gone)).count).toBe(1);
    await expect(reader.read(gone)).rejects.toMatchObject({ code: 'WAL_CORRUPT' });
    await reader.read(one, gone);
    await reader.close();
    expect(open).toEqual([]);
  });

  it('says which block is damaged, where, and never gives its records (I11)', async () => {
    const ref = await logged(4, ['one', 'two']);
    const file = await (disk as Disk).open('/log/1.wal', 'buffered');
    await file.write([Buffer.from('X')], BEFORE + 12);
    const error: unknown = await reader.read(ref).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'WAL_CORRUPT',
      exitCode: 2,
      details: { path: '/log/1.wal', offsetBytes: BEFORE, lsn: 9, block: 'lines/0/1.1/4' },
    });
    const end = BEFORE + ref.bytes.lengthBytes;
    expect(String(error)).toContain(`lines/0/1.1/4 (record 9, bytes ${BEFORE} to ${end}`);
    await reader.close();
    expect(open).toEqual([]);
  });

  it('takes a segment that is too short, or gone, for damage', async () => {
    const ref = await logged(4, ['one', 'two']);
    const cutOff = { ...ref, bytes: { ...ref.bytes, offsetBytes: BEFORE + 16 } };
    await expect(reader.read(cutOff)).rejects.toMatchObject({ code: 'WAL_CORRUPT' });
    const gone = { ...ref, bytes: { ...ref.bytes, path: '/log/2.wal' } };
    await expect(reader.read(gone)).rejects.toMatchObject({
      code: 'WAL_CORRUPT',
      message: expect.stringContaining('its segment is gone') as string,
    });
    await reader.close();
  });
});

describe('BlockReader, of a device that fails', () => {
  /** Reads that end as a system call does. */
  function failing(errno: string): void {
    const details = { errno, call: 'read', path: '/log/1.wal' };
    const read = (): Promise<number> =>
      Promise.reject(new MillraceError('DISK_FAILED', `read: ${errno}`, { details }));
    const openFailing = async (path: string): Promise<DiskFile> => ({
      ...(await openForReading(path)),
      read,
    });
    reader = new BlockReader({
      arena,
      disk: { openForReading: openFailing },
      memory,
      codec: msgpackCodec,
    });
  }

  it('takes bytes that it cannot give back for damage', async () => {
    const ref = await logged(4, ['one', 'two']);
    failing('EIO');
    await expect(reader.read(ref)).rejects.toMatchObject({
      code: 'WAL_CORRUPT',
      message: expect.stringContaining('cannot be read any more (EIO)') as string,
    });
    await reader.close();
    expect(open).toEqual([]);
  });

  it('and nothing else: another try may have what this one had not', async () => {
    const ref = await logged(4, ['one', 'two']);
    failing('ENOMEM');
    await expect(reader.read(ref)).rejects.toMatchObject({ code: 'DISK_FAILED' });
    await reader.close();
  });
});

describe('BlockReader, of the spill file', () => {
  let directory: string;
  let spill: SpillFile;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'reader-'));
    spill = new SpillFile(directory, 'spill');
  });

  afterEach(() => {
    spill.close();
    rmSync(directory, { recursive: true });
  });

  it('reads it through the descriptor, and checks it', async () => {
    const { ref } = cut(3, ['one', 'two']);
    const { offsetBytes, lengthBytes } = ref.bytes;
    const bytes = await spill.write(arena.bytes.subarray(offsetBytes, offsetBytes + lengthBytes));
    expect(await records({ ...ref, bytes })).toEqual(['one', 'two']);
    const other = { ...ref, bytes: { ...bytes, crc: bytes.crc + 1 } };
    await expect(reader.read(other)).rejects.toMatchObject({
      code: 'WAL_CORRUPT',
      message: expect.stringContaining('lines/0/1.1/3') as string,
    });
  });
});
