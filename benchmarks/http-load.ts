/** Clients that POST lines and wait for the answer, as fast as they are answered. @module */
import { Agent, request } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

/** Lines of one POST. */
export const LINES_PER_POST = 50;
const BODY = Array.from({ length: LINES_PER_POST }, (_, n) => `line ${n} of a request`).join('\n');

export interface LoadResult {
  /** Of every answered request after warming up, in milliseconds. */
  readonly latenciesMs: readonly number[];
  /** Requests that were answered 200, those before included. */
  readonly acknowledged: number;
  readonly seconds: number;
}

export interface Load {
  readonly port: number;
  /** How many requests are under way at a time, each on its connection. */
  readonly clients: number;
  readonly warmUpMs: number;
  readonly seconds: number;
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** @throws when a request is answered with anything but 200. */
export async function runLoad({ port, clients, warmUpMs, seconds }: Load): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const startedMs = performance.now();
  const fromMs = startedMs + warmUpMs;
  const endMs = fromMs + seconds * 1_000;
  const latenciesMs: number[] = [];
  let acknowledged = 0;
  const client = async (): Promise<void> => {
    for (let sentMs = performance.now(); sentMs < endMs; sentMs = performance.now()) {
      await post(port, agent);
      acknowledged += 1;
      if (sentMs >= fromMs) latenciesMs.push(performance.now() - sentMs);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  agent.destroy();
  return { latenciesMs, acknowledged, seconds: (performance.now() - fromMs) / 1_000 };
}

function post(port: number, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(BODY) };
    const sent = request({ port, host: '127.0.0.1', method: 'POST', agent, headers }, (answer) => {
      answer.resume().once('end', () => {
        if (answer.statusCode === 200) resolve();
        else reject(new Error(`answered ${answer.statusCode}`));
      });
    });
    sent.once('error', reject).end(BODY);
  });
}
