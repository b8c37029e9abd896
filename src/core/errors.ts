/** Every error that leaves a module of millrace: a code, a class, a cause, small cloneable details.
 *
 * The class says what a caller may do: *usage* is the caller's own mistake, *retry* may pass on
 * another try, *fatal* stops the engine. Codes are API: documented, never renamed, never reused.
 * Between threads an error travels as data (serde/wire-error.ts), because structured clone drops
 * its name and its code. Exit codes follow sysexits where one fits (docs/ARCHITECTURE.md).
 * @module */

export type ErrorClass = 'usage' | 'retry' | 'fatal';

/** All codes. The second value is the exit code of a process that ends because of it. */
export const ERROR_CODES = {
  OPTIONS_INVALID: ['usage', 64], // an option or flag is wrong; the message lists all problems
  PIPELINE_INVALID: ['usage', 64], // the module throws, has no pipeline, no output, or a bad graph
  PIPELINE_MISMATCH: ['usage', 64], // two threads built different graphs from one module
  CHECKPOINT_MISMATCH: ['usage', 64], // the directory belongs to another pipeline or graph
  CONTEXT_STATE: ['usage', 64], // a call that the context's state does not allow
  RECORD_UNSUPPORTED: ['usage', 1], // a value that cannot be packed (function, symbol, promise …)
  RECORD_TOO_LARGE: ['usage', 1], // one store call is larger than a block may be
  MIGRATION_FAILED: ['fatal', 1], // a `migrate` of the user threw; nothing was changed
  TASK_FAILED: ['fatal', 1], // user code threw in a task, on every try; `cause` holds its error
  OUTPUT_FAILED: ['fatal', 1], // an output operation on the driver threw
  RECEIVER_FAILED: ['retry', 1], // a receiver reported an error or its start failed
  ADDRESS_UNAVAILABLE: ['usage', 1], // a receiver cannot listen where it is told to
  RECEIVER_STOPPED: ['retry', 1], // the receiver is stopping: the record was not taken
  SOURCE_FAILED: ['fatal', 1], // an input that the driver reads itself (a directory) cannot be read
  BLOCK_REFUSED: ['retry', 1], // the driver refused a block (old incarnation, known id, gap)
  EXECUTOR_DIED: ['retry', 1], // a worker thread ended while calls were under way
  WAL_CORRUPT: ['fatal', 2], // acknowledged bytes on disk are damaged: refuse, never skip
  CHECKPOINT_CORRUPT: ['fatal', 2], // no kept checkpoint can be read
  FORMAT_UNKNOWN: ['fatal', 2], // written by a newer version
  WAL_POISONED: ['fatal', 74], // a write or sync failed: nothing more is acknowledged
  WAL_CLOSED: ['usage', 1], // append after close()
  DISK_FAILED: ['fatal', 74], // an operating-system error on a file of the engine
  DISK_FULL: ['retry', 74], // no room for a spare segment: inputs pause until there is
  DIRECTORY_LOCKED: ['usage', 75], // another process owns the checkpoint directory
  SINK_CONFLICT: ['fatal', 1], // existing output belongs to another log or pipeline
  SINK_FENCED: ['usage', 75], // a later start of this pipeline has taken the sink over
  BROKEN_INVARIANT: ['fatal', 1], // a bug in millrace: the engine stops, the logs stay intact
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Small facts that help to find the place: file, offset, stream, batch. Structured-cloneable. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | undefined>>;

export interface MillraceErrorOptions extends ErrorOptions {
  readonly details?: ErrorDetails;
}

/** An error with a code. `cause` keeps the underlying error, `details` where it happened. */
export class MillraceError extends Error {
  override readonly name = 'MillraceError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: MillraceErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.details = options.details ?? {};
  }

  /** What a caller may do about it. */
  get class(): ErrorClass {
    return ERROR_CODES[this.code][0];
  }

  /** Exit code of a process that ends because of this error. */
  get exitCode(): number {
    return ERROR_CODES[this.code][1];
  }
}

/** Anything that was thrown, as an Error. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
