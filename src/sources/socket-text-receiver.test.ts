import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { FakeReceiverHost } from '../../test/support/fake-receiver-host.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { freePorts } from '../../test/support/peers.ts';
import { MillraceError } from '../core/errors.ts';
import { SocketTextReceiver } from './socket-text-receiver.ts';

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function serve(): Promise<Server> {
  const [port = 0] = await freePorts(1); // still free when the server comes back, or stays away
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  const sockets: Socket[] = [];
  server.on('connection', (socket) => {
    sockets.push(socket);
    socket.on('error', () => {}); // the receiver may reset it
  });
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

async function nextPeer(server: Server): Promise<Socket> {
  const [peer] = (await once(server, 'connection')) as [Socket];
  return peer;
}

function start(port: number, lineBytesMax?: number) {
  const clock = new ManualClock();
  const receiver = new SocketTextReceiver({
    host: '127.0.0.1',
    port,
    clock,
    random: { next: () => 0 },
    ...(lineBytesMax === undefined ? {} : { lineBytesMax }),
  });
  const host = new FakeReceiverHost<string>(receiver);
  receiver.onStart();
  cleanups.push(() => {
    host.release();
    return receiver.onStop();
  });
  return { clock, receiver, host };
}

async function connected(lineBytesMax?: number) {
  const server = await serve();
  const arrival = nextPeer(server);
  const started = start(portOf(server), lineBytesMax);
  return { server, peer: await arrival, ...started };
}

describe('SocketTextReceiver', () => {
  it('stores lines however they are cut, and the last one without a newline', async () => {
    const { peer, host } = await connected();
    const bytes = Buffer.from('one\r\ngrün\n\nlast');
    peer.setNoDelay(true);
    for (const byte of bytes) {
      await new Promise((resolve) => peer.write(Buffer.from([byte]), resolve));
    }
    peer.end();
    await host.until(() => host.singles.length === 4);
    expect(host.singles).toEqual(['one', 'grün', '', 'last']);
  });

  it('reports a lost peer and connects again, later and later', async () => {
    const { server, peer, host, clock } = await connected();
    peer.end();
    await clock.timers();
    expect(host.reports[0]).toMatch(/the peer closed the connection; connecting again in 50 ms/);
    const port = portOf(server);
    server.close();
    await once(server, 'close');
    for (const waitMs of [50, 100, 200]) {
      expect(clock.pendingMs).toEqual([waitMs]);
      clock.advance(waitMs);
      await clock.timers();
    }
    expect(host.reports.at(-1)).toMatch(/the connection broke; .* 400 ms \(.*ECONNREFUSED/);
    server.listen(port, '127.0.0.1');
    const arrival = nextPeer(server);
    clock.advance(400);
    const again = await arrival;
    again.end('back\n');
    await host.until(() => host.singles.length === 1);
    await clock.timers();
    expect(clock.pendingMs).toEqual([50]); // a record has come: the wait is short again
  });

  it('reads no more while the engine takes no more', async () => {
    const { peer, host } = await connected();
    host.isSlow = true;
    const chunk = Buffer.from(`${'x'.repeat(1_023)}\n`.repeat(1_024));
    let sentBytes = 0;
    const stalled = new Promise<void>((resolve) => {
      const send = (): void => {
        while (peer.write(chunk)) sentBytes += chunk.byteLength;
        resolve();
      };
      send();
    });
    await host.until(() => host.heldCount === 1);
    await stalled;
    expect(host.singles).toHaveLength(1);
    expect(sentBytes).toBeLessThan(32 * chunk.byteLength);
    peer.end();
    host.release();
    await host.until(() => host.reports.length > 0);
    expect(host.singles.length).toBe(sentBytes / 1_024 + 1_024); // the last chunk was queued
  });

  it('refuses lines that are not UTF-8 with a count, and changes none', async () => {
    const { peer, host } = await connected();
    peer.write(Buffer.from('a\n\xff\xfe\nb\nc\xe2\n', 'latin1'));
    peer.end(Buffer.from('\xc3', 'latin1'));
    await host.until(() => host.reports.some((report) => report.includes('closed')));
    expect(host.singles).toEqual(['a', 'b']);
    expect(host.reports[0]).toMatch(/a line of 2 bytes is not UTF-8; .*\(1 refused/);
    expect(host.reports.some((report) => report.includes('3 lines were refused'))).toBe(true);
  });

  it('gives up a connection at a line that is too long, keeping the lines before', async () => {
    const { server, peer, host, clock } = await connected(8);
    peer.write('short\n123456789');
    await clock.timers();
    expect(host.singles).toEqual(['short']);
    expect(host.reports[0]).toMatch(/line at byte 6 is longer than 8 bytes; connecting again/);
    const arrival = nextPeer(server);
    clock.advance(1_000);
    (await arrival).end('12345678\n');
    await host.until(() => host.singles.length === 2);
  });

  it('says how much of a broken line was dropped', async () => {
    const { peer, host, clock } = await connected();
    peer.write('whole\npart');
    await host.until(() => host.singles.length === 1);
    peer.resetAndDestroy();
    await clock.timers();
    expect(host.singles).toEqual(['whole']);
    expect(host.reports[0]).toMatch(/inside a line; the 4 bytes of it are dropped/);
  });

  it('counts a line that fits into no block, and goes on', async () => {
    const { peer, host } = await connected();
    host.failWith(new MillraceError('RECORD_TOO_LARGE', 'too large'));
    peer.write('a\n');
    await host.until(() => host.reports.length === 1);
    host.failWith(undefined);
    peer.write('b\n');
    await host.until(() => host.singles.length === 1);
    expect(host.reports[0]).toMatch(/larger than a block/);
    expect(host.restarts).toEqual([]);
  });

  it('restarts when the engine fails, but not when it stops', async () => {
    for (const code of ['BLOCK_REFUSED', 'RECEIVER_STOPPED'] as const) {
      const { peer, host } = await connected();
      host.failWith(new MillraceError(code, 'no'));
      peer.write('a\n');
      await once(peer.resume(), 'close');
      expect(host.restarts).toHaveLength(code === 'BLOCK_REFUSED' ? 1 : 0);
    }
  });

  it('stops while connected, and while waiting', async () => {
    const { receiver, peer, host } = await connected();
    peer.resume();
    await Promise.all([receiver.onStop(), once(peer, 'close')]);
    expect(host.reports).toEqual([]);
    const unused = await serve();
    const port = portOf(unused);
    unused.close();
    await once(unused, 'close');
    const waiting = start(port);
    await waiting.clock.timers();
    await waiting.receiver.onStop();
    expect(waiting.clock.pendingMs).toEqual([]);
  });

  it.each([0, 65_536, 1.5])('refuses the port %d', (port) => {
    expect(() => new SocketTextReceiver({ host: 'x', port })).toThrow(/1…65535/);
  });
});
