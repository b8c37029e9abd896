/** @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { LINES, blockOf } from '../../test/support/block-samples.ts';
import { EventBus } from '../core/events.ts';
import type { EngineEvent } from '../core/events.ts';
import type { StreamId } from '../core/ids.ts';
import { RateController } from './rate-controller.ts';
import type { InputShare } from './tracker-state.ts';

const OTHER = 'other' as StreamId;
const SETTINGS = { proportional: 1, integral: 0.2, derived: 0, minRate: 100 };

let published: [StreamId, number][];
let events: EngineEvent[];

beforeEach(() => {
  published = [];
  events = [];
});

function controller(
  receivers: readonly [StreamId, number][],
  more: { readonly initialRate?: number } = {},
): RateController {
  const bus = new EventBus();
  bus.subscribe((event) => events.push(event));
  return new RateController({
    settings: { ...SETTINGS, ...more },
    batchIntervalMs: 1_000,
    receivers: new Map(receivers),
    events: bus,
    publish: (streamId, rate) => published.push([streamId, rate]),
  });
}

function shareOf(streamId: StreamId, ...recordCounts: readonly number[]): InputShare {
  const blocks = recordCounts.map((recordCount, seq) => ({
    ...blockOf(seq),
    recordCount,
  }));
  return { kind: 'blocks', streamId, blocks, groups: [] };
}

const took = (doneMs: number, processingMs: number, schedulingDelayMs = 0) => ({
  doneMs,
  processingMs,
  schedulingDelayMs,
});

describe('RateController', () => {
  it('publishes nothing before the second batch with records', () => {
    const rates = controller([[LINES, 1]]);
    rates.completed({ inputs: [shareOf(LINES, 500, 500)] }, took(1_000, 1_000));
    rates.completed({ inputs: [shareOf(LINES)] }, took(2_000, 10));
    expect(published).toEqual([]);
    rates.completed({ inputs: [shareOf(LINES, 500, 200)] }, took(3_000, 1_000));
    expect(published).toEqual([[LINES, 700]]);
    expect(events).toEqual([{ type: 'rate-changed', streamId: LINES, recordsPerSecond: 700 }]);
  });

  it('gives each receiver its part', () => {
    const rates = controller([[LINES, 4]], { initialRate: 1_000 });
    expect([...rates.rates]).toEqual([[LINES, 250]]);
    rates.completed({ inputs: [shareOf(LINES, 1_000)] }, took(1_000, 1_000));
    rates.completed({ inputs: [shareOf(LINES, 800)] }, took(2_000, 1_000));
    expect(published).toEqual([[LINES, 200]]);
    expect([...rates.rates]).toEqual([[LINES, 200]]);
  });

  it('counts the records of each input by itself', () => {
    const rates = controller([
      [LINES, 1],
      [OTHER, 1],
    ]);
    for (const doneMs of [1_000, 2_000]) {
      const inputs = [shareOf(LINES, 3_000), shareOf(OTHER, 400)];
      rates.completed({ inputs }, took(doneMs, 2_000));
    }
    expect(published).toEqual([
      [LINES, 1_500],
      [OTHER, 200],
    ]);
  });

  it('says nothing twice, and nothing of inputs without receivers', () => {
    const rates = controller(
      [
        [LINES, 1],
        [OTHER, 0],
      ],
      { initialRate: 10 },
    );
    expect([...rates.rates.keys()]).toEqual([LINES]);
    const queue = { kind: 'queue', streamId: OTHER, queueIndex: 0, slices: 2 } as const;
    for (const doneMs of [1_000, 2_000, 3_000]) {
      rates.completed({ inputs: [shareOf(LINES, 700), queue] }, took(doneMs, 1_000));
    }
    expect(published).toEqual([[LINES, 700]]);
  });

  /** In Spark a rate of 0 stops an input for ever (SPARK-9966). */
  it('never publishes 0, and comes back from the least rate', () => {
    const rates = controller([[LINES, 2]]);
    rates.completed({ inputs: [shareOf(LINES, 1_000)] }, took(1_000, 1_000));
    rates.completed({ inputs: [shareOf(LINES, 1_000)] }, took(2_000, 1_000, 3_600_000));
    rates.completed({ inputs: [shareOf(LINES, 100)] }, took(3_000, 10));
    expect(published).toEqual([
      [LINES, 50],
      [LINES, 5_000],
    ]);
  });
});
