import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { FakeReceiverHost } from '../../test/support/fake-receiver-host.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import type { DurabilityLevel } from '../blocks/block-ref.ts';
import { MillraceError } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { HttpTextReceiverOptions } from './http-text-options.ts';
import { HttpTextReceiver } from './http-text-receiver.ts';

interface Started {
  readonly receiver: HttpTextReceiver;
  readonly host: FakeReceiverHost<string>;
  readonly port: number;
  readonly url: string;
}

const running: Started[] = [];

afterEach(async () => {
  for (const { receiver, host } of running.splice(0)) {
    host.release();
    await receiver.onStop();
  }
});

async function start(
  options: Partial<HttpTextReceiverOptions> = {},
  durability: DurabilityLevel = 'sync',
): Promise<Started> {
  let port = 0;
  const receiver = new HttpTextReceiver({
    ports: [0],
    ...options,
    onListening: (bound) => (port = bound),
  });
  const host = new FakeReceiverHost<string>(receiver, { durability });
  await receiver.onStart();
  const started = { receiver, host, port, url: `http://127.0.0.1:${port}${options.path ?? '/'}` };
  running.push(started);
  return started;
}

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

async function post(
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const init = { method: 'POST', body, headers: { 'content-type': 'text/plain', ...headers } };
  return answerOf(await fetch(url, init));
}

async function answerOf(response: Response): Promise<Answer> {
  const body = (await response.json()) as Record<string, unknown>;
  return { status: response.status, body, headers: response.headers };
}

/** A connection on which the test says every byte. */
async function dial(port: number): Promise<{ socket: Socket; all: Promise<string> }> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const all = new Promise<string>((resolve) => {
    socket.once('close', () => resolve(text));
    socket.once('error', (error) => (text += `[${error.message}]`));
  });
  return { socket, all };
}

describe('taking records', () => {
  it('answers only after the records are durable', async () => {
    const { host, url } = await start();
    host.hold();
    let isAnswered = false;
    const answer = post(url, 'a\nb\n').finally(() => (isAnswered = true));
    await host.until(() => host.heldCount === 1);
    expect(isAnswered).toBe(false);
    expect(host.calls).toEqual([{ records: ['a', 'b'], options: {} }]);
    host.release();
    expect(await answer).toMatchObject({ status: 200, body: { records: 2 } });
  });

  it.each(['off', 'flush'] as const)('says when durability is %s', async (durability) => {
    const { url } = await start({}, durability);
    expect((await post(url, 'a')).body).toEqual({ records: 1, durability });
  });

  it('takes JSON, NDJSON, text without a type, and an empty body', async () => {
    const { host, url } = await start({ path: '/in' });
    await post(`${url}?from=test`, '["a",{"b":1}]', { 'content-type': 'application/json' });
    await post(url, '"c"\n[2]\n', { 'content-type': 'application/x-ndjson' });
    await post(url, Buffer.from('d'), { 'content-type': '' });
    expect((await post(url, '')).body).toEqual({ records: 0 });
    const stored = host.calls.map((call) => call.records);
    expect(stored).toEqual([['a', '{"b":1}'], ['c', '[2]'], ['d']]);
  });

  it('answers 100-continue before a body, or refuses the body unsent', async () => {
    const { port, host } = await start({ maxBodyBytes: 10 });
    const { socket, all } = await dial(port);
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n');
    await once(socket, 'data');
    socket.write('a');
    await host.until(() => host.calls.length === 1);
    socket.write(
      'POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n',
    );
    const text = await all;
    expect(text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK[^]*HTTP\/1\.1 413 /);
    expect(text.match(/100 Continue/g)).toHaveLength(1);
  });
});

