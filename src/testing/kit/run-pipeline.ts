/** A whole pipeline in a unit test: its own module, with records in place of its inputs, and what
 * its outputs got. Opens no port, no file and no thread, and prints nothing.
 *
 * The module is the one that is deployed: what it builds, builds here. A batch has the next time of
 * the clock's grid, as in an engine; the clock is moved there first.
 * @module */
import type { BatchTimeMs, StreamId } from '../../core/ids.ts';
import { resolveOptions } from '../../core/options.ts';
import type { Graph, GraphNode } from '../../dstream/graph.ts';
import { inputOptions } from '../../dstream/input-options.ts';
import { OptionCheck } from '../../dstream/option-check.ts';
import { buildGraph } from '../../dstream/pipeline.ts';
import type { Leaf } from '../../dstream/task-spec.ts';
import { CapturedRun } from './captured-run.ts';
import type { CapturedOutput } from './captured-run.ts';
import { InlineEngine } from './inline-engine.ts';
import type { InlineBatch, LeavesOf } from './inline-engine.ts';
import { packInput } from './inline-inputs.ts';
import type { BatchRecords } from './inline-inputs.ts';
import { resolveShape, SHAPE_KEYS } from './kit-options.ts';
import type { ResolvedShape, RunShape } from './kit-options.ts';
import { ManualClock } from './manual-clock.ts';
import { callOutput, openCalled } from './output-calls.ts';
import { checkCalled, checkInputs, definitionOf } from './pipeline-module.ts';
import type { PipelineModule } from './pipeline-module.ts';

const CALL = 'runPipeline';

export interface RunPipelineOptions extends RunShape {
  /** Records by the id of the input, one array for each batch. An input that is not here gets
   * nothing, but a `queueStream`, which has its own. */
  readonly inputs?: Readonly<Record<string, readonly (readonly unknown[])[]>>;
  /** Where time begins; it stands at the last batch time afterwards. @defaultValue one at 0 */
  readonly clock?: ManualClock;
  /** Ids of `foreachBatch` and `foreachPartition` outputs whose functions are to be called, and of
   * `to` outputs whose sinks are to be written, besides that their records are captured.
   * @defaultValue none is called */
  readonly call?: readonly string[];
}

/** Runs a pipeline batch after batch.
 * @returns what its outputs got.
 * @throws {MillraceError} OPTIONS_INVALID, PIPELINE_INVALID for a wrong call or pipeline.
 *   TASK_FAILED, OUTPUT_FAILED when a function of the pipeline threw: the message names the
 *   operator, `cause` is what it threw. */
export async function runPipeline(
  pipeline: PipelineModule,
  options?: RunPipelineOptions,
): Promise<CapturedRun> {
  const definition = definitionOf(await pipeline, { call: CALL, option: 'inputs' });
  const { batchIntervalMs } = resolveOptions({ module: definition.options });
  const graph = buildGraph(definition);
  const run = checkOptions(graph, options);
  const engine = new InlineEngine(graph, { ...run.shape, batchIntervalMs });
  const leavesOf = leavesOfRun(graph, engine, run);
  const captured = graph.outputs.map((node): CapturedOutput => ({ node, batches: [] }));
  for (const { node } of captured) if (run.called.has(node.id)) await openCalled(node);
  const times: BatchTimeMs[] = [];
  for (let index = 0; index < run.shape.batches; index += 1) {
    const batchTimeMs = advanceToGrid(run.clock, batchIntervalMs);
    times.push(batchTimeMs);
    await captureBatch(engine.begin(batchTimeMs, leavesOf(index)), captured, run.called);
  }
  return new CapturedRun(times, captured);
}

/** Runs the outputs of one batch in the order of their declaration. */
async function captureBatch(
  batch: InlineBatch,
  outputs: readonly CapturedOutput[],
  called: ReadonlySet<string>,
): Promise<void> {
  for (const { node, batches } of outputs) {
    batches.push(await batch.collect(node.id));
    if (called.has(node.id)) await callOutput(node, batch);
  }
}

function advanceToGrid(clock: ManualClock, intervalMs: number): BatchTimeMs {
  const nowMs = clock.wallMs();
  const nextMs = (Math.floor(nowMs / intervalMs) + 1) * intervalMs;
  clock.advance(nextMs - nowMs);
  return nextMs as BatchTimeMs;
}

function leavesOfRun(
  graph: Graph,
  engine: InlineEngine,
  { records, shape }: CheckedRun,
): (batchIndex: number) => LeavesOf {
  const into = { memory: engine.memory, partitions: shape.inputPartitions, call: CALL };
  const packed = new Map(
    graph.inputs.map(({ id }) => {
      return [id, packInput(id as StreamId, records.get(id) ?? [], into)] as const;
    }),
  );
  return (batchIndex) => (streamId) => {
    const node = graph.node(streamId);
    const isOwnQueue = inputOptions(node).source === 'queue' && !records.has(streamId);
    if (isOwnQueue) return queueLeaves(node, batchIndex, shape.partitions);
    return packed.get(streamId)?.leavesOf(batchIndex) ?? [];
  };
}

/** What the driver allocates of a queue: its records, dealt to as many tasks as there are
 * executors; nothing when it is over. */
function queueLeaves({ id, batches = [] }: GraphNode, index: number, slices: number): Leaf[] {
  if (index >= batches.length) return [];
  return Array.from({ length: slices }, (_, slice) => ({
    kind: 'queue',
    streamId: id as StreamId,
    queueIndex: index,
    slice,
    slices,
  }));
}

interface CheckedRun {
  readonly shape: ResolvedShape;
  readonly records: ReadonlyMap<string, BatchRecords>;
  readonly clock: ManualClock;
  readonly called: ReadonlySet<string>;
}

function checkOptions(graph: Graph, options: unknown): CheckedRun {
  const check = new OptionCheck(CALL);
  const given = check.object(options, ['inputs', 'clock', 'call', ...SHAPE_KEYS]);
  const records = checkInputs(check, graph, { option: 'inputs', given: given['inputs'] });
  const queues = graph.inputs.filter(({ id }) => !records.has(id)).map(({ batches }) => batches);
  const lengths = [...records.values(), ...queues].map((batches) => batches?.length ?? 0);
  const shape = resolveShape(check, given, Math.max(0, ...lengths));
  check.require(shape.batches > 0, 'there is no batch to run: give inputs, or the option batches');
  const { clock = new ManualClock() } = given;
  check.require(clock instanceof ManualClock, 'clock must be a ManualClock');
  const called = checkCalled(check, graph, given['call']);
  check.finish();
  return { shape, records, clock: clock as ManualClock, called };
}
