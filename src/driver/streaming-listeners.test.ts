/** Twins of Spark's StreamingListenerSuite, over events; those with a whole engine are in
 * test/integration/life.test.ts. @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { graphOf } from '../../test/support/inline-driver.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { settle } from '../../test/support/receiver-side.ts';
import { EventBus } from '../core/events.ts';
import type { EngineEvent } from '../core/events.ts';
import type { BatchTimeMs, StreamId } from '../core/ids.ts';
import type { StreamingListener } from './streaming-listener.ts';
import { StreamingListeners } from './streaming-listeners.ts';

type Told = readonly [string, Readonly<Record<string, unknown>>];

const T = 4_000 as BatchTimeMs;
const METHODS = [
  'onStreamingStarted',
  'onReceiverStarted',
  'onReceiverError',
  'onReceiverStopped',
  'onBatchSubmitted',
  'onBatchStarted',
  'onBatchCompleted',
  'onOutputOperationStarted',
  'onOutputOperationCompleted',
] as const;
const WHICH = { streamId: 'lines' as StreamId, receiverIndex: 2 };
const INPUTS = [{ streamId: 'lines' as StreamId, recordCount: 7, blockCount: 2, fileCount: 0 }];

let clock: ManualClock;
let bus: EventBus;
let listeners: StreamingListeners;
let warnings: string[];

beforeEach(() => {
  clock = new ManualClock(5_000);
  bus = new EventBus();
  warnings = [];
  bus.subscribe((event) => {
    if (event.type === 'warning') warnings.push(event.message);
  });
  const graph = graphOf((ssc) => {
    const q = ssc.queueStream([['a']]);
    q.print(3);
    q.saveAsTextFiles('out/x');
    q.foreachBatch(() => {}, { id: 'own' });
  });
  listeners = new StreamingListeners({ events: bus, clock, graph });
});

/** A listener that writes everything down. */
function recorder(): StreamingListener & { readonly told: Told[] } {
  const told: Told[] = [];
  const methods = METHODS.map((name) => [name, (info: Told[1]) => void told.push([name, info])]);
  return Object.assign(Object.fromEntries(methods) as StreamingListener, { told });
}

const submitted = (batchTimeMs = T): EngineEvent => ({
  type: 'batch-submitted',
  batchTimeMs,
  recordCount: 7,
  blockCount: 2,
  inputs: INPUTS,
});

/** Emits events, half a second after one another. */
function emit(...events: readonly EngineEvent[]): void {
  for (const event of events) {
    bus.emit(event);
    clock.advance(500);
  }
}

const output = (outputIndex: number, outputId: string) => ({
  batchTimeMs: T,
  outputId,
  outputIndex,
});

describe('a batch', () => {
  it('is told four times over: nothing of delays, then of each as it is known', () => {
    const { told, ...listener } = recorder();
    listeners.add(listener);
    emit(
      submitted(),
      { type: 'batch-started', batchTimeMs: T, schedulingDelayMs: 1_500 },
      { type: 'output-operation-started', ...output(0, 'print-0') },
      { type: 'output-operation-completed', ...output(0, 'print-0'), durationMs: 250 },
      { type: 'output-operation-started', ...output(1, 'saveAsTextFiles-0') },
      { type: 'output-operation-completed', ...output(1, 'saveAsTextFiles-0'), durationMs: 20 },
      {
        type: 'batch-completed',
        batchTimeMs: T,
        recordCount: 7,
        schedulingDelayMs: 1_500,
        processingMs: 2_400,
      },
    );
    const start = {
      batchTimeMs: T,
      inputs: INPUTS,
      recordCount: 7,
      submissionTimeMs: 5_000,
      outputOperations: [],
    };
    const running = { ...start, processingStartTimeMs: 5_500, schedulingDelayMs: 1_500 };
    const print = {
      batchTimeMs: T,
      id: 0,
      name: 'print-0',
      description: 'print(3)',
      startTimeMs: 6_000,
    };
    const save = {
      batchTimeMs: T,
      id: 1,
      name: 'saveAsTextFiles-0',
      description: 'saveAsTextFiles(out/x)',
      startTimeMs: 7_000,
    };
    const outputOperations = [
      { ...print, endTimeMs: 6_250 },
      { ...save, endTimeMs: 7_020 },
    ];
    expect(told).toEqual([
      ['onBatchSubmitted', start],
      ['onBatchStarted', running],
      ['onOutputOperationStarted', print],
      ['onOutputOperationCompleted', outputOperations[0]],
      ['onOutputOperationStarted', save],
      ['onOutputOperationCompleted', outputOperations[1]],
      [
        'onBatchCompleted',
        {
          ...running,
          outputOperations,
          processingEndTimeMs: 7_900,
          processingDelayMs: 2_400,
          totalDelayMs: 3_900,
        },
      ],
    ]);
  });

  it('whose output fails says why, and is not completed', () => {
    const { told, ...listener } = recorder();
    listeners.add(listener);
    const failed = { durationMs: 5, failureReason: 'no room' };
    emit(
      submitted(),
      { type: 'batch-started', batchTimeMs: T, schedulingDelayMs: 0 },
      { type: 'output-operation-started', ...output(2, 'own') },
      { type: 'output-operation-completed', ...output(2, 'own'), ...failed },
    );
    const [name, info] = told.at(-1) ?? [];
    expect(name).toBe('onOutputOperationCompleted');
    expect(info).toMatchObject({ id: 2, description: 'foreachBatch', failureReason: 'no room' });
  });

  it('is told whole to a listener that comes in the middle of it', () => {
    emit(submitted(), submitted(8_000 as BatchTimeMs));
    const { told, ...listener } = recorder();
    listeners.add(listener);
    emit({ type: 'batch-started', batchTimeMs: T, schedulingDelayMs: 3 });
    expect(told).toMatchObject([['onBatchStarted', { recordCount: 7, submissionTimeMs: 5_000 }]]);
  });
});

