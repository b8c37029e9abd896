/** One file with all keyed state as it was after one batch.
 *
 *     frame │ frame │ …          each: header of 32 bytes, payload
 *
 *      0      4     6  8         12         16       20              24           28
 *      magic  kind  0  operator  partition  entries  payload length  payload crc  header crc
 *      MRST   u16      u32       u32        u32      u32             u32, little-endian
 *
 * Kinds: 1 the head, a msgpack message that says what follows; 2 entries (state-entry.ts) of one
 * partition; 3 the end. A header's CRC is seeded with its offset, so that a frame cannot stand in
 * for another. Written in pieces, each synced by itself, so that no other write of the disk waits
 * long. Spec: docs/checkpoint-format.md. @module */
import { MillraceError } from '../core/errors.ts';
import type { Codec } from '../serde/codec.ts';
import { crc32 } from '../serde/crc32.ts';
import type { Disk, DiskFile } from '../wal/disk.ts';
import { shortWrite } from '../wal/short-write.ts';
import type { FrozenPartition } from './state-partition.ts';
import { EntryCursor, NO_ADDRESS } from './state-entry.ts';
import { StateReader } from './state-reader.ts';

/** 1 had no versions of states. */
const SNAPSHOT_VERSION = 2;
const FRAME_HEADER_BYTES = 32;
const MAGIC = 0x5453_524d; // the bytes M R S T, read as a little-endian u32
const KIND = { head: 1, entries: 2, end: 3 } as const;
/** Frames are cut at this size, unless one entry is larger. */
const FRAME_BYTES = 1024 * 1024;
/** Bounds what a damaged length makes us allocate. */
const PAYLOAD_BYTES_MAX = 512 * 1024 * 1024;

/** One stateful operator in a snapshot. */
export interface SnapshotOperator {
  readonly id: string;
  /** Of the hashes of its keys. */
  readonly seed: number;
  readonly partitions: number;
  readonly keyCount: number;
  /** Of the shape of its states, as the pipeline says; from 1 on. */
  readonly version: number;
}

export interface SnapshotHead {
  /** The batch after which the state was so. */
  readonly batchTimeMs: number;
  readonly logId: string;
  readonly operators: readonly SnapshotOperator[];
}

/** All state at one moment: partitions in the order of `head.operators`. */
export interface FrozenState {
  readonly head: SnapshotHead;
  readonly partitions: readonly (readonly FrozenPartition[])[];
  close(): void;
}

interface Frame {
  readonly kind: number;
  readonly operator: number;
  readonly partition: number;
  readonly entries: number;
  readonly payload: Uint8Array;
}

export interface SnapshotWriting {
  readonly codec: Codec;
  /** Asked between frames: true ends the writing. */
  readonly isGivenUp?: () => boolean;
}

/** Writes the frames of a snapshot into a new file, which is durable when it resolves.
 * @returns its length. @throws {MillraceError} DISK_FULL, DISK_FAILED; CONTEXT_STATE when it was
 *   given up. */
export async function writeSnapshot(
  file: DiskFile,
  { head, partitions }: FrozenState,
  { codec, isGivenUp = () => false }: SnapshotWriting,
): Promise<number> {
  const none = { operator: 0, partition: 0, entries: 0 };
  const payload = codec.pack([SNAPSHOT_VERSION, head]);
  let at = await writeFrame(file, 0, { kind: KIND.head, ...none, payload });
  for (const [operator, ofOperator] of partitions.entries()) {
    for (const [partition, frozen] of ofOperator.entries()) {
      for (const run of entryRuns(frozen)) {
        if (isGivenUp()) throw new MillraceError('CONTEXT_STATE', 'the snapshot was given up');
        at = await writeFrame(file, at, { kind: KIND.entries, operator, partition, ...run });
        // One sync of all at the end would keep the driver log, on the same disk, waiting.
        await file.sync();
      }
    }
  }
  at = await writeFrame(file, at, { kind: KIND.end, ...none, payload: new Uint8Array() });
  await file.syncAll();
  return at;
}

/** Runs of entries of bounded size. The bytes are overwritten by the next run. */
function* entryRuns(frozen: FrozenPartition): Generator<Pick<Frame, 'entries' | 'payload'>> {
  const reader = new StateReader(frozen.handle);
  const index = new Uint32Array(frozen.handle.index);
  let words = new Int32Array(FRAME_BYTES / 4);
  let [at, entries] = [0, 0];
  for (let i = 1; i < index.length; i += 2) {
    const cell = index[i] as number;
    if (cell === 0) continue;
    const lengthBytes = reader.entryBytes(cell - 1);
    if (at + lengthBytes > words.byteLength) {
      if (entries > 0) yield { entries, payload: new Uint8Array(words.buffer, 0, at) };
      if (lengthBytes > words.byteLength) words = new Int32Array(lengthBytes / 4);
      at = 0;
      entries = 0;
    }
    reader.copyEntry(cell - 1, lengthBytes, { words, at });
    words[at / 4 + 3] = NO_ADDRESS;
    at += lengthBytes;
    entries += 1;
  }
  if (entries > 0) yield { entries, payload: new Uint8Array(words.buffer, 0, at) };
}

