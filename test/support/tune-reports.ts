/** Reports of `millrace tune` of samples that a test makes up. @module */
import type { Setting } from '../../src/cli/tune/setting.ts';
import { Standings } from '../../src/cli/tune/standings.ts';
import { timesOf } from '../../src/cli/tune/tune-plan.ts';
import { tuneReportOf } from '../../src/cli/tune/tune-report.ts';
import type { Found, TuneReport } from '../../src/cli/tune/tune-report.ts';
import type { TakenSample } from '../../src/cli/tune/tune-run.ts';
import { outcomeOf } from '../../src/cli/tune/tune-sample.ts';
import type { TuneLoad, TuneSample } from '../../src/cli/tune/tune-sample.ts';

export const FAST: Setting = {
  blockIntervalMs: 50,
  batchIntervalMs: 200,
  receiverExecutors: 1,
  executors: 2,
};
export const SLOW: Setting = { ...FAST, batchIntervalMs: 1_000 };
export const IDLE: TuneLoad = { tasks: 0.1, receiver: 0.1, disk: 0.1, driver: 0.1, cores: 0.1 };

export function sampleOf(part: Partial<TuneSample>): TuneSample {
  return {
    recordsPerSecond: 1_000,
    cpuNsPerRecord: 1,
    growth: 'bounded',
    latencyMs: { p50: 150, max: 300 },
    schedulingDelayMs: 5,
    processingMs: 20,
    batchCount: 9,
    outputRecordsPerSecond: 1,
    load: { ...IDLE, tasks: 0.9 },
    isSourceEndless: true,
    engineCores: 1,
    otherCores: 0,
    ...part,
  };
}

export function taken(setting: Setting, part: Partial<TuneSample>): TakenSample {
  const sample = sampleOf(part);
  const { wantedRate } = sample;
  return { trial: { setting, ...(wantedRate === undefined ? {} : { wantedRate }) }, sample };
}

export function reportOf(samples: readonly TakenSample[], part: Partial<Found> = {}): TuneReport {
  const standings = new Standings(part.wantedRate ?? undefined);
  for (const { trial, sample } of samples) standings.note(trial, outcomeOf(sample));
  return tuneReportOf({
    samples,
    standings,
    pipeline: 'counts',
    directory: '/d',
    durability: 'sync',
    environment: {
      cpu: 'c',
      cores: 2,
      memoryGiB: 1,
      kernel: 'k',
      node: 'n',
      fileSystem: 'ext4',
      load: 0,
      date: '2026-11-22',
    },
    budgetMs: 60_000,
    usedMs: 50_000,
    isInterrupted: false,
    failedSample: null,
    wantedRate: null,
    axes: {
      blockIntervalsMs: [50],
      batchIntervalsMs: [200, 1_000],
      receiverExecutors: [1],
      executors: [2],
    },
    hasLines: false,
    takesLines: true,
    hasOutputs: false,
    leavesOutMirror: false,
    leavesOutQuarantine: false,
    ownSetting: SLOW,
    settingCount: 2,
    times: timesOf(60_000),
    ...part,
  });
}

export function held(setting: Setting, rate: number, count: number): TakenSample[] {
  return Array.from({ length: count }, (_, index) =>
    taken(setting, {
      wantedRate: rate,
      recordsPerSecond: rate,
      latencyMs: { p50: 150 + index, max: 300 },
    }),
  );
}
