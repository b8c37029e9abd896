/** Which outputs may not have another id yet: a part of the decision of upgrade-plan.ts.
 *
 * A batch that is not done does not run again what it has finished, and that is known by the id: to
 * the checkpoint, and to the sink, which may have committed a batch that the checkpoint does not
 * know. Under another id the batch would be in the sink twice, or be refused by it; the output that
 * has the id instead would be passed over. So ids of outputs may change when all batches are done.
 * Pure. @module */
import { canonicalJson, roleOf, writesToSink } from '../dstream/graph.ts';
import type { GraphNode, NodeDescription } from '../dstream/graph.ts';
import type { OperatorPlaces } from '../dstream/operator-places.ts';
import type { CheckpointContent } from './checkpoint-content.ts';
import type { TrackerState } from './tracker-state.ts';
import { anotherOne, giveId } from './upgrade-advice.ts';

/** @returns why a start is refused; empty: it is not. */
export function outputProblems(
  { graph: before, state }: CheckpointContent,
  graph: readonly GraphNode[],
  places: OperatorPlaces,
): readonly string[] {
  const unfinished = new UnfinishedBatches(state);
  return [...movedOutputs(unfinished, graph, places), ...renamedOutputs(unfinished, before, graph)];
}

/** Who may have finished a batch that is not done. */
class UnfinishedBatches {
  readonly #finished = new Map<string, number>();
  #latestMs: number | undefined;

  constructor({ batches }: TrackerState) {
    for (const [timeMs, { isDone, finishedOutputs }] of batches) {
      if (isDone) continue;
      this.#latestMs = timeMs;
      for (const id of finishedOutputs) this.#finished.set(id, timeMs);
    }
  }

  /** In words; `undefined`: no batch has been finished under this id. */
  finishedBy({ id, kind }: NodeDescription): string | undefined {
    const timeMs = this.#finished.get(id);
    if (timeMs !== undefined) return `batch ${timeMs} has finished it`;
    if (!writesToSink(kind) || this.#latestMs === undefined) return undefined;
    return `batch ${this.#latestMs} may have finished it`;
  }
}

function movedOutputs(
  unfinished: UnfinishedBatches,
  graph: readonly GraphNode[],
  places: OperatorPlaces,
): readonly string[] {
  return graph.flatMap((node) => {
    const { id, kind } = node;
    if (roleOf(kind) !== 'output' || !places.hasMoved(id)) return [];
    const finished = unfinished.finishedBy(node);
    if (finished === undefined) return [];
    const lead = `output ${id} has no id of its own, ${finished}, and `;
    return [`${lead}${anotherOne(id, places)} ${giveId(id)}`];
  });
}

/** An output that is gone, while one that is new writes to where it wrote. */
function renamedOutputs(
  unfinished: UnfinishedBatches,
  before: readonly NodeDescription[],
  graph: readonly NodeDescription[],
): readonly string[] {
  const [former, present] = [idsOf(before), idsOf(graph)];
  const added = graph.filter(({ id }) => !former.has(id));
  return before.flatMap((old) => {
    if (present.has(old.id) || !writesToSink(old.kind)) return [];
    const finished = unfinished.finishedBy(old);
    const heir = added.find((node) => writesTo(node) === writesTo(old));
    if (finished === undefined || heir === undefined) return [];
    return [
      `output ${old.id} is gone, ${finished}, and ${heir.id}, which is new, writes to where it ` +
        `wrote: ${giveId(old.id)}, until all batches are done`,
    ];
  });
}

function idsOf(nodes: readonly NodeDescription[]): ReadonlySet<string> {
  return new Set(nodes.map(({ id }) => id));
}

function writesTo({ kind, options }: NodeDescription): string {
  return canonicalJson([kind, options]);
}