async function writeFrame(file: DiskFile, at: number, frame: Frame): Promise<number> {
  const { payload } = frame;
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt16LE(frame.kind, 4);
  header.writeUInt32LE(frame.operator, 8);
  header.writeUInt32LE(frame.partition, 12);
  header.writeUInt32LE(frame.entries, 16);
  header.writeUInt32LE(payload.byteLength, 20);
  header.writeUInt32LE(crc32(payload), 24);
  header.writeUInt32LE(headerCrc(header, at), 28);
  const bytes = FRAME_HEADER_BYTES + payload.byteLength;
  const taken = await file.write([header, payload], at);
  if (taken !== bytes)
    await writeRest(file, at + taken, Buffer.concat([header, payload], bytes).subarray(taken));
  return at + bytes;
}

/** A full disk takes what fits and says so only at the next call. */
async function writeRest(file: DiskFile, at: number, rest: Uint8Array): Promise<void> {
  const taken = await file.write([rest], at);
  if (taken !== rest.byteLength) throw shortWrite(file.path, rest.byteLength, taken);
}

function headerCrc(header: Buffer, at: number): number {
  return crc32(header.subarray(0, 28), at >>> 0);
}

/** Takes the entries of one frame. */
export type TakeEntries = (operator: number, partition: number, entries: Uint8Array) => void;

/** Reads a snapshot from its beginning to its end, frame by frame.
 * @param begin is told the head first, and says who takes the entries.
 * @throws {MillraceError} CHECKPOINT_CORRUPT naming file and offset, FORMAT_UNKNOWN. What was taken
 *   until then is worthless. */
export async function readSnapshot(
  { disk, path, codec }: { readonly disk: Disk; readonly path: string; readonly codec: Codec },
  begin: (head: SnapshotHead) => TakeEntries,
): Promise<void> {
  const file = await disk.openForReading(path);
  try {
    const first = await readFrame(file, 0);
    if (first.frame.kind !== KIND.head) throw damaged(path, 0, 'is no head');
    const take = begin(decodeHead(first.frame.payload, path, codec));
    let { next } = first;
    for (;;) {
      const { frame, next: after } = await readFrame(file, next);
      if (frame.kind === KIND.end) break;
      if (frame.kind !== KIND.entries) throw damaged(path, next, `has kind ${frame.kind}`);
      checkEntries(frame, path, next);
      take(frame.operator, frame.partition, frame.payload);
      next = after;
    }
  } finally {
    await file.close();
  }
}

async function readFrame(
  file: DiskFile,
  at: number,
): Promise<{ readonly frame: Frame; readonly next: number }> {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  if ((await file.read(header, at)) < FRAME_HEADER_BYTES)
    throw damaged(file.path, at, 'is cut off');
  const isSound =
    header.readUInt32LE(0) === MAGIC && header.readUInt32LE(28) === headerCrc(header, at);
  const lengthBytes = header.readUInt32LE(20);
  if (!isSound || lengthBytes > PAYLOAD_BYTES_MAX) {
    throw damaged(file.path, at, 'has a header whose CRC does not match');
  }
  const payload = Buffer.allocUnsafeSlow(lengthBytes);
  const from = at + FRAME_HEADER_BYTES;
  if ((await file.read(payload, from)) < lengthBytes) throw damaged(file.path, at, 'is cut off');
  if (crc32(payload) !== header.readUInt32LE(24)) {
    throw damaged(file.path, at, 'has a CRC that does not match');
  }
  const frame = {
    kind: header.readUInt16LE(4),
    operator: header.readUInt32LE(8),
    partition: header.readUInt32LE(12),
    entries: header.readUInt32LE(16),
    payload,
  };
  return { frame, next: from + lengthBytes };
}

function checkEntries({ payload, entries }: Frame, path: string, at: number): void {
  const cursor = new EntryCursor(payload);
  let count = 0;
  while (cursor.advance()) count += 1;
  if (count !== entries) throw damaged(path, at, `has ${count} entries and says ${entries}`);
}

function decodeHead(payload: Uint8Array, path: string, codec: Codec): SnapshotHead {
  const [version, head] = codec.unpack(payload) as readonly [number, SnapshotHead];
  if (version === SNAPSHOT_VERSION) return head;
  if (version === 1) {
    return { ...head, operators: head.operators.map((each) => ({ ...each, version: 1 })) };
  }
  throw new MillraceError(
    'FORMAT_UNKNOWN',
    `${path} has format version ${version}; this millrace knows 1 to ${SNAPSHOT_VERSION}: start ` +
      'it with the newer millrace that wrote it',
  );
}

function damaged(path: string, at: number, what: string): MillraceError {
  return new MillraceError(
    'CHECKPOINT_CORRUPT',
    `the state snapshot ${path} is damaged: the frame at byte ${at} ${what}; nothing was ` +
      'changed. Restore the file from a backup',
    { details: { path, offset: at } },
  );
}
