import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MillraceError } from '../core/errors.ts';
import { crc32 } from '../serde/crc32.ts';
import type { Disk, DiskFile } from '../wal/disk.ts';
import { nodeDisk } from '../wal/node-disk.ts';
import { CheckpointStore } from './checkpoint-store.ts';

const seed = Number(process.env['MILLRACE_SEED'] ?? 20_261_121);

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-checkpoint-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function open(disk: Disk = nodeDisk, keep = 2): Promise<CheckpointStore> {
  return CheckpointStore.open({ disk, directory: join(root, 'checkpoints'), keep });
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text);
}

function textOf(payload: Uint8Array | undefined): string {
  return Buffer.from(payload ?? []).toString();
}

async function writeAll(store: CheckpointStore, texts: readonly string[]): Promise<string[]> {
  const paths: string[] = [];
  for (const text of texts) paths.push((await store.write(bytesOf(text))).path);
  return paths;
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  writeFileSync(path, bytes);
}

async function codeOf(failing: Promise<unknown>): Promise<string> {
  const outcome = await failing.catch((error: unknown) => error);
  return outcome instanceof MillraceError ? outcome.code : `no MillraceError: ${String(outcome)}`;
}

/** Notes each call that changes or syncs something; `fail` makes the matching one reject. */
function traced(calls: string[], fail: (call: string) => MillraceError | undefined): Disk {
  const note = (call: string): void => {
    const error = fail(call);
    if (error !== undefined) throw error;
    calls.push(call);
  };
  const file = (inner: DiskFile): DiskFile => ({
    path: inner.path,
    async write(views, positionBytes) {
      note(`write ${basename(inner.path)}`);
      return inner.write(views, positionBytes);
    },
    async syncAll() {
      note(`fsync ${basename(inner.path)}`);
      return inner.syncAll();
    },
    read: (into, positionBytes) => inner.read(into, positionBytes),
    sync: () => inner.sync(),
    sizeBytes: () => inner.sizeBytes(),
    close: () => inner.close(),
  });
  return {
    ...nodeDisk,
    async create(path, mode) {
      note(`create ${basename(path)}`);
      return file(await nodeDisk.create(path, mode));
    },
    async rename(from, to) {
      note(`rename ${basename(from)} to ${basename(to)}`);
      return nodeDisk.rename(from, to);
    },
    async unlink(path) {
      note(`unlink ${basename(path)}`);
      return nodeDisk.unlink(path);
    },
    async syncDirectory(path) {
      note(`fsync ${basename(path)}/`);
      return nodeDisk.syncDirectory(path);
    },
  };
}

