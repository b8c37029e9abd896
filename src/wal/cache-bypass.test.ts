import { expect, it } from 'vitest';
import { MillraceError } from '../core/errors.ts';
import { openPastCache } from './cache-bypass.ts';
import type { DiskFile } from './disk.ts';

const PATH = '/log/1.wal';

/** Reads 7, or fails; notes what happens to it. */
class NamedFile implements DiskFile {
  readonly path = PATH;
  readonly #name: string;
  readonly #calls: string[];
  readonly #errno: string | undefined;

  constructor(name: string, calls: string[], errno?: string) {
    this.#name = name;
    this.#calls = calls;
    this.#errno = errno;
  }

  async read(into: Uint8Array): Promise<number> {
    this.#calls.push(`read ${this.#name}`);
    if (this.#errno !== undefined) throw failed(this.#errno);
    into.fill(7);
    return into.byteLength;
  }

  async close(): Promise<void> {
    this.#calls.push(`close ${this.#name}`);
  }

  sizeBytes = (): Promise<number> => Promise.resolve(11);
  write = (): Promise<never> => Promise.reject(failed('EBADF'));
  sync = (): Promise<never> => Promise.reject(failed('EBADF'));
  syncAll = (): Promise<never> => Promise.reject(failed('EBADF'));
}

function failed(errno: string): MillraceError {
  return new MillraceError('DISK_FAILED', errno, { details: { path: PATH, call: 'read', errno } });
}

/** Two at a time, then one more. */
async function readThrice(file: DiskFile): Promise<number[]> {
  const [one, other, last] = [new Uint8Array(1), new Uint8Array(1), new Uint8Array(1)];
  await Promise.all([file.read(one, 0), file.read(other, 4_096)]);
  await file.read(last, 8_192);
  await file.close();
  return [...one, ...other, ...last];
}

it('a file system that takes direct reads is asked for nothing else', async () => {
  const calls: string[] = [];
  const file = await openPastCache(async (isDirect) => new NamedFile(`${isDirect}`, calls));
  expect(await file.sizeBytes()).toBe(11);
  expect(await readThrice(file)).toEqual([7, 7, 7]);
  expect(calls).toEqual(['read true', 'read true', 'read true', 'close true']);
  for (const call of [file.write([], 0), file.sync(), file.syncAll()]) {
    await expect(call).rejects.toThrow('EBADF');
  }
});

it.each(['EINVAL', 'EOPNOTSUPP', 'ENOTSUP'])('refused by %s at the opening', async (errno) => {
  const calls: string[] = [];
  const file = await openPastCache(async (isDirect) => {
    if (isDirect) throw failed(errno);
    return new NamedFile('buffered', calls);
  });
  expect(await readThrice(file)).toEqual([7, 7, 7]);
});

it('refused at the first reads, which are made again through the cache', async () => {
  const calls: string[] = [];
  const file = await openPastCache(async (isDirect) =>
    isDirect ? new NamedFile('direct', calls, 'EINVAL') : new NamedFile('buffered', calls),
  );
  expect(await readThrice(file)).toEqual([7, 7, 7]);
  const again = Array.from({ length: 3 }, () => 'read buffered');
  const all = ['read direct', 'read direct', ...again, 'close direct', 'close buffered'];
  expect(calls).toEqual(all);
});

it('any other failure is told', async () => {
  const opening = openPastCache(() => Promise.reject(failed('ENOENT')));
  await expect(opening).rejects.toThrow('ENOENT');
  const file = await openPastCache(async () => new NamedFile('direct', [], 'EIO'));
  await expect(file.read(new Uint8Array(1), 0)).rejects.toThrow('EIO');
});
