/** HTTP requests that an engine cannot take, and what becomes of them: the answer says so, and
 * nothing of them is in the output. Needs a built dist/.
 * @module */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PipelineSite } from '../support/pipeline-site.ts';
import type { PipelineRun } from '../support/pipeline-site.ts';

let site: PipelineSite;
beforeEach(() => {
  site = new PipelineSite();
});
afterEach(() => site.close());

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: Headers;
}

async function post(address: string, body: string | Uint8Array, headers = {}): Promise<Answer> {
  const answer = await fetch(address, {
    method: 'POST',
    body,
    headers: { 'content-type': 'text/plain', ...headers },
  });
  return {
    status: answer.status,
    body: (await answer.json()) as Record<string, unknown>,
    headers: answer.headers,
  };
}

/** Starts an engine with one HTTP input. @param input options of it, as text. */
async function listen(
  input = '',
  output = `keep('all', lines);`,
): Promise<{ run: PipelineRun; address: string }> {
  site.pipeline(`const lines = ssc.httpTextStream({ port: 0, ${input} }); ${output}`, {
    options: { blockInterval: 10 },
  });
  const run = await site.start();
  const { address = '' } = await run.event('receiver-started');
  return { run, address };
}

it('a body that is not what it says is refused as a whole', async () => {
  const { run, address } = await listen();
  const json = { 'content-type': 'application/json' };
  const ndjson = { 'content-type': 'application/x-ndjson' };
  const latin1 = Uint8Array.from([0x67, 0x72, 0xfc, 0x6e]);
  const refused: readonly (readonly [number, Promise<Answer>])[] = [
    [400, post(address, latin1)],
    [400, post(address, Uint8Array.from([...Buffer.from('good\nbad '), 0xff, 0x0a]))],
    [400, post(address, '["one", "two"', json)],
    [400, post(address, '{"not": "an array"}', json)],
    [400, post(address, '"text"', json)],
    [400, post(address, '{"n":1}\n{"n":\n', ndjson)],
    [400, post(address, 'key', { 'idempotency-key': 'k'.repeat(256) })],
    [400, post(address, 'key', { 'idempotency-key': '' })],
    [415, post(address, 'x', { 'content-type': 'image/png' })],
    [415, post(address, 'x', { 'content-type': 'text/plain; charset=utf-16' })],
    [415, post(address, 'x', { 'content-encoding': 'gzip' })],
    [404, post(`${address}elsewhere`, 'x')],
  ];
  for (const [status, answering] of refused) {
    const answer = await answering;
    expect(answer.status, JSON.stringify(answer.body)).toBe(status);
    expect(answer.body).toMatchObject({ error: expect.any(String), message: expect.any(String) });
  }
  const get = await fetch(address);
  expect(get.status).toBe(405);
  expect(get.headers.get('allow')).toBe('POST');
  expect((await post(address, 'taken')).body).toEqual({ records: 1 });
  await run.context.stop();
  expect(site.records('all')).toEqual(['taken']);
  expect(run.of('receiver-error')).toEqual([]);
});

it('a body past its limit is refused, announced or not, and the next one is taken', async () => {
  const { run, address } = await listen('maxBodyBytes: 1000');
  expect((await post(address, 'x'.repeat(1000))).status).toBe(200);
  const announced = await post(address, 'y'.repeat(1001));
  expect(announced).toMatchObject({ status: 413, body: { error: expect.any(String) } });
  let chunks = 0;
  const streamed = await fetch(address, {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body: new ReadableStream({
      pull(controller) {
        chunks += 1;
        if (chunks < 20) controller.enqueue(Buffer.alloc(600, 'z'));
        else controller.close();
      },
    }),
    duplex: 'half',
  }).then(
    ({ status }) => status,
    () => 413,
  ); // it may be cut before it has an answer
  expect(streamed).toBe(413);
  expect((await post(address, 'after')).status).toBe(200);
  await run.context.stop();
  expect(site.records('all')).toEqual(['x'.repeat(1000), 'after']);
});

