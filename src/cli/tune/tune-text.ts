/** The report for a terminal: the recommendation first, then the best settings, then what speaks
 * against all that. Pure: every sentence comes from the numbers. @module */
import { environmentText } from '../bench/environment.ts';
import { msText, spanText } from '../bench/ms-text.ts';
import { spreadText, table, wrapped } from '../bench/text-table.ts';
import { trialText } from './failed-sample.ts';
import type { FailedSampleResult } from './failed-sample.ts';
import { durationText, settingText } from './setting.ts';
import type { UnfilledWindows } from './tune-plan.ts';
import { isOf } from './tune-report.ts';
import { BOUND_SHARE } from './tune-sample.ts';
import type { TuneLoad } from './tune-sample.ts';
import type { RateResult, Recommendation, SettingResult, TuneReport } from './tune-report.ts';

const ROWS_MAX = 8;

/** Lines, the last one with its newline. */
export function tuneText(report: TuneReport): string {
  const rows = report.settings.slice(0, ROWS_MAX).map(tuneRow);
  return [
    ...adviceLines(report),
    '',
    ...table([TUNE_COLUMNS, ...rows]),
    ...moreLine(report),
    '',
    ...factLines(report),
    '',
    ...tuneDoubts(report).flatMap((doubt) => wrapped(`- ${doubt}`)),
    '',
  ].join('\n');
}

function moreLine({ settings }: TuneReport): string[] {
  const more = settings.length - ROWS_MAX;
  return more > 0 ? [`… and ${more} more: --json and --html have them all`] : [];
}

export function factLines(report: TuneReport): string[] {
  const { environment, sampleCount, settings, settingCount, durability, directory } = report;
  const samples = `${sampleCount} ${sampleCount === 1 ? 'sample' : 'samples'}`;
  return [
    environmentText(environment),
    `${samples} of ${settings.length} of ${settingCount} settings in ` +
      `${spanText(report.usedMs)}, log ${durability}, in ${directory}; median [min … max]`,
  ];
}

/** What to paste, and how sure that is. */
export function adviceLines(report: TuneReport): string[] {
  const { recommendation, pipeline, wantedRate } = report;
  if (recommendation === null) {
    const what = wantedRate === null ? 'any rate' : `${rateText(wantedRate)} records/s`;
    return wrapped(
      `No setting was seen to sustain ${what} for ${pipeline}. ${nearestText(report)} ` +
        furtherText(report),
    );
  }
  return [
    ...wrapped(headline(report, recommendation)),
    '',
    `  ${recommendation.flags}`,
    `  { ${recommendation.options} }`,
    '',
    ...wrapped(sureText(report, recommendation)),
    ...wrapped(boundText(report, recommendation)),
  ];
}

const HEADLINES: Readonly<Record<Recommendation['kind'], string>> = {
  held: 'sustains $',
  'source-bound': 'keeps up with its source, which gave $',
  unchecked: 'took $ when it was let (how much of that it sustains there was no time to see)',
};

function headline({ pipeline }: TuneReport, recommendation: Recommendation): string {
  const { recordsPerSecond, latencyMs, kind } = recommendation;
  const rate = `${rateText(recordsPerSecond)} records/s`;
  const held = HEADLINES[kind].replace('$', rate);
  return (
    `${pipeline} ${held}, each record done ${msText(latencyMs.p50.median)} ms after it came ` +
    `(median; the slowest ${msText(latencyMs.max.median)} ms), with`
  );
}

const SAMPLES_MIN = 3;

function sureText({ failedSample }: TuneReport, recommendation: Recommendation): string {
  const { isSure, repetitions, rivals, untriedNeighbours, latencyMs, unfilledWindows } =
    recommendation;
  const { min, median, max } = latencyMs.p50;
  const times =
    `${repetitions} ${repetitions === 1 ? 'sample' : 'samples'} at this rate, latency ` +
    `${msText(median)} [${msText(min)} … ${msText(max)}] ms`;
  if (isSure) {
    return `Sure: ${times}; all neighbours of the setting were tried, and none could be as good.`;
  }
  const names = rivals.slice(0, 3).map(settingText).join('; ');
  const reasons = [
    ...(repetitions < SAMPLES_MIN ? ['too few to say how much they vary'] : []),
    ...(rivals.length > 0 ? [`the samples of others overlap with them (${names})`] : []),
    ...(untriedNeighbours > 0 ? [`${untriedNeighbours} of its neighbours were not tried`] : []),
    ...(recommendation.kind === 'unchecked' ? ['it was not checked at a fixed rate'] : []),
    ...(isOf(failedSample, recommendation.setting) ? ['a sample of it failed'] : []),
    ...(unfilledWindows === null ? [] : [unfilledText(unfilledWindows)]),
  ];
  return `Not sure: ${times}; ${reasons.join('; ')}. A longer --budget tells more.`;
}

