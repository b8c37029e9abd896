/** What an engine talks to: free ports, and a TCP server that sends lines. @module */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { systemRandom } from '../../src/core/random.ts';

/** Where ports for tests begin: above those of well-known services. */
const FIRST_PORT = 20_000;
/** Where they end, if the system does not say. */
const FIRST_DYNAMIC_PORT = 32_768;

/** Ports that nobody uses now, all different, none of which the system gives away by itself: an engine
 * that is started again finds its port again, whoever has opened a connection meanwhile. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  while (servers.length < count) {
    const server = createServer();
    if (await isListening(server, somePort())) servers.push(server);
  }
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => closed(server)));
  return ports;
}

/** One of the ports below those that the system gives to connections and for port 0; 0 when there
 * are hardly any below. */
function somePort(): number {
  const room = firstDynamicPort() - FIRST_PORT;
  return room < 1_000 ? 0 : FIRST_PORT + Math.floor(room * systemRandom.next());
}

function firstDynamicPort(): number {
  try {
    const [first] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/);
    return Number(first);
  } catch {
    return FIRST_DYNAMIC_PORT; // not Linux
  }
}

/** @returns false when somebody else has the port. */
async function isListening(server: Server, port: number): Promise<boolean> {
  try {
    await listenOn(server, port);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
}

/** A server that sends the same text to everyone who is connected. */
export class LineServer {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #onConnection: () => void = () => {};

  static async listen(port = 0): Promise<LineServer> {
    const server = createServer();
    return new LineServer(server, await listenOn(server, port));
  }

  private constructor(server: Server, port: number) {
    this.port = port;
    this.#server = server;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      this.#onConnection();
    });
  }

  /** Resolves when so many are connected. */
  async connections(count: number): Promise<void> {
    while (this.#sockets.size < count) {
      await new Promise<void>((resolve) => {
        this.#onConnection = resolve;
      });
    }
  }

  /** Waits for somebody to be there. */
  async send(text: string): Promise<void> {
    await this.connections(1);
    const sent = [...this.#sockets].map(
      (socket) => new Promise((done) => socket.write(text, done)),
    );
    await Promise.all(sent);
  }

  /** Ends all connections after what was sent. */
  async hangUp(): Promise<void> {
    const ending = [...this.#sockets].map((socket) => {
      const over = once(socket, 'close');
      socket.end();
      return over;
    });
    await Promise.all(ending);
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    for (const socket of this.#sockets) socket.destroy();
    await closed(this.#server);
  }
}

async function listenOn(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
