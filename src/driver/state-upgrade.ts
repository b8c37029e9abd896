/** Which keyed state of a checkpoint a pipeline takes over, and why not: a part of the decision of
 * upgrade-plan.ts.
 *
 *     kept ── same id, same version          migrated ── same id, later version with `migrate`
 *     new ─── no state under this id         dropped ─── refused, and `dropState` names it
 *     rebuilt: a window with an inverse function, when code or graph are other ones
 *     refused: the operator is gone, or another one; no `migrate`; a version or form not known
 *
 * Such a window takes away with the code of now what was added with that of then, so with another
 * code it begins anew, and may go: all that it held is still in the log. `dropState` only allows
 * what would be refused. So a run that is started again with the same
 * flags, by a supervisor or by hand, drops nothing twice. @module */
import { describeGraph, graphHash, isSliding, roleOf } from '../dstream/graph.ts';
import type { GraphNode, KindOf, NodeDescription, OperatorKind } from '../dstream/graph.ts';
import { looksPlaced } from '../dstream/operator-places.ts';
import type { OperatorPlaces } from '../dstream/operator-places.ts';
import { stateVersionOf } from '../dstream/state-spec.ts';
import type { CheckpointContent } from './checkpoint-content.ts';
import type { StatePointer } from './state-snapshots.ts';
import { giveId } from './upgrade-advice.ts';

export interface StateChange {
  readonly id: string;
  readonly outcome: 'kept' | 'migrated' | 'rebuilt' | 'new' | 'dropped' | 'refused';
  /** In the snapshot; `undefined`: there is none yet, the batches make it. */
  readonly keyCount?: number;
  /** Of the state that is there. */
  readonly fromVersion?: number;
  /** Of the operator; absent when it is gone. */
  readonly toVersion?: number;
  /** Why it is refused, or would be without `dropState`. */
  readonly reason?: string;
}

