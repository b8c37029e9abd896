/** From samples to words: what is recommended, how sure that is, what is said against it. */
import { describe, expect, it } from 'vitest';
import {
  FAST,
  IDLE,
  SLOW,
  held,
  reportOf,
  sampleOf,
  taken,
} from '../../../test/support/tune-reports.ts';
import { curvesOf } from './tune-page-script.ts';
import { tunePage } from './tune-page.ts';
import { timesOf } from './tune-plan.ts';
import { isSourceBound, outcomeOf, speedAndDelay } from './tune-sample.ts';
import { adviceLines, tuneDoubts, tuneText } from './tune-text.ts';

describe('a recommendation', () => {
  const samples = [
    taken(FAST, {}),
    ...held(FAST, 900, 3),
    ...held(FAST, 450, 1),
    taken(SLOW, { recordsPerSecond: 400 }),
  ];

  it('has what to paste, with what was measured at that rate', () => {
    const { recommendation } = reportOf(samples);
    expect(recommendation).toMatchObject({
      setting: FAST,
      recordsPerSecond: 900,
      repetitions: 3,
      isSure: true,
      rivals: [],
      kind: 'held',
      untriedNeighbours: 0,
      bound: { wantedRate: null, name: 'tasks', share: 0.9 },
      flags: '--batch-interval 200ms --block-interval 50ms --receiver-executors 1 --executors 2',
      options: "batchInterval: '200ms', blockInterval: '50ms', receiverExecutors: 1, executors: 2",
    });
    expect(recommendation?.latencyMs.p50).toEqual({ min: 150, median: 151, max: 152 });
  });

  it('reads well, as text', () => {
    const text = tuneText(reportOf(samples));
    expect(text).toContain('counts sustains 900 records/s, each record done 151 ms after it came');
    expect(text).toContain('\n  --batch-interval 200ms --block-interval 50ms');
    expect(text).toContain('Sure: 3 samples at this rate');
    expect(text).toContain('At full speed the tasks bound it');
    expect(text).toMatch(/^200ms +50ms +1 +2 +1000 \[1000 … 1000\] +900 +5 /m);
    expect(text).toContain('- Outputs were not measured');
    expect(text).toContain('- Another batch interval cannot go on from a checkpoint');
  });

  it('is not sure after two samples, nor beside another that overlaps', () => {
    const few = reportOf([taken(SLOW, {}), taken(FAST, {}), ...held(FAST, 900, 2)]);
    expect(few.recommendation).toMatchObject({ isSure: false, untriedNeighbours: 0 });
    expect(adviceLines(few).join(' ')).toContain('too few to say');
    const close = reportOf([taken(FAST, {}), ...held(FAST, 900, 3), ...held(SLOW, 890, 3)]);
    expect(close.recommendation).toMatchObject({ isSure: false, rivals: [SLOW] });
    expect(adviceLines(close).join(' ')).toContain('overlap with them (batch 1s');
  });

  it('is not sure while windows were still filling', () => {
    const whole = [taken(FAST, {}), ...held(FAST, 900, 3), taken(SLOW, { recordsPerSecond: 400 })];
    const times = (fillMs: number) => timesOf(120_000, { slideMs: 0, fillMs });
    const full = reportOf(whole, { times: times(6_000) });
    expect(full.recommendation).toMatchObject({ isSure: true, unfilledWindows: null });
    const report = reportOf(whole, { times: times(90_000) });
    expect(report.recommendation).toMatchObject({
      isSure: false,
      unfilledWindows: { windowMs: 90_000, warmUpMs: 1_000, budgetMs: 30 * 60_000 },
    });
    const advice = adviceLines(report).join(' ');
    expect(advice).toContain('its windows, which reach back 1 m 30 s, were still filling');
    expect(advice).toContain('samples are measured after 1 s');
    expect(advice).toContain('from --budget 30m on');
  });

  it('is not sure while a neighbour was not tried', () => {
    const report = reportOf([taken(FAST, {}), ...held(FAST, 900, 3)]);
    expect(report.recommendation).toMatchObject({ isSure: false, untriedNeighbours: 1 });
    expect(adviceLines(report).join(' ')).toContain('1 of its neighbours');
  });

  it('says at a wanted rate how much room there is, not what bounds full speed', () => {
    const report = reportOf(held(FAST, 900, 3), { wantedRate: 900 });
    expect(report.recommendation?.bound).toEqual({ wantedRate: 900, name: 'tasks', share: 0.9 });
    expect(adviceLines(report).join(' ')).toContain('(tasks) was at 90 %: there is little room');
  });

  it('is none where nothing was sustained, and says what came nearest', () => {
    const growing = taken(FAST, { wantedRate: 5_000, growth: 'growing', recordsPerSecond: 2_000 });
    const report = reportOf([growing], { wantedRate: 5_000 });
    expect(report.recommendation).toBeNull();
    expect(adviceLines(report).join(' ')).toContain('to sustain 5,000 records/s');
    expect(adviceLines(report).join(' ')).toContain('with 2,000 records/s');
    expect(adviceLines(report).join(' ')).toContain('ask for a lower --rate');
    const unlimited = reportOf([taken(FAST, { growth: 'growing' })]);
    expect(adviceLines(unlimited).join(' ')).toContain('1 of 2 settings were tried');
    expect(adviceLines(unlimited).join(' ')).toContain('a longer --budget');
  });

  it('says that the source was the bound, and not the engine', () => {
    const bound = { isSourceEndless: false, load: IDLE };
    const report = reportOf([1, 2, 3].map(() => taken(FAST, bound)));
    expect(report.recommendation).toMatchObject({ kind: 'source-bound', recordsPerSecond: 1_000 });
    const words = adviceLines(report).join(' ').replaceAll('\n', ' ');
    expect(words).toContain('keeps up with its source');
    expect(words).toContain('the highest rate of the engine is not known; --lines FILE');
    const own = reportOf([taken(FAST, bound)], { takesLines: false });
    expect(adviceLines(own).join(' ')).not.toContain('--lines');
  });
});

