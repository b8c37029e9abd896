/** What a directory holds, file by file: MANIFEST, the segments of each log, checkpoints. Reads all
 * of it, judges nothing; that is verification.ts. The shape is documented in docs/wal-tools.md.
 * @module */
import { basename, join } from 'node:path';
import { CheckpointStore, checkpointName } from '../../checkpoint/checkpoint-store.ts';
import { readManifest } from '../../checkpoint/manifest.ts';
import type { Manifest } from '../../checkpoint/manifest.ts';
import { MillraceError, toError } from '../../core/errors.ts';
import { decodeCheckpoint } from '../../driver/checkpoint-content.ts';
import type { Codec } from '../../serde/codec.ts';
import type { Disk } from '../../wal/disk.ts';
import type { LogHole } from './log-hole.ts';
import { tourLog } from './log-tour.ts';
import type { TouredSegment } from './log-tour.ts';
import { RECORD_TYPES } from '../../wal/record-header.ts';
import { listLog } from '../../wal/segment-list.ts';
import type { FoundSegment, UnreadableSegment } from '../../wal/segment-list.ts';
import { logDirectory } from './target.ts';
import type { WalTarget } from './target.ts';

export interface SegmentView {
  readonly file: string;
  readonly seq: number;
  /** `void`: a later segment begins below it. `header-damaged`, or `unreadable` by the device:
   * nothing else is known of it. */
  readonly state: 'live' | 'void' | 'header-damaged' | 'unreadable' | 'not-read';
  readonly epoch?: number;
  readonly baseLsn?: number;
  /** Base LSN − 1 when it has no record. */
  readonly lastLsn?: number;
  readonly recordCount?: number;
  /** End of the last record, its padding included. */
  readonly usedBytes?: number;
  readonly segmentBytes?: number;
  readonly sizeBytes?: number;
  /** Highest LSN that its header or a record of it says was synced. */
  readonly durableLsn?: number;
  readonly salt?: number;
}

export interface LogView {
  readonly name: string;
  /** Absolute; outside of the checkpoint directory where MANIFEST says so. */
  readonly directory: string;
  readonly logId: string | undefined;
  readonly firstLsn: number;
  readonly lastLsn: number;
  /** Highest LSN of the peer log that this one witnesses. */
  readonly peerLsn: number;
  readonly isClosed: boolean;
  /** What cannot be read: damage, or the end of a torn write. Which of them, verify tells. */
  readonly holes: readonly LogHole[];
  readonly segments: readonly SegmentView[];
  readonly spares: readonly string[];
  /** Kept torn tails. */
  readonly tornTails: readonly string[];
}

export interface CheckpointView {
  readonly file: string;
  readonly seq: number;
  readonly isSound: boolean;
  /** Why it is not. */
  readonly reason?: string;
  readonly pipeline?: string;
  readonly appliedLsn?: number;
  readonly receiversEpoch?: number;
  readonly lastAllocatedMs?: number;
  readonly cleanedThroughMs?: number;
  readonly queuedBlocks?: number;
  readonly batches?: readonly {
    readonly batchTimeMs: number;
    readonly isDone: boolean;
    readonly finishedOutputs: readonly string[];
    readonly blocks: number;
  }[];
  readonly registeredLsn?: Readonly<Record<string, number>>;
}

export interface Inspection {
  readonly manifest?: Manifest;
  readonly manifestProblem?: string;
  readonly logs: readonly LogView[];
  readonly checkpoints: readonly CheckpointView[];
}

export interface InspectionInput {
  readonly disk: Disk;
  readonly target: WalTarget;
  readonly codec: Codec;
}

/** @throws {MillraceError} FORMAT_UNKNOWN, DISK_FAILED. */
export async function inspectTarget(input: InspectionInput): Promise<Inspection> {
  const { disk, target, codec } = input;
  const logs: LogView[] = [];
  for (const name of target.logs) {
    logs.push(await inspectLog(disk, target, name));
  }
  if (target.kind === 'log') return { logs, checkpoints: [] };
  const manifest = await inspectManifest(disk, target.directory);
  return { ...manifest, logs, checkpoints: await inspectCheckpoints(disk, target, codec) };
}

async function inspectManifest(disk: Disk, directory: string) {
  try {
    const manifest = await readManifest({ disk, directory });
    return manifest === undefined ? { manifestProblem: 'there is none' } : { manifest };
  } catch (error) {
    return { manifestProblem: findingText(error) };
  }
}