/** The rate may be too high then, and the latency too low. */
function unfilledText({ windowMs, warmUpMs, budgetMs }: UnfilledWindows): string {
  return (
    `its windows, which reach back ${spanText(windowMs)}, were still filling: samples are ` +
    `measured after ${spanText(warmUpMs)}, and batches of full windows have more to do (from ` +
    `--budget ${budgetMs / 60_000}m on samples wait for them)`
  );
}

const BOUNDS: Readonly<Record<keyof TuneLoad, string>> = {
  tasks: 'the tasks bound it: cheaper operators, or more executors where cores are free',
  receiver: 'one receiver thread bounds it: more receivers for the input may help',
  disk: 'the disk bounds it: a log writes and syncs nearly all the time',
  driver: 'the driver’s thread bounds it: longer block and batch intervals give it less to do',
  cores: 'the processor bounds it: every core is in use',
};

function boundText({ takesLines }: TuneReport, { bound, kind }: Recommendation): string {
  const percent = `${(100 * bound.share).toFixed(0)} %`;
  if (kind === 'source-bound') {
    return (
      `The source (or maxRate) was the bound, not the engine, whose busiest part was at ` +
      `${percent}: the highest rate of the engine is not known; ` +
      (takesLines ? '--lines FILE asks for it.' : 'a source that gives more would tell.')
    );
  }
  if (bound.wantedRate !== null) {
    const room = bound.share < BOUND_SHARE ? 'there is room for more' : 'there is little room';
    const rate = `${rateText(bound.wantedRate)} records/s`;
    return `At ${rate} the busiest part (${bound.name}) was at ${percent}: ${room}.`;
  }
  if (bound.share < BOUND_SHARE) {
    return `At full speed nothing was at its limit (the most: ${bound.name}, ${percent}).`;
  }
  return `At full speed ${BOUNDS[bound.name]} (${percent}).`;
}

/** Where nothing was held: what came nearest. */
function nearestText({ settings, wantedRate }: TuneReport): string {
  const [best] = settings;
  const [nearest] = best?.rates ?? [];
  if (best === undefined || nearest === undefined) return 'Nothing was measured.';
  const came = rateText(nearest.recordsPerSecond.median);
  const source =
    nearest.sourceBoundCount > 0 && wantedRate !== null
      ? ', and there the source was the bound: it gave no more'
      : '';
  return `Nearest came ${settingText(best.setting)}, with ${came} records/s${source}.`;
}

/** What may find one after all. */
function furtherText(report: TuneReport): string {
  const { settings, settingCount, wantedRate, isInterrupted, failedSample } = report;
  if (isInterrupted) return 'It was interrupted before it could tell.';
  if (failedSample !== null) return 'A sample failed before it could tell.';
  const tried = `${settings.length} of ${settingCount} settings were tried`;
  if (wantedRate !== null) {
    return `${tried}: ask for a lower --rate, or give a longer --budget to try more.`;
  }
  return (
    `${tried}, and no rate was found at which batches keep up: a longer --budget looks at lower ` +
    'rates, and fewer values to try (such as --batch-intervals 1s) leave it more time for each.'
  );
}

export const TUNE_COLUMNS: readonly string[] = [
  'batch',
  'block',
  'receiving',
  'tasks',
  'records/s, full speed',
  'sustained',
  'samples',
  'latency there, ms',
];

