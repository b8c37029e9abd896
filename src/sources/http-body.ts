/** Reads request bodies within two bounds: bytes of one body, and bytes of all bodies held at once.
 *
 * Knows nothing of content types. Whoever got a body gives its bytes back to the budget when the
 * request is answered; a read that fails has given back its own. Single-threaded: no locks.
 * Invariant: `heldBytes` is the sum of the bodies being read or not yet answered. @module */
import type { IncomingMessage } from 'node:http';
import { HttpRefusal, retryLater } from './http-reply.ts';

/** The client went away in the middle of its request: nobody is left to answer. */
export class PeerGone extends Error {
  override readonly name = 'PeerGone';
}

/** Bytes of request bodies in memory. */
export class BodyBudget {
  readonly #bytesMax: number;
  #heldBytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  hasRoomFor(bytes: number): boolean {
    return this.#heldBytes + bytes <= this.#bytesMax;
  }

  /** @returns false, and takes nothing, when the budget would be exceeded. */
  take(bytes: number): boolean {
    if (!this.hasRoomFor(bytes)) return false;
    this.#heldBytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#heldBytes -= bytes;
  }
}

export interface BodyLimits {
  readonly maxBodyBytes: number;
  readonly budget: BodyBudget;
}

/** Refuses by the announced length, before a byte of the body is read.
 * @throws {HttpRefusal} 413, 429. */
export function checkAnnounced(request: IncomingMessage, limits: BodyLimits): void {
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > limits.maxBodyBytes) throw tooLarge(limits.maxBodyBytes);
  if (!limits.budget.hasRoomFor(announced)) throw overloaded();
}

/** The whole body. Its length is held in the budget: give it back when the request is answered.
 * @throws {HttpRefusal} 413 or 429 as soon as a bound is passed; reading has stopped then.
 * @throws {PeerGone} when the body ended before its announced length. */
export function readBody(request: IncomingMessage, limits: BodyLimits): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let isSettled = false;
    function onData(chunk: Buffer): void {
      if (bytes + chunk.byteLength > limits.maxBodyBytes)
        return fail(tooLarge(limits.maxBodyBytes));
      if (!limits.budget.take(chunk.byteLength)) return fail(overloaded());
      bytes += chunk.byteLength;
      chunks.push(chunk);
    }
    function onEnd(): void {
      settle();
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    }
    function onGone(cause?: Error): void {
      fail(new PeerGone('the client went away before its body ended', { cause }));
    }
    function fail(error: Error): void {
      if (isSettled) return;
      settle();
      request.pause();
      limits.budget.giveBack(bytes);
      reject(error);
    }
    function settle(): void {
      isSettled = true;
      request.off('data', onData).off('end', onEnd).off('close', onGone);
    }
    request.on('data', onData).once('end', onEnd).once('close', onGone);
    request.on('error', onGone); // stays: an unheard 'error' event would end the thread
  });
}

function tooLarge(maxBodyBytes: number): HttpRefusal {
  return new HttpRefusal(413, 'body-too-large', {
    message:
      `the body is larger than ${maxBodyBytes} bytes (maxBodyBytes). Nothing was stored; ` +
      'send the records in several requests.',
  });
}

function overloaded(): HttpRefusal {
  return retryLater(429, 'too-many-bodies', 'requests in flight hold all memory for bodies; wait');
}
