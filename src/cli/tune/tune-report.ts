/** What a run has found, as plain data: the content of `--json`, and what text and page are made
 * from. Pure. @module */
import type { Environment } from '../bench/environment.ts';
import { spreadOf } from '../bench/statistics.ts';
import type { Spread } from '../bench/statistics.ts';
import type { FailedSampleResult } from './failed-sample.ts';
import { SettingSpace, flagsText, optionsText, settingText, settingsOf } from './setting.ts';
import type { Axes, Setting } from './setting.ts';
import type { Choice, Standings } from './standings.ts';
import { unfilledOf } from './tune-plan.ts';
import type { SampleTimes, UnfilledWindows } from './tune-plan.ts';
import type { TakenSample } from './tune-run.ts';
import { busiest, outcomeOf } from './tune-sample.ts';
import type { TuneLoad, TuneSample } from './tune-sample.ts';

/** All samples of one setting at one rate. */
export interface RateResult {
  /** Records a second that were allowed; `null`: full speed. */
  readonly wantedRate: number | null;
  readonly recordsPerSecond: Spread;
  /** Worked out for records that come evenly: docs/performance.md. */
  readonly latencyMs: { readonly p50: Spread; readonly max: Spread };
  readonly schedulingDelayMs: Spread;
  readonly processingMs: Spread;
  /** In how many samples the rate was reached and the delay did not grow. */
  readonly heldCount: number;
  readonly sourceBoundCount: number;
  /** Of the sample at which it was highest. */
  readonly load: TuneLoad;
  readonly samples: readonly TuneSample[];
}

export interface SettingResult {
  readonly setting: Setting;
  /** Full speed first, then by rate. */
  readonly rates: readonly RateResult[];
}

export interface Recommendation {
  readonly setting: Setting;
  /** Records a second that it sustains. */
  readonly recordsPerSecond: number;
  readonly latencyMs: { readonly p50: Spread; readonly max: Spread };
  readonly repetitions: number;
  /** Enough repetitions, all neighbours tried, no other setting that could be as good, no sample
   * of it that failed, and windows that were full. */
  readonly isSure: boolean;
  /** Windows that were still filling when its samples were measured: a batch will have more to do
   * than was seen. `null`: they were full, or there are none. */
  readonly unfilledWindows: UnfilledWindows | null;
  /** Settings whose samples overlap with its own. */
  readonly rivals: readonly Setting[];
  /** `source-bound`: the source gave no more, the engine could take more. `unchecked`: full speed,
   * of which was not seen how much is sustained. */
  readonly kind: Choice['kind'];
  /** Settings one step away of which there is no sample. */
  readonly untriedNeighbours: number;
  /** What was nearest to its limit, and how near, at the rate `wantedRate`; `null`: full speed. */
  readonly bound: {
    readonly wantedRate: number | null;
    readonly name: keyof TuneLoad;
    readonly share: number;
  };
  /** To paste. */
  readonly flags: string;
  readonly options: string;
}

export interface TuneReport {
  readonly format: 'millrace-tune';
  readonly version: 1;
  readonly pipeline: string;
  readonly directory: string;
  readonly durability: string;
  readonly environment: Environment;
  readonly budgetMs: number;
  readonly usedMs: number;
  readonly isInterrupted: boolean;
  /** The sample whose failure has ended the run; `null`: none. It is not among the samples. */
  readonly failedSample: FailedSampleResult | null;
  /** `null`: the highest rate was looked for. */
  readonly wantedRate: number | null;
  readonly axes: Axes;
  /** Lines of a file stood in for the inputs. */
  readonly hasLines: boolean;
  /** They do not, and could. */
  readonly takesLines: boolean;
  /** Outputs were called; else what reached them was counted and dropped. */
  readonly hasOutputs: boolean;
  /** The second copy of the directory, which the pipeline has and no sample had. */
  readonly leavesOutMirror: boolean;
  /** The directory in which logs go on after a failure: likewise. */
  readonly leavesOutQuarantine: boolean;
  readonly ownSetting: Setting;
  readonly settingCount: number;
  readonly sampleCount: number;
  /** Those that were tried, the best first. */
  readonly settings: readonly SettingResult[];
  /** `null`: no setting was seen to sustain anything. */
  readonly recommendation: Recommendation | null;
}

