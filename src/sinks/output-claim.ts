/** Whose output a table has, as the database itself remembers it, in a table millrace_outputs: the
 * rules by which an owner may go on there, the same for every database.
 *
 *      found        this one     may it?
 *      none, or of a run without a checkpoint directory   yes
 *      log, epoch   log, epoch or a later one             yes
 *      log, epoch   log, an earlier one                   SINK_FENCED: it has been replaced
 *      log          another log                           SINK_CONFLICT
 * @module */
import { MillraceError } from '../core/errors.ts';
import { NO_LOG_ID } from '../dstream/sink.ts';
import type { SinkOwner } from '../dstream/sink.ts';
import { sqlText } from './sql-text.ts';

/** Of the tables millrace_outputs and millrace_batches. */
export const LEDGER_FORMAT = 1;

/** A row of millrace_outputs. */
export interface OutputClaim {
  readonly format: number;
  readonly logId: string;
  readonly epoch: number;
}

/** Which rows of both tables are those of an output. */
export function outputKey(table: string, { outputId }: SinkOwner): string {
  return `table_name = ${sqlText(table)} AND output_id = ${sqlText(outputId)}`;
}

/** @throws {MillraceError} SINK_CONFLICT, SINK_FENCED, FORMAT_UNKNOWN. */
export function checkClaim(found: OutputClaim, owner: SinkOwner, table: string): void {
  const { logId, outputId, epoch } = owner;
  const where = `table ${table}, output ${outputId}`;
  if (found.format > LEDGER_FORMAT) {
    throw new MillraceError(
      'FORMAT_UNKNOWN',
      `${where}: the notes in millrace_outputs have format ${found.format}, and this version ` +
        `knows ${LEDGER_FORMAT}: start the newer version`,
    );
  }
  if (found.logId !== logId && found.logId !== NO_LOG_ID) {
    const key = outputKey(table, owner);
    throw new MillraceError(
      'SINK_CONFLICT',
      `${where}: another checkpoint directory writes to it (log ${found.logId}; this one is ` +
        `${logId}). Nothing was written. Take another table; or, to let this pipeline go on in ` +
        `it: DELETE FROM millrace_batches WHERE ${key}; DELETE FROM millrace_outputs ` +
        `WHERE ${key}`,
    );
  }
  if (found.logId === logId && found.epoch > epoch) {
    throw new MillraceError(
      'SINK_FENCED',
      `${where}: start ${found.epoch} of this pipeline writes to it, and this process is start ` +
        `${epoch}. Nothing was written. If the checkpoint directory is an older copy that was ` +
        'put back, give it a fresh table: batches since then have other records',
    );
  }
}
