/** Reading past the page cache, where the file system lets us.
 *
 * A log that is written past the cache is not in it, and reading it through the cache takes fresh
 * memory for every page: 1.6 s of CPU for a GiB on a machine whose host hands out memory page by
 * page, against 0.1 s. And after a failed sync the cache may show what the device does not have.
 * @module */
import type { DiskFile } from './disk.ts';
import { errnoOf } from './system-calls.ts';

/** What file systems without direct I/O answer to opening with O_DIRECT or to using it. */
export const DIRECT_REFUSALS: ReadonlySet<unknown> = new Set(['EINVAL', 'EOPNOTSUPP', 'ENOTSUP']);

/** @param open opens the file for reading, in either way. Some file systems refuse direct reads at
 *   the opening, some at the first read: both are read through the cache then. */
export async function openPastCache(
  open: (isDirect: boolean) => Promise<DiskFile>,
): Promise<DiskFile> {
  try {
    return new DirectReads(await open(true), () => open(false));
  } catch (thrown) {
    if (!DIRECT_REFUSALS.has(errnoOf(thrown))) throw thrown;
    return open(false);
  }
}

/** For reading only. */
class DirectReads implements DiskFile {
  readonly path: string;
  readonly #direct: DiskFile;
  readonly #openBuffered: () => Promise<DiskFile>;
  /** Both stay open to the end: several reads may be under way. */
  #buffered: Promise<DiskFile> | undefined;

  constructor(direct: DiskFile, openBuffered: () => Promise<DiskFile>) {
    this.path = direct.path;
    this.#direct = direct;
    this.#openBuffered = openBuffered;
  }

  async read(into: Uint8Array, positionBytes: number): Promise<number> {
    if (this.#buffered === undefined) {
      try {
        return await this.#direct.read(into, positionBytes);
      } catch (thrown) {
        if (!DIRECT_REFUSALS.has(errnoOf(thrown))) throw thrown;
        this.#buffered ??= this.#openBuffered();
      }
    }
    return (await this.#buffered).read(into, positionBytes);
  }

  sizeBytes(): Promise<number> {
    return this.#direct.sizeBytes();
  }

  write(views: readonly Uint8Array[], positionBytes: number): Promise<number> {
    return this.#direct.write(views, positionBytes);
  }

  sync(): Promise<void> {
    return this.#direct.sync();
  }

  syncAll(): Promise<void> {
    return this.#direct.syncAll();
  }

  async close(): Promise<void> {
    await this.#direct.close();
    await (await this.#buffered)?.close();
  }
}
