/** What the driver and its threads say to each other: plain, structured-cloneable data and the two
 * remote interfaces of a receiver executor. Tasks speak dstream/task-spec.ts.
 *
 * Control plane only: records never pass here, blocks pass as references. A callback of the
 * executor has a channel of its own, so it can arrive after the answer of an earlier call:
 * announcements are numbered, and `stopReceivers` returns the last number. @module */
import type { ArenaHandle } from '../blocks/block-arena.ts';
import type { ArenaBytes, BlockInfo, DurabilityLevel } from '../blocks/block-ref.ts';
import type { CrashPlan } from '../core/crash-point.ts';
import type { Incarnation, Lsn, StreamId } from '../core/ids.ts';
import type { NodeDescription } from '../dstream/graph.ts';
import type { ClaimOutcome, SourcePositions } from '../dstream/receiver.ts';
import type { TaskSpec } from '../dstream/task-spec.ts';
import type { WireError } from '../serde/wire-error.ts';
import type { LockFile } from '../wal/lock-file.ts';
import type { Shortage } from '../wal/shortage.ts';

/** The bundled pipeline module that every thread imports. */
export interface PipelineModule {
  readonly moduleUrl: string;
  /** Of the bundle's code. A thread compares what it imported with what the driver did. */
  readonly codeHash: string;
}

/** What a thread built from the module, to be compared with the driver's. */
export interface ThreadGraph {
  readonly nodes: readonly NodeDescription[];
  readonly graphHash: string;
}

/** How a receiver executor opens its log. */
export interface ReceiverLogSpec {
  readonly directory: string;
  /** Name of the log in block positions: the directory's last component. */
  readonly name: string;
  /** Shows that the directory still belongs to this process. */
  readonly lock: LockFile;
  readonly logId: string;
  readonly epoch: number;
  /** First LSN of this opening: one above the highest settled one. */
  readonly baseLsn: Lsn;
  readonly segmentBytes: number;
  readonly durability: 'sync' | 'flush';
  readonly mode: 'direct' | 'buffered';
  readonly isGrowing: boolean;
  /** Where the second copy of the checkpoint directory is, and of which directory it is one. */
  readonly mirror?: {
    readonly of: string;
    readonly directory: string;
    readonly lock: LockFile;
  };
}

export interface ReceiverExecutorData {
  readonly executorIndex: number;
  /** Of this thread in the arena's table; a replacement thread gets another one. */
  readonly arenaOwner: number;
  readonly arena: ArenaHandle;
  readonly pipeline: PipelineModule;
  readonly blockIntervalMs: number;
  readonly blockBytesMax: number;
  readonly durability: DurabilityLevel;
  /** Records per second of each receiver; absent: no limit. */
  readonly maxRate?: number;
  /** What `setRate` would have said before this thread was there. */
  readonly rates?: ReadonlyMap<StreamId, number>;
  /** Absent with the log off. */
  readonly log?: ReceiverLogSpec;
  /** One 64-bit integer: the driver log's durable LSN. The driver writes, executors read
   * (Atomics). */
  readonly driverDurableLsn: SharedArrayBuffer;
  readonly crash?: CrashPlan;
}

export interface TaskExecutorData {
  readonly arena: ArenaHandle;
  readonly pipeline: PipelineModule;
  readonly graphHash: string;
  /** Where pieces go that find no room in the arena. */
  readonly spillDirectory: string;
  readonly crash?: CrashPlan;
}

/** One life of one receiver. */
export interface ReceiverLife {
  readonly streamId: StreamId;
  readonly receiverIndex: number;
  readonly receiverCount: number;
  readonly incarnation: Incarnation;
  readonly lastPosition: SourcePositions;
}

export interface BlockAnnouncement {
  readonly info: BlockInfo;
  readonly bytes: ArenaBytes;
}

export interface AnnouncementBatch {
  /** From 1, without gaps, per executor thread. */
  readonly seq: number;
  readonly blocks: readonly BlockAnnouncement[];
}