interface StatePlan {
  readonly changes: readonly StateChange[];
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

type StateKind = KindOf<'state'>;

/** What a state is made of: operators whose states have the same form can follow each other under
 * one id. `bound`: options that say what is in a state; with other values it is another thing. */
const FORMS: Readonly<
  Record<StateKind, { readonly form: string; readonly bound: readonly string[] }>
> = {
  updateStateByKey: { form: 'value', bound: [] },
  mapWithState: { form: 'value', bound: [] },
  dedupeBy: { form: 'key', bound: [] },
  reduceByKeyAndWindow: { form: 'window', bound: [] },
};

/** State that is there, from the snapshot, or from batches that no snapshot has yet. */
interface FoundState {
  readonly id: string;
  /** In the snapshot. */
  readonly keyCount: number | undefined;
  /** Nothing is lost with it: the snapshot has no keys of it, and no batch came since. */
  readonly isEmpty: boolean;
  /** `undefined`: it is made anew, by this version of the pipeline. */
  readonly version: number | undefined;
  readonly node: NodeDescription | undefined;
}

/** What a start says of itself. */
interface StateTarget {
  readonly graph: readonly GraphNode[];
  readonly codeHash: string;
  readonly dropState?: readonly string[];
}

export function planStates(
  checkpoint: CheckpointContent,
  { graph, codeHash, dropState = [] }: StateTarget,
  places: OperatorPlaces,
): StatePlan {
  const stateful = graph.filter(({ kind }) => roleOf(kind) === 'state');
  const hashNow = graphHash(describeGraph({ nodes: graph }));
  const isUnchanged = checkpoint.codeHash === codeHash && checkpoint.graphHash === hashNow;
  const found = foundStates(checkpoint).filter((state) => !isGoneWindow(state, stateful));
  const changes = [
    ...found.flatMap((state) => changeOf(state, { stateful, isUnchanged, dropState, places })),
    ...stateful
      .filter(({ id }) => found.every((state) => state.id !== id))
      .map((node): StateChange => ({
        id: node.id,
        outcome: 'new',
        toVersion: stateVersionOf(node),
      })),
  ];
  return {
    changes,
    problems: changes.flatMap(problemOf),
    notes: [...changes.flatMap(noteOf), ...idleDrops(dropState, changes)],
  };
}

/** The snapshot less what is not taken over: what the next checkpoints point to, so that a state
 * that was given up once stays so. */
export function keptState(
  pointer: StatePointer | undefined,
  changes: readonly StateChange[],
): StatePointer | undefined {
  if (pointer === undefined) return undefined;
  const taken = new Set(
    changes.flatMap(({ id, outcome }) => (outcome === 'kept' || outcome === 'migrated' ? id : [])),
  );
  return { ...pointer, operators: pointer.operators.filter(([id]) => taken.has(id)) };
}

function foundStates({ stateSnapshot, graph, state }: CheckpointContent): readonly FoundState[] {
  const nodes = new Map(graph.map((node) => [node.id, node]));
  const saved = stateSnapshot?.operators ?? [];
  // What no snapshot has is in the batches since: they are kept, and run again by this version.
  const sinceMs = stateSnapshot?.batchTimeMs ?? 0;
  const hasBatches = [...state.batches.keys()].some((timeMs) => timeMs > sinceMs);
  const made = graph.filter(
    ({ id, kind }) => hasBatches && isLasting(kind) && saved.every(([of]) => of !== id),
  );
  return [
    ...saved.map(([id, keyCount, version = 1]) => {
      const isEmpty = keyCount === 0 && !hasBatches;
      return { id, keyCount, version, isEmpty, node: nodes.get(id) };
    }),
    ...made.map((node) => ({
      id: node.id,
      keyCount: undefined,
      version: undefined,
      isEmpty: false,
      node,
    })),
  ];
}

/** Its values are not made of the batches of a window alone. */
function isLasting(kind: OperatorKind): boolean {
  return roleOf(kind) === 'state' && !isSliding(kind);
}

/** Also one whose id was given to another operator: that one begins as if there had been none. */
function isGoneWindow({ id, node: before }: FoundState, now: readonly GraphNode[]): boolean {
  if (before === undefined || !isSliding(before.kind)) return false;
  return !now.some((node) => node.id === id && isSliding(node.kind));
}

function isStillWindow({ node: before }: FoundState, now: GraphNode | undefined): boolean {
  if (now === undefined || !isSliding(now.kind)) return false;
  return before === undefined || isSliding(before.kind);
}

interface Surroundings {
  readonly stateful: readonly GraphNode[];
  /** Code and graph are those that the checkpoint was made with. */
  readonly isUnchanged: boolean;
  readonly dropState: readonly string[];
  readonly places: OperatorPlaces;
}

function changeOf(
  found: FoundState,
  { stateful, isUnchanged, dropState, places }: Surroundings,
): readonly StateChange[] {
  const { id, keyCount, version, isEmpty } = found;
  const node = stateful.find((each) => each.id === id);
  if (node === undefined && isEmpty) return [];
  const facts = {
    id,
    ...(keyCount === undefined ? {} : { keyCount }),
    ...(version === undefined ? {} : { fromVersion: version }),
    ...(node === undefined ? {} : { toVersion: stateVersionOf(node) }),
  };
  if (isStillWindow(found, node)) return [{ ...facts, outcome: isUnchanged ? 'kept' : 'rebuilt' }];
  const reason = node === undefined ? goneReason(found, places) : misfit(found, node, places);
  if (reason !== undefined) {
    // An operator that is there makes again what the snapshot does not have.
    const isMadeAgain = keyCount === 0 && node !== undefined;
    const isDropped = isMadeAgain || dropState.includes(id);
    return [{ ...facts, outcome: isDropped ? 'dropped' : 'refused', reason }];
  }
  const { fromVersion, toVersion } = facts;
  const isOlder = fromVersion !== undefined && toVersion !== undefined && fromVersion < toVersion;
  return [{ ...facts, outcome: isOlder ? 'migrated' : 'kept' }];
}

function goneReason(found: FoundState, places: OperatorPlaces): string {
  const { id, node } = found;
  const hasKeys = found.keyCount !== undefined && found.keyCount > 0;
  const what = hasKeys ? `${amountOf(found)} belongs to it` : 'it has state';
  const lead = `stateful operator ${id} is gone, and ${what}`;
  if (node === undefined || !looksPlaced(node)) return lead;
  const now = places.likeliest(id);
  return now.length === 0
    ? lead
    : `${lead}; it had no id of its own, and may be ${now.join(' or ')} now: ${giveId(id)}`;
}

/** @returns `undefined`: the state fits. */
function misfit(found: FoundState, node: GraphNode, places: OperatorPlaces): string | undefined {
  const { id, version } = found;
  if (version === undefined) return undefined;
  if (!places.isSame(id)) {
    return (
      `stateful operator ${id} has no id of its own, and it is not certain that the one which ` +
      `has this id now is the one that ${amountOf(found)} belongs to: ${giveId(id)}`
    );
  }
  const unlike = otherForm(found, node);
  if (unlike !== undefined) return unlike;
  const known = stateVersionOf(node);
  if (version > known) {
    return (
      `${amountOf(found)} of ${id} is of version ${version}, and this pipeline knows up to ` +
      `${known}: start the newer one`
    );
  }
  if (version < known && node.fns?.['migrate'] === undefined) {
    return (
      `${amountOf(found)} of ${id} is of version ${version}, and the operator has version ` +
      `${known} and no migrate: give it migrate(old, fromVersion)`
    );
  }
  return undefined;
}

function otherForm({ id, node: before }: FoundState, node: GraphNode): string | undefined {
  if (before === undefined || roleOf(before.kind) !== 'state') return undefined;
  const [then, now] = [FORMS[before.kind as StateKind], FORMS[node.kind as StateKind]];
  if (then.form !== now.form) {
    return `${id} was ${before.kind} and is ${node.kind}, whose state is another thing`;
  }
  const changed = now.bound.find(
    (option) => JSON.stringify(before.options[option]) !== JSON.stringify(node.options[option]),
  );
  return changed === undefined
    ? undefined
    : `the state of ${id} was made with another ${changed}, and cannot be made from it`;
}

function amountOf({ keyCount }: FoundState): string {
  if (keyCount === undefined) return 'the state';
  return `the state of ${keyCount} ${keyCount === 1 ? 'key' : 'keys'}`;
}

function problemOf({ id, outcome, reason }: StateChange): string[] {
  if (outcome !== 'refused') return [];
  return [`${reason}. To give the state up: --drop-state ${id} (option dropState)`];
}

function noteOf({ id, outcome, keyCount, ...change }: StateChange): string[] {
  const { reason, fromVersion, toVersion } = change;
  if (keyCount === 0 && toVersion !== undefined) return [];
  if (outcome === 'dropped') return [`the state of ${id} is dropped, as told: ${reason}`];
  if (outcome !== 'migrated') return [];
  return [`the state of ${id} is migrated from version ${fromVersion} to ${toVersion}`];
}

function idleDrops(dropState: readonly string[], changes: readonly StateChange[]): string[] {
  return dropState.flatMap((id) => {
    const change = changes.find((each) => each.id === id);
    if (change?.outcome === 'dropped') return [];
    return [`dropState names ${id}, and no state of it is dropped: ${whyKept(change?.outcome)}`];
  });
}

function whyKept(outcome: StateChange['outcome'] = 'new'): string {
  if (outcome === 'new') return 'there is none';
  return outcome === 'rebuilt' ? 'it is made again from the batches in it' : 'it fits';
}
