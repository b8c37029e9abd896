/** What a run leaves behind in its process: nothing. Each program here is a process of its own that
 * embeds the engine and never calls `process.exit`: it has to end by itself. Needs a built dist/.
 * @module */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const CONTEXT = new URL('../../dist/index.js', import.meta.url).href;
/** How long a program may take to end after its last line. */
const END_LIMIT_MS = 30_000;

let directory: string;
const children = new Set<ReturnType<typeof spawn>>();
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-hygiene-'));
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
  rmSync(directory, { recursive: true, force: true });
});

/** Only what would live for ever is cut off by it. */
const RUN_LIMIT_MS = 280_000;

/** Every kind of input and of output. */
const PIPELINE = `import { definePipeline, Receiver } from 'millrace';
class Own extends Receiver {
  onStart() { this.timer = setInterval(() => void this.store({ n: 1 }), 5); }
  onStop() { clearInterval(this.timer); }
}
const settings = { name: 'hygiene', batchInterval: 20, blockInterval: 10, memory: '16MiB',
  receiverSegmentBytes: '256KiB', driverSegmentBytes: '64KiB', executors: 2 };
export default definePipeline(settings, (ssc) => {
  const inputs = [
    ssc.httpTextStream({ port: 0, receivers: 2 }), ssc.socketTextStream('127.0.0.1', 9),
    ssc.generatorStream({ recordsPerSecond: 5000 }), ssc.textFileStream(process.cwd()),
    ssc.receiverStream(() => new Own()).map((record) => record.n + ''), ssc.queueStream([['x']]),
  ];
  const all = ssc.union(inputs).countByValue();
  all.print(1);
  all.foreachBatch(async (batch) => { await batch.collect(); });
  all.foreachPartition(() => {});
  all.saveAsTextFiles('out/all');
});`;

/** Runs a program; it sees StreamingContext, `open(options, file)` and `batches(context, n)`.
 * @returns its exit code, its output, and how long it lived on after its last line. */
async function run(program: string) {
  writeFileSync(join(directory, 'pipeline.mjs'), PIPELINE);
  writeFileSync(
    join(directory, 'program.mjs'),
    `import { StreamingContext } from ${JSON.stringify(CONTEXT)};
    import { readdirSync } from 'node:fs';
    const quiet = { printLine: () => {} };
    const open = (options = {}, file = 'pipeline.mjs') =>
      StreamingContext.getOrCreate('home', file, { ...quiet, ...options });
    const batches = (context, count) => new Promise((resolve) => {
      let seen = 0;
      context.subscribe(({ type }) => {
        if (type === 'batch-completed') seen += 1;
        if (seen === count) resolve();
      });
    });
    ${program}
    console.log('last line');
    setTimeout(() => {
      console.log('still there: ' + process.getActiveResourcesInfo().join());
      process.exit(99);
    }, ${END_LIMIT_MS}).unref();`,
  );
  const child = spawn(process.execPath, ['program.mjs'], { cwd: directory });
  children.add(child);
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const limit = setTimeout(() => child.kill('SIGKILL'), RUN_LIMIT_MS);
  const code = await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(limit);
  return { code, out, err };
}

const ENDED = { code: 0, out: 'last line\n', err: '' };

it.each([
  ['is stopped', 'await context.stop();'],
  ['is stopped where it stands', 'await context.stop({ graceful: false });'],
  ['is stopped twice', 'await Promise.all([context.stop(), context.stop({ graceful: false })]);'],
])('a process ends by itself when its run %s', async (_, stop) => {
  const ended = await run(`const context = await open();
    await context.start();
    await batches(context, 3);
    ${stop}
    await context.awaitTermination();`);
  expect(ended).toEqual(ENDED);
});

it('a process ends by itself when its run has ended by itself, or by a signal', async () => {
  const ended = await run(`const stopping = new AbortController();
    const context = await open({ batches: 2 });
    await context.start();
    await context.awaitTermination();
    const second = await open({ signal: stopping.signal });
    await second.start();
    stopping.abort();
    await second.awaitTermination();`);
  expect(ended).toEqual(ENDED);
});

it('a process ends by itself when a run was never started, or stopped as it started', async () => {
  const ended = await run(`const context = await open();
    await context.stop();
    const second = await open();
    const starting = second.start().catch(() => undefined);
    await second.stop();
    await starting;`);
  expect(ended).toEqual(ENDED);
});

it('a process ends by itself when its run or its start has failed', async () => {
  const failing = (output: string): string =>
    PIPELINE.replace("all.saveAsTextFiles('out/all');", output);
  writeFileSync(
    join(directory, 'failing.mjs'),
    failing("all.map(() => { throw new Error('x'); }).print();"),
  );
  writeFileSync(
    join(directory, 'differs.mjs'),
    failing('all.repartition(1 + Math.floor(Math.random() * 4000)).print();'),
  );
  const ended = await run(`const codes = [];
    const note = (error) => codes.push(error.code);
    const context = await open({ maxTaskFailures: 1 }, 'failing.mjs');
    await context.start();
    await context.awaitTermination().catch(note);
    await (await open({}, 'differs.mjs')).start().catch(note);
    await open({ executors: 0 }).catch(note);
    await open({}, 'nowhere.mjs').catch(note);
    if (codes.join() !== 'TASK_FAILED,PIPELINE_MISMATCH,OPTIONS_INVALID,PIPELINE_INVALID') {
      throw new Error(codes.join());
    }`);
  expect(ended).toEqual(ENDED);
});

it('a process ends by itself when a directory was refused while its threads were starting', async () => {
  const ended = await run(`const holder = await open();
    const refused = await open().catch((error) => error.code);
    await holder.stop();
    if (refused !== 'DIRECTORY_LOCKED') throw new Error(refused);`);
  expect(ended).toEqual(ENDED);
});

it('fifty runs leave no file, no thread and no memory behind', async () => {
  const { code, out, err } = await run(
    `const sizes = [];
    for (let cycle = 1; cycle <= 50; cycle += 1) {
      const context = await open({ batchInterval: 20, executors: 1, receiverExecutors: 1 });
      await context.start();
      if (cycle % 5 === 0) await batches(context, 1);
      await context.stop({ graceful: cycle % 2 === 0 });
      if (cycle % 10 !== 0) continue;
      const count = (place) => readdirSync('/proc/self/' + place).length;
      const [fds, threads] = [count('fd'), count('task')];
      sizes.push({ fds, threads, rssMib: process.memoryUsage.rss() / 2 ** 20 });
    }
    console.log(JSON.stringify(sizes));`,
  );
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const sizes = JSON.parse(out.split('\n')[0] ?? '') as {
    fds: number;
    threads: number;
    rssMib: number;
  }[];
  const [first, second, , , last] = sizes;
  // One that is being closed may still be there; a leak of one a run would make forty.
  expect((last?.fds ?? 99) - (first?.fds ?? 0), out).toBeLessThan(5);
  expect((last?.threads ?? 99) - (first?.threads ?? 0), out).toBeLessThan(5);
  expect((last?.rssMib ?? 0) - (second?.rssMib ?? 0), out).toBeLessThan(100);
});
