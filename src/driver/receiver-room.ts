/** Whether the memory of a run has room for its receivers: each fills an extent of its own, and
 * those that find none would wait for ever on idle ones. @module */
import type { ArenaLayout } from '../blocks/block-arena.ts';
import { formatBytes } from '../core/bytes.ts';
import { MillraceError } from '../core/errors.ts';
import type { ResolvedOptions } from '../core/options.ts';

/** @throws {MillraceError} OPTIONS_INVALID. */
export function requireRoom(
  receivers: number,
  { receiverExtents, extentBytes }: ArenaLayout,
  { memoryBytes }: ResolvedOptions,
): void {
  if (2 * receivers <= receiverExtents) return;
  const neededBytes = (memoryBytes / receiverExtents) * 2 * receivers;
  throw new MillraceError(
    'OPTIONS_INVALID',
    `memory of ${formatBytes(memoryBytes)} is too little for ${receivers} receivers: each fills ` +
      `an extent of ${formatBytes(extentBytes)} while others are on their way; give the ` +
      `pipeline at least ${formatBytes(Math.ceil(neededBytes))} or fewer receivers`,
  );
}
