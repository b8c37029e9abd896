/** From the graph to the stages of one output's job, and from a stage to the partitions of a batch.
 *
 *   input ─ map ─ filter ─┐ shuffle-map stage of reduceByKey-0 │ result stage
 *                         └── shuffle reduceByKey-0 ───────────┴─ mapValues ─ output
 *
 * The plan of a job is static; a batch only fills in what its allocation has fixed: the leaves of
 * each input, the default partition count, and the pieces that map tasks have written. The same
 * contents give the same partitions in the same order, so that a replay repeats the batch exactly.
 * A shuffle is one thing per batch, whichever outputs read it: its id is `<operator id>`, or that
 * with `:left` and `:right` for an operator of two streams.
 * A window reads its parent as it was some time ago, so leaves and shuffles have an age: how long
 * before the batch of the job the batch lies that they belong to, 0 without windows. A batch that
 * was never allocated has nothing, not even an empty partition. The partitions of a window are put
 * together to as many as tasks are worth having, however many batches it holds.
 * A window with an inverse function stands in a plan by the shuffle of the batch itself. Which
 * batches leave and enter is known when it runs; `planShuffle` says what writes the shuffle of one.
 * Knows nothing of threads, scheduling or where bytes lie.
 * @module */
import type { SharedBytes } from '../blocks/block-ref.ts';
import { assert, present } from '../core/assert.ts';
import { MillraceError } from '../core/errors.ts';
import type { StreamId } from '../core/ids.ts';
import { hasOutput, readsShuffle, roleOf } from './graph.ts';
import type { Graph, GraphNode } from './graph.ts';
import type { StreamTimes } from './stream-times.ts';
import type { Leaf, LeafPart } from './task-spec.ts';

/** Where the records of a branch come from. */
export type BranchLeaf =
  | { readonly kind: 'input'; readonly streamId: StreamId; readonly ageMs: number }
  | {
      readonly kind: 'shuffle';
      readonly ageMs: number;
      /** The operator whose reduce side runs in this stage. */
      readonly operatorId: string;
      /** One for each parent of the operator. */
      readonly shuffleIds: readonly string[];
      /** Absent: the batch's default. */
      readonly partitions?: number;
      /** One partition for each map partition: nothing was redistributed. */
      readonly isInPlace?: true;
    }
  /** All batches of a window, the oldest first. */
  | { readonly kind: 'window'; readonly batches: readonly WindowBatch[] }
  /** A stateful operator, which runs when its shuffle has been written: what it has put out in this
   * batch, or all pairs of its state. Of earlier batches neither is there any more. */
  | {
      readonly kind: 'state';
      readonly ageMs: 0;
      readonly operatorId: string;
      readonly shuffleIds: readonly string[];
      readonly view: 'output' | 'all';
    };

/** A batch of the stream that a window looks at. */
export interface WindowBatch {
  readonly ageMs: number;
  readonly branches: readonly Branch[];
}

/** A leaf, and the ids of the narrow operators from there to the end of the stage. */
export interface Branch {
  readonly leaf: BranchLeaf;
  readonly via: readonly string[];
}

/** Writes one shuffle: `partitions` pieces for each partition of its branches. */
export interface ShuffleMapStage {
  readonly shuffleId: string;
  /** Of the batch whose shuffle it is. */
  readonly ageMs: number;
  readonly operatorId: string;
  /** Absent: the batch's default. */
  readonly partitions?: number;
  readonly branches: readonly Branch[];
}

export interface ResultStage {
  readonly branches: readonly Branch[];
}

export interface JobPlan {
  /** Operator id of the output operation, or of a stream that is read without one. */
  readonly outputId: string;
  /** In an order in which each stage comes after those that it reads. */
  readonly shuffles: readonly ShuffleMapStage[];
  readonly result: ResultStage;
}

/** A window is read by at most so many tasks for each default partition of its batch. */
const TASKS_PER_EXECUTOR = 2;

/** What is known of a batch when a stage that reads it is about to run. */
export interface ExpansionContext {
  /** Of the batch, fixed at its allocation, 1 or more. */
  readonly defaultPartitions: number;
  /** The leaves of an input in this batch, in order; none when nothing came. */
  leavesOf(streamId: StreamId): readonly Leaf[];
  /** Pieces of a finished shuffle: `[map partition][reduce partition]`, in partition order. */
  piecesOf(shuffleId: string): readonly (readonly (SharedBytes | null)[])[];
  /** One for each partition of a stateful operator that has run in this batch and has something. */
  stateLeaves?(operatorId: string, view: 'output' | 'all'): readonly Leaf[];
}

/** One partition of a stage: what a task needs besides its action. */
export type StagePartition = LeafPart;

/** The stages of one output operation, at a batch time at which it is due. */
export function planJob(graph: Graph, outputId: string, times: StreamTimes): JobPlan {
  const output = graph.node(outputId);
  assert(roleOf(output.kind) === 'output', `${outputId} is no output operation`);
  return { ...planStream(graph, onlyParent(output), times), outputId };
}

