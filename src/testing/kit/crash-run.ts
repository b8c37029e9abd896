/** Runs the histories of one call of `crashTest`, and compares what each leaves with what the
 * undisturbed run leaves.
 *
 * All runs are the real engine with its logs, checkpoints and recovery on a simulated machine, one
 * thread, from one seed (crash-history.ts). Two runs are undisturbed, of different seeds: what they
 * disagree in does not depend on the input alone, and could not be compared with anything.
 * @module */
import { AssertionError } from 'node:assert';
import { toError } from '../../core/errors.ts';
import { resolveOptions } from '../../core/options.ts';
import { seededRandom } from '../../core/random.ts';
import type { StreamId } from '../../core/ids.ts';
import { buildGraph } from '../../dstream/pipeline.ts';
import { BlockPacking } from './block-packing.ts';
import { crashDifference } from './crash-difference.ts';
import type { CrashEffects } from './crash-difference.ts';
import { APART, CrashHistory } from './crash-history.ts';
import type { CrashSubject, HistoryResult, MachineSizes } from './crash-history.ts';
import { checkCrashOptions, CRASH_TEST, crashTestRefusal } from './crash-options.ts';
import type {
  CheckedCrashOptions,
  CrashFault,
  CrashReport,
  CrashTestOptions,
} from './crash-options.ts';
import { drawCrashPlan, undisturbedPlan } from './crash-plan.ts';
import type { CrashPlan } from './crash-plan.ts';
import { definitionOf } from './pipeline-module.ts';
import type { PipelineModule } from './pipeline-module.ts';

interface Run {
  readonly result: HistoryResult;
  readonly effects: CrashEffects;
}

/** Of the two undisturbed runs. */
const QUIET_SEEDS = [1, 2] as const;
/** Far more than a small input takes, and not for ever. */
const QUIET_STEPS = 100_000;
const PAGE_BYTES = 4096;
const BLOCK_BYTES_MIN = 4 * PAGE_BYTES;
const BLOCK_BYTES_MAX = 1024 * 1024;
/** Memory is emptied for each life, which is a fifth of its cost with 8 MiB. */
const MEMORY_BYTES_MIN = 4 * 1024 * 1024;
/** Of all input: windows keep batches, and operators make more of a record. */
const MEMORY_FACTOR = 16;
const EXTENTS_MIN = 48;

