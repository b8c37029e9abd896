/** Refuses to make a checkpoint directory of one that holds something else: `--checkpoint /`, or
 * the folder of the project, would be strewn with logs. Looked at before the first file is written.
 * @module */
import { MillraceError } from '../core/errors.ts';
import type { Disk } from '../wal/disk.ts';

/** What the engine makes, also in a first start that was killed, and what a file system brings. */
const OWN_NAMES = new RegExp(
  '^(LOCK|MANIFEST|driver-log|receiver-log-|checkpoints|state|spill|removed-|\\.direct-probe-' +
    '|lost\\+found$)',
);
const NAMES_SHOWN_MAX = 3;

/** @throws {MillraceError} CHECKPOINT_MISMATCH when there is no MANIFEST and something foreign. */
export async function refuseForeignContent(disk: Disk, directory: string): Promise<void> {
  const names = (await disk.list(directory)) ?? [];
  if (names.includes('MANIFEST')) return;
  const foreign = names.filter((name) => !OWN_NAMES.test(name));
  if (foreign.length === 0) return;
  const shown = foreign.slice(0, NAMES_SHOWN_MAX).join(', ');
  const more =
    foreign.length > NAMES_SHOWN_MAX ? ` and ${foreign.length - NAMES_SHOWN_MAX} more` : '';
  throw new MillraceError(
    'CHECKPOINT_MISMATCH',
    `${directory} is no checkpoint directory and not empty (${shown}${more}); nothing was ` +
      'written: choose a new or an empty directory',
    { details: { path: directory } },
  );
}
