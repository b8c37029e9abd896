/** Lines of UTF-8 from a TCP server: `socketTextStream`. Connects as a client, again and again.
 *
 *      connect → chunks → whole lines → store each → … → connection ends → wait (backoff) → connect
 *
 * A socket cannot send again, so its records are buffered ones: at-least-once is all there is up to
 * the peer's send, and what was in flight when a connection broke is lost; that is reported, with
 * counts, never silent. Backpressure: while `store` gives a promise, nothing is read, so TCP's own
 * window slows the peer.
 *
 * A line that is not UTF-8, or that the engine cannot take, is refused and counted, never changed.
 * A line longer than `lineBytesMax` ends the connection: there is no telling where the next begins.
 * Mirrors Spark's SocketReceiver, with reconnection of its own in place of a receiver restart.
 * @module */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { systemClock } from '../core/clock.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { MillraceError } from '../core/errors.ts';
import { systemRandom } from '../core/random.ts';
import type { Random } from '../core/random.ts';
import type { SourceGuarantee } from '../dstream/receiver.ts';
import { Receiver } from '../dstream/receiver.ts';
import { Backoff } from './backoff.ts';
import { LineSplitter, splitLines } from './line-splitter.ts';
import { RefusedLines } from './refused-lines.ts';
import { decodeUtf8 } from './utf8.ts';

const RECONNECT_FIRST_MS = 100;
const RECONNECT_LONGEST_MS = 10_000;
const NEWLINE = 0x0a;

export interface SocketTextReceiverOptions {
  readonly host: string;
  /** 1…65535. */
  readonly port: number;
  /** Longest line, in bytes, without its newline. @defaultValue 1 MiB */
  readonly lineBytesMax?: number;
  /** For the jitter of reconnecting. @defaultValue the system's generator */
  readonly random?: Random;
  /** @defaultValue the system's clock */
  readonly clock?: Clock;
}

type State =
  | { readonly kind: 'created' | 'stopped' }
  | { readonly kind: 'running'; readonly loop: Promise<void> };

/** Each receiver of the input has a connection of its own to the same server. */
export class SocketTextReceiver extends Receiver<string> {
  static readonly guarantee: SourceGuarantee = {
    delivery: 'at-most-once',
    reason: 'nothing is acknowledged to the peer: what it sent while nobody listened is gone',
  };
  readonly #host: string;
  readonly #port: number;
  readonly #lineBytesMax: number;
  readonly #clock: Clock;
  readonly #random: Random;
  #state: State = { kind: 'created' };
  #isStopping = false;
  #socket: Socket | undefined;
  #wait: { readonly timer: Timer; readonly wake: () => void } | undefined;

