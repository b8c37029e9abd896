/** Answers of the HTTP input: JSON bodies, refusals that teach, and a clean end when a request is
 * refused before its body was read.
 *
 * Closing a socket that still holds unread bytes makes TCP send a reset, which may destroy the
 * answer before the client has read it. So a refusal sends its answer whole, then reads and throws
 * away what the client still sends, bounded in bytes and time, and only then closes.
 * Source: RFC 9112 §9.6 (tear-down). @module */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Clock } from '../core/clock.ts';
import { MillraceError } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';

/** Seconds after which a refused client should try again. */
export const RETRY_AFTER_SECONDS: number = 1;
/** How much of a refused body is read and thrown away before the connection is cut. */
const LINGER_BYTES_MAX = 16 * 1024 * 1024;
const LINGER_MS_MAX = 2_000;

/** Codes after which the same request may succeed later: the records were not stored. */
const RETRY_LATER: ReadonlySet<ErrorCode> = new Set([
  'BLOCK_REFUSED',
  'RECEIVER_STOPPED',
  'RECEIVER_FAILED',
  'EXECUTOR_DIED',
  'WAL_POISONED',
  'WAL_CLOSED',
  'DISK_FULL',
  'DISK_FAILED',
]);

export interface RefusalText {
  /** What happened and what to do; shown to whoever sent the request. */
  readonly message: string;
  readonly headers?: OutgoingHttpHeaders;
}

/** A request that is not taken: nothing of it was stored. */
export class HttpRefusal extends Error {
  override readonly name = 'HttpRefusal';
  readonly status: number;
  /** Short name for programs. */
  readonly error: string;
  readonly headers: OutgoingHttpHeaders;

  constructor(status: number, error: string, text: RefusalText) {
    super(text.message);
    this.status = status;
    this.error = error;
    this.headers = text.headers ?? {};
  }
}

/** A refusal that may pass: 429 or 503, with `Retry-After`. */
export function retryLater(status: 429 | 503, error: string, message: string): HttpRefusal {
  return new HttpRefusal(status, error, {
    message,
    headers: { 'retry-after': String(RETRY_AFTER_SECONDS) },
  });
}

/** The answer to an error of `store` or `claim`; `undefined` for an error that nobody foresaw. */
export function refusalOf(error: unknown): HttpRefusal | undefined {
  if (error instanceof HttpRefusal) return error;
  if (!(error instanceof MillraceError)) return undefined;
  if (error.code === 'RECORD_TOO_LARGE') {
    return new HttpRefusal(413, error.code, {
      message: `${error.message}. Nothing was stored; send the records in several requests.`,
    });
  }
  if (!RETRY_LATER.has(error.code)) return undefined;
  return retryLater(503, error.code, `${error.message}. Not acknowledged: send it again.`);
}

export interface Reply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers?: OutgoingHttpHeaders;
  /** Close the connection after this answer. */
  readonly isLast?: boolean;
}

/** Sends an answer. @returns when it was handed to the operating system or the peer is gone. */
export function sendReply(response: ServerResponse, reply: Reply): Promise<void> {
  const body = writeHead(response, reply);
  const closed = responseClosed(response);
  response.end(body);
  return closed;
}

/** Sends a refusal; when the request's body was not read to its end, closes the connection cleanly.
 * @param clock for the bound on waiting for the client. */
export async function sendRefusal(
  exchange: { readonly request: IncomingMessage; readonly response: ServerResponse },
  refusal: HttpRefusal,
  options: { readonly clock: Clock; readonly isLast: boolean; readonly isBodyAwaited: boolean },
): Promise<void> {
  const { request, response } = exchange;
  const body = { error: refusal.error, message: refusal.message };
  const reply = { status: refusal.status, body, headers: refusal.headers };
  if (!hasUnreadBody(request)) {
    return sendReply(response, { ...reply, isLast: options.isLast });
  }
  // A client that waits for "100 Continue" has sent nothing that would have to be drained.
  if (options.isBodyAwaited) return sendReply(response, { ...reply, isLast: true });
  const closed = responseClosed(response);
  response.write(writeHead(response, { ...reply, isLast: true }));
  await discardBody(request, options.clock);
  response.end();
  return closed;
}

function writeHead(response: ServerResponse, reply: Reply): Buffer {
  const body = Buffer.from(`${JSON.stringify(reply.body)}\n`);
  response.writeHead(reply.status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': body.byteLength,
    ...reply.headers,
    ...(reply.isLast === true ? { connection: 'close' } : {}),
  });
  return body;
}

/** `close` comes after the last byte was handed over, and also when the peer has gone. An answer
 * that waits behind the last one of its connection has only the connection's. */
function responseClosed(response: ServerResponse): Promise<void> {
  const { socket } = response.req;
  if (response.closed || socket.closed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('close', done);
      socket.off('close', done);
      resolve();
    };
    response.on('close', done);
    socket.on('close', done);
  });
}

function hasUnreadBody(request: IncomingMessage): boolean {
  if (request.complete || request.destroyed) return false;
  const { 'transfer-encoding': encoding, 'content-length': length } = request.headers;
  return encoding !== undefined || (length !== undefined && Number(length) > 0);
}

/** Reads and drops what the client still sends, until it ends, goes, or a bound is met. */
function discardBody(request: IncomingMessage, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0;
    const timer = clock.after(LINGER_MS_MAX, done);
    function onData(chunk: Buffer): void {
      bytes += chunk.byteLength;
      if (bytes > LINGER_BYTES_MAX) done();
    }
    function done(): void {
      timer.cancel();
      request.off('data', onData).off('end', done).off('close', done);
      resolve();
    }
    request.on('data', onData).once('end', done).once('close', done);
    request.on('error', done); // a reset while draining: there is nobody left to tell
    request.resume();
  });
}
