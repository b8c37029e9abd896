/** One file of the simulated disk: what its readers see, and what a power cut would leave of it.
 *
 *     cached      what reads give           durable      what is on the device
 *       write ─► cached, and a list of pending writes ── sync ──► durable
 *
 * A power cut decides sector by sector among the versions that the pending writes made. A failed
 * sync forgets them as Linux does: the pages count as clean, the device has got some or none of
 * them, and the next sync succeeds without writing anything. Content is shared between forks and
 * copied before the first change. Names are sim-tree.ts's business. @module */
import type { Random } from '../core/random.ts';
import type { Survival } from './crash-survival.ts';

/** What the cache shows after a failed sync: the new bytes (ext4, XFS), or the old (Btrfs). */
export type FailedSyncPersonality = 'keeps-new' | 'reverts';

interface PendingWrite {
  readonly atBytes: number;
  readonly bytes: Uint8Array;
}

interface PendingSector {
  readonly index: number;
  /** As synced, then after each write. */
  readonly versions: readonly Uint8Array[];
}

const EMPTY = new Uint8Array(0);

export class SimInode {
  readonly #sectorBytes: number;
  #cached: Uint8Array<ArrayBuffer> = EMPTY;
  #durable: Uint8Array<ArrayBuffer> = EMPTY;
  #ownsCached = false;
  #ownsDurable = false;
  #pending: PendingWrite[] = [];
  #owesError = false;

  constructor(sectorBytes: number) {
    this.#sectorBytes = sectorBytes;
  }

  get sizeBytes(): number {
    return this.#cached.byteLength;
  }

  /** Something was written since the last sync. */
  get isDirty(): boolean {
    return this.#pending.length > 0;
  }

  /** How many sectors a power cut would decide about. */
  get pendingSectorCount(): number {
    return this.#pending.length === 0 ? 0 : this.#pendingSectors().length;
  }

  /** @param bytes become the file's: not to be changed afterwards. */
  write(bytes: Uint8Array, atBytes: number): void {
    if (bytes.byteLength === 0) return;
    const endBytes = atBytes + bytes.byteLength;
    this.#cached = writable(this.#cached, this.#ownsCached, endBytes);
    this.#ownsCached = true;
    this.#cached.set(bytes, atBytes);
    this.#pending.push({ atBytes, bytes });
  }

  /** @returns how many bytes there were. */
  read(into: Uint8Array, atBytes: number): number {
    const part = this.#cached.subarray(atBytes, atBytes + into.byteLength);
    into.set(part);
    return part.byteLength;
  }

