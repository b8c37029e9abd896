/** What becomes of a checkpoint when this version of a pipeline goes on from it: the one place that
 * decides it. A start refuses by it (restart-rules.ts) and `millrace check` prints it.
 *
 * Operators are compared id by id. Changed functions never matter: a checkpoint holds no code. What
 * unfinished batches and queued records belong to must still be there. State goes on with its id,
 * in its version or a later one with `migrate`; it is given up only when `dropState` names it. An
 * id from a place counts when the operator that has it now is the one that had it
 * (dstream/operator-places.ts). Options follow CONFIG_RULES. Pure: reads nothing, writes nothing.
 * Page: docs/upgrades.md. @module */
import { resolve } from 'node:path';
import { authorsName, CONFIG_RULES } from '../core/options.ts';
import type { ConfigRule, ResolvedOptions } from '../core/options.ts';
import type { PipelineOptions } from '../core/options-types.ts';
import { canonicalJson, firstDifference, roleOf } from '../dstream/graph.ts';
import type { GraphNode, NodeDescription, OperatorKind } from '../dstream/graph.ts';
import { OperatorPlaces } from '../dstream/operator-places.ts';
import { reachMsOf } from '../dstream/stream-times.ts';
import type { CheckpointContent } from './checkpoint-content.ts';
import { outputProblems } from './output-upgrade.ts';
import { planStates } from './state-upgrade.ts';
import type { StateChange } from './state-upgrade.ts';
import type { TrackerState } from './tracker-state.ts';
import { anotherOne, giveId } from './upgrade-advice.ts';

/** What this start is. */
export interface UpgradeTarget {
  readonly graph: readonly GraphNode[];
  /** Of the bundled module. */
  readonly codeHash: string;
  readonly options: ResolvedOptions;
  /** Operators whose state may be given up. */
  readonly dropState?: readonly string[];
}

/** An operator, then and now. `changed`: its parents, or its options. */
export interface OperatorChange {
  readonly id: string;
  readonly kind: OperatorKind;
  readonly change: 'same' | 'changed' | 'new' | 'gone';
  /** What has changed, in words. */
  readonly detail?: string;
}

export interface InputChange extends OperatorChange {
  /** Blocks that are in no batch yet. */
  readonly waitingBlocks: number;
  /** Batches that are not done and have a share of it. */
  readonly unfinishedBatches: number;
}

export interface OptionChange {
  /** As authors write it. */
  readonly option: keyof PipelineOptions;
  readonly before: unknown;
  readonly now: unknown;
  readonly rule: ConfigRule;
}

export interface UpgradePlan {
  readonly inputs: readonly InputChange[];
  /** All but inputs. */
  readonly operators: readonly OperatorChange[];
  readonly states: readonly StateChange[];
  /** Those that have another value. */
  readonly options: readonly OptionChange[];
  /** Why a start is refused; empty: it is not. */
  readonly problems: readonly string[];
  /** What is allowed and still worth knowing. */
  readonly notes: readonly string[];
}

export function planUpgrade(checkpoint: CheckpointContent, target: UpgradeTarget): UpgradePlan {
  const { graph: before, state } = checkpoint;
  const { graph } = target;
  const places = new OperatorPlaces({ nodes: before, codes: checkpoint.codes }, graph);
  const changes = compareOperators(before, graph);
  const isInput = ({ kind }: OperatorChange): boolean => roleOf(kind) === 'input';
  const options = changedOptions(checkpoint, target.options);
  const states = planStates(checkpoint, target, places);
  return {
    inputs: changes.filter(isInput).map((each) => ({ ...each, ...workOf(each.id, state) })),
    operators: changes.filter((each) => !isInput(each)),
    states: states.changes,
    options,
    problems: [
      ...options.flatMap(refusedOption),
      ...missingInputs(state, graph),
      ...movedInputs(state, graph, places),
      ...outputProblems(checkpoint, graph, places),
      ...states.problems,
    ],
    notes: [...changedGraph(before, graph), ...longerWindows(checkpoint, target), ...states.notes],
  };
}

