/** Operators in a unit test: records in, records out, in a fraction of a millisecond.
 *
 * What a pipeline would run on threads runs here on the test's own, with the same graph, plan,
 * stages and packing (inline-engine.ts), so that a record which does not survive the way between
 * two threads does not survive it here. Time is counted, not waited for: batch i, from 0, has the
 * batch time (i + 1) × batchInterval. Functions may be closures: there is one thread.
 * @module */
import { inspect } from 'node:util';
import { MillraceError, toError } from '../../core/errors.ts';
import type { BatchTimeMs, StreamId } from '../../core/ids.ts';
import { DStream } from '../../dstream/dstream.ts';
import { OptionCheck } from '../../dstream/option-check.ts';
import { buildGraph, definePipeline } from '../../dstream/pipeline.ts';
import type { Graph } from '../../dstream/graph.ts';
import type { Leaf } from '../../dstream/task-spec.ts';
import { InlineEngine } from './inline-engine.ts';
import { packInput } from './inline-inputs.ts';
import type { BatchRecords } from './inline-inputs.ts';
import { checkBatches, checkInterval, resolveShape, SHAPE_KEYS } from './kit-options.ts';
import type { ResolvedShape, TestStreamOptions } from './kit-options.ts';

const OUTPUT_ID = 'output';
const INTERVAL_MS = 1_000;

/** Records of one input, one array for each batch. */
export type Batches<T> = readonly (readonly T[])[];
/** The same for pairs. */
export type PairBatches<K, V> = readonly (readonly (readonly [K, V])[])[];

/** Runs the operators that `build` adds to one stream, batch after batch.
 * @param inputs the records of each batch. @param build must return a stream.
 * @returns the records of that stream, one array for each batch, in partition order.
 * @throws {MillraceError} OPTIONS_INVALID, PIPELINE_INVALID for a wrong call. TASK_FAILED when a
 *   function of an operator threw: the message names the operator, `cause` is what it threw. */
export function testStream<K, V, U>(
  inputs: PairBatches<K, V>,
  build: (stream: DStream<[K, V]>) => DStream<U>,
  options?: TestStreamOptions,
): Promise<U[][]>;
export function testStream<T, U>(
  inputs: Batches<T>,
  build: (stream: DStream<T>) => DStream<U>,
  options?: TestStreamOptions,
): Promise<U[][]>;
export function testStream(
  inputs: Batches<unknown>,
  build: (stream: DStream<never>) => DStream<unknown>,
  options?: TestStreamOptions,
): Promise<unknown[][]> {
  return run('testStream', { inputs: { 'the input': inputs }, build, options });
}

/** `testStream` for operators of two streams. */
export interface TestStream2 {
  <K, V, L, W, U>(
    left: PairBatches<K, V>,
    right: PairBatches<L, W>,
    build: (left: DStream<[K, V]>, right: DStream<[L, W]>) => DStream<U>,
    options?: TestStreamOptions,
  ): Promise<U[][]>;
  <K, V, S, U>(
    left: PairBatches<K, V>,
    right: Batches<S>,
    build: (left: DStream<[K, V]>, right: DStream<S>) => DStream<U>,
    options?: TestStreamOptions,
  ): Promise<U[][]>;
  <T, L, W, U>(
    left: Batches<T>,
    right: PairBatches<L, W>,
    build: (left: DStream<T>, right: DStream<[L, W]>) => DStream<U>,
    options?: TestStreamOptions,
  ): Promise<U[][]>;
  <T, S, U>(
    left: Batches<T>,
    right: Batches<S>,
    build: (left: DStream<T>, right: DStream<S>) => DStream<U>,
    options?: TestStreamOptions,
  ): Promise<U[][]>;
}

/** The same for operators of two streams. */
export const testStream2: TestStream2 = (
  left: unknown,
  right: unknown,
  ...[build, options]: readonly [build: unknown, options?: TestStreamOptions]
): Promise<never> => {
  // What it resolves with has the type that the signatures above say.
  const inputs = { 'the left input': left, 'the right input': right };
  return run('testStream2', { inputs, build, options }) as Promise<never>;
};