async function inspectLog(disk: Disk, target: WalTarget, name: string): Promise<LogView> {
  const directory = logDirectory(target, name);
  let lastType: number | undefined;
  let peerLsn = 0;
  const durable = new Map<number, number>();
  const tour = await tourLog(disk, directory, {
    isRunning: target.isRunning,
    visit: (record, payload) => {
      lastType = record.type;
      durable.set(record.segmentSeq, record.durableLsn);
      if (record.type !== RECORD_TYPES.watermark || payload.byteLength < 8) return;
      peerLsn = Math.max(peerLsn, Number(payload.readBigUInt64LE(0)));
    },
  });
  const { segments, spares } = await listLog(disk, directory);
  const toured = new Map(tour.segments.map((each) => [each.segment.path, each]));
  const limits = new Map(
    [...tour.live.segments, ...tour.live.behind].map((each) => [each.path, each.lastLsnMax]),
  );
  const names = (await disk.list(directory)) ?? [];
  return {
    name,
    directory,
    logId: tour.live.logId,
    firstLsn: tour.live.segments[0]?.header.baseLsn ?? tour.nextLsn,
    lastLsn: tour.nextLsn - 1,
    peerLsn,
    isClosed: lastType === RECORD_TYPES.closed,
    holes: tour.holes,
    segments: segments.map((each) => {
      const view = viewSegment(each, toured.get(each.path), limits);
      const { durableLsn } = view;
      if (durableLsn === undefined) return view;
      return { ...view, durableLsn: Math.max(durableLsn, durable.get(view.seq) ?? 0) };
    }),
    spares,
    tornTails: names.filter((each) => each.endsWith('.torn')),
  };
}

function viewSegment(
  found: FoundSegment | UnreadableSegment,
  toured: TouredSegment | undefined,
  limits: ReadonlyMap<string, number>,
): SegmentView {
  const file = basename(found.path);
  if (!('header' in found)) {
    const state = found.errno === undefined ? 'header-damaged' : 'unreadable';
    return { file, seq: found.seq, state };
  }
  const { seq, epoch, baseLsn, segmentBytes, durableLsn, salt } = found.header;
  const { sizeBytes } = found;
  const state = toured !== undefined ? 'live' : limits.has(found.path) ? 'not-read' : 'void';
  const known = { file, seq, state, epoch, baseLsn, segmentBytes, sizeBytes, durableLsn, salt };
  if (toured === undefined) return known as SegmentView;
  const { end, recordCount } = toured;
  const usedBytes = Math.min(end.offsetBytes, segmentBytes);
  return { ...known, state: 'live', lastLsn: end.expectedLsn - 1, recordCount, usedBytes };
}

async function inspectCheckpoints(
  disk: Disk,
  { directory }: WalTarget,
  codec: Codec,
): Promise<readonly CheckpointView[]> {
  const store = await CheckpointStore.open({ disk, directory: join(directory, 'checkpoints') });
  const views: CheckpointView[] = [];
  for (const seq of store.list()) {
    const place = { file: checkpointName(seq), seq };
    try {
      const content = decodeCheckpoint(await store.load(seq), codec, Number.MAX_SAFE_INTEGER);
      views.push({ ...place, isSound: true, ...viewCheckpoint(content) });
    } catch (error) {
      views.push({ ...place, isSound: false, reason: findingText(error) });
    }
  }
  return views;
}

function viewCheckpoint(content: ReturnType<typeof decodeCheckpoint>) {
  const { pipeline, appliedLsn, receiversEpoch, state } = content;
  return {
    pipeline,
    appliedLsn,
    receiversEpoch,
    lastAllocatedMs: state.lastAllocatedMs,
    cleanedThroughMs: state.cleanedThroughMs,
    queuedBlocks: [...state.queues.values()].reduce((sum, queue) => sum + queue.length, 0),
    batches: [...state.batches.values()].map(({ share, isDone, finishedOutputs }) => ({
      batchTimeMs: share.batchTimeMs,
      isDone,
      finishedOutputs: [...finishedOutputs],
      blocks: share.inputs.reduce(
        (sum, input) => sum + (input.kind === 'blocks' ? input.blocks.length : 0),
        0,
      ),
    })),
    registeredLsn: Object.fromEntries(state.registeredLsn),
  };
}

/** @throws what cannot be a finding. */
function findingText(error: unknown): string {
  if (error instanceof MillraceError && error.code === 'FORMAT_UNKNOWN') throw error;
  return toError(error).message;
}