describe('CheckpointStore', () => {
  it('has nothing at first, then the newest, also when opened again', async () => {
    const store = await open();
    expect(await store.loadNewest()).toBeUndefined();
    await writeAll(store, ['one', 'two', 'three']);
    for (const reader of [store, await open()]) {
      const loaded = await reader.loadNewest();
      expect([loaded?.seq, textOf(loaded?.payload), loaded?.skipped]).toEqual([3, 'three', []]);
      expect(reader.list()).toEqual([2, 3]);
      expect(textOf(await reader.load(2))).toBe('two');
    }
  });

  it('names files by a rising number and goes on after a restart', async () => {
    const [first] = await writeAll(await open(), ['a']);
    const [second] = await writeAll(await open(), ['b']);
    expect(basename(first ?? '')).toBe('checkpoint-0000000000000001.ckpt');
    expect(basename(second ?? '')).toBe('checkpoint-0000000000000002.ckpt');
  });

  it('keeps an empty payload', async () => {
    const store = await open();
    await store.write(new Uint8Array(0));
    expect((await store.loadNewest())?.payload.byteLength).toBe(0);
  });

  it('syncs the file before the name, and the new name before an old one goes', async () => {
    const calls: string[] = [];
    const store = await open(
      traced(calls, () => undefined),
      1,
    );
    await store.write(bytesOf('one'));
    calls.length = 0;
    await store.write(bytesOf('two'));
    const name = 'checkpoint-0000000000000002.ckpt';
    expect(calls).toEqual([
      `unlink ${name}.tmp`,
      `create ${name}.tmp`,
      `write ${name}.tmp`,
      `fsync ${name}.tmp`,
      `rename ${name}.tmp to ${name}`,
      'fsync checkpoints/',
      'unlink checkpoint-0000000000000001.ckpt',
      'fsync checkpoints/',
    ]);
  });

  it('passes over damaged ones, names them, and never uses their number again', async () => {
    const store = await open(nodeDisk, 3);
    const [, two, three] = await writeAll(store, ['one', 'two', 'three']);
    flip(two ?? '', 40 - 7);
    flip(three ?? '', 16);
    const again = await open(nodeDisk, 3);
    const loaded = await again.loadNewest();
    expect([loaded?.seq, textOf(loaded?.payload)]).toEqual([1, 'one']);
    expect(loaded?.skipped).toEqual([
      { path: three, reason: 'the CRC of the header does not match' },
      { path: two, reason: 'the CRC of the payload does not match' },
    ]);
    expect((await again.write(bytesOf('four'))).seq).toBe(4);
    // Three sound ones are wanted and there are two: nothing may go.
    expect(again.list()).toEqual([1, 2, 3, 4]);
    await writeAll(again, ['five', 'six']);
    expect(again.list()).toEqual([4, 5, 6]);
  });

  it('refuses when all are damaged', async () => {
    const paths = await writeAll(await open(), ['one', 'two']);
    for (const path of paths) writeFileSync(path, readFileSync(path).subarray(0, 20));
    expect(await codeOf((await open()).loadNewest())).toBe('CHECKPOINT_CORRUPT');
    expect(readdirSync(join(root, 'checkpoints'))).toHaveLength(2);
  });

  it('refuses a newer format, but takes a flipped version for damage', async () => {
    const [one, two] = await writeAll(await open(), ['one', 'two']);
    flip(two ?? '', 5);
    expect((await (await open()).loadNewest())?.seq).toBe(1);
    for (const path of [one ?? '', two ?? '']) {
      const bytes = readFileSync(path);
      bytes.writeUInt16LE(2, 4);
      bytes.writeUInt32LE(crc32(bytes.subarray(0, 28)), 28);
      writeFileSync(path, bytes);
    }
    expect(await codeOf((await open()).loadNewest())).toBe('FORMAT_UNKNOWN');
  });

  it('takes a renamed file for damage', async () => {
    const [one] = await writeAll(await open(), ['one']);
    const copy = join(root, 'checkpoints', 'checkpoint-0000000000000009.ckpt');
    writeFileSync(copy, readFileSync(one ?? ''));
    const loaded = await (await open()).loadNewest();
    expect(loaded?.seq).toBe(1);
    expect(loaded?.skipped).toEqual([{ path: copy, reason: 'holds checkpoint 1, not 9' }]);
  });

  it('changes nothing before the first write, which removes unfinished files only', async () => {
    const directory = join(root, 'checkpoints');
    await open();
    expect(existsSync(directory)).toBe(false);
    mkdirSync(directory);
    writeFileSync(join(directory, 'checkpoint-0000000000000007.ckpt.tmp'), 'half');
    writeFileSync(join(directory, 'notes.txt'), 'mine');
    writeFileSync(join(directory, 'notes.tmp'), 'mine');
    const store = await open();
    expect(store.list()).toEqual([]);
    expect(readdirSync(directory)).toHaveLength(3);
    const { path } = await store.write(bytesOf('first'));
    expect(readdirSync(directory).toSorted()).toEqual([basename(path), 'notes.tmp', 'notes.txt']);
  });

  it('takes no second write while one is under way', async () => {
    const store = await open();
    const first = store.write(bytesOf('one'));
    expect(await codeOf(store.write(bytesOf('two')))).toBe('BROKEN_INVARIANT');
    await first;
    expect((await store.loadNewest())?.seq).toBe(1);
  });

  it.each(['fsync checkpoint-0000000000000002.ckpt.tmp', 'fsync checkpoints/', 'rename'])(
    'gives up for good when "%s" fails',
    async (failing) => {
      let isArmed = false;
      const failure = new MillraceError('DISK_FAILED', 'injected');
      const disk = traced([], (call) =>
        isArmed && call.startsWith(failing) ? failure : undefined,
      );
      const store = await open(disk);
      await store.write(bytesOf('one'));
      isArmed = true;
      await expect(store.write(bytesOf('two'))).rejects.toBe(failure);
      isArmed = false;
      await expect(store.write(bytesOf('three'))).rejects.toBe(failure);
      expect(textOf(await store.load(1))).toBe('one');
    },
  );

  it('tries again after a full disk', async () => {
    let isFull = true;
    const full = new MillraceError('DISK_FULL', 'injected');
    const disk = traced([], (call) => (isFull && call.startsWith('write') ? full : undefined));
    const store = await open(disk);
    await expect(store.write(bytesOf('one'))).rejects.toBe(full);
    expect(readdirSync(join(root, 'checkpoints'))).toEqual([]);
    isFull = false;
    expect((await store.write(bytesOf('one'))).seq).toBe(1);
  });

  it(`any damage to the newest file is noticed (MILLRACE_SEED=${seed})`, async () => {
    const [, two] = await writeAll(await open(), ['the older one', 'the newest one']);
    const sound = readFileSync(two ?? '');
    const damage = fc.oneof(
      fc.tuple(fc.nat(sound.byteLength - 1), fc.integer({ min: 1, max: 255 })).map(([at, bits]) => {
        const bytes = Buffer.from(sound);
        bytes[at] = (bytes[at] ?? 0) ^ bits;
        return bytes;
      }),
      fc.nat(sound.byteLength - 1).map((length) => sound.subarray(0, length)),
      fc.uint8Array({ minLength: 1 }).map((more) => Buffer.concat([sound, more])),
    );
    const property = fc.asyncProperty(damage, async (bytes) => {
      writeFileSync(two ?? '', bytes);
      const loaded = await (await open()).loadNewest();
      expect(textOf(loaded?.payload)).toBe('the older one');
      expect(loaded?.skipped.map(({ path }) => path)).toEqual([two]);
    });
    await fc.assert(property, { seed, numRuns: 100 });
  });
});