interface Call {
  /** By the name that messages use. */
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly build: unknown;
  readonly options: TestStreamOptions | undefined;
}

async function run(call: string, given: Call): Promise<unknown[][]> {
  const { inputs, shape, intervalMs } = checkCall(call, given);
  const graph = graphOf(call, given, intervalMs);
  const engine = new InlineEngine(graph, { ...shape, batchIntervalMs: intervalMs });
  const into = { memory: engine.memory, partitions: shape.inputPartitions, call };
  const packed = new Map(
    graph.inputs.map(({ id }, index) => {
      return [id, packInput(id as StreamId, inputs[index] ?? [], into)] as const;
    }),
  );
  const results: unknown[][] = [];
  for (let index = 0; index < shape.batches; index += 1) {
    const batchTimeMs = ((index + 1) * intervalMs) as BatchTimeMs;
    const leavesOf = (id: StreamId): readonly Leaf[] => packed.get(id)?.leavesOf(index) ?? [];
    results.push((await engine.begin(batchTimeMs, leavesOf).collect(OUTPUT_ID)).flat());
  }
  return results;
}

interface CheckedCall {
  readonly inputs: readonly BatchRecords[];
  readonly shape: ResolvedShape;
  readonly intervalMs: number;
}

function checkCall(call: string, { inputs, build, options }: Call): CheckedCall {
  const check = new OptionCheck(call);
  const records = Object.entries(inputs).map(([name, given]) => checkBatches(check, name, given));
  check.syncFunction('the function that builds the stream', build);
  const given = check.object(options, ['batchInterval', ...SHAPE_KEYS]);
  const longest = Math.max(...records.map(({ length }) => length));
  const shape = resolveShape(check, given, longest);
  const intervalMs = checkInterval(check, given['batchInterval'] ?? INTERVAL_MS);
  check.finish();
  return { inputs: records, shape, intervalMs };
}

/** The graph of a pipeline whose only output is what `build` returns. */
function graphOf(call: string, { inputs, build }: Call, intervalMs: number): Graph {
  const definition = definePipeline({ name: call, batchInterval: intervalMs }, (ssc) => {
    const streams = Object.keys(inputs).map(() => ssc.receiverStream(noReceiver));
    const built = callBuild(call, build as (...streams: DStream<unknown>[]) => unknown, streams);
    built.foreachBatch(() => undefined, { id: OUTPUT_ID });
  });
  const graph = buildGraph(definition);
  const [other] = graph.outputs.filter(({ id }) => id !== OUTPUT_ID);
  if (other === undefined) return graph;
  throw wrongBuild(
    call,
    `added the output ${other.id}, which would not run here; return the stream itself, ` +
      'or test a whole pipeline with runPipeline',
  );
}

function callBuild(
  call: string,
  build: (...streams: DStream<unknown>[]) => unknown,
  streams: DStream<unknown>[],
): DStream<unknown> {
  let built: unknown;
  try {
    built = build(...streams);
  } catch (error) {
    if (error instanceof MillraceError && error.class === 'usage') throw error;
    const { name, message } = toError(error);
    throw wrongBuild(call, `threw ${name}: ${message}`, error);
  }
  if (built instanceof DStream) return built as DStream<unknown>;
  throw wrongBuild(call, `returned ${inspect(built, { depth: 0 })}, but must return a stream`);
}

function wrongBuild(call: string, what: string, cause?: unknown): MillraceError {
  const message = `${call}: the function that builds the stream ${what}`;
  return new MillraceError('PIPELINE_INVALID', message, cause === undefined ? {} : { cause });
}

/** Blocks come from the test; the inputs of its graph are never opened. */
function noReceiver(): never {
  throw new MillraceError('BROKEN_INVARIANT', 'a test opens no receiver');
}
