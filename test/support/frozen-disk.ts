/** A disk that holds files in memory and lets nobody change them: for reading what a test has
 * harmed, fast, and for showing that a reader only reads. @module */
import { basename, dirname } from 'node:path';
import type { Disk, DiskFile } from '../../src/wal/disk.ts';

export class FrozenDisk implements Disk {
  readonly #directories = new Map<string, Map<string, Uint8Array>>();
  /** The most bytes that one call asked to read: how much memory somebody had ready for it. */
  readBytesMax = 0;

  /** Adds or replaces a file. Its bytes are not copied: change them, and the file has changed. */
  put(path: string, bytes: Uint8Array): void {
    const directory = dirname(path);
    const files = this.#directories.get(directory) ?? new Map<string, Uint8Array>();
    files.set(basename(path), bytes);
    this.#directories.set(directory, files);
  }

  remove(path: string): void {
    this.#directories.get(dirname(path))?.delete(basename(path));
  }

  contentOf(path: string): Uint8Array {
    const bytes = this.#directories.get(dirname(path))?.get(basename(path));
    if (bytes === undefined) throw new Error(`there is no ${path}`);
    return bytes;
  }

  /** Paths of all files. */
  get paths(): string[] {
    const all = [...this.#directories];
    return all.flatMap(([directory, files]) =>
      [...files.keys()].map((name) => `${directory}/${name}`),
    );
  }

  list(directory: string): Promise<readonly string[] | undefined> {
    const inner = [...this.#directories.keys()].filter((path) => dirname(path) === directory);
    const files = this.#directories.get(directory);
    if (files === undefined && inner.length === 0) return Promise.resolve(undefined);
    const names = [...(files?.keys() ?? []), ...inner.map((path) => basename(path))];
    return Promise.resolve(names.toSorted());
  }

  async openForReading(path: string): Promise<DiskFile> {
    const bytes = this.contentOf(path);
    return {
      path,
      read: (into, positionBytes) => {
        if (into.byteLength > this.readBytesMax) this.readBytesMax = into.byteLength;
        const part = bytes.subarray(positionBytes, positionBytes + into.byteLength);
        into.set(part);
        return Promise.resolve(part.byteLength);
      },
      sizeBytes: () => Promise.resolve(bytes.byteLength),
      close: () => Promise.resolve(),
      write: () => refuse('write', path),
      sync: () => refuse('sync', path),
      syncAll: () => refuse('sync', path),
    };
  }

  async readWhole(path: string): Promise<Uint8Array | undefined> {
    const bytes = this.#directories.get(dirname(path))?.get(basename(path));
    return bytes?.slice();
  }

  makeDirectory = (path: string): Promise<never> => refuse('makeDirectory', path);
  syncDirectory = (path: string): Promise<never> => refuse('syncDirectory', path);
  create = (path: string): Promise<never> => refuse('create', path);
  open = (path: string): Promise<never> => refuse('open', path);
  rename = (path: string): Promise<never> => refuse('rename', path);
  unlink = (path: string): Promise<never> => refuse('unlink', path);
  removeTree = (path: string): Promise<never> => refuse('removeTree', path);
  supportsDirect = (path: string): Promise<never> => refuse('supportsDirect', path);
  allocateAligned = (bytes: number): Uint8Array => new Uint8Array(bytes);
}

function refuse(call: string, path: string): Promise<never> {
  return Promise.reject(new Error(`${call} of ${path} on a disk that must not change`));
}
