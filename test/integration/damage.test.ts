/** Checkpoint directories that somebody has damaged, mixed up or cut, and pipelines that do not fit
 * them: refused with names and bytes, or used as far as they are sound. Needs a built dist/.
 * @module */
import { createHash } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CommandPlace } from '../support/command.ts';
import { failureOf, PipelineSite } from '../support/pipeline-site.ts';

let site: PipelineSite;
beforeEach(() => {
  site = new PipelineSite();
});
afterEach(() => site.close());

/** 1, 2, 3 … as far as the run goes, saved in batches. While a file `hold` exists, no batch
 * ends. */
const NUMBERS = `class Numbers extends Receiver {
  onStart() {
    this.run().catch(() => undefined); // the end of this life
  }
  async run() {
    for (let n = (this.lastPosition[''] ?? 0) + 1; ; n += 1) await this.store([n], { position: n });
  }
  onStop() {}
}`;
const HOLD = `.foreachBatch(async () => {
  while (existsSync(directory + '/hold')) await new Promise((resolve) => setTimeout(resolve, 10));
})`;

function numbers(options: object = {}, extra = ''): void {
  site.pipeline(
    `const numbers = ssc.receiverStream(() => new Numbers(), { id: 'numbers' });
    numbers${HOLD};
    numbers.saveAsTextFiles(directory + '/out/n');
    ${extra}`,
    {
      head: `import { existsSync } from 'node:fs';\n${NUMBERS}`,
      // Long enough for what is received here: the last segment has a beginning and an end.
      options: { blockInterval: 5, driverSegmentBytes: '4MiB', ...options },
    },
  );
}

/** A directory with some finished batches, unfinished ones, and queued blocks. */
async function makeHistory(): Promise<number> {
  numbers();
  const run = await site.start();
  await run.until('batches', () => run.of('batch-completed').length >= 4);
  site.write('hold', '');
  await run.until('unfinished ones', () => run.context.totals.unfinishedBatches >= 3);
  await run.context.stop({ graceful: false });
  site.remove('hold');
  return run.of('batch-completed').length;
}

/** Ends the history: everything that was received is in the output, once, in order. */
async function expectWhole(): Promise<void> {
  const run = await site.start();
  await run.until('batches', () => run.of('batch-completed').length >= 4);
  await run.context.stop();
  const saved = site.saved('out/n').map(Number);
  expect(saved.length).toBeGreaterThan(5);
  expect(saved).toEqual(saved.map((_, index) => index + 1));
}

/** Content of every file of the checkpoint directory. */
function fingerprint(): Record<string, string> {
  const files = readdirSync(site.checkpointDir, { recursive: true }) as string[];
  const entries = files
    .filter((name) => name !== 'LOCK' && statSync(join(site.checkpointDir, name)).isFile())
    .map((name) => {
      const bytes = readFileSync(join(site.checkpointDir, name));
      return [name, createHash('sha256').update(bytes).digest('hex')] as const;
    });
  return Object.fromEntries(entries);
}

function flip(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset] = (bytes[offset] ?? 0) ^ 0x10;
  writeFileSync(path, bytes);
}

function inHome(...names: readonly string[]): string {
  return join(site.checkpointDir, ...names);
}

/** File names of a part of the directory, oldest first. */
function names(part: string, ending: string): string[] {
  return readdirSync(inHome(part))
    .filter((name) => name.endsWith(ending))
    .toSorted()
    .map((name) => inHome(part, name));
}

/** The start is refused as damage, and has changed nothing. */
async function expectRefused(...parts: readonly (string | RegExp)[]): Promise<void> {
  const before = fingerprint();
  const failure = await failureOf(site.open());
  expect(failure).toMatchObject({ exitCode: 2 });
  for (const part of parts) expect(failure.message).toMatch(part);
  expect(fingerprint()).toEqual(before);
}

/** End of what was written to a segment. */
function writtenBytes(path: string): number {
  const bytes = readFileSync(path);
  let end = bytes.byteLength;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return Math.ceil(end / 4096) * 4096;
}

