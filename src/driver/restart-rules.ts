/** May this pipeline go on from this checkpoint? Decided before anything is written.
 *
 * Changed functions never matter: a checkpoint holds no code. A changed graph is compared operator
 * id by operator id: what unfinished batches and queued records belong to must still be there.
 * Options follow their rule (CONFIG_RULES). @module */
import { MillraceError } from '../core/errors.ts';
import { CONFIG_RULES } from '../core/options.ts';
import type { ResolvedOptions } from '../core/options.ts';
import { firstDifference, graphHash, isSliding, roleOf } from '../dstream/graph.ts';
import type { NodeDescription } from '../dstream/graph.ts';
import type { CheckpointContent } from './checkpoint-content.ts';
import type { StatePointer } from './state-snapshots.ts';
import type { TrackerState } from './tracker-state.ts';

export interface RestartFacts {
  readonly directory: string;
  readonly options: ResolvedOptions;
  readonly graph: readonly NodeDescription[];
  /** Told of changes that are allowed and still worth knowing. */
  readonly warn: (message: string) => void;
}

/** @throws {MillraceError} CHECKPOINT_MISMATCH with all reasons. */
export function acceptCheckpoint(
  checkpoint: CheckpointContent,
  { directory, options, graph, warn }: RestartFacts,
): void {
  const problems = [
    ...changedOptions(checkpoint, options),
    ...missingOperators(checkpoint.state, graph),
    ...missingState(checkpoint, graph),
  ];
  if (problems.length > 0) {
    throw new MillraceError(
      'CHECKPOINT_MISMATCH',
      `the checkpoint in ${directory} does not fit this pipeline; nothing was changed:\n  ` +
        `${problems.join('\n  ')}\nStart the old version to finish its batches, or use another ` +
        'checkpoint directory.',
    );
  }
  const difference = firstDifference(checkpoint.graph, graph, ['the checkpoint', 'the module']);
  if (difference !== undefined) warn(`the pipeline has changed since the last run: ${difference}`);
}

/** What the start goes on with of the state that a checkpoint points to. Windows with an inverse
 * function take away with the code of now what was added with that of then, so with another code
 * they begin anew: all that they held is still in the log. */
export function stateToGoOnWith(
  { stateSnapshot, codeHash, graphHash: hashBefore }: CheckpointContent,
  now: { readonly graph: readonly NodeDescription[]; readonly codeHash: string },
): StatePointer | undefined {
  if (stateSnapshot === undefined) return undefined;
  if (codeHash === now.codeHash && hashBefore === graphHash(now.graph)) return stateSnapshot;
  const windows = new Set(now.graph.flatMap(({ id, kind }) => (isSliding(kind) ? [id] : [])));
  const operators = stateSnapshot.operators.filter(([id]) => !windows.has(id));
  return { ...stateSnapshot, operators };
}

function changedOptions({ config }: CheckpointContent, options: ResolvedOptions): string[] {
  const problems: string[] = [];
  for (const [field, rule] of Object.entries(CONFIG_RULES)) {
    if (rule !== 'must-match') continue;
    const before = config[field];
    const now: unknown = options[field as keyof ResolvedOptions];
    if (before !== undefined && before !== now) {
      problems.push(
        `option ${field} must stay ${JSON.stringify(before)}, and is ${JSON.stringify(now)}`,
      );
    }
  }
  return problems;
}

/** State is dropped by nobody's accident: an id that was given to another operator counts as
 * gone. A window may go: what it holds is made of batches and not of all that there was. */
function missingState(
  { stateSnapshot, graph: before, state }: CheckpointContent,
  graph: readonly NodeDescription[],
): string[] {
  const kept = new Set(statefulIds(graph));
  if (stateSnapshot === undefined) {
    // Without a snapshot the state is in the batches that have run, all of which are kept.
    const all = before.filter(({ kind }) => !isSliding(kind));
    const gone = state.batches.size === 0 ? [] : statefulIds(all).filter((id) => !kept.has(id));
    return gone.map((id) => `stateful operator ${id} is gone, and it has state`);
  }
  const mayGo = new Set(before.flatMap(({ id, kind }) => (isSliding(kind) ? [id] : [])));
  return stateSnapshot.operators.flatMap(([id, keyCount]) =>
    kept.has(id) || mayGo.has(id) || keyCount === 0
      ? []
      : [`stateful operator ${id} is gone, and the state of ${keyCount} keys belongs to it`],
  );
}

function statefulIds(graph: readonly NodeDescription[]): readonly string[] {
  return graph.flatMap(({ id, kind }) => (roleOf(kind) === 'state' ? [id] : []));
}

function missingOperators(state: TrackerState, graph: readonly NodeDescription[]): string[] {
  const ids = new Set<string>(graph.map(({ id }) => id));
  const problems = new Set<string>();
  for (const [streamId, queue] of state.queues) {
    if (queue.length > 0 && !ids.has(streamId)) {
      problems.add(`input ${streamId} is gone, and ${queue.length} blocks of it wait for a batch`);
    }
  }
  for (const [time, { share, isDone }] of state.batches) {
    if (isDone) continue;
    for (const { streamId } of share.inputs) {
      if (!ids.has(streamId)) problems.add(`input ${streamId} is gone; batch ${time} needs it`);
    }
  }
  return [...problems];
}
