/** What a run of `millrace tune` goes over: the settings that fit pipeline and machine, how long
 * samples are, what stands in for inputs and outputs. Pure. @module */
import { MillraceError, toError } from '../../core/errors.ts';
import type { ResolvedOptions } from '../../core/options.ts';
import type { Graph, GraphNode } from '../../dstream/graph.ts';
import { inputOptions } from '../../dstream/input-options.ts';
import { StreamTimes } from '../../dstream/stream-times.ts';
import { belongsToOneDirectory } from '../../sinks/table-target.ts';
import { problemsError } from '../problem-list.ts';
import { replaced, takesLines } from './measured-pipeline.ts';
import { durationText, settingsOf } from './setting.ts';
import type { Axes, Setting } from './setting.ts';
import type { Trial } from './standings.ts';
import type { TuneArguments } from './tune-arguments.ts';
import type { Replacements } from './tune-protocol.ts';

export interface TunePlan {
  readonly settings: readonly Setting[];
  /** The pipeline's own, as near as a setting comes to it. */
  readonly first: Setting;
  readonly axes: Axes;
  /** Of the graph, over all inputs. */
  readonly receivers: number;
  /** Of the inputs with receivers. */
  readonly inputIds: readonly string[];
  readonly isSourceEndless: boolean;
  /** `--lines` is not given, and could stand in for the inputs. */
  readonly takesLines: boolean;
  readonly replacements: Replacements;
  readonly times: SampleTimes;
}

export interface SampleTimes {
  /** The least; long batch intervals take longer. */
  readonly warmUpMs: number;
  /** The least; long batch intervals take longer. */
  readonly measureMs: number;
  /** The longest slide of a window that fits into a sample; 0 without. */
  readonly slideMs: number;
  /** From the first record until all windows are full; 0 without. */
  readonly fillMs: number;
}

/** Windows that no sample has waited for. */
export interface UnfilledWindows {
  readonly windowMs: number;
  readonly warmUpMs: number;
  /** From this budget on samples wait until they are full; whole minutes. */
  readonly budgetMs: number;
}

export interface PlanInput {
  readonly given: TuneArguments;
  readonly graph: Graph;
  readonly options: ResolvedOptions;
  readonly cores: number;
  /** Absolute; of `--lines`. */
  readonly linesFile: string | undefined;
}

const BLOCK_INTERVALS_MS: readonly number[] = [20, 50, 100];
const BATCH_INTERVALS_MS: readonly number[] = [200, 500, 1_000];
const RECEIVER_EXECUTORS: readonly number[] = [1, 2, 4];
const RECEIVER_EXECUTORS_DEFAULT_MAX = 4;
const SETTINGS_MAX = 2_000;

/** @throws {MillraceError} OPTIONS_INVALID with all that does not fit. */
export function planTune({ given, graph, options, cores, linesFile }: PlanInput): TunePlan {
  const replacements = replacementsOf(given, options, linesFile);
  const problems: string[] = [];
  try {
    replaced(graph.nodes, replacements);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    problems.push(error.message);
  }
  const receivers = receiversOf(graph);
  if (receivers === 0) {
    problems.push(
      `${options.name} has no input with receivers: files and queues are read whole at the batch ` +
        'time, so that no rate can be looked for. To tune its operators, tune a copy of it with ' +
        'generatorStream() for an input, and --lines FILE',
    );
  }
  problems.push(...rateProblems(given, options, receivers), ...outputProblems(given, graph));
  const first = ownSetting(graph, options);
  const axes = axesOf(given, { graph, first, cores, receivers });
  problems.push(...windowProblems(given, graph));
  const settings = settingsOf(axes);
  if (settings.length === 0) {
    problems.push('none of the block intervals divides one of the batch intervals: give others');
  }
  if (settings.length > SETTINGS_MAX) {
    problems.push(`${settings.length} settings are too many (${SETTINGS_MAX}): give fewer values`);
  }
  if (problems.length > 0) throw problemsError(problems);
  const isSourceEndless = isEndless(graph, options, linesFile !== undefined);
  const times = timesOf(given.budgetMs, windowTimesOf(graph, Math.min(...axes.batchIntervalsMs)));
  const inputs = {
    receivers,
    inputIds: receivingInputs(graph).map(({ id }) => id),
    isSourceEndless,
    takesLines: linesFile === undefined && takesLines(graph.nodes),
  };
  return { settings, first, axes, ...inputs, replacements, times };
}