const RECORD_MAGIC = 0x524d;

/** Headers begin on multiples of 16 bytes, the last one that a close wrote on a page. */
function lastHeaderOffset(bytes: Buffer, end: number): number {
  let at = end - 4096;
  while (bytes.readUInt16LE(at + 2) !== RECORD_MAGIC) at -= 16;
  return at;
}

/** What an interrupted write of the next record may leave: its header, and half of the payload. */
function tornRecord(lastHeader: Buffer): Buffer {
  const torn = Buffer.alloc(900, 'x');
  lastHeader.copy(torn, 0, 0, 32);
  torn.writeBigUInt64LE(lastHeader.readBigUInt64LE(16) + 1n, 16);
  return torn;
}

describe('checkpoints', () => {
  it('a damaged newest one is skipped, said, and nothing is lost', async () => {
    await makeHistory();
    const newest = names('checkpoints', '.ckpt').at(-1) ?? '';
    for (const offset of [0, 100, statSync(newest).size - 1]) {
      const copy = readFileSync(newest);
      flip(newest, offset);
      const run = await site.open();
      expect(run.of('checkpoint-skipped')).toMatchObject([{ path: newest }]);
      await run.context.stop();
      writeFileSync(newest, copy);
    }
    flip(newest, 200);
    await expectWhole();
  });

  it('a cut or empty newest one is skipped too', async () => {
    await makeHistory();
    const newest = names('checkpoints', '.ckpt').at(-1) ?? '';
    truncateSync(newest, statSync(newest).size - 1);
    const run = await site.open();
    expect(run.of('checkpoint-skipped')).toMatchObject([{ path: newest }]);
    await run.context.stop();
    truncateSync(newest, 0);
    await expectWhole();
  });

  it('refuses when all are damaged, and when all are gone', async () => {
    await makeHistory();
    const all = names('checkpoints', '.ckpt');
    expect(all).toHaveLength(2);
    for (const path of all) flip(path, 60);
    await expectRefused(...all);
    site.remove('checkpoint/checkpoints');
    await expectRefused(/no checkpoint/, site.checkpointDir);
  });
});

describe('logs', () => {
  it.each(['driver-log', 'receiver-log-0'])('a flipped byte in %s is refused', async (log) => {
    await makeHistory();
    const path = names(log, '.wal').at(-1) ?? '';
    const content = readFileSync(path);
    for (const offset of [4096, 4096 + 8, 4096 + 17, 4096 + 33]) {
      flip(path, offset);
      await expectRefused(path, /bytes \d+ to \d+/, /had been synced/);
      writeFileSync(path, content);
    }
    await expectWhole();
  });

  it.each(['driver-log', 'receiver-log-0'])(
    'a damaged segment header of %s is refused',
    async (log) => {
      await makeHistory();
      const path = names(log, '.wal').at(-1) ?? '';
      flip(path, 20);
      await expectRefused(path, /header/);
    },
  );

  it.each(['driver-log', 'receiver-log-0'])(
    '%s cut off, emptied or gone is refused',
    async (log) => {
      await makeHistory();
      const [first = ''] = names(log, '.wal');
      const content = readFileSync(first);
      truncateSync(first, 8192);
      await expectRefused(first);
      truncateSync(first, 0);
      await expectRefused(first);
      site.remove(`checkpoint/${log}`);
      await expectRefused(log);
      site.write(`checkpoint/${log}/${first.split('/').at(-1)}`, '');
      writeFileSync(first, content);
      await expectWhole();
    },
  );

  it.each(['driver-log', 'receiver-log-0'])(
    'a record of %s of which only a part was written is kept aside',
    async (log) => {
      await makeHistory();
      const path = names(log, '.wal').at(-1) ?? '';
      const bytes = readFileSync(path);
      const end = writtenBytes(path);
      const torn = tornRecord(bytes.subarray(lastHeaderOffset(bytes, end)));
      // Where segments grow, the file ends with what was written.
      const longer = Buffer.alloc(Math.max(bytes.byteLength, end + torn.byteLength));
      bytes.copy(longer);
      torn.copy(longer, end);
      writeFileSync(path, longer);
      const run = await site.open();
      const [recovered] = run.of('engine-recovered');
      expect(recovered?.tornTails).toHaveLength(1);
      const [kept = ''] = recovered?.tornTails ?? [];
      expect(kept).toMatch(/\.torn$/);
      expect(readFileSync(kept).includes(torn)).toBe(true);
      await run.context.stop();
      await expectWhole();
    },
  );
});

