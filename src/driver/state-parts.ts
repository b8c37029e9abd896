/** Makes the parts of an engine that hold keyed state. @module */
import type { EventBus } from '../core/events.ts';
import { uniqueId } from '../core/random.ts';
import type { Graph } from '../dstream/graph.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import type { Disk } from '../wal/disk.ts';
import type { Home } from './home-directory.ts';
import { KeyedState } from './keyed-state.ts';
import { restoreState, StateSnapshots } from './state-snapshots.ts';
import type { StatePointer, StateSnapshotsOptions } from './state-snapshots.ts';

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

/** Where the state of the next run comes from. */
interface StateSource {
  readonly disk: Disk;
  /** Of the checkpoint directory. */
  readonly directory: string;
  /** For operators that do not name a number themselves. */
  readonly partitions: number;
  readonly newId?: () => string;
}

/** The keyed state to go on with: that of the snapshot which the checkpoint points to, or none yet.
 * Reads only. @throws as `restoreState`. */
export async function recoverState(
  graph: Graph,
  pointer: StatePointer | undefined,
  { disk, directory, partitions, newId }: StateSource,
): Promise<KeyedState> {
  const state = emptyState(graph, partitions, newId);
  if (pointer !== undefined && state.isUsed) {
    await restoreState(state, pointer, { disk, directory, codec: msgpackCodec });
  }
  return state;
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
