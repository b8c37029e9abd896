/** Errors as data, for crossing threads: structured clone keeps message and stack but drops the
 * name, the code and own fields (seen on Node 20 and 24).
 * @module */
import { ERROR_CODES, MillraceError, toError } from '../core/errors.ts';
import type { ErrorCode, ErrorDetails } from '../core/errors.ts';

export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly code?: string;
  readonly details?: ErrorDetails;
  readonly cause?: WireError;
}

/** How many causes are kept, so that a cyclic chain ends. */
const CAUSE_DEPTH_MAX = 8;

export function toWireError(thrown: unknown, depth = 0): WireError {
  const error = toError(thrown);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return {
    name: error.name,
    message: error.message,
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(code === undefined ? {} : { code }),
    ...(error instanceof MillraceError ? { details: error.details } : {}),
    ...(error.cause === undefined || depth >= CAUSE_DEPTH_MAX
      ? {}
      : { cause: toWireError(error.cause, depth + 1) }),
  };
}

export function fromWireError(wire: WireError): Error {
  const cause = wire.cause === undefined ? undefined : fromWireError(wire.cause);
  const error =
    wire.code !== undefined && wire.code in ERROR_CODES
      ? new MillraceError(wire.code as ErrorCode, wire.message, {
          ...(cause === undefined ? {} : { cause }),
          ...(wire.details === undefined ? {} : { details: wire.details }),
        })
      : plainError(wire, cause);
  if (wire.stack !== undefined) error.stack = wire.stack;
  return error;
}

function plainError(wire: WireError, cause: Error | undefined): Error {
  const error = new Error(wire.message, cause === undefined ? {} : { cause });
  Object.defineProperty(error, 'name', { value: wire.name, enumerable: false });
  if (wire.code !== undefined) Object.assign(error, { code: wire.code });
  return error;
}