/** `added`: registered as durably as the input asks for; the driver owns the block's memory now. */
export type AddOutcome =
  | { readonly kind: 'added' }
  | { readonly kind: 'refused'; readonly reason: string };

export interface LogStats {
  readonly groups: number;
  readonly bytes: number;
  /** Of a group's write and sync. */
  readonly syncMsP50: number;
  readonly syncMsP99: number;
  /** All syncs so far by length; bounds: LATENCY_BOUNDS_MS of wal/latency-window.ts. */
  readonly syncCounts: readonly number[];
  readonly pendingBytes: number;
  readonly segments: number;
}

export interface ReceiverExecutorStats {
  readonly recordCount: number;
  readonly blockCount: number;
  readonly inFlightBytes: number;
  /** For how long its event loop has had work, in milliseconds; absent where nobody counts it. */
  readonly activeMs?: number;
  readonly log?: LogStats;
}

export type ReceiverEvent =
  | { readonly kind: 'started'; readonly address?: string }
  | { readonly kind: 'error'; readonly message: string; readonly error?: WireError }
  | { readonly kind: 'restarting'; readonly reason: string; readonly delayMs: number }
  | { readonly kind: 'ended' }
  | { readonly kind: 'stopped' };

/** Driver → receiver executor. */
export interface ReceiverExecutorApi {
  /** Imports the pipeline and builds its graph. Nothing is received yet. */
  load(): Promise<ThreadGraph>;
  /** Opens the log (its first segment is durable on return) and keeps the callbacks. */
  open(callbacks: DriverCallbacks): Promise<void>;
  startReceiver(life: ReceiverLife): Promise<void>;
  /** Stops all receivers, cuts and settles their last blocks.
   * @returns the number of the last announcement: its callback may still be under way. */
  stopReceivers(): Promise<{ readonly lastAnnouncementSeq: number }>;
  /** While held, receivers take nothing; what is on its way goes on. */
  hold(isHeld: boolean): Promise<void>;
  /** Each receiver of the input takes at most so many records per second from now on, and never
   * more than `maxRate`. */
  setRate(streamId: StreamId, recordsPerSecond: number): Promise<void>;
  /** Segments wholly below `lsn` may be recycled. @returns how many were. */
  truncateLog(lsn: Lsn): Promise<number>;
  stats(): Promise<ReceiverExecutorStats>;
  /** Closes the log; the thread can be ended then. */
  close(): Promise<void>;
}

/** Receiver executor → driver. */
export interface DriverCallbacks {
  announce(batch: AnnouncementBatch): Promise<readonly AddOutcome[]>;
  /** Reserves a key for a store that follows; waits while another delivery of it is in flight. */
  claim(life: ReceiverLife, key: string, digest: string): Promise<ClaimOutcome>;
  /** The store of a claimed key failed: the next claimer may have it. */
  releaseClaim(life: ReceiverLife, key: string): Promise<void>;
  /** A new life for a receiver whose stores have all settled. */
  renewLife(life: ReceiverLife): Promise<ReceiverLife>;
  receiverEvent(life: ReceiverLife, event: ReceiverEvent): Promise<void>;
  logPoisoned(error: WireError): Promise<void>;
  /** The executor holds its receivers back, for want of room; `null`: no more. */
  logShortage(shortage: Shortage | null): Promise<void>;
}

/** What a task executor answers to anything but a task. */
export interface HelloTask {
  readonly kind: 'hello';
  /** Int32 counters: how many threads have arrived. Each waits for all, so that each gets one. */
  readonly barrier: SharedArrayBuffer;
  readonly threads: number;
}

/** What the driver's pool sends to a task executor. */
export type PoolTask =
  | HelloTask
  | {
      readonly kind: 'task';
      readonly spec: TaskSpec;
      /** Of this attempt in the arena's table. */
      readonly arenaOwner: number;
    };