it('a body that fits into no block is refused with 413, alone', async () => {
  const { run, address } = await listen();
  const large = `${'x'.repeat(99)}\n`.repeat(45_000); // 4.5 MB; a block of this arena has 3 at most
  const [refused, taken] = await Promise.all([post(address, large), post(address, 'small')]);
  expect(refused).toMatchObject({ status: 413, body: { error: 'RECORD_TOO_LARGE' } });
  expect(taken.status).toBe(200);
  await run.context.stop();
  expect(site.records('all')).toEqual(['small']);
  expect(run.of('receiver-restarting')).toEqual([]);
});

it('a key that comes again with another body is a conflict', async () => {
  const { run, address } = await listen();
  const key = { 'idempotency-key': 'one' };
  expect((await post(address, 'a', key)).body).toEqual({ records: 1 });
  expect((await post(address, 'b', key)).status).toBe(409);
  const otherType = { ...key, 'content-type': 'application/x-ndjson' };
  expect((await post(address, '1', otherType)).status).toBe(409);
  expect((await post(address, 'a', key)).body).toEqual({ records: 1, duplicate: true });
  await run.context.stop();
  expect(site.records('all')).toEqual(['a']);
});

it('a full engine answers 429 until there is room, and has every record it took', async () => {
  const { run, address } = await listen(
    `storageLevel: 'memory'`,
    `lines.foreachBatch(async () => {
      const { existsSync } = await import('node:fs');
      while (existsSync(directory + '/hold')) await new Promise((done) => setTimeout(done, 10));
    });
    keep('all', lines.map((line) => Number(line.slice(0, 6))));`,
  );
  site.write('hold', '');
  const taken: number[] = [];
  const statuses = new Set<number>();
  const client = async (first: number): Promise<void> => {
    for (let n = first; !statuses.has(429); n += 4) {
      const { status, headers } = await post(
        address,
        String(n).padStart(6, '0') + 'x'.repeat(500_000),
      );
      statuses.add(status);
      if (status === 200) taken.push(n);
      if (status === 429) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    }
  };
  const clients = Promise.all([0, 1, 2, 3].map(client));
  await run.until('429', () => statuses.has(429));
  site.remove('hold');
  await clients;
  let again = 0;
  while (again !== 200) again = (await post(address, '999999')).status;
  await run.context.stop();
  expect([...statuses].toSorted((a, b) => a - b)).toEqual([200, 429]);
  const numbers = site.records('all') as number[];
  expect(numbers.toSorted((a, b) => a - b)).toEqual([...taken.toSorted((a, b) => a - b), 999_999]);
});

describe('while it stops', () => {
  it('what is under way is answered, and nothing that comes then is waited for', async () => {
    const { run, address } = await listen();
    const { port } = new URL(address);
    const socket = connect({ host: '127.0.0.1', port: Number(port) });
    let heard = '';
    socket.setEncoding('utf8').on('data', (text: string) => (heard += text));
    const head = `POST / HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n`;
    socket.write(`${head}expect: 100-continue\r\n\r\n`);
    // Now its request is under way, whatever comes through other connections.
    while (!heard.includes('100 Continue')) await once(socket, 'data');
    socket.write('on');
    expect((await post(address, 'before')).status).toBe(200);
    const stopping = run.context.stop();
    await run.event('engine-stopping');
    await refusesConnections(Number(port));
    socket.write(`the${head}\r\nlater`); // the rest, and one more request on the same connection
    await stopping;
    const statuses = heard.match(/HTTP\/1\.1 \d+/g);
    expect(statuses).toEqual(['HTTP/1.1 100', 'HTTP/1.1 200']);
    expect(heard).toMatch(/^connection: close\r$/im);
    expect(run.of('receiver-error')).toEqual([]); // that requests were waited for in vain
    socket.destroy();
    expect((site.records('all') as string[]).toSorted()).toEqual(['before', 'onthe']);
  });

  /** Resolves when the server listens no more. */
  async function refusesConnections(port: number): Promise<void> {
    for (;;) {
      const isOpen = await new Promise<boolean>((resolve) => {
        const attempt = connect({ host: '127.0.0.1', port });
        attempt.once('connect', () => resolve(true)).once('error', () => resolve(false));
        attempt.once('connect', () => attempt.destroy());
      });
      if (!isOpen) return;
    }
  }
});
