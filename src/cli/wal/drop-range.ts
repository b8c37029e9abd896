/** Takes ranges of records out of logs of a copied home, and tells the tracker what is gone.
 *
 * A receiver log: the blocks of the range stay in their batches and queues, without a place in the
 * log. That is how the engine knows a block that was only ever in the memory of a dead process: it
 * runs the batch without it and reports `blocks-lost`. So no batch's share changes (I5), and a
 * batch that had finished stays finished. The changed state goes into a new checkpoint that has
 * applied the whole driver log; older ones are removed, so that none brings the blocks back.
 *
 * The driver log: only events that the newest checkpoint has applied. They are not needed any more;
 * an event above it says what became of acknowledged blocks, and nothing else knows that.
 * @module */
import { join } from 'node:path';
import type { BlockInfo, LogPosition } from '../../blocks/block-ref.ts';
import type { Manifest } from '../../checkpoint/manifest.ts';
import { CheckpointStore, checkpointName } from '../../checkpoint/checkpoint-store.ts';
import { replaceFile } from '../../checkpoint/replace-file.ts';
import { MillraceError } from '../../core/errors.ts';
import { EventBus } from '../../core/events.ts';
import { blockKey } from '../../core/ids.ts';
import type { Lsn } from '../../core/ids.ts';
import {
  decodeCheckpoint,
  encodeCheckpoint,
  readAgainOf,
} from '../../driver/checkpoint-content.ts';
import type { CheckpointContent } from '../../driver/checkpoint-content.ts';
import { batchesToRead } from '../../driver/cleaning.ts';
import type { ReadAgain } from '../../driver/cleaning.ts';
import { DamagedDirectory } from '../../driver/examination-damage.ts';
import { examineDirectory } from '../../driver/examination.ts';
import type { Examination } from '../../driver/examination.ts';
import type { TrackedBatch, TrackerState } from '../../driver/tracker-state.ts';
import type { Codec } from '../../serde/codec.ts';
import type { Disk } from '../../wal/disk.ts';
import { findLiveSegments } from '../../wal/live-segments.ts';
import { fillRecords } from './record-filler.ts';
import { wrong } from './target.ts';

export interface DropRange {
  readonly log: string;
  readonly firstLsn: number;
  readonly lastLsn: number;
}

export interface LostBlock {
  readonly block: string;
  readonly lsn: number;
  readonly recordCount: number;
  /** Of the sources: partition, the position it follows, the last one in it. */
  readonly positions: readonly (readonly [string, string | number | null, string | number])[];
  readonly sourceIds: readonly string[];
  /** The batch it was allocated to, which is not finished or in a window; absent while it was
   * queued. */
  readonly batchTimeMs?: number;
}

/** The loss manifest, which lies as a file in the repaired home. */
export interface LossManifest extends DropRange {
  readonly format: 'millrace-loss';
  readonly version: 1;
  readonly logId: string;
  /** Blocks that unfinished batches, windows or queues needed. */
  readonly blocks: readonly LostBlock[];
  readonly recordCount: number;
  readonly batches: readonly number[];
}

export interface DropInput {
  readonly disk: Disk;
  /** The copy. */
  readonly directory: string;
  readonly manifest: Manifest;
  readonly codec: Codec;
}

const DRIVER_LOG = 'driver-log';
const SOURCE_IDS_MAX_DEFAULT = 1_000_000;

/** @param ranges any order; those that meet or overlap are taken as one.
 * @returns one manifest a range.
 * @throws {MillraceError} OPTIONS_INVALID when a range does not fit; WAL_CORRUPT when more than
 *   they is damaged. */
export async function dropRanges(
  input: DropInput,
  given: readonly DropRange[],
): Promise<readonly LossManifest[]> {
  const { disk, directory, codec, manifest } = input;
  const ranges = mergeRanges(given);
  const store = await CheckpointStore.open({ disk, directory: join(directory, 'checkpoints') });
  const newest = await newestCheckpoint(store, codec);
  for (const range of ranges) {
    if (range.log === DRIVER_LOG) requireApplied(range, newest);
    await fillSegments(input, range);
  }
  const sourceIdsMax = idsMax(newest);
  const place = { disk, directory, manifest, store, codec, events: new EventBus() };
  const isGivenUp = (position: LogPosition): boolean =>
    ranges.some((range) => isIn(range, position));
  const examination = await examineDirectory({ ...place, sourceIdsMax, isGivenUp }).catch(notAll);
  let { state } = examination;
  const losses: LossManifest[] = [];
  for (const range of ranges) {
    const without = withoutBlocks(state, range, readAgainOf(newest));
    ({ state } = without);
    losses.push(lossOf(manifest.logId, range, without.lost));
  }
  await writeCheckpoint(input, store, { examination, state });
  for (const loss of losses) {
    const text = Buffer.from(`${JSON.stringify(loss, undefined, 2)}\n`);
    await replaceFile({ disk, directory, name: lossName(loss) }, [text]);
  }
  return losses;
}

/** @throws the damage that was not ordered to be dropped; its advice is for a start. */
function notAll(error: unknown): never {
  if (!(error instanceof DamagedDirectory)) throw error;
  throw new MillraceError(
    'WAL_CORRUPT',
    `more is damaged than was ordered to be dropped: ${error.problems.join('\n  ')}\n` +
      'millrace wal verify names all places, and the command for them',
    { details: error.details },
  );
}

function lossOf(logId: string, range: DropRange, lost: readonly LostBlock[]): LossManifest {
  const batches = lost.flatMap(({ batchTimeMs }) => (batchTimeMs === undefined ? [] : batchTimeMs));
  return {
    format: 'millrace-loss',
    version: 1,
    logId,
    ...range,
    recordCount: lost.reduce((sum, { recordCount }) => sum + recordCount, 0),
    batches: [...new Set(batches)].toSorted((a, b) => a - b),
    blocks: lost,
  };
}

