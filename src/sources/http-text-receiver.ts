/** Records by HTTP POST: `httpTextStream`. Owns one server; knows nothing of blocks or logs.
 *
 *      request → checks by its head → body → records → claim of its key → store → 200
 *                404 405 503 429 400 415 413   400 413   409, 200          429 503 413
 *
 * Invariants: a 200 with new records is sent only after `store` resolved, so its records are
 * durable at the input's level and registered; any other answer means that nothing of the request
 * was stored or (503) that it is not known, and it may be sent again; `store` is called for a
 * claimed key or not at all, never without its claim.
 *
 * State: created → running → draining (listens no more; requests in flight finish, new ones on open
 * connections get 503) → stopped → running again when the engine restarts the receiver.
 * Idempotency-Key follows draft-ietf-httpapi-idempotency-key-header. @module */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { reached } from '../core/crash-point.ts';
import { MillraceError } from '../core/errors.ts';
import type { SourceGuarantee } from '../dstream/receiver.ts';
import { Receiver } from '../dstream/receiver.ts';
import type { StoreOptions } from '../dstream/receiver.ts';
import { BodyBudget, checkAnnounced, PeerGone, readBody } from './http-body.ts';
import { bodyFormat, parseBody } from './http-records.ts';
import type { BodyFormat } from './http-records.ts';
import {
  HttpRefusal,
  refusalOf,
  RETRY_AFTER_SECONDS,
  retryLater,
  sendRefusal,
  sendReply,
} from './http-reply.ts';
import { resolveHttpTextOptions } from './http-text-options.ts';
import type { HttpTextReceiverOptions, ResolvedHttpTextOptions } from './http-text-options.ts';

/** Longest Idempotency-Key, in characters: keys are kept in memory and in the log. */
const KEY_CHARS_MAX = 255;

type State =
  | { readonly kind: 'created' | 'stopped' }
  | { readonly kind: 'running' | 'draining'; readonly server: Server };

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The client waits for "100 Continue" before it sends the body. */
  isBodyAwaited: boolean;
}

interface Accepted {
  readonly records: number;
  readonly duplicate?: true;
}

/** Takes records from POST requests; one server per receiver of the input. */
export class HttpTextReceiver extends Receiver<string> {
  static readonly guarantee: SourceGuarantee = {
    delivery: 'acknowledged',
    reason:
      'a request is answered with 200 when its records are durable, and a client that got no 200 ' +
      'sends again: once with an Idempotency-Key, else a repeated request counts again',
  };
  readonly #options: ResolvedHttpTextOptions;
  readonly #budget: BodyBudget;
  readonly #inFlight = new Set<Promise<void>>();
  #state: State = { kind: 'created' };
  /** Set while `onStop` waits; called whenever a request has been dealt with. */
  #onIdle: (() => void) | undefined;

  /** @throws {MillraceError} OPTIONS_INVALID. */
  constructor(options: HttpTextReceiverOptions) {
    super();
    this.#options = resolveHttpTextOptions(options);
    this.#budget = new BodyBudget(this.#options.heldBodyBytesMax);
  }

