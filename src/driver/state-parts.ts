/** Makes the parts of an engine that hold keyed state. @module */
import type { EventBus } from '../core/events.ts';
import { uniqueId } from '../core/random.ts';
import type { Graph } from '../dstream/graph.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import type { Home } from './home-directory.ts';
import { KeyedState } from './keyed-state.ts';
import { StateSnapshots } from './state-snapshots.ts';
import type { StateSnapshotsOptions } from './state-snapshots.ts';

/** For a run that has nothing to restore, or not yet.
 * @param newId names that nothing else has, 32 hexadecimal digits. */
export function emptyState(
  graph: Graph,
  partitions: number,
  newId: () => string = uniqueId,
): KeyedState {
  // A seed that nobody knows: keys cannot be chosen to have one hash.
  const seed = graph.stateful.length === 0 ? 0 : Number.parseInt(newId().slice(0, 8), 16);
  return new KeyedState({ graph, codec: msgpackCodec, partitions, seed });
}

interface SnapshotParts extends Pick<StateSnapshotsOptions, 'onWritten' | 'onFailed'> {
  readonly state: KeyedState;
  readonly home: Home | undefined;
  readonly events: EventBus;
}

/** @returns `undefined` without state, or without a checkpoint directory. */
export function buildSnapshots({ home, ...parts }: SnapshotParts): StateSnapshots | undefined {
  if (home === undefined || !parts.state.isUsed) return undefined;
  return new StateSnapshots({
    ...parts,
    disk: home.disk,
    directory: home.directory,
    logId: home.manifest.logId,
    codec: msgpackCodec,
    restored: home.stateSnapshot,
  });
}