/** What gives the records of a stream without an output operation, at a batch time of it. */
export function planStream(graph: Graph, streamId: string, times: StreamTimes): JobPlan {
  const shuffles = new Map<string, ShuffleMapStage>();
  const branches = branchesOf({ graph, times }, streamId, 0);
  addShuffles({ graph, times }, branches, shuffles);
  return { outputId: streamId, shuffles: [...shuffles.values()], result: { branches } };
}

/** What runs a stateful operator in a batch. */
export interface StatePlan {
  readonly operatorId: string;
  /** The first output operation that needs it. */
  readonly outputId: string;
  /** The last one is the operator's own. */
  readonly shuffles: readonly ShuffleMapStage[];
}

/** For each stateful operator that an output needs what runs it, also in a batch in which no output
 * runs. In an order in which each comes after those that it reads. */
export function planStates(graph: Graph, times: StreamTimes): readonly StatePlan[] {
  const plans = new Map<string, StatePlan>();
  for (const { id: outputId } of graph.outputs) {
    for (const { operatorId } of planJob(graph, outputId, times).shuffles) {
      const node = graph.node(operatorId);
      if (roleOf(node.kind) !== 'state' || plans.has(operatorId)) continue;
      const shuffles = new Map<string, ShuffleMapStage>();
      addShuffles({ graph, times }, [stateBranch(node, 'output', 0)], shuffles);
      plans.set(operatorId, { operatorId, outputId, shuffles: [...shuffles.values()] });
    }
  }
  return [...plans.values()];
}

/** What writes the shuffle of an operator, of the batch that lies so long before; the last stage is
 * the operator's own. */
export function planShuffle(
  graph: Graph,
  times: StreamTimes,
  { operatorId, ageMs }: { readonly operatorId: string; readonly ageMs: number },
): readonly ShuffleMapStage[] {
  const shuffles = new Map<string, ShuffleMapStage>();
  addShufflesOf({ graph, times }, { node: graph.node(operatorId), ageMs }, shuffles);
  return [...shuffles.values()];
}

interface TimedGraph {
  readonly graph: Graph;
  readonly times: StreamTimes;
}

/** The ids of the shuffles that an operator reads, one for each of its parents. */
export function shuffleIdsOf(node: GraphNode): readonly string[] {
  assert(readsShuffle(node.kind), `${node.id} reads no shuffle`);
  return node.parents.length === 1 ? [node.id] : [`${node.id}:left`, `${node.id}:right`];
}

/** The operator that a shuffle belongs to. */
export function operatorOfShuffle(shuffleId: string): string {
  const colon = shuffleId.indexOf(':');
  return colon === -1 ? shuffleId : shuffleId.slice(0, colon);
}

/** The partitions of a stage in one batch, in order; their index is the partition number.
 * @param batchAt the batch that lies so long before; `undefined` when there was none. */
export function expandStage(stage: ResultStage, batchAt: BatchAt): readonly StagePartition[] {
  return stage.branches.flatMap(({ leaf, via }) =>
    leavesOf(leaf, batchAt).map((partLeaf) => ({ leaf: partLeaf, via })),
  );
}

type BatchAt = (ageMs: number) => ExpansionContext | undefined;

function leavesOf(leaf: BranchLeaf, batchAt: BatchAt): readonly Leaf[] {
  if (leaf.kind === 'window') return windowLeaves(leaf, batchAt);
  const batch = batchAt(leaf.ageMs);
  if (batch === undefined) return [];
  switch (leaf.kind) {
    case 'input':
      return batch.leavesOf(leaf.streamId);
    case 'shuffle':
      return shuffleLeaves(leaf, batch);
    case 'state':
      return present(batch.stateLeaves?.(leaf.operatorId, leaf.view), 'keyed state');
  }
}

function windowLeaves(
  { batches }: BranchLeaf & { readonly kind: 'window' },
  batchAt: BatchAt,
): readonly Leaf[] {
  // A stream has no batch at a time that had none, also when it is made of earlier ones.
  const parts = batches.flatMap((batch) =>
    batchAt(batch.ageMs) === undefined ? [] : expandStage(batch, batchAt),
  );
  const groupsMax = TASKS_PER_EXECUTOR * (batchAt(0)?.defaultPartitions ?? 1);
  const groupCount = Math.min(parts.length, groupsMax);
  return Array.from({ length: groupCount }, (_, group) => {
    const from = Math.floor((group * parts.length) / groupCount);
    const end = Math.floor(((group + 1) * parts.length) / groupCount);
    return { kind: 'parts', parts: parts.slice(from, end) };
  });
}

