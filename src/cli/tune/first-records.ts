/** The wait for the first records of a sample. A source that is not there looks like a slow start,
 * so whoever runs the command hears early what is waited for. Knows no clock and no engine: how
 * long to wait is told, and what to look at handed in. @module */
import { MillraceError } from '../../core/errors.ts';
import type { TuneTask } from './tune-protocol.ts';

/** Until it is said what is waited for, beside two batch intervals. */
const QUIET_MS = 2_000;
/** Until the first batch with records is done, beside two batch intervals: a source that gives
 * nothing for so long is absent. */
const PATIENCE_MS = 15_000;

export interface FirstRecordsWait {
  readonly task: Pick<TuneTask, 'setting' | 'inputIds' | 'takesLines'>;
  /** A batch with records is done. */
  readonly hasCome: () => boolean;
  /** Resolves when `isSo`, or after so long. */
  readonly until: (isSo: () => boolean, limitMs: number) => Promise<void>;
  /** What a receiver has told last. */
  readonly receiverError: () => string | undefined;
  /** Says it to the user. */
  readonly tell: (text: string) => void;
}

/** @throws {MillraceError} RECEIVER_FAILED when the source gave nothing. */
export async function awaitFirstRecords(wait: FirstRecordsWait): Promise<void> {
  const { task, hasCome, until, receiverError, tell } = wait;
  const startMs = 2 * task.setting.batchIntervalMs;
  await until(hasCome, QUIET_MS + startMs);
  if (hasCome()) return;
  const leftMs = PATIENCE_MS - QUIET_MS;
  const inputs = task.inputIds.join(', ');
  tell(
    `no batch has had records of ${inputs} yet${saidBy(receiverError())}: waiting up to ` +
      `${leftMs / 1_000} s more for the source to send`,
  );
  await until(hasCome, leftMs);
  if (hasCome()) return;
  const waitedMs = PATIENCE_MS + startMs;
  throw new MillraceError(
    'RECEIVER_FAILED',
    `no record of ${inputs} came within ${waitedMs / 1_000} s${saidBy(receiverError())}: let the ` +
      `source send while this runs` +
      (task.takesLines ? ', or give --lines FILE, whose lines take its place' : ''),
  );
}

function saidBy(receiverError: string | undefined): string {
  return receiverError === undefined ? '' : ` (a receiver said: ${receiverError})`;
}