describe('a receiver', () => {
  const started: EngineEvent = {
    type: 'receiver-started',
    ...WHICH,
    executor: 'receiver executor 1',
    address: 'http://127.0.0.1:80',
  };
  const names = (told: readonly Told[]) => told.map(([name, { active }]) => [name, active]);

  it('starts, errs and stops, with its last error and when it was', () => {
    const { told, ...listener } = recorder();
    listeners.add(listener);
    emit(
      started,
      { type: 'receiver-error', ...WHICH, message: 'lost', error: 'ECONNRESET' },
      { type: 'receiver-restarting', ...WHICH, reason: 'again', delayMs: 9 },
      started,
      { type: 'receiver-ended', ...WHICH },
      { type: 'receiver-stopped', ...WHICH },
    );
    expect(names(told)).toEqual([
      ['onReceiverStarted', true],
      ['onReceiverError', true],
      ['onReceiverStopped', false],
      ['onReceiverStarted', true],
      ['onReceiverStopped', false], // its source had ended; the end of the run is no news
    ]);
    const where = { executor: 'receiver executor 1', address: 'http://127.0.0.1:80' };
    expect(told[0]?.[1]).toEqual({ ...WHICH, name: 'lines/2', active: true, ...where });
    expect(told[1]?.[1]).toMatchObject({
      lastErrorMessage: 'lost',
      lastError: 'ECONNRESET',
      lastErrorTimeMs: 5_500,
    });
    expect(told[3]?.[1]).toMatchObject({ lastErrorMessage: 'again' });
  });

  it('stops when its thread dies; one that never ran does not stop', () => {
    const { told, ...listener } = recorder();
    listeners.add(listener);
    const died = { type: 'executor-died', executor: 'receiver executor 1' } as const;
    emit(
      started,
      { type: 'receiver-error', ...WHICH, receiverIndex: 3, message: 'onStart failed' },
      { ...died, receivers: ['lines/2', 'lines/3'], error: 'exit 1' },
    );
    expect(names(told)).toEqual([
      ['onReceiverStarted', true],
      ['onReceiverError', false],
      ['onReceiverStopped', false],
    ]);
    expect(told[2]?.[1]).toMatchObject({ name: 'lines/2', lastError: 'exit 1' });
  });
});

describe('listeners', () => {
  it('hear from when they are added to when they are removed, each once', () => {
    const { told, ...listener } = recorder();
    emit(submitted(1_000 as BatchTimeMs));
    listeners.add(listener);
    listeners.add(listener);
    emit(submitted(2_000 as BatchTimeMs));
    listeners.remove(listener);
    emit(submitted(3_000 as BatchTimeMs));
    expect(told.map(([, { batchTimeMs }]) => batchTimeMs)).toEqual([2_000]);
  });

  it.each([
    ['a function', () => {}],
    ['nothing', undefined],
    ['a method by another name', { onBatchComplete: () => {} }],
  ])('are refused when nothing of them would be called: %s', (_what, listener) => {
    expect(() => listeners.add(listener as StreamingListener)).toThrow(
      /a listener is an object with one or more of .*onBatchCompleted/,
    );
  });

  it('one that another has removed meanwhile hears nothing more', () => {
    const { told, ...second } = recorder();
    listeners.add({ onBatchSubmitted: () => listeners.remove(second) });
    listeners.add(second);
    emit(submitted());
    expect(told).toEqual([]);
  });

  class Metrics implements StreamingListener {
    calls = 0;
    onBatchSubmitted(): void {
      this.calls += 1;
      throw new RangeError('too many');
    }
  }

  it('one that throws is told by name, once, and goes on to be called; so do the others', () => {
    const metrics = new Metrics();
    const { told, ...other } = recorder();
    listeners.add(metrics);
    listeners.add(other);
    emit(submitted(1_000 as BatchTimeMs), submitted(2_000 as BatchTimeMs));
    expect([metrics.calls, told.length]).toEqual([2, 2]);
    expect(warnings).toEqual([
      expect.stringMatching(/^StreamingListener Metrics failed in onBatchSubmitted: too many/),
    ]);
  });

  it('one whose promise rejects is told the same way, and ends no process', async () => {
    listeners.add({ onBatchSubmitted: () => {} });
    const failing: object = { onBatchSubmitted: () => Promise.reject(new Error('later')) };
    listeners.add(failing);
    emit(submitted(1_000 as BatchTimeMs), submitted(2_000 as BatchTimeMs));
    await settle();
    expect(warnings).toEqual([
      expect.stringMatching(/^StreamingListener 2 failed in onBatchSubmitted: later/),
    ]);
  });

  it('are told when records are taken', () => {
    const { told, ...listener } = recorder();
    listeners.add(listener);
    emit({
      type: 'engine-started',
      pipeline: 'p',
      durability: 'sync',
      directory: null,
      epoch: 1,
      startMs: 3,
    });
    expect(told).toEqual([['onStreamingStarted', { timeMs: 5_000 }]]);
  });
});