it('says what was left out and what disturbed', () => {
  const samples = [taken(FAST, { otherCores: 1 }), ...held(FAST, 900, 1)];
  const doubts = tuneDoubts(
    reportOf(samples, {
      hasLines: true,
      leavesOutMirror: true,
      leavesOutQuarantine: true,
      isInterrupted: true,
    }),
  ).join('\n');
  for (const part of ['interrupted', 'Lines of', 'mirrorDir', 'quarantineDir', 'Something else']) {
    expect(doubts).toContain(part);
  }
});

describe('a sample that failed', () => {
  const failedSample = {
    number: 7,
    setting: SLOW,
    wantedRate: 900,
    code: 'RECEIVER_FAILED',
    message: 'no record came\nand more',
  } as const;
  const samples = [taken(FAST, {}), ...held(FAST, 900, 3), taken(SLOW, { recordsPerSecond: 400 })];

  it('is told with its setting and its cause, beside the numbers before it', () => {
    const report = reportOf(samples, { failedSample });
    expect(report.recommendation).toMatchObject({ setting: FAST, isSure: true });
    expect(tuneText(report).replaceAll(/\s+/g, ' ')).toContain(
      '- Sample 7 (batch 1s, block 50ms, 1 receiving, 2 running tasks, 900 records/s) failed ' +
        'and ended the run: no record came (RECEIVER_FAILED). These are the numbers of the',
    );
    expect(report.failedSample?.message).toContain('and more');
  });

  it('lets nobody be sure of its own setting', () => {
    const report = reportOf(samples, { failedSample: { ...failedSample, setting: FAST } });
    expect(report.recommendation).toMatchObject({ setting: FAST, isSure: false });
    expect(adviceLines(report).join(' ')).toContain('a sample of it failed');
  });

  it('is why nothing was found, where nothing was', () => {
    const growing = taken(FAST, { growth: 'growing' });
    const report = reportOf([growing], { failedSample });
    expect(adviceLines(report).join(' ')).toContain('A sample failed before it could tell.');
  });
});

describe('the source is the bound', () => {
  it('where nothing of the engine was at its limit, nor the source known to be endless', () => {
    const idle = sampleOf({ load: IDLE, isSourceEndless: false });
    expect(isSourceBound(idle)).toBe(true);
    expect(isSourceBound({ ...idle, isSourceEndless: true })).toBe(false);
    expect(isSourceBound({ ...idle, load: { ...IDLE, disk: 0.8 } })).toBe(false);
    expect(isSourceBound({ ...idle, growth: 'growing' })).toBe(false);
  });

  it('not where the rate that was asked for came', () => {
    const idle = sampleOf({ load: IDLE, isSourceEndless: false, wantedRate: 1_000 });
    expect(isSourceBound(idle)).toBe(false);
    expect(isSourceBound({ ...idle, recordsPerSecond: 500 })).toBe(true);
    expect(outcomeOf({ ...idle, recordsPerSecond: 500 }).isHeld).toBe(false);
  });
});

it('works latency out for records that come evenly', () => {
  const batches = [0, 1, 2, 3].map((index) => ({
    atMs: 1_000 + 200 * index,
    engineCpuMs: index,
    batchTimeMs: 200 * index,
    recordCount: 100,
    schedulingDelayMs: 10,
    processingMs: index === 3 ? 90 : 40,
  }));
  // Half of 50 + 200 ms, and 50 ms until the batch was done; all of it, and 100 ms.
  expect(speedAndDelay(batches, FAST, { wantedRate: 500, slideBatches: 1 })).toMatchObject({
    recordsPerSecond: 500,
    latencyMs: { p50: 175, max: 350 },
    growth: 'bounded',
    batchCount: 4,
  });
  expect(speedAndDelay(batches.slice(0, 2), FAST, { slideBatches: 1 })).toBeUndefined();
});

describe('the page', () => {
  const parts = { plotScript: 'P', plotStyle: 'S', plotLicence: 'L', pageScript: 'D' };

  it('has a heat map of the best threads and lets no text be more than text', () => {
    const samples = [
      taken(FAST, {}),
      ...held(FAST, 900, 1),
      taken(SLOW, { recordsPerSecond: 400 }),
      taken({ ...SLOW, executors: 1 }, { recordsPerSecond: 999_999 }),
    ];
    const page = tunePage(reportOf(samples, { pipeline: 'a<b' }), parts);
    const heat = /<table id="heat">.*?<\/table>/s.exec(page)?.[0] ?? '';
    expect(heat).toContain('>1.00</td>');
    expect(heat).toContain('>0.400</td>');
    expect(heat).not.toContain('1.00e');
    expect(page).toContain('<h1>Tuning a&lt;b</h1>');
    expect(page).not.toContain('a<b');
  });

  it('draws a curve of each setting with two rates', () => {
    const report = reportOf([...held(FAST, 900, 1), ...held(FAST, 450, 1), ...held(SLOW, 400, 1)]);
    expect(curvesOf(report)).toEqual({
      names: ['batch 200 ms, block 50 ms, 1 + 2 threads'],
      columns: [
        [450, 900],
        [150, 150],
      ],
    });
  });
});
