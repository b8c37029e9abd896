/** A disk whose calls a test holds back, file by file, and whose calls it can count.
 * @module */
import type { Disk, DiskFile } from '../../src/wal/disk.ts';

interface Gate {
  readonly folder: string;
  readonly opened: Promise<void>;
  isOpen: boolean;
}

export class GatedDisk implements Disk {
  readonly #disk: Disk;
  freeBytes?: (directory: string) => Promise<number>;
  readonly #gates: Gate[] = [];
  /** `write /path`, `sync /path`, in the order in which they were asked for. */
  readonly calls: string[] = [];

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Holds every sync of a file below `folder` until the returned function is called. */
  holdSyncs(folder: string): () => void {
    let open: () => void = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const gate: Gate = { folder, opened, isOpen: false };
    this.#gates.push(gate);
    return () => {
      gate.isOpen = true;
      open();
    };
  }

  makeDirectory: Disk['makeDirectory'] = (path) => this.#disk.makeDirectory(path);
  list: Disk['list'] = (directory) => this.#disk.list(directory);
  syncDirectory: Disk['syncDirectory'] = (path) => this.#disk.syncDirectory(path);
  openForReading: Disk['openForReading'] = (path, mode) => this.#disk.openForReading(path, mode);
  readWhole: Disk['readWhole'] = (path, bytesMax) => this.#disk.readWhole(path, bytesMax);
  rename: Disk['rename'] = (from, to) => this.#disk.rename(from, to);
  unlink: Disk['unlink'] = (path) => this.#disk.unlink(path);
  removeTree: Disk['removeTree'] = (path) => this.#disk.removeTree(path);
  supportsDirect: Disk['supportsDirect'] = (directory) => this.#disk.supportsDirect(directory);
  allocateAligned: Disk['allocateAligned'] = (bytes) => this.#disk.allocateAligned(bytes);

  async create(path: string, mode: 'buffered' | 'direct'): Promise<DiskFile> {
    return this.#gated(await this.#disk.create(path, mode));
  }

  async open(path: string, mode: 'buffered' | 'direct'): Promise<DiskFile> {
    return this.#gated(await this.#disk.open(path, mode));
  }

  #gated(file: DiskFile): DiskFile {
    const hold = async (): Promise<void> => {
      this.calls.push(`sync ${file.path}`);
      for (const gate of this.#gates) {
        if (!gate.isOpen && file.path.includes(gate.folder)) await gate.opened;
      }
    };
    return {
      path: file.path,
      write: (views, positionBytes) => {
        this.calls.push(`write ${file.path}`);
        return file.write(views, positionBytes);
      },
      read: (into, positionBytes) => file.read(into, positionBytes),
      sync: async () => {
        await hold();
        return file.sync();
      },
      syncAll: async () => {
        await hold();
        return file.syncAll();
      },
      sizeBytes: () => file.sizeBytes(),
      close: () => file.close(),
    };
  }
}
