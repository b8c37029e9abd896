/** @module */
import { beforeEach, expect, it } from 'vitest';
import { LINES, batchOf, blockOf } from '../../test/support/block-samples.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { EventBus } from '../core/events.ts';
import type { EngineEvent } from '../core/events.ts';
import type { StreamId } from '../core/ids.ts';
import { BatchReport, tellSubmitted } from './batch-report.ts';

const T = 4_000;

let clock: ManualClock;
let events: EventBus;
let heard: EngineEvent[];

beforeEach(() => {
  clock = new ManualClock(5_500);
  events = new EventBus();
  heard = [];
  events.subscribe((event) => heard.push(event));
});

const blocks = [blockOf(0), blockOf(1)];
const share = batchOf(T, [
  { kind: 'blocks', streamId: LINES, blocks, groups: [[0, 1]] },
  { kind: 'queue', streamId: 'q' as StreamId, queueIndex: 0, slices: 2 },
  {
    kind: 'files',
    streamId: 'in' as StreamId,
    files: [{ path: '/in/a', sizeBytes: 9, mtimeMs: 1, birthtimeMs: 1, inode: 7 }],
    forgotten: [],
  },
]);

it('a submission counts what was received of each input', () => {
  tellSubmitted(share, events);
  const recordCount = blocks.reduce((sum, block) => sum + block.recordCount, 0);
  expect(recordCount).toBeGreaterThan(0);
  expect(heard).toEqual([
    {
      type: 'batch-submitted',
      batchTimeMs: T,
      recordCount,
      blockCount: 2,
      inputs: [
        { streamId: 'lines', recordCount, blockCount: 2, fileCount: 0 },
        { streamId: 'q', recordCount: 0, blockCount: 0, fileCount: 0 },
        { streamId: 'in', recordCount: 0, blockCount: 0, fileCount: 1 },
      ],
    },
  ]);
});

it('a batch starts late by its own clock, and each output takes its time', async () => {
  const report = new BatchReport(share, { clock, events });
  await report.output({ outputId: 'second', outputIndex: 1 }, async () => clock.advance(300));
  clock.advance(50);
  report.completed();
  const output = { batchTimeMs: T, outputId: 'second', outputIndex: 1 };
  expect(heard).toEqual([
    { type: 'batch-started', batchTimeMs: T, schedulingDelayMs: 1_500 },
    { type: 'output-operation-started', ...output },
    { type: 'output-operation-completed', ...output, durationMs: 300 },
    expect.objectContaining({
      type: 'batch-completed',
      schedulingDelayMs: 1_500,
      processingMs: 350,
    }),
  ]);
});

it('an output that fails is completed with its reason, and fails all the same', async () => {
  const report = new BatchReport(share, { clock, events });
  const failing = report.output({ outputId: 'print-0', outputIndex: 0 }, () =>
    Promise.reject(new Error('no paper')),
  );
  await expect(failing).rejects.toThrow('no paper');
  expect(heard.at(-1)).toMatchObject({
    type: 'output-operation-completed',
    outputIndex: 0,
    failureReason: 'no paper',
  });
});
