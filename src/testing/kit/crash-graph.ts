/** The graph of a pipeline as a crash test runs it: the user's own operators, between inputs that
 * the world feeds and outputs that are captured.
 *
 *     input                     → receiver of the world          (a queue keeps its own records)
 *     output                    → capture, under the same id
 *     output that is called     → capture, as `captured-of-<id>`, and then the output itself
 *
 * Built anew in each thread of each life, as a thread imports the module: what the pipeline's
 * function keeps in its variables is gone with the thread.
 * @module */
import { present } from '../../core/assert.ts';
import type { Batch, BatchInfo } from '../../dstream/batch.ts';
import { Graph, roleOf } from '../../dstream/graph.ts';
import type { GraphNode } from '../../dstream/graph.ts';
import type { LoadedPipeline } from '../../dstream/load-pipeline.ts';
import { buildGraph } from '../../dstream/pipeline.ts';
import type { PipelineDefinition } from '../../dstream/pipeline.ts';
import type { Receiver } from '../../dstream/receiver.ts';
import type { Sink } from '../../dstream/sink.ts';
import type { SinkPlace } from '../sim-sink.ts';
import { CaptureSink } from './captured-batches.ts';
import type { CapturedBatches } from './captured-batches.ts';
import type { UserCalls } from './user-calls.ts';

export interface CrashGraphOptions {
  /** Inputs whose records the world has. */
  readonly fed: ReadonlySet<string>;
  readonly receiverOf: (streamId: string) => Receiver<unknown>;
  /** Outputs whose functions and sinks are called. */
  readonly called: ReadonlySet<string>;
  readonly calls: UserCalls;
  readonly captured: CapturedBatches;
}

const CAPTURED_OF = 'captured-of-';

/** @throws {MillraceError} as `buildGraph`. */
export function loadCrashGraph(
  definition: PipelineDefinition,
  options: CrashGraphOptions,
): LoadedPipeline {
  const nodes = buildGraph(definition).nodes.flatMap((node): GraphNode[] => {
    if (roleOf(node.kind) === 'input') return [fedInput(node, options)];
    if (roleOf(node.kind) !== 'output') return [node];
    if (!options.called.has(node.id)) return [captured(node, node.id)];
    return [captured(node, `${CAPTURED_OF}${node.id}`), calledOutput(node, options)];
  });
  return { definition, graph: new Graph(nodes) };
}

/** What an output of such a graph writes to. @param original the pipeline's own graph. */
export function crashSinkOf(
  node: GraphNode,
  place: SinkPlace,
  { original, captured: into, called, calls }: CrashGraphOptions & { readonly original: Graph },
): Sink<unknown> {
  if (called.has(node.id)) return calledSink(node, calls);
  const id = node.id.startsWith(CAPTURED_OF) ? node.id.slice(CAPTURED_OF.length) : node.id;
  return new CaptureSink(into, original.node(id), place);
}

function fedInput(node: GraphNode, { fed, receiverOf }: CrashGraphOptions): GraphNode {
  if (!fed.has(node.id)) return node;
  const { id, parents } = node;
  const { storageLevel = null } = node.options;
  const options = { source: 'custom', receivers: 1 };
  return {
    id,
    kind: 'receiverStream',
    parents,
    options: storageLevel === null ? options : { ...options, storageLevel },
    fn: () => receiverOf(id),
  };
}

function captured({ parents }: GraphNode, id: string): GraphNode {
  return { id, kind: 'to', parents, options: {} };
}

function calledOutput(node: GraphNode, { calls }: CrashGraphOptions): GraphNode {
  const { id, kind, fn } = node;
  if (kind === 'foreachBatch') {
    const user = fn as (batch: Batch<unknown>, info: BatchInfo) => unknown;
    const run = (batch: Batch<unknown>, info: BatchInfo): Promise<unknown> =>
      calls.run(id, (call) => {
        const asking: Batch<unknown> = {
          collect: () => calls.ask(call, 'collects', () => batch.collect()),
          count: () => calls.ask(call, 'counts', () => batch.count()),
          take: (n) => calls.ask(call, 'takes', () => batch.take(n)),
        };
        return user(asking, info);
      });
    return { ...node, fn: run };
  }
  if (kind === 'foreachPartition') {
    const user = fn as (records: Iterable<unknown>, info: BatchInfo) => unknown;
    const run = (records: Iterable<unknown>, info: BatchInfo): Promise<unknown> =>
      calls.run(id, () => user(records, info));
    return { ...node, fn: run };
  }
  return node;
}

/** A sink of the user's own, each of whose calls is one of theirs. */
function calledSink({ id, sink: given }: GraphNode, calls: UserCalls): Sink<unknown> {
  const sink = present(given, `the sink of ${id}`);
  return {
    target: sink.target,
    guarantee: sink.guarantee,
    open: (owner) => calls.run(`${id} open`, () => sink.open?.(owner)),
    prepare: (batch) => calls.run(`${id} prepare`, () => sink.prepare(batch)),
    openPartition: async (batch, partition, attempt) => {
      const writer = await calls.run(`${id} open partition`, () =>
        sink.openPartition(batch, partition, attempt),
      );
      return {
        write: (record) => writer.write(record),
        close: () => calls.run(`${id} close`, () => writer.close()),
        abort: () => calls.run(`${id} abort`, () => writer.abort()),
      };
    },
    commit: (batch, tokens) => calls.run(`${id} commit`, () => sink.commit(batch, tokens)),
  };
}
