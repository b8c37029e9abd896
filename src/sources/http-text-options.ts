/** Options of the HTTP input: defaults, bounds, one message for all problems.
 * @module */
import { systemClock } from '../core/clock.ts';
import type { Clock } from '../core/clock.ts';
import { MillraceError } from '../core/errors.ts';

const MIB = 1024 * 1024;

export interface HttpTextReceiverOptions {
  /** Address to listen on. @defaultValue 127.0.0.1: this machine only. */
  readonly host?: string;
  /** One per receiver of the input: receiver i listens on `ports[i]`. 0 lets the system choose. */
  readonly ports: readonly number[];
  /** Path that takes records; any query is ignored. @defaultValue / */
  readonly path?: string;
  /** Largest body, in bytes; a larger one is answered with 413. @defaultValue 8 MiB */
  readonly maxBodyBytes?: number;
  /** Bytes of all bodies held at once; beyond it, 429. @defaultValue 64 MiB, or maxBodyBytes */
  readonly heldBodyBytesMax?: number;
  /** How long `onStop` waits for requests in flight before it cuts them. @defaultValue 10,000 */
  readonly stopLimitMs?: number;
  /** Bounds the waits for clients. @defaultValue the system's clock */
  readonly clock?: Clock;
  /** Called with the port when the receiver listens: for tests, and for port 0. */
  readonly onListening?: (port: number) => void;
}

export type ResolvedHttpTextOptions = Required<HttpTextReceiverOptions>;

/** @throws {MillraceError} OPTIONS_INVALID listing all problems. */
export function resolveHttpTextOptions(given: HttpTextReceiverOptions): ResolvedHttpTextOptions {
  const maxBodyBytes = given.maxBodyBytes ?? 8 * MIB;
  const resolved: ResolvedHttpTextOptions = {
    host: given.host ?? '127.0.0.1',
    ports: given.ports,
    path: given.path ?? '/',
    maxBodyBytes,
    heldBodyBytesMax: given.heldBodyBytesMax ?? Math.max(64 * MIB, maxBodyBytes),
    stopLimitMs: given.stopLimitMs ?? 10_000,
    clock: given.clock ?? systemClock,
    onListening: given.onListening ?? ((): void => {}),
  };
  const problems = findProblems(resolved);
  if (problems.length === 0) return Object.freeze(resolved);
  throw new MillraceError('OPTIONS_INVALID', `httpTextStream: ${problems.join('; ')}`);
}

function findProblems(options: ResolvedHttpTextOptions): string[] {
  const { ports, path, maxBodyBytes, heldBodyBytesMax, stopLimitMs } = options;
  const problems: string[] = [];
  if (ports.length === 0) problems.push('ports is empty: give one port per receiver');
  for (const port of ports) {
    if (!isWhole(port, 0) || port > 65_535) problems.push(`port ${port} is not within 0…65535`);
  }
  if (!/^\/[^?#\s]*$/.test(path)) {
    problems.push(`path ${JSON.stringify(path)} does not begin with / or holds ?, # or a space`);
  }
  if (!isWhole(maxBodyBytes, 1)) {
    problems.push(`maxBodyBytes ${maxBodyBytes} is not a whole number of 1 or more`);
  }
  if (!isWhole(heldBodyBytesMax, 1) || heldBodyBytesMax < maxBodyBytes) {
    problems.push(`heldBodyBytesMax ${heldBodyBytesMax} is less than maxBodyBytes`);
  }
  if (!isWhole(stopLimitMs, 0)) {
    problems.push(`stopLimitMs ${stopLimitMs} is not a whole number of 0 or more`);
  }
  return problems;
}

function isWhole(value: number, least: number): boolean {
  return Number.isSafeInteger(value) && value >= least;
}