function shuffleLeaves(
  { operatorId, shuffleIds, partitions, isInPlace }: BranchLeaf & { readonly kind: 'shuffle' },
  context: ExpansionContext,
): readonly Leaf[] {
  const shuffles = shuffleIds.map((shuffleId) => ({
    shuffleId,
    rows: context.piecesOf(shuffleId),
  }));
  if (isInPlace) {
    return shuffles.flatMap(({ shuffleId, rows }) =>
      rows.map((row) => ({
        kind: 'shuffle' as const,
        operatorId,
        inputs: [{ shuffleId, pieces: row.filter((piece) => piece !== null) }],
      })),
    );
  }
  return Array.from({ length: partitions ?? context.defaultPartitions }, (_, partition) => ({
    kind: 'shuffle',
    operatorId,
    inputs: shuffles.map(({ shuffleId, rows }) => ({
      shuffleId,
      pieces: rows.map((row) => row[partition] ?? null).filter((piece) => piece !== null),
    })),
  }));
}

/** How the records of a stream come about within one stage, partition ranges in order. */
function branchesOf(pipeline: TimedGraph, streamId: string, ageMs: number): readonly Branch[] {
  const node = pipeline.graph.node(streamId);
  switch (roleOf(node.kind)) {
    case 'input':
      return [{ leaf: { kind: 'input', streamId: node.id as StreamId, ageMs }, via: [] }];
    case 'narrow':
      return branchesOf(pipeline, onlyParent(node), ageMs).map(({ leaf, via }) => ({
        leaf,
        via: [...via, node.id],
      }));
    case 'union':
      return node.parents.flatMap((parent) => branchesOf(pipeline, parent, ageMs));
    case 'window':
      return [{ leaf: { kind: 'window', batches: batchesOf(pipeline, node, ageMs) }, via: [] }];
    case 'shuffle':
      return [
        {
          leaf: {
            kind: 'shuffle',
            ageMs,
            operatorId: node.id,
            shuffleIds: shuffleIdsOf(node),
            ...fixedPartitions(node),
            ...(node.kind === 'persist' ? { isInPlace: true as const } : {}),
          },
          via: [],
        },
      ];
    case 'state':
      return [stateBranch(node, hasOutput(node.kind) ? 'output' : 'all', ageMs)];
    case 'view':
      return [stateBranch(pipeline.graph.node(onlyParent(node)), 'all', ageMs)];
    case 'output':
      throw new MillraceError(
        'BROKEN_INVARIANT',
        `output operation ${node.id} is read as a stream`,
      );
  }
}

function batchesOf(
  pipeline: TimedGraph,
  window: GraphNode,
  windowAgeMs: number,
): readonly WindowBatch[] {
  const parent = onlyParent(window);
  return pipeline.times.agesMs(window).map((ofBatchMs) => {
    const ageMs = windowAgeMs + ofBatchMs;
    return { ageMs, branches: branchesOf(pipeline, parent, ageMs) };
  });
}

/** Adds the stages that write what `branches` read, deepest first; each shuffle of an age once. */
function addShuffles(
  pipeline: TimedGraph,
  branches: readonly Branch[],
  into: Map<string, ShuffleMapStage>,
): void {
  for (const { leaf } of branches) {
    if (leaf.kind === 'window') {
      for (const batch of leaf.batches) addShuffles(pipeline, batch.branches, into);
    }
    if (leaf.kind === 'window' || leaf.kind === 'input') continue;
    const node = pipeline.graph.node(leaf.operatorId);
    addShufflesOf(pipeline, { node, ageMs: leaf.ageMs }, into);
  }
}

/** Adds what writes the shuffles that an operator reads. */
function addShufflesOf(
  pipeline: TimedGraph,
  { node, ageMs }: { readonly node: GraphNode; readonly ageMs: number },
  into: Map<string, ShuffleMapStage>,
): void {
  shuffleIdsOf(node).forEach((shuffleId, index) => {
    const key = `${shuffleId}@${ageMs}`;
    if (into.has(key)) return;
    const parent = present(node.parents[index], `parent ${index} of ${node.id}`);
    const branches = branchesOf(pipeline, parent, ageMs);
    addShuffles(pipeline, branches, into);
    const partitions = fixedPartitions(node);
    into.set(key, { shuffleId, ageMs, operatorId: node.id, ...partitions, branches });
  });
}

function stateBranch(node: GraphNode, view: 'output' | 'all', ageMs: number): Branch {
  assert(ageMs === 0, `${node.id} has no output of earlier batches`); // StreamTimes refuses it
  const leaf = { operatorId: node.id, shuffleIds: shuffleIdsOf(node), view };
  return { leaf: { kind: 'state', ageMs: 0, ...leaf }, via: [] };
}

/** `count` and `reduce` make one record, `persist` keeps each partition in one piece, the others
 * make what their author asked for, if anything. */
function fixedPartitions(node: GraphNode): { readonly partitions?: number } {
  const { kind } = node;
  if (kind === 'count' || kind === 'reduce' || kind === 'persist') return { partitions: 1 };
  const partitions = node.options['partitions'];
  return typeof partitions === 'number' ? { partitions } : {};
}

function onlyParent(node: GraphNode): string {
  return present(node.parents[0], `the parent of ${node.id}`);
}