/** As `crashTest`, and not beside another one. */
export async function runCrashTest(
  pipeline: PipelineModule | ((life: number) => PipelineModule),
  options: CrashTestOptions | undefined,
): Promise<CrashReport> {
  const subject = await subjectOf(pipeline, options);
  const { given } = subject;
  const expected = await runUndisturbed(subject);
  const report = { lives: 0, faults: new Map<CrashFault, number>(), repeatedBatches: 0 };
  for (const seed of given.seeds) {
    const { result } = await runSeed(subject, seed, expected);
    report.lives += result.lives.length;
    report.repeatedBatches += result.captured.rerunCount;
    for (const [fault, times] of result.faults) {
      report.faults.set(fault, (report.faults.get(fault) ?? 0) + times);
    }
    // Whoever waits in this process is not to wait for all seeds.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { ...report, seeds: given.seeds, faults: Object.fromEntries(report.faults) };
}

async function subjectOf(
  pipeline: PipelineModule | ((life: number) => PipelineModule),
  options: unknown,
): Promise<CrashSubject> {
  const named = { call: CRASH_TEST, option: 'input' };
  const load = async (life: number) =>
    definitionOf(await (typeof pipeline === 'function' ? pipeline(life) : pipeline), named);
  const definition = await load(0);
  const graph = buildGraph(definition);
  const given = checkCrashOptions(graph, options);
  const resolved = resolveOptions({ module: definition.options });
  return { definitionOf: load, given, resolved, sizes: sizesFor(given) };
}

/** @throws {MillraceError} RECORD_UNSUPPORTED, RECORD_TOO_LARGE: names batch and record. */
function sizesFor({ records }: CheckedCrashOptions): MachineSizes {
  let largestBytes = 0;
  let allBytes = 0;
  for (const [id, batches] of records) {
    const packing = new BlockPacking(id as StreamId);
    try {
      for (const [batchIndex, batch] of batches.entries()) {
        const placeOf = (index: number): string =>
          `${CRASH_TEST}: record ${index} of batch ${batchIndex} of ${id}`;
        let bytes = 0;
        for (const { bin } of packing.pack(batch, placeOf)) bytes += bin.byteLength;
        largestBytes = Math.max(largestBytes, bytes);
        allBytes += bytes;
      }
    } finally {
      packing.close();
    }
  }
  const blockBytesMax = Math.max(
    BLOCK_BYTES_MIN,
    Math.ceil((2 * largestBytes) / PAGE_BYTES) * PAGE_BYTES,
  );
  if (blockBytesMax > BLOCK_BYTES_MAX) {
    throw crashTestRefusal(
      `a batch of the input has ${largestBytes} bytes, and the simulated machine is small: give ` +
        `batches of at most ${BLOCK_BYTES_MAX / 2} bytes`,
    );
  }
  const extentBytes = 2 * blockBytesMax;
  const memoryBytes = Math.max(MEMORY_BYTES_MIN, MEMORY_FACTOR * allBytes);
  const extents = Math.max(EXTENTS_MIN, Math.ceil(memoryBytes / extentBytes));
  return { blockBytesMax, extentBytes, extents };
}

/** @throws when the pipeline fails, or does not do the same twice. */
async function runUndisturbed(subject: CrashSubject): Promise<Run & { outputIds: string[] }> {
  const { given } = subject;
  const plan = undisturbedPlan(given);
  const quietly = async (seed: number): Promise<Run> => {
    const history = new CrashHistory(subject, plan, { seed, usualSteps: QUIET_STEPS });
    try {
      return await runHistory(subject, history);
    } catch (error) {
      throw failure(`the undisturbed run fails: ${toError(error).message}`, error);
    }
  };
  const first = await quietly(QUIET_SEEDS[0]);
  const outputIds = buildGraph(await subject.definitionOf(0)).outputs.map(({ id }) => id);
  const second = await quietly(QUIET_SEEDS[1]);
  const difference = crashDifference(second.effects, first.effects, { outputIds, options: given });
  if (difference === undefined) return { ...first, outputIds };
  throw failure(
    'two undisturbed runs with the same input differ, so the pipeline depends on something else: ' +
      'a variable that outlives a run, the time, chance, or which thread is first\n' +
      `  ${difference}`,
  );
}

async function runSeed(
  subject: CrashSubject,
  seed: number,
  expected: Run & { readonly outputIds: readonly string[] },
): Promise<Run> {
  const { given } = subject;
  const { stepCount: usualSteps } = expected.result;
  const plan: CrashPlan = drawCrashPlan(seededRandom(seed + APART), given, {
    usualSteps,
    batchCount: given.batchCount,
  });
  const history = new CrashHistory(subject, plan, { seed, usualSteps });
  let run: Run;
  try {
    run = await runHistory(subject, history);
  } catch (error) {
    throw seedFailure(seed, history.lives, {
      what: `life ${history.lives.length + 1} fails: ${toError(error).message}`,
      cause: error,
    });
  }
  const { outputIds } = expected;
  const what = crashDifference(run.effects, expected.effects, { outputIds, options: given });
  if (what !== undefined) throw seedFailure(seed, history.lives, { what });
  return run;
}

async function runHistory({ given }: CrashSubject, history: CrashHistory): Promise<Run> {
  await given.reset();
  const result = await history.run();
  const observed = given.observe === undefined ? undefined : structuredClone(await given.observe());
  return { result, effects: { captured: result.captured, observed } };
}

function seedFailure(
  seed: number,
  lives: readonly string[],
  { what, cause }: { readonly what: string; readonly cause?: unknown },
): AssertionError {
  const lines = [
    `seed ${seed} leaves something else than the undisturbed run`,
    `  ${what}`,
    ...lives.map((life) => `  ${life}`),
    `  replay it with seeds: [${seed}], or with MILLRACE_SEED=${seed}`,
  ];
  return failure(lines.join('\n'), cause);
}

function failure(problem: string, cause?: unknown): AssertionError {
  const error = new AssertionError({
    message: `${CRASH_TEST}: ${problem}`,
    operator: CRASH_TEST,
    stackStartFn: failure,
  });
  if (cause !== undefined) error.cause = cause;
  return error;
}
