/** An open file of the simulated disk, as one process holds it. Dies with that process: calls of
 * before a power cut or a kill never settle. Its calls are properties of its own, so that a test
 * may spread a file and replace some of them. @module */
import type { DiskFile, WriteMode } from '../wal/disk.ts';
import type { CallKind, FaultEffect } from './fault-plan.ts';
import { simError } from './sim-errors.ts';
import type { SimInode } from './sim-inode.ts';

/** What a file asks of the machine it is on. */
export interface SimMachine {
  /** Counts the call, lets time pass, and does it, or what was ordered instead. */
  call<T>(call: SimCall, act: (fault?: FaultEffect) => T): Promise<T>;
  /** How many of `bytes` find room behind `atBytes`; at least 1, or it throws ENOSPC. */
  roomFor(inode: SimInode, write: { readonly atBytes: number; readonly bytes: number }): number;
  failSync(inode: SimInode, isLate: boolean): void;
  /** A number below `limit`, by the machine's seed. */
  draw(limit: number): number;
  readonly sectorBytes: number;
}

export interface SimCall {
  readonly kind: CallKind;
  readonly path: string;
  /** The process that makes it. */
  readonly life: number;
}

export interface OpenedFile {
  readonly inode: SimInode;
  readonly path: string;
  readonly mode: WriteMode;
  readonly isWritable: boolean;
  readonly life: number;
}

const PAGE_BYTES = 4096;

export class SimFile implements DiskFile {
  readonly path: string;
  readonly #machine: SimMachine;
  readonly #opened: OpenedFile;
  #isClosed = false;

  constructor(machine: SimMachine, opened: OpenedFile) {
    this.path = opened.path;
    this.#machine = machine;
    this.#opened = opened;
  }

  readonly write: DiskFile['write'] = async (views, positionBytes) => {
    if (views.length === 0) return 0; // no call is made
    if (this.#opened.mode === 'direct') {
      checkAligned(views, positionBytes, { call: 'writev', path: this.path });
    }
    const bytes = joined(views);
    return this.#call('write', (fault) => {
      if (!this.#opened.isWritable) throw simError('EBADF', 'writev', this.path);
      return this.#write(bytes, positionBytes, fault);
    });
  };

  readonly read: DiskFile['read'] = (into, positionBytes) =>
    this.#call('read', (fault) => {
      const { inode, mode } = this.#opened;
      if (mode === 'direct') checkAligned([into], positionBytes, { call: 'read', path: this.path });
      if (fault === 'misdirect') return inode.read(into, this.#neighbourOf(positionBytes));
      const got = inode.read(into, positionBytes);
      if (fault === 'flip' && got > 0) flipBit(into, this.#machine.draw(got * 8));
      else if (fault !== undefined) throw simError(errnoOf(fault), 'read', this.path);
      return got;
    });

  readonly sync: DiskFile['sync'] = () =>
    this.#call('sync', (fault) => {
      const { inode } = this.#opened;
      if (fault === undefined) {
        if (inode.sync()) return;
        throw simError('EIO', 'fdatasync', this.path); // of the sync before
      }
      this.#machine.failSync(inode, fault === 'late');
      if (fault !== 'late') throw simError(errnoOf(fault), 'fdatasync', this.path);
    });

  readonly syncAll: DiskFile['syncAll'] = () => this.sync();

  readonly sizeBytes: DiskFile['sizeBytes'] = () =>
    this.#call('size', (fault) => {
      if (fault !== undefined) throw simError(errnoOf(fault), 'fstat', this.path);
      return this.#opened.inode.sizeBytes;
    });

  readonly close: DiskFile['close'] = () =>
    this.#call('close', (fault) => {
      this.#isClosed = true; // also when it fails, as on Linux
      if (fault !== undefined) throw simError(errnoOf(fault), 'close', this.path);
    });

  #call<T>(kind: CallKind, act: (fault?: FaultEffect) => T): Promise<T> {
    return this.#machine.call({ kind, path: this.path, life: this.#opened.life }, (fault) => {
      if (this.#isClosed) throw simError('EBADF', kind, this.path);
      return act(fault);
    });
  }

  #write(bytes: Uint8Array, atBytes: number, fault: FaultEffect | undefined): number {
    const { inode } = this.#opened;
    const room = this.#machine.roomFor(inode, { atBytes, bytes: bytes.byteLength });
    const isPart = fault !== undefined;
    const taken = isPart ? this.#partOf(room) : room;
    inode.write(bytes.subarray(0, taken), atBytes);
    if (isPart && fault !== 'short') throw simError(errnoOf(fault), 'writev', this.path);
    return taken;
  }

  /** Less than `bytes`, mostly cut where a file system cuts. */
  #partOf(bytes: number): number {
    const part = this.#machine.draw(bytes);
    const isCutOnSector = this.#machine.draw(4) > 0;
    return isCutOnSector ? part - (part % this.#machine.sectorBytes) : part;
  }

  #neighbourOf(positionBytes: number): number {
    const { sectorBytes } = this.#machine;
    const isBefore = positionBytes >= sectorBytes && this.#machine.draw(2) === 0;
    return isBefore ? positionBytes - sectorBytes : positionBytes + sectorBytes;
  }
}

/** What a call that is not a write says of `fault`. */
export function errnoOf(fault: FaultEffect): string {
  return fault === 'ENOSPC' || fault === 'EDQUOT' ? fault : 'EIO';
}

function joined(views: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(views.reduce((sum, view) => sum + view.byteLength, 0));
  let at = 0;
  for (const view of views) {
    bytes.set(view, at);
    at += view.byteLength;
  }
  return bytes;
}

function flipBit(bytes: Uint8Array, bit: number): void {
  const at = bit >> 3;
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
}

function checkAligned(
  views: readonly Uint8Array[],
  positionBytes: number,
  { call, path }: { readonly call: 'read' | 'writev'; readonly path: string },
): void {
  const numbers = views.flatMap((view) => [view.byteOffset, view.byteLength]);
  const isAligned = [positionBytes, ...numbers].every((number) => number % PAGE_BYTES === 0);
  if (!isAligned) throw simError('EINVAL', call, path);
}
