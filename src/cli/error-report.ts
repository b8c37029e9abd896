/** A failure as one message: what happened, where, what to do; and the exit code that goes with it.
 *
 *      batch 1700000000000: the function given to foreachBatch-0 failed: boom (OUTPUT_FAILED)
 *        because of TypeError: boom
 *          at shout (pipeline.ts:7:11)
 *
 * Causes keep only the frames of the user's own files, as source maps place them; frames of the
 * engine, of packages and of Node are shown with `--log-level debug`, and always for a bug.
 * @module */
import { fileURLToPath } from 'node:url';
import { MillraceError, toError } from '../core/errors.ts';
import type { ErrorCode, ErrorDetails } from '../core/errors.ts';

const CAUSES_SHOWN_MAX = 8;
/** The engine's own code in stacks: compiled, or its source where source maps lead there. */
const ENGINE_FOLDERS = ['../../dist/', '../../src/'].map((folder) =>
  fileURLToPath(new URL(folder, import.meta.url)),
);
/** Pipelines are compiled to here; a frame that no source map covers still is the user's. */
const BUNDLE_FOLDER = '/.cache/millrace/';

/** What to do, where the message alone does not say it. */
const ADVICE: Partial<Record<ErrorCode, string>> = {
  TASK_FAILED: 'Correct the function and start again: the batch runs again with the same records.',
  OUTPUT_FAILED:
    'Correct the function and start again: the batch runs again with the same records.',
  WAL_POISONED: 'Nothing more was acknowledged. See to the disk, then start again.',
  DISK_FAILED: 'See to the disk, then start again.',
  DISK_FULL: 'Make room on the disk, then start again.',
  BROKEN_INVARIANT:
    'This is a bug in millrace; the logs are whole. Please report it with this message.',
};

/** Exit code of a process that ends because of `error`. */
export function exitCodeOf(error: unknown): number {
  return error instanceof MillraceError ? error.exitCode : 1;
}

/** @param isDebug whole stacks and details. */
export function formatError(error: unknown, { isDebug }: { readonly isDebug: boolean }): string {
  const lines: string[] = [];
  let current: unknown = error;
  for (let depth = 0; current !== undefined && depth < CAUSES_SHOWN_MAX; depth += 1) {
    const each = toError(current);
    const isBug = !(each instanceof MillraceError) || each.code === 'BROKEN_INVARIANT';
    const indent = depth === 0 ? '' : '  ';
    const lead = depth === 0 ? '' : 'because of ';
    if (depth === 0 || isDebug || !repeats(lines, each)) {
      lines.push(`${indent}${lead}${headOf(each)}`.replaceAll('\n', `\n${indent}`));
    }
    const frames = framesOf(each);
    const isWhole = isDebug || (depth === 0 && isBug);
    const shown = isWhole ? frames : isBug ? frames.filter(isOfUser) : [];
    lines.push(...shown.map((frame) => `${indent}  ${frame}`));
    if (isDebug) lines.push(...detailLines(each, indent));
    current = each.cause;
  }
  const advice = error instanceof MillraceError ? ADVICE[error.code] : undefined;
  if (advice !== undefined) lines.push(advice);
  return lines.join('\n');
}

/** The same for programs. */
export function errorFields(error: unknown): Readonly<Record<string, unknown>> {
  const top = toError(error);
  const causes: string[] = [];
  let cause: unknown = top.cause;
  while (cause !== undefined && causes.length < CAUSES_SHOWN_MAX) {
    causes.push(headOf(toError(cause)));
    cause = toError(cause).cause;
  }
  return {
    ...(top instanceof MillraceError ? { code: top.code, details: top.details } : {}),
    exitCode: exitCodeOf(error),
    ...(causes.length === 0 ? {} : { causes }),
  };
}

function headOf(error: Error): string {
  if (error instanceof MillraceError) {
    // The caller's own mistake: the message says all, and a code would only be noise.
    return error.class === 'usage' ? error.message : `${error.message} (${error.code})`;
  }
  return error.message === '' ? error.name : `${error.name}: ${error.message}`;
}

/** A wrapper often quotes its cause whole, or a compiler's list of errors in its own words: that is
 * not worth a second line without a place. */
function repeats(lines: readonly string[], error: Error): boolean {
  const isQuoted = 'errors' in error || lines.some((line) => line.includes(error.message));
  return isQuoted && !framesOf(error).some(isOfUser);
}

function framesOf(error: Error): readonly string[] {
  const lines = (error.stack ?? '').split('\n').map((line) => line.trim());
  return lines.filter((line) => line.startsWith('at '));
}

function isOfUser(frame: string): boolean {
  if (frame.includes(BUNDLE_FOLDER)) return true;
  const isOther = frame.includes('node:') || frame.includes('/node_modules/');
  const isEngine = ENGINE_FOLDERS.some((folder) => frame.includes(folder));
  return !isOther && !isEngine && /:\d+:\d+\)?$/.test(frame);
}

function detailLines(error: Error, indent: string): readonly string[] {
  if (!(error instanceof MillraceError)) return [];
  const details: ErrorDetails = error.details;
  return Object.entries(details).map(([name, value]) => `${indent}  ${name}: ${String(value)}`);
}