  /** @returns false when an earlier sync failed and had not said so: this one has to. */
  sync(): boolean {
    this.#growDurable();
    for (const { bytes, atBytes } of this.#pending) this.#durable.set(bytes, atBytes);
    this.#pending = [];
    const isSound = !this.#owesError;
    this.#owesError = false;
    return isSound;
  }

  /** A sync that loses what it was to make durable: by chance, some of it or all.
   * @param isLate the error is told by the next sync. */
  failSync(personality: FailedSyncPersonality, random: Random, isLate: boolean): void {
    const sectors = this.#pendingSectors();
    if (sectors.length > 0) this.#growDurable();
    const isAllLost = random.next() < 0.5;
    for (const { index, versions } of sectors) {
      if (isAllLost || random.next() < 0.5) continue;
      this.#place(this.#durable, index, versions.at(-1) ?? EMPTY);
    }
    this.#pending = [];
    this.#owesError = isLate;
    if (personality === 'keeps-new') return;
    this.#cached = writable(this.#cached, this.#ownsCached, 0);
    this.#ownsCached = true;
    for (const { index } of sectors) {
      const from = index * this.#sectorBytes;
      this.#cached.set(this.#durable.subarray(from, from + this.#sectorBytes), from);
    }
  }

  /** Clean pages leave the cache, as they may at any time: they read as they are on the device. */
  dropCache(): void {
    const cached = new Uint8Array(this.#cached.byteLength);
    cached.set(this.#durable.subarray(0, cached.byteLength));
    for (const { bytes, atBytes } of this.#pending) cached.set(bytes, atBytes);
    this.#cached = cached;
    this.#ownsCached = true;
  }

  crash(survival: Survival): void {
    const cachedBytes = this.#cached.byteLength;
    const durableBytes = this.#durable.byteLength;
    if (this.#pending.length > 0 || cachedBytes !== durableBytes) {
      const isLonger = cachedBytes > durableBytes;
      const length = isLonger ? survival.lengthOf(durableBytes, cachedBytes) : durableBytes;
      const survived = new Uint8Array(length);
      survived.set(this.#durable);
      for (const { index, versions } of this.#pendingSectors()) {
        this.#place(survived, index, survival.sector(versions));
      }
      this.#durable = survived;
    }
    this.#cached = this.#durable;
    this.#ownsCached = false;
    this.#ownsDurable = false;
    this.#pending = [];
    this.#owesError = false;
  }

  /** The bytes as they are now, to be looked at or damaged (until the next power cut). */
  content(): Uint8Array {
    this.#cached = writable(this.#cached, this.#ownsCached, 0);
    this.#ownsCached = true;
    return this.#cached;
  }

  /** Replaces the content, durably: rot, or a hand that shortened it. */
  overwrite(bytes: Uint8Array): void {
    this.#durable = Uint8Array.from(bytes);
    this.#cached = this.#durable;
    this.#ownsCached = false;
    this.#ownsDurable = false;
    this.#pending = [];
  }

  /** A file of its own with the same content and the same dirt. */
  fork(): SimInode {
    const copy = new SimInode(this.#sectorBytes);
    copy.#cached = this.#cached;
    copy.#durable = this.#durable;
    copy.#pending = [...this.#pending];
    copy.#owesError = this.#owesError;
    this.#ownsCached = false;
    this.#ownsDurable = false;
    return copy;
  }

  #growDurable(): void {
    if (this.#ownsDurable && this.#durable.byteLength >= this.#cached.byteLength) return;
    this.#durable = writable(this.#durable, this.#ownsDurable, this.#cached.byteLength);
    this.#ownsDurable = true;
  }

  #place(into: Uint8Array, index: number, sector: Uint8Array): void {
    const from = index * this.#sectorBytes;
    if (from >= into.byteLength) return;
    into.set(sector.subarray(0, into.byteLength - from), from);
  }

  #pendingSectors(): PendingSector[] {
    const size = this.#sectorBytes;
    const found = new Map<number, Uint8Array[]>();
    for (const { bytes, atBytes } of this.#pending) {
      const last = Math.floor((atBytes + bytes.byteLength - 1) / size);
      for (let index = Math.floor(atBytes / size); index <= last; index += 1) {
        const versions = found.get(index) ?? [this.#durableSector(index)];
        found.set(index, versions);
        const next = new Uint8Array(versions.at(-1) ?? EMPTY);
        const from = index * size - atBytes;
        if (from >= 0) next.set(bytes.subarray(from, from + size));
        else next.set(bytes.subarray(0, from + size), -from);
        versions.push(next);
      }
    }
    const sectors = [...found].map(([index, versions]) => ({ index, versions }));
    return sectors.toSorted((a, b) => a.index - b.index);
  }

  #durableSector(index: number): Uint8Array {
    const sector = new Uint8Array(this.#sectorBytes);
    const from = index * this.#sectorBytes;
    sector.set(this.#durable.subarray(from, from + this.#sectorBytes));
    return sector;
  }
}

/** At least `lengthBytes` long, and nobody else's. */
function writable(
  bytes: Uint8Array<ArrayBuffer>,
  isOwned: boolean,
  lengthBytes: number,
): Uint8Array<ArrayBuffer> {
  if (isOwned && bytes.byteLength >= lengthBytes) return bytes;
  const copy = new Uint8Array(Math.max(bytes.byteLength, lengthBytes));
  copy.set(bytes);
  return copy;
}
