/** What becomes of durable blocks that the driver log does not know. Pure.
 * @module */
import type { Examination, Orphan } from './examination.ts';

/** Blocks of `store(record)` come from sources that do not send again: adopted. The others were
 * never acknowledged, and their sources send them again: dropped. Only lives of the last epoch
 * that started receivers count: orphans of older ones were decided by an earlier recovery. */
export function adoptedOrphans({ checkpoint, orphans }: Examination): readonly Orphan[] {
  return orphans.filter(
    ({ meta }) => meta.isBuffered && meta.blockId.incarnation.epoch === checkpoint?.receiversEpoch,
  );
}
