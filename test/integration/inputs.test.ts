/** Inputs of whole pipelines, with real receivers, files, sockets and requests. Needs a built
 * dist/.
 * @module */
import { runInThisContext } from 'node:vm';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lineAt, makeLines } from '../../src/sources/generator-lines.ts';
import { freePorts, LineServer } from '../support/peers.ts';
import { PipelineSite } from '../support/pipeline-site.ts';
import type { PipelineText } from '../support/pipeline-site.ts';

let site: PipelineSite;
const servers: LineServer[] = [];
beforeEach(() => {
  site = new PipelineSite();
});
afterEach(async () => {
  await site.close();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** A receiver class whose `run()` is the given code; an error of it reaches the events. */
function receiverClass(run: string, name = 'Script'): string {
  return `class ${name} extends Receiver {
    onStart() {
      this.run().catch((error) => this.reportError('script failed', error));
    }
    async run() {
      ${run}
    }
    onStop() {}
  }`;
}

/** Stores RECORDS one by one. */
const STORE_ALL_SINGLY = `for (const record of RECORDS) {
  const room = this.store(record);
  if (room !== undefined) await room;
}`;

describe('receiverStream', () => {
  const text = (head: string): PipelineText => ({ head, options: { blockInterval: 10 } });

  it('takes single records and acknowledged calls, in the order of the calls', async () => {
    site.pipeline(
      `keep('all', ssc.receiverStream(() => new Script()));`,
      text(
        `const RECORDS = ['a', 'b', 'c'];
        ${receiverClass(`${STORE_ALL_SINGLY}
          await this.store(['d', 'e'], { position: 1 });
          await this.store([], { position: 2 });
          await this.store([], {});
          ${STORE_ALL_SINGLY}
          await this.store(['f'], {});
          this.store('g');
          this.end();`)}`,
      ),
    );
    await site.finish();
    expect(site.records('all').join('')).toBe('abcdeabcfg');
  });

  it('brings every kind of value through the log and back', async () => {
    const records = `[
      'plain', '', 'two\\nlines\\r\\n', 'ÄÖ→😀', '\\u0000', 'x'.repeat(300_000),
      1, -1.5, NaN, true, null, undefined, 12n, { a: { b: [1, 'ü'] } }, ['k', 1],
      new Map([['k', new Set([1])]]), new Date(5), new Uint8Array([0, 255]), [], {},
    ]`;
    site.pipeline(
      `keep('single', ssc.receiverStream(() => new Single()));
      keep('many', ssc.receiverStream(() => new Many()));`,
      text(
        `const RECORDS = ${records};
        ${receiverClass(`${STORE_ALL_SINGLY} this.end();`, 'Single')}
        ${receiverClass('await this.store(RECORDS, {}); this.end();', 'Many')}`,
      ),
    );
    await site.finish();
    const expected = runInThisContext(records) as unknown[];
    expect(site.records('single')).toEqual(expected);
    expect(site.records('many')).toEqual(expected);
  });

  it('brings text back byte for byte when blocks change from ASCII to UTF-8 to objects', async () => {
    const lines = Array.from({ length: 3_000 }, (_, n) =>
      n % 7 === 3 ? `${n} größer → ${'😀'.repeat(n % 50)}` : `${n} ${'x'.repeat(n % 90)}`,
    );
    const records = [...lines, { last: true }, 'text again'];
    site.pipeline(`keep('all', ssc.receiverStream(() => new Script()));`, {
      head: `const RECORDS = ${JSON.stringify(records)};
        ${receiverClass(`${STORE_ALL_SINGLY} this.end();`)}`,
      options: { blockInterval: 5, blockBytesMax: '4KiB' },
    });
    await site.finish();
    expect(site.records('all')).toEqual(records);
  });

  it('runs several receivers of several inputs, each with its place', async () => {
    site.pipeline(
      `const three = ssc.receiverStream(() => new Place('three'), { receivers: 3 });
      const two = ssc.receiverStream(() => new Place('two'), { receivers: 2, id: 'two' });
      keep('both', three.union(two));`,
      {
        head: `class Place extends Receiver {
          constructor(name) { super(); this.name = name; }
          async onStart() {
            const place = this.name + ' ' + this.receiverIndex + ' of ' + this.receiverCount;
            for (let n = 0; n < 20; n += 1) await this.store([place], {});
            this.end();
          }
          onStop() {}
        }`,
        options: { blockInterval: 5, receiverExecutors: 2 },
      },
    );
    const run = await site.finish();
    const counts: Record<string, number> = {};
    for (const record of site.records('both') as string[]) {
      counts[record] = (counts[record] ?? 0) + 1;
    }
    expect(counts).toEqual({
      'three 0 of 3': 20,
      'three 1 of 3': 20,
      'three 2 of 3': 20,
      'two 0 of 2': 20,
      'two 1 of 2': 20,
    });
    expect(run.of('receiver-ended')).toHaveLength(5);
  });

  it('tells a restarted receiver, and the next run, where it was', async () => {
    site.pipeline(
      `keep('all', ssc.receiverStream(() => new Counting()));`,
      text(`class Counting extends Receiver {
        async onStart() {
          const from = this.lastPosition.p ?? 0;
          for (let n = from + 1; n <= from + 10; n += 1) {
            await this.store([n], { position: { p: n } });
          }
          if (from === 0) return this.restart('once', new Error('on purpose'), 10);
          if (from < 30) return; // the test stops this run
          this.end();
        }
        onStop() {}
      }`),
    );
    for (const last of [20, 30, 40]) {
      const run = await site.start();
      await run.until(`record ${last}`, () => site.records('all').includes(last));
      await run.context.stop({ graceful: last !== 30 });
    }
    expect(site.records('all')).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
  });

  it('refuses what cannot be packed, takes the rest, and says which', async () => {
    site.pipeline(
      `keep('all', ssc.receiverStream(() => new Script()));`,
      text(
        receiverClass(`const refusals = [];
          const attempts = [() => {}, Symbol('s'), 'lone \\ud800', { f: () => {} }];
          for (const bad of attempts) {
            try { await this.store(bad); } catch (error) { refusals.push(error.code); }
            await this.store(['before', bad], {}).catch((error) => refusals.push(error.code));
            await this.store('good');
          }
          const large = 'x'.repeat(4 * 1024 * 1024);
          await this.store(['small', large], {}).catch((error) => refusals.push(error.code));
          await this.store([refusals], {});
          this.end();`),
      ),
    );
    const run = await site.finish();
    const refusals = [...Array<string>(8).fill('RECORD_UNSUPPORTED'), 'RECORD_TOO_LARGE'];
    expect(site.records('all')).toEqual(['good', 'good', 'good', 'good', refusals]);
    expect(run.of('receiver-error')).toEqual([]);
  });

  it('starts a receiver again whose start failed, and reports why', async () => {
    const marker = site.path('tried');
    site.pipeline(
      `keep('all', ssc.receiverStream(() => new Late()));`,
      text(`import { existsSync, writeFileSync } from 'node:fs';
        class Late extends Receiver {
          async onStart() {
            const marker = ${JSON.stringify(marker)};
            if (!existsSync(marker)) {
              writeFileSync(marker, '');
              throw new RangeError('not yet');
            }
            await this.store(['there'], {});
            this.end();
          }
          onStop() {}
        }`),
    );
    const run = await site.finish();
    expect(site.records('all')).toEqual(['there']);
    const where = { streamId: 'receiverStream-0', receiverIndex: 0 };
    expect(run.of('receiver-error')).toMatchObject([
      { ...where, message: 'onStart failed', error: expect.stringContaining('not yet') },
    ]);
    expect(run.of('receiver-restarting')).toMatchObject([where]);
  });
});

describe('queueStream', () => {
  it('goes on after the last recorded batch', async () => {
    // More than can be cut, 16 unfinished ones, before the second one's end is acted on.
    const queue = Array.from({ length: 30 }, (_, n) => [n, n + 0.5]);
    site.pipeline(`keep('all', ssc.queueStream(${JSON.stringify(queue)}));`);
    const first = await site.start();
    await first.until('two batches', () => first.of('batch-completed').length >= 2);
    await first.context.stop();
    const done = site.records('all').length;
    expect(done).toBeLessThan(queue.flat().length);
    await site.finish({ executors: 1 });
    expect((site.records('all') as number[]).toSorted((a, b) => a - b)).toEqual(queue.flat());
    const times = site.kept.map(({ batchTime }) => batchTime);
    expect(new Set(times).size).toBe(times.length);
  });
});

describe('generatorStream', () => {
  function generated(total: number, recordBytes = 100, seed = 1): string[] {
    const lines = makeLines(seed, recordBytes);
    return Array.from({ length: total }, (_, n) => lineAt(lines, n));
  }

  it('ends the run by itself with exactly its records', async () => {
    site.pipeline(`
      keep('a', ssc.generatorStream({ total: 2500, recordBytes: 31, seed: 5 }));
      keep('b', ssc.generatorStream({ total: 1001, recordBytes: 12, receivers: 3 }));
      keep('none', ssc.generatorStream({ total: 0 }));`);
    const run = await site.finish();
    expect(site.records('a')).toEqual(generated(2500, 31, 5));
    expect((site.records('b') as string[]).toSorted()).toEqual(generated(1001, 12).toSorted());
    expect(site.records('none')).toEqual([]);
    expect(run.context.totals).toMatchObject({ recordCount: 3501, unfinishedBatches: 0 });
    expect(run.of('engine-stopping')).toMatchObject([{ reason: 'all inputs have ended' }]);
  });

  it('counts over restarts, graceful or not', async () => {
    const total = 6_000;
    site.pipeline(`keep('all', ssc.generatorStream({
      total: ${total}, recordsPerSecond: 6000, recordBytes: 20, receivers: 2 }));`);
    for (const graceful of [true, false, false]) {
      const run = await site.start();
      const isOver = (): boolean => run.of('engine-stopping').length > 0; // on a slow machine
      await run.until('a batch', () => isOver() || run.of('batch-completed').length >= 3);
      await run.context.stop({ graceful });
    }
    await site.finish();
    expect((site.records('all') as string[]).toSorted()).toEqual(generated(total, 20).toSorted());
  });

  it('ends at once when a restart finds that everything has come', async () => {
    site.pipeline(`keep('all', ssc.generatorStream({ total: 10 }));`);
    await site.finish();
    const again = await site.finish();
    expect(site.records('all')).toHaveLength(10);
    expect(again.of('engine-stopping')).toMatchObject([{ reason: 'all inputs have ended' }]);
  });
});

describe('textFileStream', () => {
  /** Writes under another name and renames. */
  function put(name: string, text: string): void {
    mkdirSync(site.path('in'), { recursive: true });
    const hidden = site.path('in', `.${name}`);
    writeFileSync(hidden, text);
    renameSync(hidden, site.path('in', name));
  }

  it('takes each renamed file once, also over restarts, and a recreated one again', async () => {
    put('early.txt', 'one\ntwo\n');
    writeFileSync(site.path('in', 'unfinished.tmp'), 'no');
    writeFileSync(site.path('in', '.hidden'), 'no');
    mkdirSync(site.path('in', 'folder'));
    site.pipeline(`keep('all', ssc.textFileStream(directory + '/in'));`);
    const first = await site.start();
    await first.until('early', () => site.records('all').length >= 2);
    put('late.txt', 'drei ü\r\n\nlast without newline');
    put('empty.txt', '');
    await first.until('late', () => site.records('all').length >= 5);
    await first.context.stop();

    put('between.txt', 'between\n');
    const second = await site.start();
    await second.until('between', () => site.records('all').includes('between'));
    rmSync(site.path('in', 'early.txt'));
    const before = second.of('batch-completed').length;
    await second.until('a listing without it', () => {
      return second.of('batch-completed').length >= before + 2;
    });
    put('early.txt', 'again\n');
    await second.until('again', () => site.records('all').includes('again'));
    await second.context.stop({ graceful: false });

    const third = await site.start();
    await third.until('more batches', () => third.of('batch-completed').length >= 3);
    const expected = ['one', 'two', 'drei ü', '', 'last without newline', 'between', 'again'];
    expect((site.records('all') as string[]).toSorted()).toEqual(expected.toSorted());
  });

  it('reads files larger than a chunk, in parallel, each in one partition', async () => {
    const lines = Array.from({ length: 40_000 }, (_, n) => `line ${n} ${'ß'.repeat(n % 11)}`);
    put('large-1.txt', `${lines.join('\n')}\n`);
    put('large-2.txt', lines.join('\n'));
    site.pipeline(`keep('all', ssc.textFileStream(directory + '/in').glom());`);
    const run = await site.start();
    await run.until('both', () => site.records('all').length === 2);
    expect(site.records('all')).toEqual([lines, lines]);
  });
});

describe('socketTextStream', () => {
  it('reads lines, and goes on when the server comes back', async () => {
    const server = await LineServer.listen();
    servers.push(server);
    const { port } = server;
    site.pipeline(`keep('all', ssc.socketTextStream('127.0.0.1', ${port}));`, {
      options: { blockInterval: 10 },
    });
    const run = await site.start();
    const has = (line: string) => (): boolean => site.records('all').includes(line);
    await server.send('one\ntwo ü\r\n\nthree\n');
    await run.until('three', has('three'));
    await server.hangUp(); // between two lines
    await server.send('four\nfive');
    await server.hangUp(); // inside the last line, which then is a line too
    await run.until('five', has('five'));
    await server.close();
    const again = await LineServer.listen(port);
    servers.push(again);
    await again.send('six\n');
    await run.until('six', has('six'));
    await run.context.stop();
    expect(site.records('all')).toEqual(['one', 'two ü', '', 'three', 'four', 'five', 'six']);
    const reports = run.of('receiver-error').map(({ message }) => message);
    expect(reports.join()).toContain('the peer closed the connection');
  });

  it('connects once for each receiver', async () => {
    const server = await LineServer.listen();
    servers.push(server);
    site.pipeline(
      `keep('all', ssc.socketTextStream('127.0.0.1', ${server.port}, { receivers: 2 }));`,
      { options: { blockInterval: 10 } },
    );
    const run = await site.start();
    await server.connections(2);
    await server.send('to each\n');
    await run.until('both', () => site.records('all').length === 2);
    expect(site.records('all')).toEqual(['to each', 'to each']);
  });
});

describe('httpTextStream', () => {
  async function post(port: number, body: string, headers: Record<string, string> = {}) {
    const response = await fetch(`http://127.0.0.1:${port}/`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'text/plain', ...headers },
    });
    return [response.status, await response.json()];
  }

  it('acknowledges with the number of records, in three formats, on several ports', async () => {
    const [a = 0, b = 0] = await freePorts(2);
    site.pipeline(`keep('all', ssc.httpTextStream({ port: [${a}, ${b}], receivers: 2 }));`, {
      options: { blockInterval: 10 },
    });
    const run = await site.start();
    expect(await post(a, 'eins\nzwei ü\n')).toEqual([200, { records: 2 }]);
    const json = { 'content-type': 'application/json' };
    expect(await post(b, '["x", {"y": [1]}, 3, "two\\nlines"]', json)).toEqual([
      200,
      { records: 4 },
    ]);
    const ndjson = { 'content-type': 'application/x-ndjson' };
    expect(await post(b, '{"n":1}\n{"n":2}\n', ndjson)).toEqual([200, { records: 2 }]);
    expect(await post(a, '')).toEqual([200, { records: 0 }]);
    await run.context.stop();
    const expected = ['eins', 'zwei ü', 'x', '{"y":[1]}', '3', 'two\nlines', '{"n":1}', '{"n":2}'];
    expect((site.records('all') as string[]).toSorted()).toEqual(expected.toSorted());
  });

  it('counts a repeated key once, over receivers and restarts', async () => {
    const [a = 0, b = 0] = await freePorts(2);
    site.pipeline(`keep('all', ssc.httpTextStream({ port: [${a}, ${b}], receivers: 2 }));`, {
      options: { blockInterval: 10, receiverExecutors: 2 },
    });
    const key = { 'idempotency-key': 'k1' };
    const run = await site.start();
    const answers = await Promise.all([a, b, a, b].map((port) => post(port, 'one\ntwo', key)));
    const first = [200, { records: 2 }];
    const repeated = [200, { records: 2, duplicate: true }];
    expect(answers).toEqual(expect.arrayContaining([first, repeated, repeated, repeated]));
    expect(
      answers.filter(([, body]) => (body as { duplicate?: boolean }).duplicate !== true),
    ).toHaveLength(1);
    await run.context.stop({ graceful: false });
    const again = await site.start();
    expect(await post(b, 'one\ntwo', key)).toEqual(repeated);
    expect(await post(b, 'other', key)).toMatchObject([409, {}]);
    await again.context.stop();
    expect(site.records('all')).toEqual(['one', 'two']);
  });

  it('says so when nothing is durable', async () => {
    const [port = 0] = await freePorts(1);
    site.pipeline(`keep('all', ssc.httpTextStream({ port: ${port} }));`);
    const run = await site.start({ checkpointDir: false });
    expect(await post(port, 'x')).toEqual([200, { records: 1, durability: 'off' }]);
    await run.context.stop();
    expect(site.records('all')).toEqual(['x']);
  });
});

describe('pipeline modules', () => {
  const HELPERS: Readonly<Record<string, string>> = {
    'lib/shout.ts':
      "export enum Mark { Loud = '!' }\nexport const shout = (s: string): string => s + Mark.Loud;\n",
    'lib/shout.mjs': "export const shout = (s) => s + '!';\n",
    'lib/words.json': '["a", "b"]',
  };

  it.each([
    ['pipeline.ts', './lib/shout.ts'],
    ['pipeline.mts', './lib/shout.ts'],
    ['pipeline.mjs', './lib/shout.mjs'],
    ['pipeline.js', './lib/shout.mjs'],
    ['with space ü.ts', './lib/shout'],
  ])('%s with local imports', async (file, helper) => {
    for (const [name, text] of Object.entries(HELPERS)) site.write(name, text);
    site.pipeline(`keep('all', ssc.queueStream([words]).map((word) => shout(word)));`, {
      head: `import { shout } from '${helper}';\nimport words from './lib/words.json';`,
      file,
    });
    await site.finish();
    expect(site.records('all')).toEqual(['a!', 'b!']);
  });
});
