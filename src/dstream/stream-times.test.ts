import { describe, expect, it } from 'vitest';
import { graphOf } from '../../test/support/inline-driver.ts';
import type { Duration } from '../core/duration.ts';
import type { DStream } from './dstream.ts';
import type { PipelineContext } from './pipeline-context.ts';
import { StreamTimes, WINDOW_BATCHES_MAX, reachMsOf } from './stream-times.ts';

type Build = (ssc: PipelineContext) => void;

function timesOf(build: Build, batchIntervalMs = 1_000): StreamTimes {
  return new StreamTimes(graphOf(build).nodes, batchIntervalMs);
}

const nested: Build = (ssc) => {
  const lines = ssc.generatorStream();
  lines
    .window('6s', '2s')
    .map((line) => line)
    .window('8s', '4s')
    .count()
    .print();
  lines.print();
};

const plus = (a: number, b: number): number => a + b;
const minus = (a: number, b: number): number => a - b;
const ofLengths = (ssc: PipelineContext): DStream<number> =>
  ssc.generatorStream().map((line) => line.length);

describe('a window with an inverse function', () => {
  it('looks back one slide further, at what has left', () => {
    const times = timesOf((ssc) => {
      ofLengths(ssc).reduceByWindow(plus, minus, '8s', '2s').print();
      ofLengths(ssc).window('3s', '2s').reduceByWindow(plus, minus, '4s').print();
    });
    expect(times.slideMs('reduceByWindow-0')).toBe(2_000);
    expect(times.reachOf('reduceByWindow-0')).toBe(9_000);
    expect(times.reachOf('reduceByWindow-1')).toBe(2_000 + 4_000);
    expect(times.reachMs).toBe(9_000);
  });

  it('cannot look at keyed state, not even of one batch, and no window looks at it', () => {
    const counts: Build = (ssc) =>
      ofLengths(ssc)
        .mapToPair((n) => [n, 1])
        .updateStateByKey((ones) => ones.length, { id: 'sums' })
        .reduceByKeyAndWindow(plus, minus, '1s')
        .print();
    expect(() => timesOf(counts)).toThrow(/^reduceByKeyAndWindow-0: a window cannot look at/);
    const above: Build = (ssc) =>
      ofLengths(ssc).reduceByWindow(plus, minus, '4s', undefined, { id: 'w' }).window('2s').print();
    expect(() => timesOf(above)).toThrow(
      /^window-0: .* earlier batches of w, which reads w.window/,
    );
  });
});

describe('the interval of a checkpoint', () => {
  const everySum = (interval: Duration): Build => {
    return (ssc) =>
      ofLengths(ssc)
        .window('4s', '2s')
        .mapToPair((n) => [n, 1])
        .updateStateByKey((ones) => ones.length, { id: 'sums' })
        .checkpoint(interval)
        .print();
  };

  it('is a multiple of the slide of its stream, and not too long', () => {
    expect(timesOf(everySum('6s')).slideMs('sums')).toBe(2_000);
    const refusal =
      /^sums: the interval of its checkpoint, \d+ ms, must be a multiple of its slide/;
    expect(() => timesOf(everySum('3s'))).toThrow(refusal);
    expect(() => timesOf(everySum('20002s'))).toThrow(refusal);
  });

  it('goes to the state that a stream shows, and stays without effect where there is none', () => {
    const { nodes } = graphOf((ssc) => {
      const lengths = ofLengths(ssc);
      const mapped = lengths.mapToPair((n) => [n, n]).mapWithState((key) => key, { id: 'mapped' });
      mapped.stateSnapshots().checkpoint('5s').print();
      lengths.reduceByWindow(plus, minus, '4s', '2s', { id: 'sum' }).checkpoint('4s').print();
      lengths.count({ id: 'none' }).checkpoint('7s').print();
    });
    const every = nodes.map(({ id, options }) => [id, options['checkpointMs']]);
    expect(every.filter(([, ms]) => ms !== undefined)).toEqual([
      ['mapped', 5_000],
      ['sum.window', 4_000],
      ['none', 7_000],
    ]);
  });
});

describe('slides', () => {
  it('are the batch interval, what a window says, and else the parent’s', () => {
    const times = timesOf(nested);
    const ids = ['generatorStream-0', 'window-0', 'map-0', 'window-1', 'count-0', 'print-0'];
    expect(ids.map((id) => times.slideMs(id))).toEqual([1_000, 2_000, 2_000, 4_000, 4_000, 4_000]);
    expect([times.slideMs('print-1'), times.longSlidesMs]).toEqual([1_000, [2_000, 4_000]]);
  });

  it('make a batch at their multiples since 1970, and no other', () => {
    const times = timesOf(nested);
    const due = [2_000, 3_000, 4_000, 6_000, 1_700_000_000_000].map((time) => [
      times.isDue('print-0', time),
      times.isDue('window-0', time),
      times.isDue('print-1', time),
    ]);
    expect(due).toEqual([
      [false, true, true],
      [false, false, true],
      [true, true, true],
      [false, true, true],
      [true, true, true],
    ]);
  });
});