export function tuneRow({ setting, rates }: SettingResult): string[] {
  const full = rates.find(({ wantedRate }) => wantedRate === null);
  const held = heldResult(rates);
  return [
    durationText(setting.batchIntervalMs),
    durationText(setting.blockIntervalMs),
    String(setting.receiverExecutors),
    String(setting.executors),
    full === undefined ? '' : spreadText(full.recordsPerSecond, { digits: 0 }),
    held === undefined ? '' : rateText(held.wantedRate ?? held.recordsPerSecond.median),
    String(rates.reduce((sum, { samples }) => sum + samples.length, 0)),
    held === undefined ? '' : spreadText(held.latencyMs.p50, { digits: 1 }),
  ];
}

/** The highest rate that most samples held. */
export function heldResult(rates: readonly RateResult[]): RateResult | undefined {
  const isHeld = ({ heldCount, samples }: RateResult): boolean => heldCount * 2 > samples.length;
  const limited = rates.findLast((rate) => rate.wantedRate !== null && isHeld(rate));
  return limited ?? rates.find((rate) => rate.sourceBoundCount > 0 && isHeld(rate));
}

const OTHERS_MAX = 0.1;
const SPREAD_MAX = 0.15;

/** Why this may be wrong. Never empty: what was left out is told too. */
export function tuneDoubts(report: TuneReport): string[] {
  const { environment, settings } = report;
  const samples = settings.flatMap(({ rates }) => rates.flatMap((rate) => rate.samples));
  const doubts = scopeDoubts(report);
  const others = Math.max(0, ...samples.map(({ otherCores }) => otherCores));
  if (others > OTHERS_MAX * environment.cores) {
    doubts.push(
      `Something else used up to ${others.toFixed(1)} of ${environment.cores} cores: measure ` +
        'again on a quiet machine.',
    );
  }
  const wide = settings.filter(({ rates }) =>
    rates.some(({ wantedRate, recordsPerSecond: { min, median, max } }) => {
      return wantedRate === null && max - min > SPREAD_MAX * median;
    }),
  );
  if (wide.length > 0) {
    doubts.push(
      `Samples at full speed of ${wide.length} of ${settings.length} settings differ by more ` +
        `than ${100 * SPREAD_MAX} %.`,
    );
  }
  if (environment.fileSystem === 'tmpfs') {
    doubts.push('The directory is memory, not a disk: give --dir on the disk that will be used.');
  }
  doubts.push(
    'Samples are seconds long: what grows over hours (keyed state, longer windows, a disk that ' +
      'slows down) was not seen. Leave room above the rate that you need.',
  );
  return doubts;
}

function scopeDoubts(report: TuneReport): string[] {
  const { hasOutputs, hasLines, leavesOutMirror, leavesOutQuarantine } = report;
  const { isInterrupted, failedSample, ownSetting, recommendation } = report;
  const doubts: string[] = [];
  if (isInterrupted) doubts.push('It was interrupted: these are the numbers so far.');
  if (failedSample !== null) doubts.push(failureText(failedSample));
  if (!hasOutputs) {
    doubts.push(
      'Outputs were not measured: records that reached them were counted and dropped. With ' +
        '--with-outputs they are called, and write to their places.',
    );
  }
  if (hasLines) {
    doubts.push(
      'Lines of a file stood in for the inputs: what the real sources cost is not in it.',
    );
  }
  if (leavesOutMirror) doubts.push('The second copy (mirrorDir) was left out.');
  if (leavesOutQuarantine) {
    doubts.push('The directory for logs that fail (quarantineDir) was left out.');
  }
  if (
    recommendation !== null &&
    recommendation.setting.batchIntervalMs !== ownSetting.batchIntervalMs
  ) {
    doubts.push(
      'Another batch interval cannot go on from a checkpoint that was written with the old one ' +
        '(millrace check says so), and outputs come at other times.',
    );
  }
  return doubts;
}

/** The whole message, with what a process said before it died, is in the JSON. */
function failureText({ number, setting, wantedRate, code, message }: FailedSampleResult): string {
  const of = wantedRate === null ? { setting } : { setting, wantedRate };
  const [firstLine] = message.split('\n');
  const why = code === null ? firstLine : `${firstLine} (${code})`;
  return (
    `Sample ${number} (${trialText(of)}) failed and ended the run: ${why}. These are the numbers ` +
    'of the samples before it.'
  );
}

function rateText(rate: number): string {
  return Math.round(rate).toLocaleString('en-US');
}