  /** @throws {MillraceError} OPTIONS_INVALID. */
  constructor(options: SocketTextReceiverOptions) {
    super();
    const { host, port, lineBytesMax = 1024 * 1024 } = options;
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new MillraceError(
        'OPTIONS_INVALID',
        `socketTextStream: port ${port} is not in 1…65535`,
      );
    }
    if (!Number.isSafeInteger(lineBytesMax) || lineBytesMax < 1) {
      throw new MillraceError(
        'OPTIONS_INVALID',
        `socketTextStream: lineBytesMax ${lineBytesMax} is not a whole number of 1 or more`,
      );
    }
    this.#host = host;
    this.#port = port;
    this.#lineBytesMax = lineBytesMax;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
  }

  /** Begins to connect and returns: a peer that is not there yet is no failed start. */
  onStart(): void {
    this.#isStopping = false;
    const loop = this.#run().catch((error: unknown) => {
      const isStopped = error instanceof MillraceError && error.code === 'RECEIVER_STOPPED';
      if (!isStopped) this.restart(`${this.#peer}: a line was not stored`, error);
    });
    this.#state = { kind: 'running', loop };
  }

  /** Closes the connection; the lines of the chunk in hand are still stored. */
  async onStop(): Promise<void> {
    if (this.#state.kind !== 'running') return;
    this.#isStopping = true;
    this.#socket?.destroy();
    this.#wait?.timer.cancel();
    this.#wait?.wake();
    await this.#state.loop;
    this.#state = { kind: 'stopped' };
  }

  get #peer(): string {
    return `socketTextStream ${this.#host}:${this.#port}`;
  }

  /** Ends only by `onStop`, or by an error of the engine. */
  async #run(): Promise<void> {
    const backoff = new Backoff({
      firstMs: RECONNECT_FIRST_MS,
      longestMs: RECONNECT_LONGEST_MS,
      random: this.#random,
    });
    while (!this.#hasToStop()) {
      const loss = await this.#receive(() => backoff.reset());
      if (this.#hasToStop()) return;
      const delayMs = backoff.nextMs();
      this.reportError(
        `${this.#peer}: ${loss.what}; connecting again in ${delayMs} ms`,
        loss.cause,
      );
      await this.#sleep(delayMs);
    }
  }

  /** One connection, from connecting to its end. @param onRecord called when records have come. */
  async #receive(onRecord: () => void): Promise<{ what: string; cause?: unknown }> {
    const socket = connect({ host: this.#host, port: this.#port, keepAlive: true });
    this.#socket = socket;
    const splitter = new LineSplitter(this.#lineBytesMax);
    const refused = new RefusedLines((message) => this.reportError(`${this.#peer}: ${message}`));
    try {
      // Reading by iteration is the backpressure: no chunk is taken while the last one is stored.
      for await (const chunk of chunksOf(socket)) {
        const lines = splitter.push(chunk);
        if (lines !== undefined) {
          onRecord();
          await this.#storeLines(lines, refused);
        }
        if (splitter.failure !== undefined) return { what: splitter.failure.message };
      }
      const rest = splitter.finish();
      if (rest !== undefined) await this.#storeLines(rest, refused);
      return { what: 'the peer closed the connection' };
    } catch (error) {
      if (!(error instanceof ConnectionBroke)) throw error; // of the engine
      const lost = splitter.abandon();
      const inside = lost === 0 ? '' : ` inside a line; the ${lost} bytes of it are dropped`;
      return { what: `the connection broke${inside}`, cause: error.cause };
    } finally {
      refused.reportTotal();
      socket.destroy();
      this.#socket = undefined;
    }
  }

  async #storeLines(bytes: Buffer, refused: RefusedLines): Promise<void> {
    for (const line of this.#decode(bytes, refused)) {
      try {
        const accepted = this.store(line);
        if (accepted !== undefined) await accepted;
      } catch (error) {
        if (!(error instanceof MillraceError) || error.code !== 'RECORD_TOO_LARGE') throw error;
        refused.add(`a line of ${line.length} characters is larger than a block may be`);
      }
    }
  }

  *#decode(bytes: Buffer, refused: RefusedLines): Iterable<string> {
    const text = decodeUtf8(bytes);
    if (text !== undefined) {
      yield* splitLines(text);
      return;
    }
    let from = 0;
    while (from <= bytes.byteLength) {
      const newline = bytes.indexOf(NEWLINE, from);
      const end = newline === -1 ? bytes.byteLength : newline;
      const line = decodeUtf8(bytes.subarray(from, end));
      if (line === undefined) refused.add(`a line of ${end - from} bytes is not UTF-8`);
      else yield* splitLines(line);
      from = end + 1;
    }
  }

  /** A method, so that the compiler does not take it for unchanged after an await. */
  #hasToStop(): boolean {
    return this.#isStopping;
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#wait = undefined;
        resolve();
      };
      this.#wait = { timer: this.#clock.after(delayMs, wake), wake };
    });
  }
}

/** Tells an error of the connection from an error of the engine. */
class ConnectionBroke extends Error {
  override readonly name = 'ConnectionBroke';
}

/** A socket without `setEncoding` gives buffers only; its type does not say so. */
async function* chunksOf(socket: Socket): AsyncGenerator<Buffer, void> {
  try {
    yield* socket as AsyncIterable<Buffer>;
  } catch (cause) {
    throw new ConnectionBroke('the connection broke', { cause });
  }
}
