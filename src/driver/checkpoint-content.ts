/** The content of a checkpoint: tracker state and what it belongs to, as one msgpack message.
 *
 * Data only, never code, so that it survives an upgrade of the pipeline. Blocks and shares use the
 * tuples of the driver log. `[schema, fields]`; a newer schema is refused. Framing, CRC and names
 * are checkpoint/'s. Spec: docs/checkpoint-format.md. @module */
import type { PositionValue } from '../blocks/block-ref.ts';
import { MillraceError } from '../core/errors.ts';
import type { Incarnation, Lsn, StreamId } from '../core/ids.ts';
import { roleOf } from '../dstream/graph.ts';
import type { NodeDescription } from '../dstream/graph.ts';
import type { OperatorCode } from '../dstream/operator-places.ts';
import { reachMsOf } from '../dstream/stream-times.ts';
import type { Codec } from '../serde/codec.ts';
import type { ReadAgain } from './cleaning.ts';
import { SourceIdWindow } from './source-id-window.ts';
import type { StatePointer } from './state-snapshots.ts';
import { blockFromTuple, blockToTuple, shareFromTuple, shareToTuple } from './tracker-events.ts';
import type { BlockTuple, ShareTuple } from './tracker-events.ts';
import { emptyTrackerState } from './tracker-state.ts';
import type { TrackerState } from './tracker-state.ts';

/** 2 had no `codes`, and no versions of states; 1 had no `stateSnapshot` either. */
const CHECKPOINT_SCHEMA = 3;
const CHECKPOINT_SCHEMA_MIN = 1;

/** Everything a checkpoint holds. */
export interface CheckpointContent {
  readonly pipeline: string;
  readonly graph: readonly NodeDescription[];
  /** Of operators without an id of their own, so that one cannot be taken for another. */
  readonly codes?: readonly OperatorCode[];
  readonly graphHash: string;
  readonly codeHash: string;
  /** Resolved options, for the rules of a restart. */
  readonly config: Readonly<Record<string, unknown>>;
  /** LSN of the last driver event that is applied to `state`. */
  readonly appliedLsn: Lsn;
  /** The last epoch that started receivers. */
  readonly receiversEpoch: number;
  /** Keyed state after a batch that is done here, and all before it. Absent before the first. */
  readonly stateSnapshot?: StatePointer;
  readonly state: TrackerState;
}

interface Fields {
  readonly pipeline: string;
  readonly graph: readonly NodeDescription[];
  /** From schema 3 on. */
  readonly codes?: readonly OperatorCode[];
  readonly graphHash: string;
  readonly codeHash: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly appliedLsn: number;
  readonly receiversEpoch: number;
  /** From schema 2 on. */
  readonly stateSnapshot?: StatePointer | null;
  readonly queues: readonly (readonly [string, readonly BlockTuple[]])[];
  readonly batches: readonly (readonly [ShareTuple, readonly string[], boolean])[];
  readonly lastAllocatedMs: number;
  readonly cleanedThroughMs: number;
  readonly positions: readonly (readonly [string, readonly (readonly [string, PositionValue])[]])[];
  readonly sourceIds: readonly (readonly [string, readonly Uint8Array[]])[];
  readonly receivers: readonly (readonly [string, Incarnation, number])[];
  readonly registeredLsn: readonly (readonly [string, number])[];
  readonly syncedLsn: readonly (readonly [string, number])[];
  readonly seenFiles: readonly (readonly [string, readonly string[]])[];
  readonly queueIndexes: readonly (readonly [string, number])[];
}

/** What a start from this checkpoint reads of batches that are done, for the windows and the keyed
 * state of the run that wrote it. Batches that are done are known from checkpoints only. */
export function readAgainOf(checkpoint: CheckpointContent | undefined): ReadAgain {
  if (checkpoint === undefined) return { reachMs: 0, replayAfterMs: Infinity };
  const { config, graph, stateSnapshot } = checkpoint;
  const { batchIntervalMs } = config;
  const reachMs = typeof batchIntervalMs === 'number' ? reachMsOf(graph, batchIntervalMs) : 0;
  const hasState = graph.some(({ kind }) => roleOf(kind) === 'state');
  return { reachMs, replayAfterMs: hasState ? (stateSnapshot?.batchTimeMs ?? 0) : Infinity };
}

