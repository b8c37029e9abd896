/** Do all threads mean the same by an operator id? Checked once, at start. @module */
import { MillraceError } from '../core/errors.ts';
import { describeGraph, firstDifference } from '../dstream/graph.ts';
import type { Graph } from '../dstream/graph.ts';
import type { ThreadGraph } from '../workers/protocol.ts';

/** @throws {MillraceError} PIPELINE_MISMATCH naming the first operator that differs. */
export function compareThreads(graph: Graph, threads: readonly ThreadGraph[]): void {
  const mine = describeGraph(graph);
  for (const { nodes } of threads) {
    const difference = firstDifference(mine, nodes, ['the driver', 'an executor']);
    if (difference === undefined) continue;
    throw new MillraceError(
      'PIPELINE_MISMATCH',
      `the threads built different pipelines from one module: ${difference}. A pipeline must not ` +
        'depend on time, randomness, the environment or the thread that builds it',
    );
  }
}
