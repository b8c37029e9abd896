/** What a write-ahead log is told when it is opened, checked and completed with defaults.
 * @module */
import type { Clock } from '../core/clock.ts';
import { MillraceError } from '../core/errors.ts';
import type { Lsn } from '../core/ids.ts';
import type { Disk, WriteMode } from './disk.ts';
import type { RecordType } from './record-header.ts';
import { PAGE_BYTES } from './record-header.ts';
import type { Shortage } from './shortage.ts';

/** A record that recovery moves into the new log: suspect, because its sync was never witnessed. */
export interface CarriedRecord {
  readonly lsn: Lsn;
  readonly type: RecordType;
  readonly payload: Uint8Array;
}

export interface WalOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  /** Absolute. Made when missing. */
  readonly directory: string;
  /** 32 hex digits, the same in all segments of the log for ever. */
  readonly logId: string;
  /** Of this process, from MANIFEST. */
  readonly epoch: number;
  /** LSN of the first record to be written: 1 in a new log, else LogVerdict.nextBaseLsn. */
  readonly baseLsn: Lsn;
  /** LogVerdict.suspects with their payloads, consecutive from `baseLsn`. */
  readonly carryOver?: readonly CarriedRecord[];
  /** Free bytes that the first segment has at least, in whole pages per record. @defaultValue 0 */
  readonly firstRoomBytes?: number;
  /** Length of a segment file, a multiple of 4096, at least 8192. No record may be larger. */
  readonly segmentBytes: number;
  /** `direct` only where `Disk.supportsDirect`; slots must then start on a page of memory. */
  readonly mode: WriteMode;
  /** Segments grow by appending, and are not filled with zeros first nor used again: for file
   * systems that never overwrite in place. @defaultValue false */
  readonly isGrowing?: boolean;
  /** When an append resolves: `sync`, after fdatasync; `flush`, after write. */
  readonly durability: 'sync' | 'flush';
  /** Spares kept ready once the first was used. @defaultValue 2 */
  readonly sparesMin?: number;
  /** Of the ready spares, how many are for records that cannot be held back. @defaultValue 0 */
  readonly sparesReserved?: number;
  /** Told when the disk is full and no spare is left but the reserve: give the log no more than
   * must be, what it has is kept and waits. With `undefined`: there is room again. Must not
   * throw. */
  readonly onShortage?: (shortage: Shortage | undefined) => void;
  /** Bytes of one group, unless a single record is larger: so few that the next group is there when
   * this one is durable, and the disk does not wait for its callers. @defaultValue 4 MiB */
  readonly groupBytesMax?: number;
  /** Records of one group. @defaultValue 4096 */
  readonly groupRecordsMax?: number;
  /** Highest LSN of the peer log known durable; asked once a group and while idle. */
  readonly peerDurableLsn?: () => Lsn;
  /** How long a log is idle before it witnesses what is new. @defaultValue 50 */
  readonly idleWatermarkMs?: number;
  /** Bytes that may wait; more is a bug of the caller, who must push back. @defaultValue 1 GiB */
  readonly pendingBytesMax?: number;
  /** Told once, when the log is poisoned. Must not throw. */
  readonly onPoison?: (error: MillraceError) => void;
}

export type ResolvedWalOptions = Required<WalOptions>;

const MIB = 1024 * 1024;
const SEGMENT_BYTES_MIN = 2 * PAGE_BYTES;

/** @throws {MillraceError} OPTIONS_INVALID listing all problems. */
export function resolveWalOptions(given: WalOptions): ResolvedWalOptions {
  const options: ResolvedWalOptions = {
    carryOver: [],
    firstRoomBytes: 0,
    isGrowing: false,
    sparesMin: 2,
    sparesReserved: 0,
    onShortage: () => {},
    groupBytesMax: 4 * MIB,
    groupRecordsMax: 4096,
    peerDurableLsn: () => 0 as Lsn,
    idleWatermarkMs: 50,
    pendingBytesMax: 1024 * MIB,
    onPoison: () => {},
    ...given,
  };
  const problems = findProblems(options);
  if (problems.length === 0) return Object.freeze(options);
  throw new MillraceError(
    'OPTIONS_INVALID',
    `the log ${given.directory} cannot be opened: ${problems.join('; ')}`,
  );
}

function findProblems(options: ResolvedWalOptions): string[] {
  const { baseLsn, carryOver, segmentBytes } = options;
  const problems: string[] = [];
  if (!/^[0-9a-f]{32}$/.test(options.logId)) problems.push('logId must be 32 hex digits');
  if (!Number.isSafeInteger(options.epoch) || options.epoch < 0)
    problems.push('epoch is no number');
  if (!Number.isSafeInteger(baseLsn) || baseLsn < 1) problems.push('baseLsn must be 1 or more');
  if (segmentBytes % PAGE_BYTES !== 0 || segmentBytes < SEGMENT_BYTES_MIN) {
    problems.push(
      `segmentBytes must be a multiple of ${PAGE_BYTES}, at least ${SEGMENT_BYTES_MIN}`,
    );
  }
  if (carryOver.some(({ lsn }, index) => lsn !== baseLsn + index)) {
    problems.push('carried records must be consecutive from baseLsn');
  }
  return problems;
}
