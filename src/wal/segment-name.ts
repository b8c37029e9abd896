/** File names inside a log directory. They carry sequence numbers only, never time: a clock that
 * jumps must not reorder or reclaim anything.
 *
 *     <seq, 16 hex digits>.wal        a segment of the log
 *     <seq, 16 hex digits>.wal.torn   a torn tail kept aside for a human, never read again; the
 *                                     newest two stay
 *     spare-<n>.tmp                   a file that is not part of the log (yet): any may be removed
 *
 * @module */

const SEGMENT_NAME = /^([0-9a-f]{16})\.wal$/;
const TORN_SUFFIX = '.torn';
const SPARE_NAME = /^spare-([0-9]{1,15})\.tmp$/;

export function segmentName(seq: number): string {
  return `${seq.toString(16).padStart(16, '0')}.wal`;
}

/** Sequence number of a segment's file name, `undefined` for the name of anything else. */
export function parseSegmentName(name: string): number | undefined {
  const digits = SEGMENT_NAME.exec(name)?.[1];
  const seq = digits === undefined ? Number.NaN : Number.parseInt(digits, 16);
  return Number.isSafeInteger(seq) ? seq : undefined;
}

export function spareName(n: number): string {
  return `spare-${n}.tmp`;
}

/** Number of a spare's file name, `undefined` for the name of anything else. */
export function parseSpareName(name: string): number | undefined {
  const digits = SPARE_NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 10);
}

/** Where the torn tail of a segment is kept. */
export function tornPath(segmentPath: string): string {
  return `${segmentPath}${TORN_SUFFIX}`;
}

/** Sequence number of the segment whose torn tail a file is, `undefined` for any other name. */
export function parseTornName(name: string): number | undefined {
  if (!name.endsWith(TORN_SUFFIX)) return undefined;
  return parseSegmentName(name.slice(0, -TORN_SUFFIX.length));
}