  /** Listens. @throws {MillraceError} ADDRESS_UNAVAILABLE when the address cannot be had. */
  async onStart(): Promise<void> {
    const { host } = this.#options;
    const port = this.#options.ports[this.receiverIndex];
    if (port === undefined) {
      throw new MillraceError(
        'OPTIONS_INVALID',
        `httpTextStream: receiver ${this.receiverIndex} has no port; ` +
          `${this.receiverCount} receivers need ${this.receiverCount} ports`,
      );
    }
    const server = createServer((request, response) => {
      this.#accept({ request, response, isBodyAwaited: false });
    });
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      this.#accept({ request, response, isBodyAwaited: true });
    });
    this.#state = { kind: 'running', server };
    try {
      await listen(server, { host, port });
    } catch (error) {
      this.#state = { kind: 'stopped' };
      throw error;
    }
    server.on('error', (error) => this.restart('the HTTP server failed', error));
    const bound = (server.address() as AddressInfo).port;
    this.tellAddress(`http://${host}:${bound}${this.#options.path}`);
    this.#options.onListening(bound);
  }

  /** Listens no more, answers what is in flight within `stopLimitMs`, closes all connections. */
  async onStop(): Promise<void> {
    if (this.#state.kind !== 'running') return;
    const { server } = this.#state;
    this.#state = { kind: 'draining', server };
    const closed = new Promise((resolve) => server.close(resolve)); // idle connections close, too
    await this.#drained();
    this.#state = { kind: 'stopped' };
    server.closeAllConnections();
    await closed;
  }

  /** Resolves when no request is in flight, or at the limit. */
  async #drained(): Promise<void> {
    const { clock, stopLimitMs } = this.#options;
    await new Promise<void>((resolve) => {
      const limit = clock.after(stopLimitMs, () => {
        this.reportError(
          `stopped with ${this.#inFlight.size} HTTP requests unanswered after ${stopLimitMs} ms; ` +
            'their clients have to send them again',
        );
        resolve();
      });
      this.#onIdle = () => {
        if (this.#inFlight.size > 0) return;
        limit.cancel();
        resolve();
      };
      this.#onIdle();
    });
    this.#onIdle = undefined;
  }

  #accept(exchange: Exchange): void {
    const work = this.#answer(exchange)
      .catch((error: unknown) => this.reportError('an HTTP answer could not be sent', error))
      .finally(() => {
        this.#inFlight.delete(work);
        this.#onIdle?.();
      });
    this.#inFlight.add(work);
  }

  /** Whatever goes wrong with one request is answered here. */
  async #answer(exchange: Exchange): Promise<void> {
    const { request, response } = exchange;
    try {
      const { records, duplicate } = await this.#take(exchange);
      await sendReply(response, {
        status: 200,
        body: {
          records,
          ...(duplicate === true ? { duplicate } : {}),
          ...(this.durability === 'sync' ? {} : { durability: this.durability }),
        },
        isLast: this.#state.kind !== 'running',
      });
      reached('R3.after');
    } catch (error) {
      if (error instanceof PeerGone) return; // nothing was stored, nobody waits
      const refusal = refusalOf(error) ?? this.#unforeseen(error);
      await sendRefusal({ request, response }, refusal, {
        clock: this.#options.clock,
        isLast: this.#state.kind !== 'running',
        isBodyAwaited: exchange.isBodyAwaited,
      });
    }
  }

  async #take(exchange: Exchange): Promise<Accepted> {
    const { request, response } = exchange;
    this.#checkTarget(request);
    if (this.#state.kind !== 'running') throw stopping();
    this.#checkRoom();
    const key = idempotencyKey(request);
    const format = requestFormat(request);
    const limits = { maxBodyBytes: this.#options.maxBodyBytes, budget: this.#budget };
    checkAnnounced(request, limits);
    if (exchange.isBodyAwaited) {
      response.writeContinue();
      exchange.isBodyAwaited = false;
    }
    const body = await readBody(request, limits);
    try {
      this.#checkRoom(); // other requests may have taken it while this one came in
      return await this.#storeBody(body, format, key);
    } finally {
      this.#budget.giveBack(body.byteLength);
    }
  }

  async #storeBody(body: Buffer, format: BodyFormat, key: string | undefined): Promise<Accepted> {
    const records = parseBody(body, format);
    if (records.length === 0) return { records: 0 };
    if (key === undefined) return this.#storeRecords(records, {});
    this.#checkNotStopped();
    const digest = createHash('sha256').update(`${format}\n`).update(body).digest('hex');
    const claim = await this.claim(key, digest);
    switch (claim.kind) {
      case 'known':
        return { records: claim.recordCount, duplicate: true };
      case 'conflict':
        throw new HttpRefusal(409, 'idempotency-conflict', {
          message:
            `the Idempotency-Key ${key} came before with another body or content-type. ` +
            'Nothing was stored; give each request a key of its own.',
        });
      case 'new':
        return this.#storeRecords(records, { idempotency: { key, digest } });
      default:
        return claim satisfies never;
    }
  }

  async #storeRecords(records: readonly string[], options: StoreOptions): Promise<Accepted> {
    this.#checkNotStopped();
    await this.store(records, options);
    return { records: records.length };
  }

  /** After `onStop` has returned a receiver stores nothing; a request may outlive it at an
   * await. */
  #checkNotStopped(): void {
    if (this.#state.kind === 'stopped') throw stopping();
  }

  /** @throws {HttpRefusal} 429, with the time until the rate lets something in, if that is why. */
  #checkRoom(): void {
    if (!this.isFull) return;
    const seconds = Math.max(RETRY_AFTER_SECONDS, Math.ceil(this.allowance.waitMs / 1_000));
    throw new HttpRefusal(429, 'busy', {
      message: 'the pipeline takes no more records now; wait',
      headers: { 'retry-after': String(seconds) },
    });
  }

  #checkTarget(request: IncomingMessage): void {
    const { path } = this.#options;
    const [asked = ''] = (request.url ?? '').split('?');
    if (asked !== path) {
      throw new HttpRefusal(404, 'not-found', {
        message: `nothing is here; records are taken by POST ${path}`,
      });
    }
    if (request.method === 'POST') return;
    throw new HttpRefusal(405, 'method-not-allowed', {
      message:
        `this is an input of a millrace pipeline. POST ${path} with one record per line, ` +
        `for example: curl -H 'content-type: text/plain' --data-binary @FILE ` +
        `http://${request.headers.host ?? 'HOST:PORT'}${path}`,
      headers: { allow: 'POST' },
    });
  }

  #unforeseen(error: unknown): HttpRefusal {
    this.reportError('an HTTP request failed in an unforeseen way', error);
    return new HttpRefusal(500, 'internal', {
      message: 'the records were not acknowledged because of an internal error; see the log',
    });
  }
}

