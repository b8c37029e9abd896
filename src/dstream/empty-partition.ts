/** What a task would answer for a partition that holds nothing, where that is certain without it.
 *
 * A batch without records still has the reduce side of its shuffles, and a message to a thread and
 * back is most of what such a task costs. Nothing goes in, so nothing comes out, unless an operator
 * makes something of nothing: `count` makes a 0, and functions of the user that are called once for
 * each partition may make anything. Those, and what takes effect outside (sinks,
 * `foreachPartition`, keyed state), always have their task. Pure.
 * @module */
import { roleOf } from './graph.ts';
import type { Graph, KindOf } from './graph.ts';
import type { Leaf, LeafPart, TaskAction, TaskValue } from './task-spec.ts';

/** True for operators that put out nothing when nothing comes in. */
const IS_PER_RECORD: Readonly<Record<KindOf<'narrow'>, boolean>> = {
  map: true,
  flatMap: true,
  filter: true,
  mapToPair: true,
  keyBy: true,
  mapValues: true,
  flatMapValues: true,
  mapPartitions: false,
  glom: false,
};

/** @returns `undefined` when a task has to find out. */
export function valueOfNothing(
  graph: Graph,
  part: LeafPart,
  action: TaskAction,
): TaskValue | undefined {
  const records = recordsOf(graph, part);
  if (records === undefined) return undefined;
  const recordCount = records.length;
  switch (action.kind) {
    case 'collect':
      return { kind: 'collect', bytes: null, recordCount, records };
    case 'count':
      return { kind: 'count', recordCount };
    case 'shuffle-write':
      if (recordCount > 0) return undefined;
      return { kind: 'shuffle-write', pieces: new Array<null>(action.partitions).fill(null) };
    default:
      return undefined;
  }
}

function recordsOf(graph: Graph, { leaf, via }: LeafPart): readonly number[] | undefined {
  const records = recordsOfLeaf(graph, leaf);
  if (records === undefined || via.length === 0) return records;
  return records.length === 0 && via.every((id) => isPerRecord(graph, id)) ? records : undefined;
}

function recordsOfLeaf(graph: Graph, leaf: Leaf): readonly number[] | undefined {
  if (leaf.kind === 'shuffle') {
    if (leaf.inputs.some(({ pieces }) => pieces.length > 0)) return undefined;
    return graph.node(leaf.operatorId).kind === 'count' ? [0] : [];
  }
  if (leaf.kind !== 'parts') return undefined;
  const all: number[] = [];
  for (const part of leaf.parts) {
    const records = recordsOf(graph, part);
    if (records === undefined) return undefined;
    all.push(...records);
  }
  return all;
}

function isPerRecord(graph: Graph, operatorId: string): boolean {
  const { kind } = graph.node(operatorId);
  return roleOf(kind) === 'narrow' && IS_PER_RECORD[kind as KindOf<'narrow'>];
}
