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
 * Knows nothing of threads, scheduling or where bytes lie.
 * @module */
import type { SharedBytes } from '../blocks/block-ref.ts';
import { assert, present } from '../core/assert.ts';
import { MillraceError } from '../core/errors.ts';
import type { StreamId } from '../core/ids.ts';
import { readsShuffle, roleOf } from './graph.ts';
import type { Graph, GraphNode } from './graph.ts';
import type { Leaf } from './task-spec.ts';

/** Where the records of a branch come from. */
export type BranchLeaf =
  | { readonly kind: 'input'; readonly streamId: StreamId }
  | {
      readonly kind: 'shuffle';
      /** The operator whose reduce side runs in this stage. */
      readonly operatorId: string;
      /** One for each parent of the operator. */
      readonly shuffleIds: readonly string[];
      /** Absent: the batch's default. */
      readonly partitions?: number;
    }
  // A stateful operator, which runs when its shuffle has been written: what it has put out, or all
  // pairs of its state.
  | {
      readonly kind: 'state';
      readonly operatorId: string;
      readonly shuffleIds: readonly string[];
      readonly view: 'output' | 'all';
    };

/** A leaf, and the ids of the narrow operators from there to the end of the stage. */
export interface Branch {
  readonly leaf: BranchLeaf;
  readonly via: readonly string[];
}

/** Writes one shuffle: `partitions` pieces for each partition of its branches. */
export interface ShuffleMapStage {
  readonly shuffleId: string;
  readonly operatorId: string;
  /** Absent: the batch's default. */
  readonly partitions?: number;
  readonly branches: readonly Branch[];
}

export interface ResultStage {
  readonly branches: readonly Branch[];
}

export interface JobPlan {
  /** Operator id of the output operation. */
  readonly outputId: string;
  /** In an order in which each stage comes after those that it reads. */
  readonly shuffles: readonly ShuffleMapStage[];
  readonly result: ResultStage;
}

/** What a batch knows when a stage is about to run. */
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
export interface StagePartition {
  readonly leaf: Leaf;
  readonly via: readonly string[];
}

/** The stages of one output operation. */
export function planJob(graph: Graph, outputId: string): JobPlan {
  const output = graph.node(outputId);
  assert(roleOf(output.kind) === 'output', `${outputId} is no output operation`);
  const shuffles = new Map<string, ShuffleMapStage>();
  const branches = branchesOf(graph, onlyParent(output));
  addShuffles(graph, branches, shuffles);
  return { outputId, shuffles: [...shuffles.values()], result: { branches } };
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

/** The partitions of a stage in one batch, in order; their index is the partition number. */
export function expandStage(
  stage: ResultStage,
  context: ExpansionContext,
): readonly StagePartition[] {
  return stage.branches.flatMap(({ leaf, via }) =>
    leavesOf(leaf, context).map((partLeaf) => ({ leaf: partLeaf, via })),
  );
}

function leavesOf(leaf: BranchLeaf, context: ExpansionContext): readonly Leaf[] {
  switch (leaf.kind) {
    case 'input':
      return context.leavesOf(leaf.streamId);
    case 'shuffle':
      return shuffleLeaves(leaf, context);
    case 'state':
      return present(context.stateLeaves?.(leaf.operatorId, leaf.view), 'keyed state');
  }
}

function shuffleLeaves(
  { operatorId, shuffleIds, partitions }: BranchLeaf & { readonly kind: 'shuffle' },
  context: ExpansionContext,
): readonly Leaf[] {
  const shuffles = shuffleIds.map((shuffleId) => ({
    shuffleId,
    rows: context.piecesOf(shuffleId),
  }));
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
function branchesOf(graph: Graph, streamOperatorId: string): readonly Branch[] {
  const node = graph.node(streamOperatorId);
  switch (roleOf(node.kind)) {
    case 'input':
      return [{ leaf: { kind: 'input', streamId: node.id as StreamId }, via: [] }];
    case 'narrow':
      return branchesOf(graph, onlyParent(node)).map(({ leaf, via }) => ({
        leaf,
        via: [...via, node.id],
      }));
    case 'union':
      return node.parents.flatMap((parent) => branchesOf(graph, parent));
    case 'shuffle':
      return [
        {
          leaf: {
            kind: 'shuffle',
            operatorId: node.id,
            shuffleIds: shuffleIdsOf(node),
            ...fixedPartitions(node),
          },
          via: [],
        },
      ];
    case 'state':
      // The stream of updateStateByKey is its state.
      return [stateBranch(node, node.kind === 'updateStateByKey' ? 'all' : 'output')];
    case 'view':
      return [stateBranch(graph.node(onlyParent(node)), 'all')];
    case 'output':
      throw new MillraceError(
        'BROKEN_INVARIANT',
        `output operation ${node.id} is read as a stream`,
      );
  }
}

/** Adds the stages that write what `branches` read, deepest first; each shuffle once. */
function addShuffles(
  graph: Graph,
  branches: readonly Branch[],
  into: Map<string, ShuffleMapStage>,
): void {
  for (const { leaf } of branches) {
    if (leaf.kind === 'input') continue;
    const node = graph.node(leaf.operatorId);
    leaf.shuffleIds.forEach((shuffleId, index) => {
      if (into.has(shuffleId)) return;
      const parent = present(node.parents[index], `parent ${index} of ${node.id}`);
      const below = branchesOf(graph, parent);
      addShuffles(graph, below, into);
      into.set(shuffleId, {
        shuffleId,
        operatorId: node.id,
        ...fixedPartitions(node),
        branches: below,
      });
    });
  }
}

function stateBranch(node: GraphNode, view: 'output' | 'all'): Branch {
  const leaf = { operatorId: node.id, shuffleIds: shuffleIdsOf(node), view };
  return { leaf: { kind: 'state', ...leaf }, via: [] };
}

/** `count` and `reduce` make one record, the others what their author asked for, if anything. */
function fixedPartitions(node: GraphNode): { readonly partitions?: number } {
  if (node.kind === 'count' || node.kind === 'reduce') return { partitions: 1 };
  const partitions = node.options['partitions'];
  return typeof partitions === 'number' ? { partitions } : {};
}

function onlyParent(node: GraphNode): string {
  return present(node.parents[0], `the parent of ${node.id}`);
}
