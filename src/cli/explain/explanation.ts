/** The graph of a pipeline with what is promised on each of its edges, and why.
 *
 *     source ─► input ─► operators ─► output ─► what it writes to
 *       what the source says,          what the sink says
 *       and the log level        the batch runs again with the same records
 *
 * What sources and sinks promise is declared beside them (`sourceGuarantee`, `outputGuarantee`);
 * here they are only put together. Pure. @module */
import type { ResolvedOptions } from '../../core/options.ts';
import { roleOf } from '../../dstream/graph.ts';
import type { Graph, GraphNode, OperatorKind } from '../../dstream/graph.ts';
import type { SourceGuarantee } from '../../dstream/receiver.ts';
import type { OutputGuarantee } from '../../sinks/sink-factory.ts';

/** `none`: may be missing, and may come twice. */
export type Guarantee = 'exactly-once' | 'at-least-once' | 'at-most-once' | 'none';

/** From one operator to the next. `null`: what the pipeline reads from, or writes to. */
export interface ExplainedEdge {
  readonly from: string | null;
  readonly to: string | null;
  readonly guarantee: Guarantee;
  /** Of a source. */
  readonly delivery?: SourceGuarantee['delivery'];
  readonly reason: string;
}

/** One output, with all that it reads. */
export interface EndToEnd {
  readonly output: string;
  readonly guarantee: Guarantee;
  /** The edges that keep it from being exactly once. */
  readonly because: readonly string[];
}

export interface Explanation {
  readonly operators: readonly {
    readonly id: string;
    readonly kind: OperatorKind;
    readonly isPlaced: boolean;
  }[];
  readonly edges: readonly ExplainedEdge[];
  readonly outputs: readonly EndToEnd[];
}

export interface ExplanationInput {
  readonly graph: Graph;
  readonly options: Pick<ResolvedOptions, 'durability' | 'checkpointDir'>;
  /** By input. */
  readonly sources: ReadonlyMap<string, SourceGuarantee>;
  /** By output. */
  readonly outputs: ReadonlyMap<string, OutputGuarantee>;
}

export function explainGraph(input: ExplanationInput): Explanation {
  const { graph } = input;
  const edges = graph.nodes.flatMap((node) => edgesOf(node, input));
  return {
    operators: graph.nodes.map(({ id, kind, isPlaced = false }) => ({ id, kind, isPlaced })),
    edges,
    outputs: graph.outputs.map(({ id }) => endToEnd(id, graph, edges)),
  };
}

/** What comes to an operator, and of an output what leaves it. */
function edgesOf(node: GraphNode, input: ExplanationInput): readonly ExplainedEdge[] {
  const { id } = node;
  const source = input.sources.get(id);
  if (source !== undefined) return [sourceEdge(node, source, input)];
  const within = node.parents.map((from): ExplainedEdge => ({
    from,
    to: id,
    ...innerGuarantee(node, input),
  }));
  const output = input.outputs.get(id);
  return output === undefined ? within : [...within, { from: id, to: null, ...output }];
}

const OF_DELIVERY: Readonly<Record<SourceGuarantee['delivery'], Guarantee>> = {
  replayable: 'exactly-once',
  acknowledged: 'at-least-once',
  'at-most-once': 'at-most-once',
};

function sourceEdge(
  { id, kind }: GraphNode,
  { delivery, reason }: SourceGuarantee,
  { options: { durability, checkpointDir } }: ExplanationInput,
): ExplainedEdge {
  const edge = { from: null, to: id, delivery };
  const lost = (why: string): ExplainedEdge => ({
    ...edge,
    guarantee: 'at-most-once',
    reason: why,
  });
  if (checkpointDir === false)
    return lost('without a checkpoint directory nothing outlives the process');
  // Files and queues are recorded with their batch, in the driver log, which is always synced.
  const hasLog = kind !== 'textFileStream' && kind !== 'queueStream';
  if (hasLog && durability === 'off') {
    return lost('the log is off (--wal off): what is in memory when the process dies is gone');
  }
  const isFlushed = hasLog && durability === 'flush';
  const limit = isFlushed
    ? '; the log is not synced (--wal flush), so only while the machine runs'
    : '';
  return { ...edge, guarantee: OF_DELIVERY[delivery], reason: `${reason}${limit}` };
}

const INNER: Readonly<Record<ReturnType<typeof roleOf>, string>> = {
  input: 'a batch keeps its records',
  narrow: 'a batch that runs again has the same records',
  union: 'a batch that runs again has the same records',
  window: 'the batches of a window are kept in the log, and read again',
  shuffle: 'a batch that runs again has the same records, put together in the same order',
  state:
    'state changes once with each batch, and comes back from its snapshot and the batches since',
  view: 'it is the state as it was after the batch',
  output: 'a batch is done when all its outputs are, and runs again until then',
};

function innerGuarantee(
  { kind }: GraphNode,
  { options }: ExplanationInput,
): Pick<ExplainedEdge, 'guarantee' | 'reason'> {
  if (options.checkpointDir === false) {
    const reason = 'without a checkpoint directory a batch that was under way is gone';
    return { guarantee: 'at-most-once', reason };
  }
  return { guarantee: 'exactly-once', reason: INNER[roleOf(kind)] };
}

/** Along all edges that lead to an output, and the one that leaves it. */
function endToEnd(id: string, graph: Graph, edges: readonly ExplainedEdge[]): EndToEnd {
  const upstream = new Set([id]);
  for (const node of graph.nodes.toReversed()) {
    if (upstream.has(node.id)) for (const parent of node.parents) upstream.add(parent);
  }
  const weak = edges.filter(({ from, to, guarantee }) => {
    const isOnTheWay = to === null ? from === id : upstream.has(to);
    return isOnTheWay && guarantee !== 'exactly-once';
  });
  return {
    output: id,
    guarantee: weak.reduce<Guarantee>(
      (all, { guarantee }) => weaker(all, guarantee),
      'exactly-once',
    ),
    because: weak.map(({ from, to }) => `${from ?? 'source'} → ${to ?? 'target'}`),
  };
}

/** What is left of two guarantees in a row. */
function weaker(a: Guarantee, b: Guarantee): Guarantee {
  if (a === 'exactly-once' || a === b) return b;
  return b === 'exactly-once' ? a : 'none';
}