function compareOperators(
  before: readonly NodeDescription[],
  now: readonly NodeDescription[],
): readonly OperatorChange[] {
  const former = new Map(before.map((node) => [node.id, node]));
  const present = new Set(now.map(({ id }) => id));
  const changes = now.map((node): OperatorChange => {
    const { id, kind } = node;
    const old = former.get(id);
    if (old === undefined) return { id, kind, change: 'new' };
    const detail = firstDifference([old], [node], ['the checkpoint', 'the module']);
    return detail === undefined
      ? { id, kind, change: 'same' }
      : { id, kind, change: 'changed', detail };
  });
  const gone = before.filter(({ id }) => !present.has(id));
  return [...changes, ...gone.map(({ id, kind }) => ({ id, kind, change: 'gone' }) as const)];
}

function workOf(
  id: string,
  { queues, batches }: TrackerState,
): Pick<InputChange, 'waitingBlocks' | 'unfinishedBatches'> {
  const queue = [...queues].find(([streamId]) => streamId === id)?.[1] ?? [];
  const unfinished = [...batches.values()].filter(
    ({ isDone, share }) => !isDone && share.inputs.some(({ streamId }) => streamId === id),
  );
  return { waitingBlocks: queue.length, unfinishedBatches: unfinished.length };
}

function changedOptions(
  { config }: CheckpointContent,
  options: ResolvedOptions,
): readonly OptionChange[] {
  return (Object.keys(CONFIG_RULES) as (keyof ResolvedOptions)[]).flatMap((option) => {
    const [before, now] = [config[option], options[option]];
    // An older version did not have it.
    if (!(option in config) || canonicalJson(before) === canonicalJson(now)) return [];
    if (option === 'checkpointDir' && isSamePlace(before, now)) return [];
    return [{ option: authorsName(option), before, now, rule: CONFIG_RULES[option] }];
  });
}

/** One directory, written in two ways: as the default has it, and as a flag. */
function isSamePlace(before: unknown, now: unknown): boolean {
  return typeof before === 'string' && typeof now === 'string' && resolve(before) === resolve(now);
}

function refusedOption({ option, before, now, rule }: OptionChange): string[] {
  if (rule !== 'must-match' || before === undefined) return [];
  return [`option ${option} must stay ${JSON.stringify(before)}, and is ${JSON.stringify(now)}`];
}

function missingInputs(state: TrackerState, graph: readonly NodeDescription[]): readonly string[] {
  const ids = new Set<string>(graph.map(({ id }) => id));
  const problems = new Set<string>();
  for (const [streamId, queue] of state.queues) {
    if (queue.length > 0 && !ids.has(streamId)) {
      const waits =
        queue.length === 1 ? '1 block of it waits' : `${queue.length} blocks of it wait`;
      problems.add(`input ${streamId} is gone, and ${waits} for a batch`);
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

/** Positions, keys and files of one source would make another one pass records over. */
function movedInputs(
  state: TrackerState,
  graph: readonly GraphNode[],
  places: OperatorPlaces,
): readonly string[] {
  const { queues, positions, sourceIds, seenFiles, queueIndexes } = state;
  const known = new Set<string>(
    [queues, positions, sourceIds, seenFiles, queueIndexes].flatMap((each) => [...each.keys()]),
  );
  return graph.flatMap(({ id, kind }) =>
    roleOf(kind) === 'input' && known.has(id) && places.hasMoved(id)
      ? [`input ${id} has no id of its own, and ${anotherOne(id, places)} ${giveId(id)}`]
      : [],
  );
}

function changedGraph(
  before: readonly NodeDescription[],
  graph: readonly NodeDescription[],
): readonly string[] {
  const difference = firstDifference(before, graph, ['the checkpoint', 'the module']);
  return difference === undefined
    ? []
    : [`the pipeline has changed since the last run: ${difference}`];
}

/** A window needs no state: it reads batches again. Those from before the reach of the last run are
 * not kept. */
function longerWindows(
  { graph: before, config, state }: CheckpointContent,
  { graph, options: { batchIntervalMs } }: UpgradeTarget,
): readonly string[] {
  const former = config['batchIntervalMs'];
  const reachedMs = typeof former === 'number' ? reachMsOf(before, former) : 0;
  const reachMs = reachMsOf(graph, batchIntervalMs);
  const { lastAllocatedMs, cleanedThroughMs } = state;
  if (reachMs <= reachedMs || cleanedThroughMs <= lastAllocatedMs - reachMs) return [];
  if (lastAllocatedMs === 0) return [];
  return [
    `windows look back ${reachMs} ms now, ${reachedMs} ms before: records up to batch ` +
      `${cleanedThroughMs} are gone, and the first windows do not have them`,
  ];
}