function stopping(): HttpRefusal {
  return retryLater(503, 'stopping', 'the pipeline is stopping; send the request again later');
}

/** @throws {HttpRefusal} 400 for a key that is empty or too long. */
function idempotencyKey(request: IncomingMessage): string | undefined {
  const given = request.headers['idempotency-key'];
  if (given === undefined) return undefined;
  const key = Array.isArray(given) ? given.join(', ') : given;
  if (key.length > 0 && key.length <= KEY_CHARS_MAX) return key;
  throw new HttpRefusal(400, 'bad-idempotency-key', {
    message: `an Idempotency-Key has 1 to ${KEY_CHARS_MAX} characters; this one has ${key.length}`,
  });
}

/** @throws {HttpRefusal} 415 for a type, character set or encoding that is not taken. */
function requestFormat(request: IncomingMessage): BodyFormat {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding.trim().toLowerCase() !== 'identity') {
    throw new HttpRefusal(415, 'unsupported-encoding', {
      message: `content-encoding ${encoding} is not taken here; send the body uncompressed`,
      headers: { 'accept-encoding': 'identity' },
    });
  }
  return bodyFormat(request.headers['content-type']);
}

interface Address {
  readonly host: string;
  readonly port: number;
}

function listen(server: Server, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    function onError(error: NodeJS.ErrnoException): void {
      reject(
        new MillraceError('ADDRESS_UNAVAILABLE', listenMessage(error, address), {
          cause: error,
          details: { host: address.host, port: address.port, errno: error.code },
        }),
      );
    }
    server.once('error', onError);
    server.listen(address.port, address.host, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

function listenMessage(error: NodeJS.ErrnoException, { host, port }: Address): string {
  const what = `httpTextStream cannot listen on ${host}:${port}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return `${what}: the port is in use. Stop its program, or give the input another port`;
    case 'EACCES':
      return `${what}: ports below 1024 need privileges. Give the input a higher port`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${what}: this machine has no such address. Give the input a host it has (127.0.0.1)`;
    default:
      return `${what}: ${error.message}`;
  }
}