describe('Idempotency-Key', () => {
  const key = { 'idempotency-key': 'k1' };

  it('counts a repeated request once', async () => {
    const { host, url } = await start();
    expect((await post(url, 'a\nb', key)).body).toEqual({ records: 2 });
    expect((await post(url, 'a\nb', key)).body).toEqual({ records: 2, duplicate: true });
    expect(host.calls).toHaveLength(1);
    expect(host.calls[0]?.options.idempotency).toMatchObject({ key: 'k1' });
    expect(host.calls[0]?.options.idempotency?.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  it('lets a second request wait for the outcome of the first', async () => {
    const { host, url } = await start();
    host.hold();
    const both = [post(url, 'a', key), post(url, 'a', key)];
    await host.until(() => host.heldCount === 1);
    host.release();
    const bodies = (await Promise.all(both)).map((answer) => answer.body);
    expect(bodies).toContainEqual({ records: 1 });
    expect(bodies).toContainEqual({ records: 1, duplicate: true });
    expect(host.calls).toHaveLength(1);
  });

  it('refuses the key with another body, and with the same body as another type', async () => {
    const { host, url } = await start();
    await post(url, '["a"]', key);
    expect((await post(url, '["b"]', key)).status).toBe(409);
    const asJson = await post(url, '["a"]', { ...key, 'content-type': 'application/json' });
    expect(asJson).toMatchObject({ status: 409, body: { error: 'idempotency-conflict' } });
    expect(host.calls).toHaveLength(1);
  });

  it('may be used again after a request that was not stored', async () => {
    const { host, url } = await start();
    host.failWith(new MillraceError('BLOCK_REFUSED', 'no'));
    expect((await post(url, 'a', key)).status).toBe(503);
    host.failWith(undefined);
    expect((await post(url, 'a', key)).body).toEqual({ records: 1 });
  });

  it('refuses an empty key and one of 256 characters, takes 255', async () => {
    const { url } = await start();
    expect((await post(url, 'a', { 'idempotency-key': '' })).status).toBe(400);
    expect((await post(url, 'a', { 'idempotency-key': 'x'.repeat(256) })).status).toBe(400);
    expect((await post(url, 'a', { 'idempotency-key': 'x'.repeat(255) })).status).toBe(200);
  });

  it('is not claimed for a body that is refused', async () => {
    const { url } = await start();
    expect((await post(url, Buffer.from([0xff]), key)).status).toBe(400);
    expect((await post(url, 'a', key)).body).toEqual({ records: 1 });
  });
});

describe('refusals', () => {
  it('sends 405 with Allow and a hint for another method, 404 for another path', async () => {
    const { host, url } = await start({ path: '/in' });
    const get = await answerOf(await fetch(url));
    expect(get).toMatchObject({ status: 405, body: { error: 'method-not-allowed' } });
    expect(get.headers.get('allow')).toBe('POST');
    expect(get.body['message']).toContain(`--data-binary @FILE ${url}`);
    const elsewhere = await post(`${url}/x`, 'a');
    expect(elsewhere).toMatchObject({ status: 404, body: { error: 'not-found' } });
    expect(elsewhere.body['message']).toContain('POST /in');
    expect(host.calls).toEqual([]);
  });

  it.each([
    [415, { 'content-type': 'application/x-www-form-urlencoded' }],
    [415, { 'content-encoding': 'gzip' }],
    [415, { 'content-type': 'text/plain; charset=utf-16' }],
    [400, { 'content-type': 'application/json' }],
  ])('sends %i for %j', async (status, headers) => {
    const { host, url } = await start();
    const answer = await post(url, 'a=1', headers);
    expect(answer.status).toBe(status);
    expect(answer.body).toEqual({ error: expect.any(String), message: expect.any(String) });
    expect(host.calls).toEqual([]);
  });

  it('sends 429 with Retry-After while the engine is full', async () => {
    const { host, url } = await start();
    host.isFullNow = true;
    const answer = await post(url, 'a');
    expect(answer).toMatchObject({ status: 429, body: { error: 'busy' } });
    expect(answer.headers.get('retry-after')).toBe('1');
    host.isFullNow = false;
    expect((await post(url, 'a')).status).toBe(200);
  });

  it('says with 429 when the rate lets something in again', async () => {
    const { host, url } = await start();
    host.isFullNow = true;
    host.allowanceNow = { records: 0, waitMs: 12_001 };
    const answer = await post(url, 'a');
    expect(answer).toMatchObject({ status: 429, body: { error: 'busy' } });
    expect(answer.headers.get('retry-after')).toBe('13');
    expect(host.calls).toEqual([]);
  });

  it.each([
    'BLOCK_REFUSED',
    'RECEIVER_STOPPED',
    'WAL_POISONED',
    'EXECUTOR_DIED',
    'DISK_FULL',
  ] satisfies ErrorCode[])('sends 503 with Retry-After for %s', async (code) => {
    const { host, url } = await start();
    host.failWith(new MillraceError(code, 'why'));
    const answer = await post(url, 'a');
    expect(answer).toMatchObject({ status: 503, body: { error: code } });
    expect(answer.headers.get('retry-after')).toBe('1');
  });

  it('sends 413 for records that fit into no block', async () => {
    const { host, url } = await start();
    host.failWith(new MillraceError('RECORD_TOO_LARGE', 'why'));
    expect((await post(url, 'a')).status).toBe(413);
  });

  it('sends 500 and reports an error that nobody foresaw', async () => {
    const { host, url } = await start();
    host.failWith(new TypeError('bug'));
    expect((await post(url, 'a')).status).toBe(500);
    expect(host.reports.join()).toContain('bug');
  });
});

describe('hostile bodies', () => {
  it('refuses an announced length over the limit, drains, closes', async () => {
    const { host, port } = await start({ maxBodyBytes: 10 });
    const { socket, all } = await dial(port);
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n');
    await once(socket, 'data'); // answered before a byte of the body was sent
    socket.write('12345678901');
    const text = await all;
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(text).toMatch(/connection: close/i);
    expect(text).toContain('"error":"body-too-large"');
    expect(host.calls).toEqual([]);
  });

  it('stops a chunked upload as soon as it passes the limit', async () => {
    const { host, port } = await start({ maxBodyBytes: 10 });
    const { socket, all } = await dial(port);
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    socket.write('8\r\n12345678\r\n');
    socket.write('8\r\n12345678\r\n'); // and it would go on for ever
    await once(socket, 'data');
    socket.write('8\r\n12345678\r\n0\r\n\r\n');
    expect(await all).toMatch(/^HTTP\/1\.1 413 [^]*"error":"body-too-large"/);
    expect(host.calls).toEqual([]);
  });

  it('cuts a refused client that never ends its body', async () => {
    const clock = new ManualClock();
    const { port } = await start({ maxBodyBytes: 10, clock });
    const { socket, all } = await dial(port);
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    socket.write('b\r\n12345678901\r\n');
    await clock.timers();
    clock.advance(2_000);
    expect(await all).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('stores nothing of a body that is shorter than announced', async () => {
    const { receiver, host, port } = await start();
    const { socket, all } = await dial(port);
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc\n');
    socket.end();
    await all;
    await receiver.onStop();
    expect(host.calls).toEqual([]);
    expect(host.reports).toEqual([]);
  });

  it('finds invalid UTF-8 that is split over chunks, and takes valid UTF-8 that is', async () => {
    const { host, port } = await start();
    for (const [last, status] of [
      ['\xac', 200],
      ['\xe2', 400],
    ] as const) {
      const { socket, all } = await dial(port);
      socket.write('POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n');
      socket.write('Transfer-Encoding: chunked\r\n\r\n');
      socket.write('1\r\n\xe2\r\n', 'latin1');
      socket.write('1\r\n\x82\r\n', 'latin1');
      socket.write(`1\r\n${last}\r\n0\r\n\r\n`, 'latin1');
      expect(await all).toContain(`HTTP/1.1 ${status} `);
    }
    expect(host.calls.map((call) => call.records)).toEqual([['€']]);
  });

  it('bounds the bytes of all bodies together, and gives them back', async () => {
    const { host, url } = await start({ maxBodyBytes: 10, heldBodyBytesMax: 12 });
    host.hold();
    const first = post(url, '1234567890');
    await host.until(() => host.heldCount === 1);
    const second = await post(url, '123');
    expect(second).toMatchObject({ status: 429, body: { error: 'too-many-bodies' } });
    host.release();
    expect((await first).status).toBe(200);
    expect((await post(url, '1234567890')).status).toBe(200);
  });
});

describe('starting and stopping', () => {
  it('names host, port and remedy when the port is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const receiver = new HttpTextReceiver({ ports: [port] });
    const host = new FakeReceiverHost(receiver);
    await expect(receiver.onStart()).rejects.toMatchObject({
      code: 'ADDRESS_UNAVAILABLE',
      message: expect.stringContaining(`127.0.0.1:${port}: the port is in use. Stop`),
    });
    await receiver.onStop();
    expect(host.restarts).toEqual([]);
    other.close();
  });

  it('listens on the port of its own index', async () => {
    let port = 0;
    const receiver = new HttpTextReceiver({
      ports: [1, 0],
      onListening: (bound) => (port = bound),
    });
    new FakeReceiverHost(receiver, { receiverIndex: 1, receiverCount: 2 });
    await receiver.onStart();
    expect(port).toBeGreaterThan(1);
    await receiver.onStop();
  });

  it('lists all wrong options in one error', () => {
    const wrong = { ports: [70_000], path: 'in', maxBodyBytes: 0 };
    expect(() => new HttpTextReceiver(wrong)).toThrow(
      /port 70000 .*; path "in" .*; maxBodyBytes 0/,
    );
  });

  it('finishes what is in flight, refuses what comes then, and accepts no connection', async () => {
    const { receiver, host, port, url } = await start();
    const kept = await dial(port);
    kept.socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n'); // in flight
    host.hold();
    const inFlight = post(url, 'a');
    await host.until(() => host.heldCount === 1);
    const stopped = receiver.onStop();
    await expect(fetch(url, { method: 'POST', body: 'x' })).rejects.toThrow();
    kept.socket.write('b\n');
    await host.until(() => host.heldCount === 2);
    host.release();
    expect((await inFlight).body).toEqual({ records: 1 });
    await stopped;
    expect(await kept.all).toMatch(/^HTTP\/1\.1 200 OK[^]*connection: close/i);
    expect(host.calls.map((call) => call.records)).toEqual([['a'], ['b']]);
  });

  it('answers 503 to a request that comes over an open connection while it drains', async () => {
    const { receiver, host, port, url } = await start();
    host.hold();
    const inFlight = post(url, 'a');
    await host.until(() => host.heldCount === 1);
    const open = await dial(port);
    open.socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Le'); // its head is not whole yet
    const probe = await dial(port); // answered after the bytes above have been read
    probe.socket.write('GET /x HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(probe.socket, 'data');
    const stopped = receiver.onStop();
    open.socket.write('ngth: 1\r\n\r\nb');
    expect(await open.all).toMatch(/^HTTP\/1\.1 503 [^]*retry-after: 1[^]*"error":"stopping"/i);
    host.release();
    expect((await inFlight).status).toBe(200);
    await stopped;
    expect(host.calls).toHaveLength(1);
  });

  it('gives up on requests in flight at the limit, and stores nothing afterwards', async () => {
    const clock = new ManualClock();
    const { receiver, host, port, url } = await start({ clock, stopLimitMs: 50 });
    host.hold();
    const claimed = post(url, 'a', { 'idempotency-key': 'k' }).catch(() => 'cut');
    await host.until(() => host.heldCount === 1);
    const waiting = post(url, 'a', { 'idempotency-key': 'k' }).catch(() => 'cut');
    const slow = await dial(port);
    slow.socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nb');
    const probe = await dial(port);
    probe.socket.write('GET /x HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(probe.socket, 'data');
    const stopped = receiver.onStop();
    clock.advance(50);
    await stopped;
    expect(await slow.all).toBe('');
    expect([await claimed, await waiting]).toEqual(['cut', 'cut']);
    expect(host.reports.join()).toContain('unanswered after 50 ms');
    host.failWith(new MillraceError('RECEIVER_STOPPED', 'stopped'));
    host.release(); // the waiting claim now becomes new, but its receiver has stopped
    await new Promise((resolve) => setImmediate(resolve)); // all promises of it have run
    expect(host.calls).toHaveLength(1);
  });

  it('starts again after it was stopped', async () => {
    const ports: number[] = [];
    const onListening = (port: number): unknown => ports.push(port);
    const receiver = new HttpTextReceiver({ ports: [0], onListening });
    const host = new FakeReceiverHost<string>(receiver);
    for (const record of ['a', 'b']) {
      await receiver.onStart();
      expect((await post(`http://127.0.0.1:${ports.at(-1)}`, record)).status).toBe(200);
      await receiver.onStop();
    }
    expect(host.calls.map((call) => call.records)).toEqual([['a'], ['b']]);
  });
});