describe('the directory', () => {
  it('without its MANIFEST, or with a damaged one, is refused', async () => {
    await makeHistory();
    const manifest = inHome('MANIFEST');
    const content = readFileSync(manifest);
    for (const offset of [0, 30, content.byteLength - 2]) {
      flip(manifest, offset);
      await expectRefused(manifest);
      writeFileSync(manifest, content);
    }
    site.remove('checkpoint/MANIFEST');
    await expectRefused(/MANIFEST/);
    writeFileSync(manifest, content);
    await expectWhole();
  });

  it('with a log of another directory is refused', async () => {
    await makeHistory();
    cpSync(site.checkpointDir, site.path('mine'), { recursive: true });
    site.remove('checkpoint');
    site.remove('out');
    await makeHistory();
    site.remove('checkpoint/receiver-log-0');
    cpSync(site.path('mine', 'receiver-log-0'), inHome('receiver-log-0'), { recursive: true });
    await expectRefused(/receiver-log-0 belongs to another checkpoint directory/);
  });

  it('of another pipeline is refused, and stays as it is', async () => {
    await makeHistory();
    numbers({ name: 'another' });
    const before = fingerprint();
    const failure = await failureOf(site.open());
    expect(failure).toMatchObject({ code: 'CHECKPOINT_MISMATCH', exitCode: 64 });
    expect(failure.message).toMatch(/belongs to the pipeline 'integration', not to 'another'/);
    expect(fingerprint()).toEqual(before);
    numbers();
    await expectWhole();
  });

  it('of another batch interval is refused', async () => {
    await makeHistory();
    const failure = await failureOf(site.open({ batchInterval: 100 }));
    expect(failure).toMatchObject({ code: 'CHECKPOINT_MISMATCH', exitCode: 64 });
    expect(failure.message).toMatch(/batchInterval.* must stay 50/);
    await expectWhole();
  });

  it('with unfinished batches of an input that is gone is refused, until they are done', async () => {
    await makeHistory();
    const without = `ssc.generatorStream({ total: 5, id: 'other' }).saveAsTextFiles(directory + '/x/n');`;
    site.pipeline(without);
    const failure = await failureOf(site.open());
    expect(failure).toMatchObject({ code: 'CHECKPOINT_MISMATCH', exitCode: 64 });
    expect(failure.message).toMatch(/input numbers is gone; batch \d+ needs it/);
    numbers();
    await expectWhole();
    site.pipeline(without);
    const run = await site.finish();
    expect(run.of('warning')).toMatchObject([{ message: expect.stringContaining('has changed') }]);
    expect(site.saved('x/n')).toHaveLength(5);
  });

  it('is used by a pipeline that has grown', async () => {
    await makeHistory();
    numbers({}, `keep('added', numbers.count());`);
    await expectWhole();
    expect(site.records('added').length).toBeGreaterThan(0);
  });
});

it('the command line ends with exit code 2 and names file and bytes', async () => {
  const place = new CommandPlace();
  try {
    place.pipeline('damaged', `ssc.generatorStream({ total: 50 }).count().print();`);
    expect((await place.run('run', 'damaged.ts', '--checkpoint', 'home')).code).toBe(0);
    const log = join(place.directory, 'home', 'receiver-log-0');
    const path = join(log, readdirSync(log).find((name) => name.endsWith('.wal')) ?? '');
    flip(path, 4096 + 33);
    const { code, out, err } = await place.run('run', 'damaged.ts', '--checkpoint', 'home');
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(path);
    expect(err).toMatch(/bytes \d+ to \d+/);
  } finally {
    await place.close();
  }
});