export function encodeCheckpoint(content: CheckpointContent, codec: Codec): Uint8Array {
  const { state, stateSnapshot = null, ...rest } = content;
  const fields: Fields = {
    ...rest,
    stateSnapshot,
    queues: [...state.queues].map(([stream, blocks]) => [stream, blocks.map(blockToTuple)]),
    batches: [...state.batches.values()].map(({ share, finishedOutputs, isDone }) => [
      shareToTuple(share),
      [...finishedOutputs],
      isDone,
    ]),
    lastAllocatedMs: state.lastAllocatedMs,
    cleanedThroughMs: state.cleanedThroughMs,
    positions: [...state.positions].map(([stream, merged]) => [stream, [...merged]]),
    sourceIds: [...state.sourceIds].map(([stream, ids]) => [stream, ids.pack(codec)]),
    receivers: [...state.receivers].map(([key, { incarnation, seq }]) => [key, incarnation, seq]),
    registeredLsn: [...state.registeredLsn],
    syncedLsn: [...state.syncedLsn],
    seenFiles: [...state.seenFiles].map(([stream, seen]) => [stream, [...seen]]),
    queueIndexes: [...state.queueIndexes],
  };
  return codec.pack([CHECKPOINT_SCHEMA, fields]);
}

/** @param sourceIdsMax keys to remember from now on. @throws {MillraceError} FORMAT_UNKNOWN. */
export function decodeCheckpoint(
  payload: Uint8Array,
  codec: Codec,
  sourceIdsMax: number,
): CheckpointContent {
  const [schema, fields] = codec.unpack(payload) as readonly [number, Fields];
  if (schema < CHECKPOINT_SCHEMA_MIN || schema > CHECKPOINT_SCHEMA) {
    throw new MillraceError(
      'FORMAT_UNKNOWN',
      `the checkpoint has content schema ${schema}; this version knows ` +
        `${CHECKPOINT_SCHEMA_MIN} to ${CHECKPOINT_SCHEMA}`,
    );
  }
  const { pipeline, graph, graphHash, codeHash, config, receiversEpoch, stateSnapshot } = fields;
  const appliedLsn = fields.appliedLsn as Lsn;
  const state = decodeState(fields, codec, sourceIdsMax);
  const facts = { pipeline, graph, graphHash, codeHash, config, appliedLsn, receiversEpoch, state };
  const isThere = stateSnapshot !== undefined && stateSnapshot !== null;
  return {
    ...facts,
    ...(fields.codes === undefined ? {} : { codes: fields.codes }),
    ...(isThere ? { stateSnapshot } : {}),
  };
}

function decodeState(fields: Fields, codec: Codec, sourceIdsMax: number): TrackerState {
  const state = emptyTrackerState(sourceIdsMax);
  for (const [stream, blocks] of fields.queues) {
    state.queues.set(stream as StreamId, blocks.map(blockFromTuple));
  }
  for (const [tuple, finished, isDone] of fields.batches) {
    const share = shareFromTuple(tuple);
    const finishedOutputs = new Set(finished);
    state.batches.set(share.batchTimeMs, { share, finishedOutputs, isDone });
  }
  state.lastAllocatedMs = fields.lastAllocatedMs;
  state.cleanedThroughMs = fields.cleanedThroughMs;
  for (const [stream, merged] of fields.positions) {
    state.positions.set(stream as StreamId, new Map(merged));
  }
  for (const [stream, chunks] of fields.sourceIds) {
    state.sourceIds.set(stream as StreamId, SourceIdWindow.unpack(chunks, codec, sourceIdsMax));
  }
  for (const [key, incarnation, seq] of fields.receivers) {
    state.receivers.set(key, { incarnation, seq });
  }
  for (const [log, lsn] of fields.registeredLsn) state.registeredLsn.set(log, lsn as Lsn);
  for (const [log, lsn] of fields.syncedLsn) state.syncedLsn.set(log, lsn as Lsn);
  for (const [stream, seen] of fields.seenFiles) {
    state.seenFiles.set(stream as StreamId, new Set(seen));
  }
  for (const [stream, next] of fields.queueIndexes) {
    state.queueIndexes.set(stream as StreamId, next);
  }
  return state;
}
