/** A disk of which one file cannot be read from some byte on. @module */
import { MillraceError } from '../../src/core/errors.ts';
import type { Disk, DiskFile, WriteMode } from '../../src/wal/disk.ts';

export interface ReadFaultOrder {
  readonly path: string;
  /** The page that begins here fails, and every read that touches it. */
  readonly fromBytes: number;
  /** `end`: as if the file ended there. */
  readonly errno: 'EIO' | 'EACCES' | 'EMFILE' | 'end';
  /** Only the first read fails. */
  readonly isOnce?: boolean;
}

const PAGE_BYTES = 4096;

export class FaultyReads implements Disk {
  readonly #disk: Disk;
  readonly #order: ReadFaultOrder;
  #failures = 0;

  constructor(disk: Disk, order: ReadFaultOrder) {
    this.#disk = disk;
    this.#order = order;
  }

  async openForReading(path: string, mode?: WriteMode): Promise<DiskFile> {
    const file = await this.#disk.openForReading(path, mode);
    if (path !== this.#order.path) return file;
    return {
      path,
      read: (into, positionBytes) => this.#read(file, into, positionBytes),
      write: (views, positionBytes) => file.write(views, positionBytes),
      sync: () => file.sync(),
      syncAll: () => file.syncAll(),
      sizeBytes: () => file.sizeBytes(),
      close: () => file.close(),
    };
  }

  async #read(file: DiskFile, into: Uint8Array, positionBytes: number): Promise<number> {
    const { fromBytes, errno, isOnce } = this.#order;
    const isTouched =
      positionBytes < fromBytes + PAGE_BYTES && positionBytes + into.byteLength > fromBytes;
    if (errno === 'end' && positionBytes + into.byteLength > fromBytes) {
      return file.read(into.subarray(0, Math.max(0, fromBytes - positionBytes)), positionBytes);
    }
    if (!isTouched || (isOnce === true && this.#failures > 0))
      return file.read(into, positionBytes);
    this.#failures += 1;
    const details = { path: file.path, call: 'read', errno };
    throw new MillraceError('DISK_FAILED', `read of ${file.path} failed: ${errno}`, { details });
  }

  list = (directory: string) => this.#disk.list(directory);
  makeDirectory = (path: string) => this.#disk.makeDirectory(path);
  syncDirectory = (path: string) => this.#disk.syncDirectory(path);
  create = (path: string, mode: WriteMode) => this.#disk.create(path, mode);
  open = (path: string, mode: WriteMode) => this.#disk.open(path, mode);
  readWhole = (path: string, bytesMax: number) => this.#disk.readWhole(path, bytesMax);
  rename = (from: string, to: string) => this.#disk.rename(from, to);
  unlink = (path: string) => this.#disk.unlink(path);
  removeTree = (path: string) => this.#disk.removeTree(path);
  supportsDirect = (directory: string) => this.#disk.supportsDirect(directory);
  allocateAligned = (bytes: number) => this.#disk.allocateAligned(bytes);
}