function rateProblems(
  { wantedRate = 0 }: TuneArguments,
  { maxRate = Infinity }: ResolvedOptions,
  receivers: number,
): string[] {
  if (receivers === 0 || wantedRate <= maxRate * receivers) return [];
  return [
    `--rate is ${wantedRate}, and maxRate lets ${receivers} receivers take no more than ` +
      `${maxRate * receivers} together: raise one or lower the other`,
  ];
}

/** A table that a sample made its own refuses the next one, and the pipeline itself afterwards. */
function outputProblems({ hasOutputs }: TuneArguments, { nodes }: Graph): string[] {
  if (!hasOutputs) return [];
  return nodes.flatMap(({ id, sink }) =>
    sink === undefined || !belongsToOneDirectory(sink)
      ? []
      : `--with-outputs would let the first sample write to ${sink.target} (${id}), which then ` +
        'belongs to the checkpoint directory of that sample: it refuses all others, and the ' +
        'pipeline itself. Leave --with-outputs out, or tune a copy of the pipeline without it',
  );
}

function replacementsOf(
  { hasOutputs }: TuneArguments,
  { storageLevel }: ResolvedOptions,
  linesFile: string | undefined,
): Replacements {
  return {
    dropsOutputs: !hasOutputs,
    ...(linesFile === undefined ? {} : { linesFile }),
    // Lines never end: at another level a disk would fill with what tasks have not done yet.
    ...(storageLevel === undefined ? { linesLevel: 'memory' } : {}),
  };
}

function receiversOf(graph: Graph): number {
  return graph.inputs.reduce((sum, node) => sum + inputOptions(node).receivers, 0);
}

function receivingInputs(graph: Graph): GraphNode[] {
  return graph.inputs.filter((node) => inputOptions(node).receivers > 0);
}

/** What a run takes without any flag. */
function ownSetting(graph: Graph, options: ResolvedOptions): Setting {
  const { blockIntervalMs, batchIntervalMs, executors } = options;
  const inputs = receivingInputs(graph).length;
  const usual = Math.max(1, Math.min(inputs, RECEIVER_EXECUTORS_DEFAULT_MAX));
  const receiverExecutors = options.receiverExecutors ?? usual;
  return { blockIntervalMs, batchIntervalMs, executors, receiverExecutors };
}

interface AxisLimits {
  readonly graph: Graph;
  readonly first: Setting;
  readonly cores: number;
  readonly receivers: number;
}

/** The given values; else the pipeline's own among usual ones. */
function axesOf({ axes }: TuneArguments, { graph, first, cores, receivers }: AxisLimits): Axes {
  const most = Math.max(1, Math.min(receivers, cores));
  const receiving = RECEIVER_EXECUTORS.filter((count) => count <= most);
  const running = [Math.max(1, cores - 1), cores, ...(cores > 4 ? [Math.floor(cores / 2)] : [])];
  const batches = [...BATCH_INTERVALS_MS, first.batchIntervalMs];
  return {
    blockIntervalsMs:
      axes.blockIntervalsMs ?? sorted([...BLOCK_INTERVALS_MS, first.blockIntervalMs]),
    batchIntervalsMs:
      axes.batchIntervalsMs ?? sorted(batches.filter((ms) => !windowProblem(graph, ms))),
    // More threads than receivers have nothing to do.
    receiverExecutors:
      axes.receiverExecutors ??
      sorted([...receiving, Math.min(first.receiverExecutors, Math.max(1, receivers))]),
    executors: axes.executors ?? sorted([...running, first.executors]),
  };
}

function sorted(values: readonly number[]): number[] {
  return [...new Set(values)].toSorted((a, b) => a - b);
}

function windowProblems({ axes }: TuneArguments, graph: Graph): string[] {
  return (axes.batchIntervalsMs ?? []).flatMap((ms) => {
    const problem = windowProblem(graph, ms);
    return problem === undefined ? [] : [`with batches of ${durationText(ms)}: ${problem}`];
  });
}

/** Windows and slides are multiples of the batch interval. */
function windowProblem(graph: Graph, batchIntervalMs: number): string | undefined {
  try {
    return void new StreamTimes(graph.nodes, batchIntervalMs);
  } catch (error) {
    return toError(error).message;
  }
}

