/** A sample that failed: it ends the run, and what was measured before it is reported all the same.
 * Pure. @module */
import { MillraceError } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/errors.ts';
import { settingText } from './setting.ts';
import type { Setting } from './setting.ts';
import type { Trial } from './standings.ts';

export interface FailedSample {
  /** From 1 on, as the progress counts them. */
  readonly number: number;
  readonly trial: Trial;
  readonly error: Error;
}

/** The same as plain data, for the report. */
export interface FailedSampleResult {
  readonly number: number;
  readonly setting: Setting;
  /** Records a second that were allowed; `null`: full speed. */
  readonly wantedRate: number | null;
  /** `null`: no error of the engine's. */
  readonly code: ErrorCode | null;
  readonly message: string;
}

/** What is measured, on a line of progress. */
export function trialText({ setting, wantedRate }: Trial): string {
  const rate =
    wantedRate === undefined ? 'full speed' : `${wantedRate.toLocaleString('en-US')} records/s`;
  return `${settingText(setting)}, ${rate}`;
}

export function failedResultOf({ number, trial, error }: FailedSample): FailedSampleResult {
  return {
    number,
    setting: trial.setting,
    wantedRate: trial.wantedRate ?? null,
    code: error instanceof MillraceError ? error.code : null,
    message: error.message,
  };
}

/** What ends the command, after the report. @returns an error with the exit code of the cause. */
export function failedSampleError({ number, trial, error }: FailedSample): Error {
  if (!(error instanceof MillraceError)) return error; // a bug: its stack is what matters
  const message = `sample ${number} (${trialText(trial)}) failed: ${error.message}`;
  return new MillraceError(error.code, message, { cause: error, details: error.details });
}
