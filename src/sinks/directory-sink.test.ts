import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BatchTimeMs } from '../core/ids.ts';
import { NO_LOG_ID } from '../dstream/sink.ts';
import type { SinkBatch } from '../dstream/sink.ts';
import { DirectorySink } from './directory-sink.ts';
import { formatText } from './text-format.ts';

const BATCH: SinkBatch = {
  logId: 'log-1',
  outputId: 'saveAsTextFiles-0',
  epoch: 1,
  batchTimeMs: 1_000 as BatchTimeMs,
  cleanedThroughMs: 0,
};
/** Two partitions; what a batch writes is the same in every try. */
const PARTITIONS = [['a', 'b'], [['c', 1]]] as const;
const WHOLE = { 'part-00000': 'a\nb\n', 'part-00001': '(c,1)\n' };

let root: string;
let sink: DirectorySink;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-sink-'));
  sink = newSink();
});

afterEach(() => rm(root, { recursive: true }));

function newSink(suffix?: string): DirectorySink {
  const prefix = join(root, 'out', 'counts');
  return new DirectorySink({
    prefix,
    format: formatText,
    ...(suffix === undefined ? {} : { suffix }),
  });
}

async function writePart(partition: number, attempt: number, batch = BATCH): Promise<unknown> {
  const writer = await sink.openPartition(batch, partition, attempt);
  for (const record of PARTITIONS[partition] ?? []) writer.write(record);
  return writer.close();
}

function writeParts(batch = BATCH): Promise<unknown[]> {
  return Promise.all(PARTITIONS.map((_, partition) => writePart(partition, 0, batch)));
}

/** The part files of a directory below `out`, by name. */
async function contentOf(name: string): Promise<Record<string, string>> {
  const directory = join(root, 'out', name);
  const names = (await readdir(directory)).filter((file) => file.startsWith('part-')).sort();
  const texts = await Promise.all(names.map((file) => readFile(join(directory, file), 'utf8')));
  return Object.fromEntries(names.map((file, index) => [file, texts[index] ?? '']));
}

async function listOut(): Promise<string[]> {
  return (await readdir(join(root, 'out'))).sort();
}

/** Name of the one temporary directory. */
async function temporaryName(): Promise<string> {
  const [name, ...others] = (await listOut()).filter((entry) => entry.startsWith('.'));
  expect(others).toEqual([]);
  return name ?? 'none';
}

/** As the driver does at a start: prepare, and run the batch when it is needed. */
async function runBatch(): Promise<void> {
  sink = newSink();
  if ((await sink.prepare(BATCH)) === 'needed') await sink.commit(BATCH, await writeParts());
}

async function expectOneWholeCopy(): Promise<void> {
  expect(await listOut()).toEqual(['counts-1000']);
  expect(await contentOf('counts-1000')).toEqual(WHOLE);
  expect(await readdir(join(root, 'out', 'counts-1000'))).toHaveLength(3);
}

describe('a batch', () => {
  it('appears whole, with a _SUCCESS file that says whose it is', async () => {
    expect(await sink.prepare(BATCH)).toBe('needed');
    expect(await temporaryName()).toMatch(/^\.counts-1000\.[0-9a-f]{8}\.tmp$/);
    const tokens = await writeParts();
    expect(structuredClone(tokens)).toEqual(tokens);
    expect(await listOut()).toHaveLength(1); // nothing final yet
    await sink.commit(BATCH, tokens);
    await expectOneWholeCopy();
    const success = await readFile(join(root, 'out/counts-1000/_SUCCESS'), 'utf8');
    const { logId, outputId, batchTimeMs } = BATCH;
    expect(JSON.parse(success)).toEqual({ logId, outputId, batchTimeMs, records: [2, 1] });
  });

  it('takes the winners and removes the other attempts', async () => {
    await sink.prepare(BATCH);
    await writePart(0, 0);
    const given = await sink.openPartition(BATCH, 0, 1);
    given.write('half'); // a thread that died here
    const tokens = [await writePart(0, 2), await writePart(1, 0)];
    await sink.commit(BATCH, tokens);
    await expectOneWholeCopy();
    await given.abort();
  });

  it('without partitions is _SUCCESS alone; a suffix follows the time', async () => {
    sink = newSink('txt');
    await sink.prepare(BATCH);
    await sink.commit(BATCH, []);
    expect(await readdir(join(root, 'out/counts-1000.txt'))).toEqual(['_SUCCESS']);
  });

  it('writes large parts and empty records in order', async () => {
    const records = Array.from({ length: 50_000 }, (_, i) => (i % 7 === 0 ? '' : `ß record ${i}`));
    await sink.prepare(BATCH);
    const writer = await sink.openPartition(BATCH, 0, 0);
    for (const record of records) writer.write(record);
    await sink.commit(BATCH, [await writer.close()]);
    const text = (await contentOf('counts-1000'))['part-00000'];
    expect(text).toBe(`${records.join('\n')}\n`);
  });
});

