/** What a start says of a run that keeps less than its flags may make one believe. Pure.
 * @module */
import type { ResolvedOptions } from '../core/options.ts';

type Kept = Pick<ResolvedOptions, 'checkpointDir' | 'mirrorDir' | 'durability' | 'onWalFailure'>;

/** @returns `undefined` when received records are in a log. */
export function startNotice({
  checkpointDir,
  mirrorDir,
  durability,
  onWalFailure,
}: Kept): string | undefined {
  const loss = 'do not survive this process, whatever was acknowledged';
  if (checkpointDir === false) return `no checkpoint directory: records ${loss}`;
  if (durability !== 'off') return undefined;
  const mirror =
    mirrorDir === false ? '' : `; the second copy in ${mirrorDir} has none of them either`;
  const elsewhere = onWalFailure === 'stop' ? '' : '; the quarantine directory is of no use';
  return `the log is off: records that are not processed yet ${loss}${mirror}${elsewhere}`;
}