export interface Found extends Omit<
  TuneReport,
  'format' | 'version' | 'settings' | 'sampleCount' | 'recommendation'
> {
  readonly samples: readonly TakenSample[];
  readonly standings: Standings;
  readonly times: SampleTimes;
}

const REPETITIONS_MIN = 3;

export function tuneReportOf({ samples, standings, times, ...rest }: Found): TuneReport {
  const settings = standings.ranked().map((setting) => resultOf(setting, samples));
  const choice = standings.choice();
  const { axes, failedSample } = rest;
  return {
    format: 'millrace-tune',
    version: 1,
    ...rest,
    sampleCount: samples.length,
    settings,
    recommendation:
      choice === undefined
        ? null
        : recommend(choice, standings, { settings, axes, failedSample, times }),
  };
}

/** Whether it was this setting whose sample failed. */
export function isOf(failed: FailedSampleResult | null, setting: Setting): boolean {
  return failed !== null && settingText(failed.setting) === settingText(setting);
}

function resultOf(setting: Setting, samples: readonly TakenSample[]): SettingResult {
  const key = settingText(setting);
  const of = samples.flatMap(({ trial, sample }) =>
    settingText(trial.setting) === key ? [sample] : [],
  );
  const rates = [...new Set(of.map(({ wantedRate }) => wantedRate ?? 0))];
  return {
    setting,
    rates: rates
      .toSorted((a, b) => a - b) // 0: full speed
      .map((rate) => rateResult(of.filter(({ wantedRate }) => (wantedRate ?? 0) === rate))),
  };
}

function rateResult(samples: readonly TuneSample[]): RateResult {
  const outcomes = samples.map(outcomeOf);
  const spread = (valueOf: (sample: TuneSample) => number): Spread =>
    spreadOf(samples.map(valueOf));
  const loads = samples.map(({ load }) => load);
  return {
    wantedRate: samples[0]?.wantedRate ?? null,
    recordsPerSecond: spread((sample) => sample.recordsPerSecond),
    latencyMs: {
      p50: spread(({ latencyMs }) => latencyMs.p50),
      max: spread(({ latencyMs }) => latencyMs.max),
    },
    schedulingDelayMs: spread((sample) => sample.schedulingDelayMs),
    processingMs: spread((sample) => sample.processingMs),
    heldCount: outcomes.filter(({ isHeld }) => isHeld).length,
    sourceBoundCount: outcomes.filter(({ isSourceBound }) => isSourceBound).length,
    load: loads.reduce((most, load) => (busiest(load).share > busiest(most).share ? load : most)),
    samples,
  };
}

type RecommendFacts = Pick<TuneReport, 'settings' | 'axes' | 'failedSample'> & Pick<Found, 'times'>;

function recommend(
  choice: Choice,
  standings: Standings,
  { settings, axes, failedSample, times }: RecommendFacts,
): Recommendation | null {
  const { setting, rate, outcomes, kind } = choice;
  const rates = settings.find((result) => result.setting === setting)?.rates ?? [];
  const atRate = rates.find((result) => result.wantedRate === (kind === 'held' ? rate : null));
  // At full speed, or as near to it as was measured.
  const fullest = rates.find(({ wantedRate }) => wantedRate === null) ?? rates.at(-1);
  if (atRate === undefined || fullest === undefined) return null;
  const rivals = standings.rivals(choice);
  const space = new SettingSpace(settingsOf(axes));
  const neighbours = space.neighbours(space.nearest(setting));
  const untriedNeighbours = neighbours.filter((each) => !standings.isTried(each)).length;
  const unfilledWindows = unfilledOf(times, setting);
  const isWhole = !isOf(failedSample, setting) && unfilledWindows === null;
  const isTold = outcomes.length >= REPETITIONS_MIN && kind !== 'unchecked' && isWhole;
  return {
    setting,
    recordsPerSecond: rate,
    latencyMs: atRate.latencyMs,
    repetitions: outcomes.length,
    isSure: isTold && rivals.length === 0 && untriedNeighbours === 0,
    unfilledWindows,
    rivals: rivals.map((rival) => rival.setting),
    kind,
    untriedNeighbours,
    bound: { wantedRate: fullest.wantedRate, ...busiest(fullest.load) },
    flags: flagsText(setting),
    options: optionsText(setting),
  };
}