describe('a crash, then the batch again', () => {
  /** Each step leaves what a death right after it would leave; the last is a whole commit. */
  const steps: [string, () => Promise<unknown>][] = [
    ['prepare', () => sink.prepare(BATCH)],
    ['a part half written', async () => (await sink.openPartition(BATCH, 0, 0)).write('x')],
    ['a part closed', () => writePart(0, 1)],
    ['all parts closed', () => writePart(1, 0)],
    [
      'a winner renamed',
      async () => rename(await inside('part-00000.attempt-1'), await inside('part-00000')),
    ],
    ['_SUCCESS half written', async () => writeFile(await inside('_SUCCESS'), '{"logId":"lo')],
    ['_SUCCESS written', async () => writeFile(await inside('_SUCCESS'), JSON.stringify(BATCH))],
    ['renamed and committed', () => runBatch()],
  ];

  async function inside(name: string): Promise<string> {
    return join(root, 'out', await temporaryName(), name);
  }

  it.each(steps.map(([name], index) => [name, index] as const))(
    'leaves exactly one copy: after %s',
    async (_, last) => {
      for (const [, step] of steps.slice(0, last + 1)) await step();
      await runBatch();
      await expectOneWholeCopy();
      await runBatch();
      await expectOneWholeCopy();
    },
  );

  it('drops a leftover temporary directory of a batch that was committed', async () => {
    await sink.prepare(BATCH);
    const tokens = await writeParts();
    const temporary = join(root, 'out', await temporaryName());
    await cp(temporary, join(root, 'kept'), { recursive: true });
    await sink.commit(BATCH, tokens);
    await rename(join(root, 'kept'), temporary);
    expect(await newSink().prepare(BATCH)).toBe('already-committed');
    await expectOneWholeCopy();
  });

  it('may commit again with the same tokens, after a failure and after a success', async () => {
    await sink.prepare(BATCH);
    const tokens = await writeParts();
    const final = join(root, 'out/counts-1000');
    await writeFile(final, 'in the way');
    await expect(sink.commit(BATCH, tokens)).rejects.toMatchObject({ code: 'SINK_CONFLICT' });
    await rm(final);
    await rename(await inside('part-00000.attempt-0'), await inside('part-00000'));
    await sink.commit(BATCH, tokens);
    await sink.commit(BATCH, tokens);
    await expectOneWholeCopy();
  });
});