/** By log and LSN: a place can be filled only when everything in front of it is whole. */
function mergeRanges(given: readonly DropRange[]): readonly DropRange[] {
  const sorted = given.toSorted(
    (a, b) => Number(a.log > b.log) - Number(a.log < b.log) || a.firstLsn - b.firstLsn,
  );
  const merged: DropRange[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    if (last === undefined || last.log !== range.log || range.firstLsn > last.lastLsn + 1) {
      merged.push(range);
    } else {
      merged[merged.length - 1] = { ...last, lastLsn: Math.max(last.lastLsn, range.lastLsn) };
    }
  }
  return merged;
}

/** `loss-receiver-log-0-17-19.json` */
export function lossName({ log, firstLsn, lastLsn }: DropRange): string {
  return `loss-${log}-${firstLsn}-${lastLsn}.json`;
}

async function newestCheckpoint(
  store: CheckpointStore,
  codec: Codec,
): Promise<CheckpointContent | undefined> {
  const loaded = await store.loadNewest();
  if (loaded === undefined) return undefined;
  return decodeCheckpoint(loaded.payload, codec, Number.MAX_SAFE_INTEGER);
}

function requireApplied({ lastLsn }: DropRange, newest: CheckpointContent | undefined): void {
  const appliedLsn = newest?.appliedLsn ?? 0;
  if (lastLsn <= appliedLsn) return;
  throw wrong(
    `records of ${DRIVER_LOG} above ${appliedLsn} cannot be dropped: the newest checkpoint does ` +
      'not have them, and nothing else knows what became of the blocks they name. Restore the ' +
      'log from a backup',
  );
}

async function fillSegments({ disk, directory }: DropInput, range: DropRange): Promise<void> {
  const path = join(directory, range.log);
  const live = await findLiveSegments(disk, path);
  if (live.break !== undefined) {
    throw new MillraceError(
      'WAL_CORRUPT',
      `a whole segment of ${range.log} is missing or has a damaged header, at ` +
        `${live.break.path}: its records cannot be told apart. Restore the file from a backup`,
    );
  }
  const touched = live.segments.filter(
    ({ header, lastLsnMax }) => header.baseLsn <= range.lastLsn && lastLsnMax >= range.firstLsn,
  );
  const [first] = live.segments;
  if (touched.length === 0 || first === undefined || range.firstLsn < first.header.baseLsn) {
    throw wrong(`${range.log} has no records ${range.firstLsn} to ${range.lastLsn}`);
  }
  for (const segment of touched) {
    await fillRecords(disk, segment, {
      firstLsn: Math.max(range.firstLsn, segment.header.baseLsn),
      lastLsn: Math.min(range.lastLsn, segment.lastLsnMax),
    });
  }
}

/** How many idempotency keys the home remembers. */
function idsMax(newest: CheckpointContent | undefined): number {
  const configured = newest?.config['idempotencyKeysMax'];
  return typeof configured === 'number' ? configured : SOURCE_IDS_MAX_DEFAULT;
}

/** The state in which the blocks of the range are known to be in no log. */
function withoutBlocks(state: TrackerState, range: DropRange, readAgain: ReadAgain) {
  const lost: LostBlock[] = [];
  const isToRead = batchesToRead(state, readAgain);
  const strip = (block: BlockInfo, batch?: TrackedBatch): BlockInfo => {
    const { position, ...rest } = block;
    if (!isIn(range, position)) return block;
    if (batch === undefined || isToRead(batch)) {
      lost.push(lostBlock(block, position?.lsn ?? 0, batch?.share.batchTimeMs));
    }
    return { ...rest, durability: 'off' };
  };
  const queues = new Map(
    [...state.queues].map(([stream, blocks]) => [stream, blocks.map((block) => strip(block))]),
  );
  const batches = new Map(
    [...state.batches].map(([time, batch]) => [time, stripBatch(batch, strip)]),
  );
  return { state: { ...state, queues, batches }, lost };
}

function stripBatch(
  batch: TrackedBatch,
  strip: (block: BlockInfo, batch: TrackedBatch) => BlockInfo,
): TrackedBatch {
  const inputs = batch.share.inputs.map((input) =>
    input.kind === 'blocks'
      ? { ...input, blocks: input.blocks.map((block) => strip(block, batch)) }
      : input,
  );
  return { ...batch, share: { ...batch.share, inputs } };
}

function isIn({ log, firstLsn, lastLsn }: DropRange, position: BlockInfo['position']): boolean {
  if (position?.log !== log) return false;
  return position.lsn >= firstLsn && position.lsn <= lastLsn;
}

function lostBlock(block: BlockInfo, lsn: Lsn | number, batchTimeMs?: number): LostBlock {
  return {
    block: blockKey(block.blockId),
    lsn,
    recordCount: block.recordCount,
    positions: block.positions.map(({ partition, follows, last }) => [partition, follows, last]),
    sourceIds: block.sourceIds.map(({ key }) => key),
    ...(batchTimeMs === undefined ? {} : { batchTimeMs }),
  };
}

async function writeCheckpoint(
  { disk, directory, codec }: DropInput,
  store: CheckpointStore,
  { examination, state }: { readonly examination: Examination; readonly state: TrackerState },
): Promise<void> {
  const { checkpoint, appliedLsn } = examination;
  if (checkpoint === undefined) return; // nothing was ever received
  const older = store.list();
  await store.write(encodeCheckpoint({ ...checkpoint, appliedLsn, state }, codec));
  const place = join(directory, 'checkpoints');
  for (const seq of older) await disk.unlink(join(place, checkpointName(seq)));
  await disk.syncDirectory(place);
}
