/** Random states are taken through a checkpoint in tracker-events.test.ts. @module */
import { describe, expect, it } from 'vitest';
import {
  LINES,
  batchOf,
  blockOf,
  shareOf,
  sourceId,
  viewOf,
} from '../../test/support/block-samples.ts';
import { graphOf } from '../../test/support/inline-driver.ts';
import type { BatchTimeMs, Lsn } from '../core/ids.ts';
import { describeGraph } from '../dstream/graph.ts';
import type { BuildPipeline } from '../dstream/pipeline.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { decodeCheckpoint, encodeCheckpoint, readAgainOf } from './checkpoint-content.ts';
import type { CheckpointContent } from './checkpoint-content.ts';
import type { ReadAgain } from './cleaning.ts';
import { applyEvent, emptyTrackerState } from './tracker-state.ts';
import type { TrackerState } from './tracker-state.ts';

function sampleState(): TrackerState {
  const state = emptyTrackerState(50);
  const first = blockOf(0, {
    lsn: 1,
    sourceIds: [sourceId('k')],
    positions: [{ partition: 'p', follows: null, last: 'x' }],
  });
  applyEvent(state, { type: 'block-added', block: first });
  applyEvent(state, { type: 'block-added', block: blockOf(1, { lsn: 2, durability: 'flush' }) });
  applyEvent(state, { type: 'batch-allocated', share: shareOf(1_000, []) });
  applyEvent(state, { type: 'batch-allocated', share: shareOf(2_000, [first]) });
  const file = { path: '/d/f', sizeBytes: 1, mtimeMs: 2.5, birthtimeMs: 3.25, inode: 4 };
  const share = batchOf(3_000, [
    { kind: 'files', streamId: LINES, files: [file], forgotten: [] },
    { kind: 'queue', streamId: LINES, queueIndex: 0, slices: 2 },
  ]);
  applyEvent(state, { type: 'batch-allocated', share });
  applyEvent(state, { type: 'batch-cleaned', throughMs: 1_000 as BatchTimeMs });
  const [second, third] = [...state.batches.values()];
  if (second === undefined || third === undefined) throw new Error('two batches');
  second.isDone = true;
  third.finishedOutputs.add('print-0');
  return state;
}

function contentOf(state: TrackerState): CheckpointContent {
  const graph = describeGraph(graphOf((ssc) => ssc.queueStream([['a']]).print()));
  return {
    pipeline: 'p',
    graph,
    graphHash: 'g',
    codeHash: 'c',
    config: {
      name: 'p',
      batchIntervalMs: 1_000,
      checkpointDir: false,
      receiverExecutors: undefined,
    },
    appliedLsn: 6 as Lsn,
    receiversEpoch: 3,
    state,
  };
}

describe('readAgainOf', () => {
  const of = (build: BuildPipeline, pointer: object = {}): ReadAgain => {
    const graph = describeGraph(graphOf(build));
    return readAgainOf({ ...contentOf(emptyTrackerState(1)), graph, ...pointer });
  };
  const windowed: BuildPipeline = (ssc) => ssc.generatorStream().window('3s').print();
  const stateful: BuildPipeline = (ssc) =>
    ssc
      .generatorStream()
      .window('3s')
      .keyBy((line) => line)
      .mapWithState((line) => line)
      .print();

  it('is how far windows look back, and the batch that keyed state has last', () => {
    const stateSnapshot = { batchTimeMs: 7_000 };
    expect(of(windowed)).toEqual({ reachMs: 2_000, replayAfterMs: Infinity });
    expect(of(stateful, { stateSnapshot })).toEqual({ reachMs: 2_000, replayAfterMs: 7_000 });
    // Before the first snapshot everything is made again.
    expect(of(stateful)).toEqual({ reachMs: 2_000, replayAfterMs: 0 });
    expect(readAgainOf(undefined)).toEqual({ reachMs: 0, replayAfterMs: Infinity });
  });
});

describe('the content of a checkpoint', () => {
  it('comes back as it was', () => {
    const content = contentOf(sampleState());
    const bytes = encodeCheckpoint(content, msgpackCodec);
    const { state, ...rest } = decodeCheckpoint(bytes, msgpackCodec, 50);
    const { state: original, ...expected } = content;
    expect(rest).toEqual(expected);
    expect(viewOf(state)).toEqual(viewOf(original));
    expect([...state.batches].map(([time, batch]) => [time, batch.isDone])).toEqual([
      [2_000, true],
      [3_000, false],
    ]);
  });

  it('keeps the pointer to a snapshot of keyed state', () => {
    const stateSnapshot = {
      name: 'state-0000000000002000.snapshot',
      batchTimeMs: 2_000 as BatchTimeMs,
      lengthBytes: 99,
      operators: [['counts', 3] as const],
    };
    const content = { ...contentOf(sampleState()), stateSnapshot };
    const read = decodeCheckpoint(encodeCheckpoint(content, msgpackCodec), msgpackCodec, 50);
    expect(read.stateSnapshot).toEqual(stateSnapshot);
  });

  it('keeps which operators have no id of their own', () => {
    const codes = [['print-0', 'does', 'whole'] as const];
    const bytes = encodeCheckpoint({ ...contentOf(sampleState()), codes }, msgpackCodec);
    expect(decodeCheckpoint(bytes, msgpackCodec, 50).codes).toEqual(codes);
  });

  it('of the schema before, which knew no keyed state, can be read', () => {
    const bytes = encodeCheckpoint(contentOf(sampleState()), msgpackCodec);
    const [, fields] = msgpackCodec.unpack(bytes) as [number, Record<string, unknown>];
    delete fields['stateSnapshot'];
    const read = decodeCheckpoint(msgpackCodec.pack([1, fields]), msgpackCodec, 50);
    expect(read).not.toHaveProperty('stateSnapshot');
    expect(viewOf(read.state)).toEqual(viewOf(sampleState()));
  });

  it('comes back as it was when there is nothing yet', () => {
    const content = contentOf(emptyTrackerState(50));
    const bytes = encodeCheckpoint(content, msgpackCodec);
    const { state } = decodeCheckpoint(bytes, msgpackCodec, 50);
    expect(viewOf(state)).toEqual(viewOf(emptyTrackerState(50)));
  });

  it('is one moment: what happens later does not reach it', () => {
    const state = sampleState();
    const bytes = encodeCheckpoint(contentOf(state), msgpackCodec);
    const before = structuredClone(viewOf(state));
    applyEvent(state, {
      type: 'block-added',
      block: blockOf(9, { sourceIds: [sourceId('late')] }),
    });
    expect(viewOf(decodeCheckpoint(bytes, msgpackCodec, 50).state)).toEqual(before);
  });

  it('goes by the number of keys that the new run remembers', () => {
    const bytes = encodeCheckpoint(contentOf(sampleState()), msgpackCodec);
    expect(decodeCheckpoint(bytes, msgpackCodec, 9).state.sourceIdsMax).toBe(9);
  });

  it('of a newer schema is refused as unknown', () => {
    const bytes = msgpackCodec.pack([4, {}]);
    expect(() => decodeCheckpoint(bytes, msgpackCodec, 50)).toThrow(
      expect.objectContaining({ code: 'FORMAT_UNKNOWN' }),
    );
  });
});
