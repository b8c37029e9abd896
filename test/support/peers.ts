/** What an engine talks to: free ports, and a TCP server that sends lines. @module */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(servers.map((server) => listenOn(server, 0)));
  await Promise.all(servers.map((server) => closed(server)));
  return ports;
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
