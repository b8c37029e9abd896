/** Makes the checkpointer of an engine, and says what a checkpoint holds and what may go when it is
 * durable: R7, R8 and R9. What they mean for batches is cleaning.ts. @module */
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { toError } from '../core/errors.ts';
import type { EventBus } from '../core/events.ts';
import type { BatchTimeMs, Lsn } from '../core/ids.ts';
import type { ResolvedOptions } from '../core/options.ts';
import { describeGraph, graphHash } from '../dstream/graph.ts';
import type { Graph } from '../dstream/graph.ts';
import { operatorCodes } from '../dstream/operator-places.ts';
import type { StreamTimes } from '../dstream/stream-times.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import type { Disk } from '../wal/disk.ts';
import type { PipelineModule } from '../workers/protocol.ts';
import type { BlockTracker } from './block-tracker.ts';
import { encodeCheckpoint } from './checkpoint-content.ts';
import type { CheckpointContent } from './checkpoint-content.ts';
import { Checkpointer } from './checkpointer.ts';
import type { Forgettable, Snapshot } from './checkpointer.ts';
import { cleanableThroughMs, lowestNeededLsns, neededLogs, settledThroughMs } from './cleaning.ts';
import type { HeldBatches } from './held-batches.ts';
import { CHECKPOINTS_KEPT, REMOVED_PREFIX, requireOwnManifest } from './home-directory.ts';
import type { Home } from './home-directory.ts';
import type { ReceiverTracker } from './receiver-tracker.ts';
import type { StateSnapshots } from './state-snapshots.ts';

export interface CheckpointParts {
  readonly graph: Graph;
  readonly module: PipelineModule;
  readonly options: ResolvedOptions;
  readonly clock: Clock;
  readonly events: EventBus;
  readonly home: Home;
  readonly tracker: BlockTracker;
  readonly receivers: ReceiverTracker;
  readonly times: StreamTimes;
  readonly held: HeldBatches;
  /** Absent without keyed state. */
  readonly snapshots: StateSnapshots | undefined;
  readonly idleCheckpointMs?: number;
  readonly onFailed: (error: Error) => void;
}

export function buildCheckpointer(parts: CheckpointParts): Checkpointer {
  const { home, clock, events, graph, options, idleCheckpointMs, onFailed } = parts;
  const description = describeGraph(graph);
  const described = {
    graph: description,
    codes: operatorCodes(graph.nodes),
    graphHash: graphHash(description),
  };
  return new Checkpointer({
    store: home.store,
    clock,
    events,
    intervalMs: options.checkpointIntervalMs,
    ...(idleCheckpointMs === undefined ? {} : { idleIntervalMs: idleCheckpointMs }),
    keep: CHECKPOINTS_KEPT,
    check: () => requireOwnManifest(home),
    takeSnapshot: () => takeSnapshot(parts, described),
    onForgettable: (facts) => forget(parts, facts),
    // A checkpoint lets segments go, which is more room than the spare had.
    makeRoom: () => home.driverLog.releaseSpare(),
    onFailed,
  });
}

/** The graph as a checkpoint has it: the same in all of a run. */
type DescribedGraph = Pick<CheckpointContent, 'graph' | 'codes' | 'graphHash'>;

function takeSnapshot(parts: CheckpointParts, described: DescribedGraph): Snapshot {
  const { module, options, home, tracker, snapshots } = parts;
  const { state, appliedLsn } = tracker;
  const stateSnapshot = snapshots?.newest;
  const payload = encodeCheckpoint(
    {
      pipeline: options.name,
      ...described,
      codeHash: module.codeHash,
      config: { ...options },
      appliedLsn,
      receiversEpoch: home.manifest.epoch,
      ...(stateSnapshot === undefined ? {} : { stateSnapshot }),
      state,
    },
    msgpackCodec,
  );
  const settledMs = settledThroughMs(state, snapshots?.throughMs);
  return { payload, settledThroughMs: settledMs, appliedLsn, stateSnapshot };
}

/** R8 and R9, after a checkpoint. */
async function forget(parts: CheckpointParts, facts: Forgettable): Promise<void> {
  const { options, home, tracker, receivers, times, snapshots, held } = parts;
  const { state } = tracker;
  const throughMs = cleanableThroughMs(state, {
    settledThroughMs: facts.settledThroughMs,
    rememberMs: Math.max(times.reachMs, options.rememberMs),
    heldFromMs: held.fromMs,
  });
  if (throughMs > state.cleanedThroughMs) {
    // Now, and not when it is in the log: a slice that begins meanwhile must not count on it.
    held.forgotten(throughMs);
    await tracker.clean(throughMs as BatchTimeMs);
  }
  const lowest = lowestNeededLsns(state);
  await receivers.truncateLogs((index) => lowest.get(home.logs.nameOf(index)));
  await removeOldLogs(parts, neededLogs(state));
  await home.driverLog.truncateBefore((facts.appliedLsn + 1) as Lsn);
  await snapshots?.forget(facts.stateSnapshot);
}

/** Logs that no executor of this run has are read until cleaned, then removed. The new name first:
 * a log that is half gone must not look like one that has lost something. */
async function removeOldLogs(
  { events, home, receivers }: CheckpointParts,
  needed: ReadonlySet<string>,
): Promise<void> {
  const { disk } = home;
  const running = receivers.executorCount;
  const names = Array.from({ length: running }, (_, index) => home.logs.nameOf(index));
  for (const name of home.oldLogs) {
    if (names.includes(name) || needed.has(name)) continue;
    home.oldLogs.delete(name);
    try {
      await removeLog(disk, home, name);
    } catch (error) {
      if (!home.logs.hasFailed(name)) throw error;
      // Its disk fails, which is known; the next start removes it.
      const message = `${name} cannot be removed: ${toError(error).message}`;
      events.emit({ type: 'warning', message });
    }
  }
}

async function removeLog(disk: Disk, home: Home, name: string): Promise<void> {
  if (home.logs.isElsewhere(name)) return home.logs.remove(name);
  const removed = join(home.directory, `${REMOVED_PREFIX}${name}`);
  await disk.rename(join(home.directory, name), removed);
  await disk.syncDirectory(home.directory);
  await disk.removeTree(removed);
}