/** Keyed state. */
function counted(ssc: PipelineContext): DStream<[string, number]> {
  return ssc
    .generatorStream()
    .keyBy((line) => line)
    .updateStateByKey((values: string[], n: number | undefined) => values.length + (n ?? 0));
}

describe('windows', () => {
  it('may be below keyed state, and over it when they are one batch long', () => {
    const times = timesOf((ssc) => {
      const pairs = ssc.generatorStream().keyBy((line) => line);
      const kept = pairs.window('6s', '2s').mapWithState((word) => word);
      kept.print();
      kept.window('2s', '8s').print();
    });
    const ids = ['mapWithState-0', 'print-0', 'print-1'];
    expect(ids.map((id) => times.slideMs(id))).toEqual([2_000, 2_000, 8_000]);
    expect(times.reachMs).toBe(5_000);
  });

  it('read their batches from the oldest on', () => {
    const graph = graphOf(nested);
    const times = new StreamTimes(graph.nodes, 1_000);
    expect(times.agesMs(graph.node('window-0'))).toEqual([5_000, 4_000, 3_000, 2_000, 1_000, 0]);
    expect(times.agesMs(graph.node('window-1'))).toEqual([6_000, 4_000, 2_000, 0]);
  });

  it('reach as far back as all that they look through', () => {
    expect(timesOf(nested).reachMs).toBe(11_000);
    expect(reachMsOf(graphOf(nested).nodes, 1_000)).toBe(11_000);
    expect(timesOf((ssc) => ssc.generatorStream().window('1s').print()).reachMs).toBe(0);
  });
});

it.each<[string, Build, string]>([
  [
    'a window that is no multiple of the batch interval',
    (ssc) => ssc.generatorStream().window(2_500).print(),
    'window-0: its window, 2500 ms, must be a multiple of 1000 ms, the batch interval',
  ],
  [
    'a slide that is none',
    (ssc) => ssc.generatorStream().countByWindow('2s', 1_500).print(),
    'countByWindow-0.window: its slide, 1500 ms, must be a multiple of 1000 ms, the batch interval',
  ],
  [
    'a window that does not fit the window before it',
    (ssc) => ssc.generatorStream().window('4s', '2s').window('5s', '3s').print(),
    'window-1: its window, 5000 ms, must be a multiple of 2000 ms, the slide of window-0; ' +
      'window-1: its slide, 3000 ms, must be a multiple of 2000 ms, the slide of window-0',
  ],
  [
    'a union of different slides',
    (ssc) => {
      const lines = ssc.generatorStream();
      lines.union(lines.window('2s', '2s')).print();
    },
    'union-0: generatorStream-0 has a batch every 1000 ms and window-0 every 2000 ms; streams ' +
      'with different slides cannot be brought together',
  ],
  [
    'a join of different slides',
    (ssc) => {
      const pairs = ssc.generatorStream().keyBy((line) => line);
      pairs.window('3s', '3s').join(pairs.window('2s', '2s')).print();
    },
    'join-0: window-0 has a batch every 3000 ms and window-1 every 2000 ms',
  ],
  [
    'more batches than may be remembered',
    (ssc) =>
      ssc
        .generatorStream()
        .window((WINDOW_BATCHES_MAX + 1) * 1_000)
        .print(),
    'window-0: a window of 10001000 ms is 10001 batches, 10001 with those of its parents; ' +
      'at most 10000 and 100000 are possible',
  ],
  [
    'windows of windows that multiply',
    (ssc) => ssc.generatorStream().window('500s').window('500s').print(),
    'window-1: a window of 500000 ms is 500 batches, 250000 with those of its parents',
  ],
  [
    'a window over keyed state',
    (ssc) => counted(ssc).window('3s').print(),
    'window-0: a window cannot look at earlier batches of updateStateByKey-0: keyed state is ' +
      'there only as it is after the last batch. Put the window first and the state behind it',
  ],
  [
    'a window over what was made of keyed state',
    (ssc) => counted(ssc).count().window('2s', '2s').print(),
    'window-0: a window cannot look at earlier batches of count-0, which reads updateStateByKey-0',
  ],
  [
    'a window that reduces what was made of keyed state',
    (ssc) =>
      ssc
        .generatorStream()
        .keyBy((line) => line)
        .mapWithState(() => ['a', 1] as const)
        .stateSnapshots()
        .groupByKeyAndWindow('4s', '2s')
        .print(),
    'groupByKeyAndWindow-0.window: a window cannot look at earlier batches of ' +
      'groupByKeyAndWindow-0.batch, which reads mapWithState-0',
  ],
  [
    'a window behind a join with keyed state, and behind a window of one batch',
    (ssc) => {
      const words = ssc.generatorStream().keyBy((line) => line);
      words.join(counted(ssc)).window('1s', '2s').window('4s').print();
    },
    'window-1: a window cannot look at earlier batches of window-0, which reads updateStateByKey-0',
  ],
])('refuses %s', (_name, build, message) => {
  expect(() => timesOf(build)).toThrow(
    expect.objectContaining({
      code: 'PIPELINE_INVALID',
      message: expect.stringContaining(message) as string,
    }),
  );
});
