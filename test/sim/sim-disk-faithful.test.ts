/** The simulated disk against the real one: the same calls, on both, have the same results, errors
 * included, and leave the same files; also after everything was closed and opened again.
 *
 * What a power cut leaves cannot be compared like this: see src/testing/sim-disk.test.ts. @module */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MillraceError } from '../../src/core/errors.ts';
import { SimDisk } from '../../src/testing/sim-disk.ts';
import type { Disk, DiskFile } from '../../src/wal/disk.ts';
import { nodeDisk } from '../../src/wal/node-disk.ts';
import { numberedPayload } from '../support/numbered-payloads.ts';
import { scaled, scaledTimeoutMs, seedNote, simSeed } from '../support/sim-runs.ts';

const RUNS = 300;
const FILES = ['a', 'b', 'inner/c', 'inner', 'missing/d', 'a/e'];

let root = '';
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-sim-disk-'));
});
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

const path = fc.constantFrom(...FILES);
const handle = fc.nat({ max: 3 });
const atBytes = fc.constantFrom(0, 1, 511, 512, 4096, 9_000);
const command = fc.oneof(
  fc.record({ kind: fc.constant('create'), path }),
  fc.record({ kind: fc.constant('open'), path, isReadOnly: fc.boolean() }),
  fc.record({
    kind: fc.constant('write'),
    handle,
    atBytes,
    lengths: fc.array(fc.constantFrom(8, 100, 512, 5_000), { maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('read'), handle, atBytes, bytes: fc.constantFrom(1, 600, 9_000) }),
  fc.record({ kind: fc.constant('sync'), handle }),
  fc.record({ kind: fc.constant('size'), handle }),
  fc.record({ kind: fc.constant('close'), handle }),
  fc.record({ kind: fc.constant('make-directory'), path }),
  fc.record({ kind: fc.constant('list'), path: fc.constantFrom('.', ...FILES) }),
  fc.record({ kind: fc.constant('sync-directory'), path: fc.constantFrom('inner', 'missing') }),
  fc.record({ kind: fc.constant('rename'), path, to: path }),
  fc.record({ kind: fc.constant('unlink'), path }),
  fc.record({ kind: fc.constant('remove-tree'), path: fc.constantFrom('inner', 'b', 'missing') }),
  fc.record({ kind: fc.constant('read-whole'), path: fc.constantFrom('a', 'b', 'missing/d') }),
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

/** One of the two disks, with the files that are open on it. */
class Side {
  readonly #disk: Disk;
  readonly #root: string;
  readonly #open: (DiskFile | undefined)[] = [];

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#root = directory;
  }

  /** @returns what the call gave, or its error's code and errno. */
  async outcome(given: Command, serial: number): Promise<unknown> {
    try {
      return { value: await this.#run(given, serial) };
    } catch (thrown) {
      if (!(thrown instanceof MillraceError)) throw thrown;
      return { code: thrown.code, errno: thrown.details['errno'] };
    }
  }

  async closeAll(): Promise<void> {
    for (const file of this.#open.splice(0)) await file?.close().catch(() => undefined);
  }

  /** Names and contents of all files, in one text. */
  async content(directory = this.#root): Promise<string> {
    let text = '';
    for (const name of (await this.#disk.list(directory)) ?? []) {
      const inner = join(directory, name);
      const isDirectory = await this.#disk.list(inner).then(
        () => true,
        () => false,
      );
      if (isDirectory) text += `${name}: {${await this.content(inner)}}\n`;
      else {
        const bytes = await this.#disk.readWhole(inner, 1 << 20);
        text += `${name}: ${Buffer.from(bytes ?? []).toString('base64')}\n`;
      }
    }
    return text;
  }

  async #run(given: Command, serial: number): Promise<unknown> {
    const disk = this.#disk;
    if ('handle' in given) return this.#runOnFile(given, serial);
    const at = join(this.#root, given.path);
    switch (given.kind) {
      case 'create':
        return this.#keep(await disk.create(at, 'buffered'));
      case 'open':
        return this.#openAt(at, given.isReadOnly);
      case 'make-directory':
        return disk.makeDirectory(at);
      case 'list':
        return disk.list(at);
      case 'sync-directory':
        return disk.syncDirectory(at);
      case 'rename':
        return disk.rename(at, join(this.#root, given.to));
      case 'unlink':
        return disk.unlink(at);
      case 'remove-tree':
        return disk.removeTree(at);
      case 'read-whole':
        return Buffer.from((await disk.readWhole(at, 6_000)) ?? []).toString('base64');
      default:
        throw new Error(`unknown command ${JSON.stringify(given satisfies never)}`);
    }
  }

  /** The real disk opens a directory for reading, too; nothing in the engine does that. */
  async #openAt(at: string, isReadOnly: boolean): Promise<void> {
    const isDirectory = await this.#disk.list(at).then(
      (names) => names !== undefined,
      () => false,
    );
    if (isDirectory && isReadOnly) return;
    const opening = isReadOnly ? this.#disk.openForReading(at) : this.#disk.open(at, 'buffered');
    this.#keep(await opening);
  }

  async #runOnFile(given: Extract<Command, { handle: number }>, serial: number): Promise<unknown> {
    const file = this.#open[given.handle];
    if (file === undefined) return 'no such file is open';
    switch (given.kind) {
      case 'write': {
        const views = given.lengths.map((length, index) =>
          numberedPayload(serial * 10 + index, length),
        );
        return file.write(views, given.atBytes);
      }
      case 'read': {
        const into = new Uint8Array(given.bytes);
        const got = await file.read(into, given.atBytes);
        return { got, bytes: Buffer.from(into).toString('base64') };
      }
      case 'sync':
        return serial % 2 === 0 ? file.sync() : file.syncAll();
      case 'size':
        return file.sizeBytes();
      case 'close': {
        // A number that the kernel may have given away again: never used twice.
        this.#open[given.handle] = undefined;
        return file.close();
      }
      default:
        throw new Error(`unknown command ${JSON.stringify(given satisfies never)}`);
    }
  }

  /** At most four files are open; the fifth takes the first free place, or none. */
  #keep(file: DiskFile): void {
    const free = [0, 1, 2, 3].find((index) => this.#open[index] === undefined);
    this.#open[free ?? this.#open.length] = file;
  }
}

let runs = 0;

async function compare(commands: readonly Command[], change: (disk: Disk) => Disk): Promise<void> {
  runs += 1;
  const directory = join(root, String(runs));
  const simulated = new SimDisk();
  const sides = [
    new Side(nodeDisk, directory),
    new Side(change(simulated.attach()), directory),
  ] as const;
  await Promise.all([nodeDisk.makeDirectory(directory), simulated.makeDirectory(directory)]);
  try {
    for (const [serial, next] of commands.entries()) {
      const [real, sim] = [
        await sides[0].outcome(next, serial),
        await sides[1].outcome(next, serial),
      ];
      expect(sim, JSON.stringify(next)).toEqual(real);
    }
    await Promise.all(sides.map((side) => side.closeAll()));
    expect(await sides[1].content()).toBe(await sides[0].content());
    simulated.kill();
    expect(await new Side(simulated, directory).content()).toBe(await sides[0].content());
  } finally {
    await Promise.all(sides.map((side) => side.closeAll()));
    rmSync(directory, { recursive: true, force: true });
  }
}

const script = fc.array(command, { minLength: 10, maxLength: 50, size: 'max' });

describe(`the simulated disk (${seedNote})`, () => {
  it('does what the real one does', { timeout: scaledTimeoutMs() }, async () => {
    await fc.assert(
      fc.asyncProperty(script, (commands) => compare(commands, (disk) => disk)),
      { seed: simSeed, numRuns: scaled(RUNS) },
    );
  });

  it.each<[string, (disk: Disk) => Disk]>([
    ['a rename that keeps the old name', (disk) => ({ ...disk, rename: async () => undefined })],
    [
      'an existing file that is created again',
      (disk) => ({
        ...disk,
        create: (at, mode) => disk.create(at, mode).catch(() => disk.open(at, mode)),
      }),
    ],
  ])('is told apart from one with %s', async (_name, change) => {
    const details = await fc.check(
      fc.asyncProperty(script, (commands) => compare(commands, change)),
      { seed: simSeed, numRuns: RUNS, endOnFailure: true },
    );
    expect(details.failed).toBe(true);
  });
});
