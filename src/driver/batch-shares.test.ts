/** MILLRACE_SEED replays a run. @module */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { batchOf, blockOf, sourceId } from '../../test/support/block-samples.ts';
import { graphOf } from '../../test/support/inline-driver.ts';
import type { StreamId } from '../core/ids.ts';
import { collectShares, groupBlocks, isEmptyShare, shareRecordCount } from './batch-shares.ts';
import { applyEvent, emptyTrackerState } from './tracker-state.ts';
import type { InputShare, TrackerState } from './tracker-state.ts';

const seed = Number(process.env['MILLRACE_SEED'] ?? 20_260_105);
const KIB = 1024;
const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

const sized = (bytes: readonly number[]) =>
  bytes.map((lengthBytes, seq) => blockOf(seq, { lengthBytes }));

describe('groupBlocks', () => {
  it('makes at most so many groups, in order, of all blocks', () => {
    const bytes = fc.array(fc.integer({ min: 0, max: 2_000 * KIB }), { maxLength: 60 });
    const property = fc.property(bytes, fc.integer({ min: 1, max: 12 }), (sizes, groupsMax) => {
      const groups = groupBlocks(sized(sizes), groupsMax);
      expect(groups.flat()).toEqual([...sizes.keys()]);
      expect(groups.length).toBeLessThanOrEqual(groupsMax);
      for (const group of groups) expect(group.length).toBeGreaterThan(0);
    });
    fc.assert(property, { seed, numRuns: 300 });
  });

  it('spreads bytes evenly over all groups when there are many', () => {
    const groups = groupBlocks(sized(Array<number>(64).fill(512 * KIB)), 8);
    expect(groups.map(({ length }) => length)).toEqual(Array(8).fill(8));
  });

  it('makes one task of many small blocks', () => {
    expect(groupBlocks(sized(Array<number>(1_000).fill(100)), 8)).toHaveLength(1);
  });

  it('makes none of nothing', () => {
    expect(groupBlocks([], 8)).toEqual([]);
  });
});

function queue(state: TrackerState, count: number, streamId = 'lines'): void {
  for (let seq = 0; seq < count; seq += 1) {
    const block = blockOf(seq, { streamId, sourceIds: [sourceId(`k${seq}`)] });
    applyEvent(state, { type: 'block-added', block });
  }
}

const LIMITS = { executors: 2, shareBytesMax: 100_000 };

describe('collectShares', () => {
  it('copies the queues of receivers, and leaves them as they are', async () => {
    const graph = graphOf((ssc) => {
      ssc.socketTextStream('h', 1, { id: 'lines' }).print();
      ssc.socketTextStream('h', 2, { id: 'idle' }).print();
    });
    const state = emptyTrackerState(100);
    queue(state, 3);
    const shares = await collectShares(graph, state, LIMITS);
    const blocks = [0, 1, 2].map((seq) => blockOf(seq)); // keys have done their work
    expect(shares).toEqual([
      { kind: 'blocks', streamId: 'lines', blocks, groups: [[0, 1, 2]] },
      { kind: 'blocks', streamId: 'idle', blocks: [], groups: [] },
    ]);
    expect(state.queues.get('lines' as StreamId)).toHaveLength(3);
    expect(shareRecordCount(shares)).toBe(9);
  });

  it('leaves what is too much for the next batch, oldest first', async () => {
    const graph = graphOf((ssc) => ssc.socketTextStream('h', 1, { id: 'lines' }).print());
    const state = emptyTrackerState(100);
    queue(state, 5);
    const seqs: number[][] = [];
    for (const time of [1_000, 2_000, 3_000]) {
      const inputs = await collectShares(graph, state, { executors: 2, shareBytesMax: 500 });
      seqs.push(seqsOf(inputs));
      applyEvent(state, { type: 'batch-allocated', share: batchOf(time, inputs) });
    }
    expect(seqs).toEqual([[0, 1], [2, 3], [4]]);
  });

  it('counts through the batches of a queueStream, then gives none', async () => {
    const graph = graphOf((ssc) => ssc.queueStream([['a'], ['b']], { id: 'q' }).print());
    const state = emptyTrackerState(100);
    const indexes: unknown[] = [];
    for (const time of [1_000, 2_000, 3_000, 4_000]) {
      const inputs = await collectShares(graph, state, LIMITS);
      indexes.push(...inputs.map((input) => (input.kind === 'queue' ? input.queueIndex : input)));
      applyEvent(state, { type: 'batch-allocated', share: batchOf(time, inputs) });
    }
    expect(indexes).toEqual([0, 1, null, null]);
  });

  it('gives each file once, also past the limit, and forgets those that are gone', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'shares-'));
    directories.push(directory);
    const graph = graphOf((ssc) => ssc.textFileStream(directory, { id: 'files' }).print());
    const state = emptyTrackerState(100);
    // Room for two files of these paths in a share, not for three.
    const shareBytesMax = 2 * 2.5 * (3 * join(directory, 'a').length + 72);
    const take = async (time: number): Promise<string[]> => {
      const inputs = await collectShares(graph, state, { executors: 2, shareBytesMax });
      applyEvent(state, { type: 'batch-allocated', share: batchOf(time, inputs) });
      const [input] = inputs;
      return input?.kind === 'files' ? input.files.map(({ path }) => path.slice(-1)) : [];
    };
    for (const name of ['a', 'b', 'c']) writeFileSync(join(directory, name), 'x\n');
    const first = await take(1_000);
    expect(first).toHaveLength(2);
    expect([...first, ...(await take(2_000))].toSorted()).toEqual(['a', 'b', 'c']);
    expect(await take(3_000)).toEqual([]);
    rmSync(join(directory, 'b'));
    expect(await take(4_000)).toEqual([]);
    expect(state.seenFiles.get('files' as StreamId)?.size).toBe(2);
  });
});

function seqsOf(inputs: readonly InputShare[]): number[] {
  return inputs.flatMap((input) =>
    input.kind === 'blocks' ? input.blocks.map(({ blockId }) => blockId.seq) : [],
  );
}

describe('isEmptyShare', () => {
  const streamId = 's' as StreamId;
  const blocks: InputShare = { kind: 'blocks', streamId, blocks: [], groups: [] };
  const files: InputShare = { kind: 'files', streamId, files: [], forgotten: [] };

  it('is true of receivers and directories that had nothing', () => {
    expect(isEmptyShare([blocks, files])).toBe(true);
  });

  it('is false of anything that would run a second time', () => {
    const file = { path: '/in/a', sizeBytes: 1, mtimeMs: 1, birthtimeMs: 1, inode: 1 };
    const others: InputShare[] = [
      { ...blocks, blocks: [blockOf(1)], groups: [[0]] },
      { kind: 'files', streamId, files: [file], forgotten: [] },
      { kind: 'files', streamId, files: [], forgotten: ['a'] },
      { kind: 'queue', streamId, queueIndex: 0, slices: 1 },
      { kind: 'queue', streamId, queueIndex: null, slices: 1 },
    ];
    for (const other of others) expect(isEmptyShare([blocks, other]), other.kind).toBe(false);
  });
});