describe('output that is not ours', () => {
  it.each([
    [
      'another log',
      { logId: 'log-2' },
      /another checkpoint directory \(log log-1; this one is log-2\)/,
    ],
    ['another output', { outputId: 'other-0' }, /operator saveAsTextFiles-0 .* not of other-0/],
  ])('of %s is refused and left alone', async (_, change, message) => {
    await runBatch();
    const other = { ...BATCH, ...change };
    await expect(sink.prepare(other)).rejects.toMatchObject({
      code: 'SINK_CONFLICT',
      message: expect.stringMatching(message),
    });
    await expect(sink.prepare(other)).rejects.toThrow(/counts-1000 .* Move it away/);
    await expectOneWholeCopy();
  });

  it('is a directory without _SUCCESS, with an empty or a huge one, or a copy', async () => {
    const final = join(root, 'out/counts-1000');
    await mkdir(final, { recursive: true });
    const refused = { code: 'SINK_CONFLICT' };
    await expect(sink.prepare(BATCH)).rejects.toMatchObject(refused);
    await writeFile(join(final, '_SUCCESS'), ''); // Hadoop's
    await expect(sink.prepare(BATCH)).rejects.toMatchObject(refused);
    await writeFile(join(final, '_SUCCESS'), Buffer.alloc(2 * 1024 * 1024, ' '));
    await expect(sink.prepare(BATCH)).rejects.toMatchObject(refused);
    await writeFile(join(final, '_SUCCESS'), JSON.stringify({ ...BATCH, batchTimeMs: 2_000 }));
    await expect(sink.prepare(BATCH)).rejects.toThrow(/copy of batch 2000/);
    await rm(final, { recursive: true });
    await writeFile(final, 'a file');
    await expect(sink.prepare(BATCH)).rejects.toMatchObject(refused);
  });

  it('is that of another run, where neither has a checkpoint directory', async () => {
    const nowhere = { ...BATCH, logId: NO_LOG_ID };
    await sink.prepare(nowhere);
    await sink.commit(nowhere, await writeParts(nowhere));
    await expect(newSink().prepare(nowhere)).rejects.toThrow(/another run without a checkpoint/);
    expect(await contentOf('counts-1000')).toEqual(WHOLE);
  });

  it('that appears while the batch runs is not overwritten', async () => {
    await sink.prepare(BATCH);
    const theirs = { ...BATCH, logId: 'log-2' };
    await sink.prepare(theirs); // a temporary directory of its own
    await newSink().commit(theirs, await writeParts(theirs));
    await expect(sink.commit(BATCH, await writeParts())).rejects.toMatchObject({
      code: 'SINK_CONFLICT',
    });
    expect(await contentOf('counts-1000')).toEqual(WHOLE);
  });
});

describe('a writer', () => {
  it('removes its file when it is given up, also twice and after close', async () => {
    await sink.prepare(BATCH);
    const path = join(root, 'out', await temporaryName(), 'part-00000.attempt-0');
    const writer = await sink.openPartition(BATCH, 0, 0);
    expect(existsSync(path)).toBe(true);
    await writer.abort();
    await writer.abort();
    expect(existsSync(path)).toBe(false);
    expect(() => writer.write('late')).toThrow(/aborted/);
    const closed = await sink.openPartition(BATCH, 0, 0);
    await closed.close();
    await closed.abort();
    expect(existsSync(path)).toBe(false);
  });

  it('never shares a file with an older attempt of the same number', async () => {
    await sink.prepare(BATCH);
    const zombie = await sink.openPartition(BATCH, 0, 0);
    zombie.write('zombie');
    const tokens = await writeParts();
    await zombie.close();
    await sink.commit(BATCH, tokens);
    await expectOneWholeCopy();
  });

  it('names path and remedy when the directory is not there', async () => {
    await expect(sink.openPartition(BATCH, 0, 0)).rejects.toMatchObject({
      code: 'OUTPUT_FAILED',
      message: expect.stringMatching(/part-00000.attempt-0 cannot be created .*ENOENT/),
    });
  });

  it('whose file is not what it wrote fails the commit', async () => {
    await sink.prepare(BATCH);
    const tokens = await writeParts();
    await writeFile(join(root, 'out', await temporaryName(), 'part-00000.attempt-0'), 'cut');
    await expect(sink.commit(BATCH, tokens)).rejects.toThrow(/has 3 bytes, its writer wrote 4/);
    await expect(sink.commit(BATCH, [{ partition: 1 }])).rejects.toMatchObject({
      code: 'BROKEN_INVARIANT',
    });
  });
});

describe('options', () => {
  it.each(['', '/', 'out/', '..', '.'])('refuse the prefix %j', (prefix) => {
    expect(() => new DirectorySink({ prefix, format: formatText })).toThrow(/has no file name/);
  });

  it('refuse a suffix with a slash', () => {
    expect(() => newSink('a/b')).toThrow(/suffix "a\/b"/);
  });
});
