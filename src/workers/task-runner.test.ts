import { describe, expect, it } from 'vitest';
import { BATCH_TIME, InlineBatch, graphOf, runBatch } from '../../test/support/inline-driver.ts';
import type { BatchInput } from '../../test/support/inline-driver.ts';
import type { StreamId } from '../core/ids.ts';
import { MillraceError } from '../core/errors.ts';
import type { PartitionInfo } from '../dstream/batch.ts';
import type { DStream } from '../dstream/dstream.ts';
import type { PipelineContext } from '../dstream/pipeline-context.ts';
import type { PartitionWriter, Sink } from '../dstream/sink.ts';
import type { Leaf, TaskAction } from '../dstream/task-spec.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import type { TaskEnvironment, TaskOutcome } from './task-environment.ts';
import { runTask } from './task-runner.ts';

type Lines = DStream<string>;

function lines(ssc: PipelineContext): Lines {
  return ssc.queueStream<string>([], { id: 'in' });
}

const WORDS: BatchInput = { in: [['b a', 'c'], ['a']] };

async function run(use: (stream: Lines) => DStream<unknown>, input = WORDS): Promise<unknown[][]> {
  return runBatch((ssc) => use(lines(ssc)).print(), input);
}

async function failure(use: (stream: Lines) => DStream<unknown>): Promise<MillraceError> {
  try {
    await run(use);
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
  throw new Error('nothing failed');
}

describe('narrow operators', () => {
  it.each<[string, (stream: Lines) => DStream<unknown>, unknown[][]]>([
    ['none', (s) => s, [['b a', 'c'], ['a']]],
    ['map', (s) => s.map((x) => x.length), [[3, 1], [1]]],
    ['map to undefined', (s) => s.map(() => undefined), [[undefined, undefined], [undefined]]],
    ['flatMap', (s) => s.flatMap((x) => x.split(' ')), [['b', 'a', 'c'], ['a']]],
    ['flatMap of text', (s) => s.flatMap((x) => x), [['b', ' ', 'a', 'c'], ['a']]],
    [
      'flatMap of a generator',
      (s) =>
        s.flatMap(function* twice(x) {
          yield x;
          yield x;
        }),
      [
        ['b a', 'b a', 'c', 'c'],
        ['a', 'a'],
      ],
    ],
    ['filter', (s) => s.filter((x) => x !== 'c'), [['b a'], ['a']]],
    [
      'mapToPair',
      (s) => s.mapToPair((x) => [x, 1]),
      [
        [
          ['b a', 1],
          ['c', 1],
        ],
        [['a', 1]],
      ],
    ],
    [
      'keyBy',
      (s) => s.keyBy((x) => x.length),
      [
        [
          [3, 'b a'],
          [1, 'c'],
        ],
        [[1, 'a']],
      ],
    ],
    [
      'mapValues',
      (s) => s.keyBy((x) => x.length).mapValues((x) => x.toUpperCase()),
      [
        [
          [3, 'B A'],
          [1, 'C'],
        ],
        [[1, 'A']],
      ],
    ],
    [
      'flatMapValues',
      (s) => s.keyBy((x) => x.length).flatMapValues((x) => x.split(' ')),
      [
        [
          [3, 'b'],
          [3, 'a'],
          [1, 'c'],
        ],
        [[1, 'a']],
      ],
    ],
    ['glom', (s) => s.glom(), [[['b a', 'c']], [['a']]]],
    ['mapPartitions', (s) => s.mapPartitions((all) => [[...all].length]), [[2], [1]]],
    [
      'operators after one that gathers',
      (s) =>
        s
          .glom()
          .mapPartitions((all) => [...all].flat())
          .map((x) => `${x}!`),
      [['b a!', 'c!'], ['a!']],
    ],
  ])('%s', async (_name, use, expected) => {
    expect(await run(use)).toEqual(expected);
  });

  it('see a partition without records', async () => {
    const input = { in: [[], ['x']] };
    expect(await run((s) => s.mapPartitions((all) => [[...all].length]), input)).toEqual([
      [0],
      [1],
    ]);
    expect(await run((s) => s.glom(), input)).toEqual([[[]], [['x']]]);
    expect(await run((s) => s.map((x) => x), input)).toEqual([[], ['x']]);
  });
});

describe('a failure of user code', () => {
  const boom = new Error('boom');
  const throwing = (): never => {
    throw boom;
  };

  it.each<[string, (stream: Lines) => DStream<unknown>]>([
    ['map-0', (s) => s.map(throwing)],
    ['flatMap-0', (s) => s.flatMap(throwing)],
    ['filter-0', (s) => s.filter(throwing)],
    ['mapPartitions-0', (s) => s.mapPartitions(throwing)],
    ['mapToPair-0', (s) => s.mapToPair(throwing)],
    ['keyBy-0', (s) => s.keyBy(throwing)],
    ['mapValues-0', (s) => s.keyBy((x) => x).mapValues(throwing)],
    ['flatMapValues-0', (s) => s.keyBy((x) => x).flatMapValues(throwing)],
    [
      'flatMap-0',
      (s) =>
        s.flatMap(function* late() {
          yield 1;
          throwing();
        }),
    ],
    // An operator is not blamed for those after it, though they run inside its loop.
    ['map-0', (s) => s.flatMap((x) => new Set(x)).map(throwing)],
    ['named', (s) => s.map((x) => x).map(throwing, { id: 'named' })],
  ])('names %s', async (operatorId, use) => {
    const error = await failure(use);
    expect(error.code).toBe('TASK_FAILED');
    expect(error.cause).toBe(boom);
    expect(error.details).toEqual({
      operatorId,
      outputId: 'print-0',
      batchTimeMs: BATCH_TIME,
      partition: 0,
      attempt: 0,
    });
    expect(error.message).toBe(
      `operator ${operatorId} failed in batch ${BATCH_TIME} of output print-0 ` +
        '(partition 0, attempt 0): Error: boom',
    );
  });

  it('lets a generator clean up when what comes after it fails', async () => {
    let isClosed = false;
    const error = await failure((s) =>
      s
        .flatMap(function* one(x) {
          try {
            yield x;
          } finally {
            isClosed = true;
          }
        })
        .map(throwing),
    );
    expect(error.details['operatorId']).toBe('map-0');
    expect(isClosed).toBe(true);
  });

  it.each<[string, (stream: Lines, promise: never) => DStream<unknown>]>([
    ['map-0', (s, promise) => s.map(() => promise)],
    ['flatMap-0', (s, promise) => s.flatMap(() => promise)],
    ['filter-0', (s, promise) => s.filter(() => promise)],
    ['mapPartitions-0', (s, promise) => s.mapPartitions(() => promise)],
    ['mapToPair-0', (s, promise) => s.mapToPair(() => promise)],
    ['keyBy-0', (s, promise) => s.keyBy(() => promise)],
    ['mapValues-0', (s, promise) => s.keyBy((x) => x).mapValues(() => promise)],
    ['flatMapValues-0', (s, promise) => s.keyBy((x) => x).flatMapValues(() => promise)],
  ])('is a promise that %s returns', async (operatorId, use) => {
    const promise = Promise.reject(new Error('nobody waits for this'));
    const error = await failure((s) => use(s, promise as never));
    expect(error.code).toBe('TASK_FAILED');
    expect(error.details['operatorId']).toBe(operatorId);
    expect(error.message).toContain('the function returned a promise');
  });

  it.each<[string, (stream: Lines) => DStream<unknown>, string]>([
    [
      'no boolean',
      (s) => s.filter((() => 1) as never),
      'must return true or false, but returned of',
    ],
    ['no iterable', (s) => s.flatMap((() => 7) as never), 'must return an iterable'],
    ['no pair', (s) => s.mapToPair((() => ['a']) as never), 'the record is an array of 1'],
    ['null for a pair', (s) => s.mapToPair((() => null) as never), 'the record is null'],
  ])('is a result that is %s', async (_name, use, message) => {
    expect((await failure(use)).message).toContain(message);
  });
});

describe('a leaf', () => {
  function runLeaf(
    leaf: Leaf,
    action: TaskAction,
    overrides: Partial<TaskEnvironment> = {},
  ): Promise<TaskOutcome> {
    const graph = graphOf((ssc) =>
      ssc.queueStream([['a', 'b', 'c', 'd', 'e'], []], { id: 'in' }).print(),
    );
    const refuse = (): never => {
      throw new Error('not to be asked');
    };
    const env: TaskEnvironment = {
      graph,
      codec: msgpackCodec,
      readBlock: refuse,
      readFile: refuse,
      readShared: refuse,
      writeShared: (bytes) => ({
        kind: 'file',
        path: '',
        offsetBytes: 0,
        lengthBytes: bytes.length,
      }),
      sinkFor: refuse,
      ...overrides,
    };
    const via: string[] = [];
    const at = { batchTimeMs: BATCH_TIME, outputId: 'print-0', partition: 0, attempt: 0 };
    return runTask({ ...at, leaf, via, action }, env);
  }
  const streamId = 'in' as StreamId;
  const block = (recordCount: number): (Leaf & { kind: 'blocks' })['blocks'][number] => ({
    streamId,
    key: 'in/0/1.1/0',
    recordCount,
    codec: 'ascii',
    bytes: { kind: 'arena', extentIndex: 0, offsetBytes: 0, lengthBytes: 0 },
  });

  it('of blocks is not even read when only their number counts', async () => {
    const leaf: Leaf = { kind: 'blocks', streamId, blocks: [block(3), block(4)] };
    expect(await runLeaf(leaf, { kind: 'count' })).toEqual({
      value: { kind: 'count', recordCount: 7 },
      inputRecordCount: 7,
    });
  });

  it('of blocks passes on what reading them fails with', async () => {
    const damage = new MillraceError('WAL_CORRUPT', 'bytes 0 to 9 are damaged');
    const leaf: Leaf = { kind: 'blocks', streamId, blocks: [block(3)] };
    const reading = runLeaf(leaf, { kind: 'collect' }, { readBlock: () => Promise.reject(damage) });
    await expect(reading).rejects.toBe(damage);
  });

  it('of a queue gives every slices-th record', async () => {
    const leaf = (queueIndex: number, slice: number): Leaf => ({
      kind: 'queue',
      streamId,
      queueIndex,
      slice,
      slices: 2,
    });
    const counts: number[] = [];
    for (const part of [leaf(0, 0), leaf(0, 1), leaf(1, 0), leaf(9, 0)]) {
      counts.push((await runLeaf(part, { kind: 'count' })).inputRecordCount);
    }
    expect(counts).toEqual([3, 2, 0, 0]);
  });

  it('of files gives their lines, file after file', async () => {
    const file = (path: string): (Leaf & { kind: 'files' })['files'][number] => ({
      path,
      sizeBytes: 0,
      mtimeMs: 0,
      birthtimeMs: 0,
      inode: 0,
    });
    let stored: Uint8Array | undefined;
    const outcome = await runLeaf(
      { kind: 'files', streamId, files: [file('x'), file('y')] },
      { kind: 'collect' },
      {
        async *readFile({ path }) {
          yield [`${path}1`, `${path}2`];
          yield [`${path}3`];
        },
        writeShared(bytes) {
          stored = bytes;
          return { kind: 'file', path: '', offsetBytes: 0, lengthBytes: bytes.length };
        },
      },
    );
    expect(outcome.inputRecordCount).toBe(6);
    expect(msgpackCodec.unpack(stored ?? new Uint8Array())).toEqual([
      'x1',
      'x2',
      'x3',
      'y1',
      'y2',
      'y3',
    ]);
  });
});

describe('collect', () => {
  it('stops reading when it has enough', async () => {
    let seen = 0;
    const graph = graphOf((ssc) =>
      lines(ssc)
        .map((x) => {
          seen += 1;
          return x;
        })
        .print(),
    );
    const batch = new InlineBatch(graph, { in: [Array.from({ length: 50 }, (_, i) => `${i}`)] });
    expect(await batch.collect('print-0', 3)).toEqual([['0', '1', '2']]);
    expect(seen).toBe(3);
    const [outcome] = await batch.run('print-0', { kind: 'collect', limit: 3 });
    expect(outcome?.inputRecordCount).toBe(3);
  });

  it('gives no bytes when there is nothing', async () => {
    const batch = new InlineBatch(
      graphOf((ssc) => lines(ssc).print()),
      { in: [[]] },
    );
    const [outcome] = await batch.run('print-0', { kind: 'collect' });
    expect(outcome?.value).toEqual({ kind: 'collect', bytes: null, recordCount: 0 });
  });

  it('names the output when a record cannot be packed', async () => {
    const error = await failure((s) => s.map(() => Symbol('x')));
    expect(error.code).toBe('TASK_FAILED');
    expect(error.details['operatorId']).toBe('print-0');
    expect(error.cause).toMatchObject({ code: 'RECORD_UNSUPPORTED' });
  });
});

describe('foreachPartition', () => {
  const action = { kind: 'foreach-partition' } as const;

  it('gives each partition to the function, and waits for it', async () => {
    const calls: unknown[] = [];
    const graph = graphOf((ssc) =>
      lines(ssc).foreachPartition(async (records, info: PartitionInfo) => {
        await Promise.resolve();
        calls.push([[...records], info]);
        (records as string[]).length = 0;
      }),
    );
    const outcomes = await new InlineBatch(graph, WORDS).run('foreachPartition-0', action);
    expect(calls).toEqual([
      [['b a', 'c'], { batchTime: BATCH_TIME, partition: 0 }],
      [['a'], { batchTime: BATCH_TIME, partition: 1 }],
    ]);
    expect(outcomes.map((outcome) => outcome.value)).toEqual([
      { kind: 'foreach-partition', recordCount: 2 },
      { kind: 'foreach-partition', recordCount: 1 },
    ]);
  });

  it('fails with what its promise was rejected with', async () => {
    const cause = new Error('database away');
    const graph = graphOf((ssc) => lines(ssc).foreachPartition(() => Promise.reject(cause)));
    const running = new InlineBatch(graph, WORDS).run('foreachPartition-0', action);
    await expect(running).rejects.toMatchObject({
      code: 'TASK_FAILED',
      cause,
      details: { operatorId: 'foreachPartition-0' },
    });
  });
});

describe('a sink', () => {
  const batch = { logId: 'log', outputId: 'saveAsTextFiles-0', batchTimeMs: BATCH_TIME };
  const action: TaskAction = { kind: 'sink', batch };

  function recordingSink(
    events: string[],
    overrides: Partial<PartitionWriter<unknown>> = {},
  ): Sink<unknown> {
    return {
      guarantee: 'exactly-once',
      prepare: () => Promise.resolve('needed'),
      commit: () => Promise.resolve(),
      async openPartition(of, partition, attempt) {
        events.push(`open ${of.outputId} ${partition}.${attempt}`);
        return {
          write: (record) => void events.push(`write ${String(record)}`),
          close: async () => {
            events.push('close');
            return { part: partition };
          },
          abort: async () => void events.push('abort'),
          ...overrides,
        };
      },
    };
  }

  async function runSink(
    sink: Sink<unknown>,
    use: (s: Lines) => Lines = (s) => s,
  ): Promise<unknown> {
    const graph = graphOf((ssc) => use(lines(ssc)).saveAsTextFiles('out'));
    const inline = new InlineBatch(graph, { in: [['x', 'y']] }, { sink });
    return (await inline.run(batch.outputId, action))[0];
  }

  it('is opened, written and closed; its token comes back', async () => {
    const events: string[] = [];
    expect(await runSink(recordingSink(events))).toEqual({
      value: { kind: 'sink', token: { part: 0 }, recordCount: 2 },
      inputRecordCount: 2,
    });
    expect(events).toEqual(['open saveAsTextFiles-0 0.0', 'write x', 'write y', 'close']);
  });

  it('gives up the attempt when user code fails', async () => {
    const events: string[] = [];
    const use = (s: Lines): Lines =>
      s.map((x) => {
        if (x === 'y') throw new Error('bad y');
        return x;
      });
    await expect(runSink(recordingSink(events), use)).rejects.toThrow('map-0 failed');
    expect(events).toEqual(['open saveAsTextFiles-0 0.0', 'write x', 'abort']);
  });

  it('gives up the attempt when closing fails, and reports that as it is', async () => {
    const events: string[] = [];
    const full = new MillraceError('DISK_FULL', 'no room');
    const sink = recordingSink(events, { close: () => Promise.reject(full) });
    await expect(runSink(sink)).rejects.toBe(full);
    expect(events.at(-1)).toBe('abort');
  });

  it('tells both errors when giving up fails too', async () => {
    const sink = recordingSink([], {
      close: () => Promise.reject(new MillraceError('DISK_FULL', 'no room')),
      abort: () => Promise.reject(new Error('no way to unlink')),
    });
    await expect(runSink(sink)).rejects.toMatchObject({
      code: 'DISK_FULL',
      message: 'no room; and giving up the attempt failed: no way to unlink',
    });
  });
});