/** Whether every source gives as much as is taken, so that it is never the bound. */
function isEndless(graph: Graph, { maxRate }: ResolvedOptions, hasLines: boolean): boolean {
  if (maxRate !== undefined) return false;
  return graph.inputs.every((node) => {
    const options = inputOptions(node);
    if (options.receivers === 0 || hasLines) return true;
    return options.source === 'generator' && options.recordsPerSecond === undefined;
  });
}

const USUAL_BUDGET_MS = 120_000;
const WARM_UP_MS = 1_000;
const MEASURE_MS = 1_500;
const BATCHES_MEASURED = 5;
const BATCHES_BEFORE = 3;
/** Of an engine's process: until it has started, and until its directory is gone. */
const START_AND_END_MS = 1_500;

/** A sample sees this many. */
const SLIDES_MEASURED = 3;
/** Longer ones are not waited for. */
const SLIDE_MS_MAX = 5_000;
/** Of the budget, for one warm-up: until windows are full, if that leaves time for samples. */
const FILL_SHARE = 0.05;
const MINUTE_MS = 60_000;

type WindowTimes = Pick<SampleTimes, 'slideMs' | 'fillMs'>;
const NO_WINDOWS: WindowTimes = { slideMs: 0, fillMs: 0 };

/** Shorter with a shorter budget, so that there are enough of them. A window that cannot be full
 * in time makes no warm-up longer: half of it would cost samples and be as wrong. */
export function timesOf(budgetMs: number, windows: WindowTimes = NO_WINDOWS): SampleTimes {
  const scale = Math.max(0.2, Math.min(2, budgetMs / USUAL_BUDGET_MS));
  const fillMs = windows.fillMs <= FILL_SHARE * budgetMs ? windows.fillMs : 0;
  const warmUpMs = Math.max(WARM_UP_MS * scale, fillMs);
  return { warmUpMs, measureMs: MEASURE_MS * scale, ...windows };
}

/** The longest slide, which the others mostly divide, and how far windows of windows look back.
 * @param batchIntervalMs fits the windows. */
function windowTimesOf(graph: Graph, batchIntervalMs: number): WindowTimes {
  const { longSlidesMs, reachMs } = new StreamTimes(graph.nodes, batchIntervalMs);
  return {
    slideMs: Math.max(0, ...longSlidesMs.filter((slideMs) => slideMs <= SLIDE_MS_MAX)),
    fillMs: reachMs === 0 ? 0 : reachMs + batchIntervalMs,
  };
}

/** @returns the windows that are still filling when a sample of this setting is measured. */
export function unfilledOf(times: SampleTimes, setting: Setting): UnfilledWindows | null {
  const { fillMs } = times;
  const warmUpMs = warmUpMsOf(times, setting);
  if (fillMs <= warmUpMs) return null;
  const budgetMs = Math.ceil(fillMs / FILL_SHARE / MINUTE_MS) * MINUTE_MS;
  return { windowMs: fillMs, warmUpMs, budgetMs };
}

/** After so many batches windows have the same work again. */
export function slideBatchesOf({ slideMs }: SampleTimes, { batchIntervalMs }: Setting): number {
  return Math.max(1, Math.round(slideMs / batchIntervalMs));
}

/** Of one sample: until code is compiled, backpressure knows its rate, and windows are full. */
export function warmUpMsOf({ warmUpMs }: SampleTimes, { batchIntervalMs }: Setting): number {
  return Math.max(warmUpMs, BATCHES_BEFORE * batchIntervalMs);
}

/** Of one sample: growth wants some batches, and some slides. */
export function measureMsOf(
  { measureMs, slideMs }: SampleTimes,
  { batchIntervalMs }: Setting,
): number {
  return Math.max(measureMs, BATCHES_MEASURED * batchIntervalMs, SLIDES_MEASURED * slideMs);
}

/** What a sample takes, roughly: its first batch has records after up to two batch intervals. */
export function expectedMs(times: SampleTimes, { setting }: Trial): number {
  const measured = warmUpMsOf(times, setting) + measureMsOf(times, setting);
  return START_AND_END_MS + measured + setting.batchIntervalMs;
}
