/** The life of a run: starting, stopping in every way, failing tasks, and going on afterwards.
 * Needs a built dist/.
 * @module */
import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { failureOf, PipelineSite } from '../support/pipeline-site.ts';

let site: PipelineSite;
beforeEach(() => {
  site = new PipelineSite();
});
afterEach(() => site.close());

/** Numbers without end, each acknowledged call noted in a file before the next one. */
const ACKNOWLEDGED = `import { appendFileSync } from 'node:fs';
class Numbers extends Receiver {
  async onStart() {
    this.run().catch(() => undefined); // the end of this life
  }
  async run() {
    for (let n = (this.lastPosition[''] ?? 0) + 1; ; n += 3) {
      await this.store([n, n + 1, n + 2], { position: n + 2 });
      appendFileSync(NOTES, (n + 2) + '\\n');
    }
  }
  onStop() {}
}`;

function numbersPipeline(output: string, options = {}): void {
  const notes = `const NOTES = ${JSON.stringify(site.path('notes'))};`;
  site.pipeline(`const numbers = ssc.receiverStream(() => new Numbers()); ${output}`, {
    head: `${ACKNOWLEDGED}\n${notes}`,
    options: { blockInterval: 5, ...options },
  });
}

describe('states', () => {
  beforeEach(() => site.pipeline(`keep('all', ssc.queueStream([[1]]));`));

  it('start() twice is refused, and the run goes on', async () => {
    numbersPipeline(`keep('all', numbers);`);
    const run = await site.start();
    const refused = { code: 'CONTEXT_STATE', message: expect.stringContaining('active') };
    expect(await failureOf(run.context.start())).toMatchObject(refused);
    const before = run.of('batch-completed').length;
    await run.until('more batches', () => run.of('batch-completed').length > before + 1);
    await run.context.stop();
    const stopped = { code: 'CONTEXT_STATE', message: expect.stringContaining('stopped') };
    expect(await failureOf(run.context.start())).toMatchObject(stopped);
  });

  it('awaitTermination() and stop() refuse options that they do not know', async () => {
    numbersPipeline(`keep('all', numbers);`);
    const { context } = await site.start();
    const wait = context.awaitTermination.bind(context) as (given: unknown) => Promise<boolean>;
    const stop = context.stop.bind(context) as (given: unknown) => Promise<void>;
    for (const [call, message] of [
      [wait({ timeoutMs: 10 }), /^awaitTermination\(\): there is no option timeoutMs/],
      [wait(10), /^awaitTermination\(\): options must be an object, not 10/],
      [stop({ gracefully: false }), /^stop\(\): there is no option gracefully/],
    ] as const) {
      const refused = { code: 'OPTIONS_INVALID', message: expect.stringMatching(message) };
      expect(await failureOf(call)).toMatchObject(refused);
    }
    expect(context.getState()).toBe('active');
    await context.stop();
  });

  it('stop() before start() closes everything, and start() is refused then', async () => {
    const run = await site.open();
    await run.context.stop();
    await run.context.awaitTermination();
    expect(await failureOf(run.context.start())).toMatchObject({ code: 'CONTEXT_STATE' });
    await site.finish(); // the directory is free
    expect(site.records('all')).toEqual([1]);
  });

  it.each([true, false])('stop({ graceful: %s }) while start() is under way', async (graceful) => {
    numbersPipeline(`keep('all', numbers);`);
    const run = await site.open();
    const starting = run.context.start().catch((error: unknown) => error);
    await run.context.stop({ graceful });
    await run.context.awaitTermination();
    expect(await starting).toMatchObject({ code: 'CONTEXT_STATE' });
    expect(run.of('engine-started')).toEqual([]);
    const events = run.events.length;
    const next = await site.start();
    await next.until('a batch', () => next.of('batch-completed').length > 0);
    expect(run.events).toHaveLength(events);
  });

  it('stop() ends a run whose receiver never came back from onStart', async () => {
    site.pipeline(`keep('all', ssc.receiverStream(() => new Stuck()));`, {
      head: `class Stuck extends Receiver {
        onStart() {
          this.store('taken');
          return new Promise(() => {});
        }
        onStop() {}
      }`,
    });
    const run = await site.open({ gracefulStopTimeout: 100 });
    const starting = run.context.start().catch((error: unknown) => error);
    await run.event('checkpoint-written');
    await run.context.stop();
    await run.context.awaitTermination();
    expect(await starting).toMatchObject({ code: 'CONTEXT_STATE' });
  });

  it('stop() many times has one outcome', async () => {
    numbersPipeline(`keep('all', numbers);`);
    const run = await site.start();
    const { context } = run;
    await Promise.all([context.stop(), context.stop({ graceful: false }), context.stop()]);
    await context.stop();
    await context.awaitTermination();
    expect(run.of('engine-stopping')).toHaveLength(1);
    await expect(context.executorStats()).rejects.toMatchObject({ code: 'EXECUTOR_DIED' });
  });

  it.each([true, false])(
    'stop() by a listener that hears of the stop has one outcome (graceful: %s)',
    async (graceful) => {
      numbersPipeline(`keep('all', numbers);`);
      const run = await site.start();
      const { context } = run;
      const stops: Promise<void>[] = [];
      context.subscribe(({ type }) => {
        if (type === 'engine-stopping') stops.push(context.stop());
      });
      await run.until('a batch', () => run.of('batch-completed').length > 1);
      await context.stop({ graceful });
      await Promise.all(stops);
      await context.awaitTermination();
      expect([run.of('engine-stopping').length, stops.length]).toEqual([1, 1]);
    },
  );

  it('an AbortSignal stops the run gracefully, also one that was aborted before', async () => {
    const stopping = new AbortController();
    numbersPipeline(`keep('all', numbers);`);
    const run = await site.start({ signal: stopping.signal });
    await run.until('a batch', () => run.of('batch-completed').length > 1);
    stopping.abort();
    await run.context.awaitTermination();
    const acknowledged = lastNote();
    expect(site.records('all').at(-1)).toBeGreaterThanOrEqual(acknowledged);
    const aborted = await site.open({ signal: stopping.signal });
    await aborted.context.awaitTermination();
    expect(await failureOf(aborted.context.start())).toMatchObject({ code: 'CONTEXT_STATE' });
  });

  it('the batches option stops after so many', async () => {
    numbersPipeline(`keep('all', numbers);`);
    const run = await site.start({ batches: 2 });
    await run.context.awaitTermination();
    // Those that had been cut by then, and what had been received, are run to their end.
    expect(run.of('batch-completed').length).toBeGreaterThanOrEqual(2);
    const types = run.events.map(({ type }) => type);
    const before = types.slice(0, types.indexOf('engine-stopping'));
    // The second one's own event comes when its completion has been acted on.
    expect(before.filter((type) => type === 'batch-completed')).toHaveLength(1);
    expect(run.of('engine-stopping')).toMatchObject([{ reason: '2 batches are done' }]);
  });

  it.each([
    ['have started', true],
    ['came back from their start, which they never do,', false],
  ])('a run that is over before its receivers %s ends in order', async (_, comesBack) => {
    // The batch that the first run leaves is all that the second one is to do, and its receiver
    // does not start before that is done.
    site.pipeline(
      `keep('all', ssc.receiverStream(() => new Late()));
      ssc.queueStream([[1]]).foreachBatch(() => {
        if (!existsSync(directory + '/mended')) throw new Error('not yet');
      });`,
      {
        head: `import { existsSync } from 'node:fs';
        class Late extends Receiver {
          async onStart() {
            while (existsSync(directory + '/mended') && !existsSync(directory + '/go')) {
              await new Promise((resolve) => setTimeout(resolve, 5));
            }
          }
          onStop() {}
        }`,
        options: { maxTaskFailures: 1 },
      },
    );
    const failed = await site.start();
    expect(await failureOf(failed.context.awaitTermination())).toMatchObject({
      code: 'OUTPUT_FAILED',
    });
    site.write('mended', '');
    const run = await site.open({ batches: 1, ...(comesBack ? {} : { gracefulStopTimeout: 100 }) });
    const starting = run.context.start();
    await run.event('engine-stopping');
    if (comesBack) site.write('go', '');
    await starting;
    await run.context.awaitTermination();
    expect(run.of('engine-stopping')).toMatchObject([{ reason: '1 batch is done' }]);
    expect(run.of('engine-started')).toEqual([]);
    expect(run.of('batch-completed')).toHaveLength(1);
    await run.context.stop();
  });

  it('a listener that throws is removed, and the others hear of it', async () => {
    let calls = 0;
    const run = await site.open({ checkpointDir: false });
    run.context.subscribe(() => {
      calls += 1;
      throw new Error('listener');
    });
    await run.context.start();
    await run.context.awaitTermination();
    expect(calls).toBe(1);
    expect(run.of('warning')).toMatchObject([{ message: expect.stringContaining('listener') }]);
    expect(site.records('all')).toEqual([1]);
  });
});

function lastNote(): number {
  return Math.max(0, ...site.lines('notes').map(Number));
}

describe('restarts lose nothing', () => {
  it('after stops that are not graceful, whenever they come', async () => {
    numbersPipeline(`numbers.saveAsTextFiles(directory + '/out/n');`);
    for (let round = 0; round < 4; round += 1) {
      const run = await site.start();
      await run.until('batches', () => run.of('batch-completed').length > round);
      await run.context.stop({ graceful: false });
    }
    const acknowledged = lastNote();
    const last = await site.start();
    await last.until('a batch', () => last.of('batch-completed').length > 0);
    await last.context.stop();
    const numbers = site.saved('out/n').map(Number);
    expect(acknowledged).toBeGreaterThan(0);
    expect(numbers.length).toBeGreaterThanOrEqual(acknowledged);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1)); // each once, in order
  });

  it('a batch that was cut short by the stop runs first', async () => {
    numbersPipeline(`numbers.map((n) => {
      if (existsSync(directory + '/slow')) {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);
      }
      return n;
    }).saveAsTextFiles(directory + '/out/n');`);
    site.prepend("import { existsSync } from 'node:fs';");
    site.write('slow', '');
    const run = await site.start();
    // From the first one with a record on; those without have nothing that is slow.
    const stuck = (): number => {
      const counts = run.of('batch-submitted').map(({ recordCount }) => recordCount);
      const first = counts.findIndex((count) => count > 0);
      return first === -1 ? 0 : counts.length - first;
    };
    await run.until('batches wait', () => stuck() >= 3);
    const waiting = stuck();
    await run.context.stop({ graceful: false });
    site.remove('slow');
    const again = await site.start();
    await again.until('all of them', () => again.of('batch-completed').length >= waiting);
    const recovered = again.of('engine-recovered')[0];
    expect(recovered?.batches).toBeGreaterThanOrEqual(waiting);
    await again.context.stop();
    const numbers = site.saved('out/n').map(Number);
    expect(numbers.length).toBeGreaterThanOrEqual(lastNote());
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  });

  it('a graceful stop that takes too long ends, and the rest runs at the next start', async () => {
    numbersPipeline(`numbers.foreachBatch(async () => {
      if (existsSync(directory + '/slow')) await new Promise(() => {});
    });
    numbers.saveAsTextFiles(directory + '/out/n');`);
    site.prepend("import { existsSync } from 'node:fs';");
    site.write('slow', '');
    const run = await site.start({ gracefulStopTimeout: 100 });
    await run.until('a batch', () => run.context.totals.unfinishedBatches >= 2);
    await run.context.stop();
    const warnings = run.of('warning').map(({ message }) => message);
    expect(warnings.filter((message) => message.includes('100 ms'))).toHaveLength(1);
    site.remove('slow');
    const again = await site.start({ gracefulStopTimeout: '60s' });
    await again.until('a batch', () => again.of('batch-completed').length > 0);
    await again.context.stop();
    expect(site.saved('out/n').length).toBeGreaterThanOrEqual(lastNote());
  });

  it('with other numbers of executors and receiver executors', async () => {
    numbersPipeline(
      `const others = ssc.generatorStream({ total: 3000, recordsPerSecond: 4000, receivers: 3 });
      numbers.saveAsTextFiles(directory + '/out/n');
      others.count().saveAsTextFiles(directory + '/counts/c');`,
    );
    const layouts = [
      { executors: 1, receiverExecutors: 4 },
      { executors: 3, receiverExecutors: 1 },
      { executors: 2, receiverExecutors: 2 },
    ];
    for (const layout of layouts) {
      const run = await site.start(layout);
      await run.until('batches', () => run.of('batch-completed').length > 2);
      await run.context.stop({ graceful: false });
    }
    const run = await site.start({ receiverExecutors: 1 });
    await run.until('the end', () => {
      return run.of('receiver-ended').length === 3 && run.of('batch-completed').length > 3;
    });
    await run.context.stop();
    const numbers = site.saved('out/n').map(Number);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    const counts = site.saved('counts/c').map(Number);
    expect(counts.reduce((sum, n) => sum + n, 0)).toBe(3000);
    const logs = readdirSync(site.checkpointDir).filter((name) => name.startsWith('receiver-log'));
    expect(logs).toEqual(['receiver-log-0']);
  });

  it('with calls that fill a segment of the log; larger ones are refused, alone', async () => {
    site.pipeline(
      `keep('all', ssc.receiverStream(() => new Large()).map((s) => [s.length, s[0]]));`,
      {
        head: `class Large extends Receiver {
        onStart() { this.run().catch((error) => this.reportError('run failed', error)); }
        async run() {
          for (let n = this.lastPosition[''] ?? 0; n < 9; n += 1) {
            const record = String(n).repeat(n % 2 === 0 ? 59_000 : 500_000);
            const stored = this.store([record], { position: n + 1 });
            await stored.catch((error) => this.reportError('not stored', error));
          }
          this.end();
        }
        onStop() {}
      }`,
        options: { receiverSegmentBytes: '64KiB', blockInterval: 5 },
      },
    );
    const run = await site.start();
    await run.until('one is refused', () => run.of('receiver-error').length > 0);
    await run.context.stop({ graceful: false });
    const again = await site.finish();
    expect(site.records('all')).toEqual(['0', '2', '4', '6', '8'].map((s) => [59_000, s]));
    for (const error of again.of('receiver-error')) {
      expect(error.error).toContain('receiverSegmentBytes');
    }
    expect([...run.of('receiver-restarting'), ...again.of('receiver-restarting')]).toEqual([]);
  });
});

describe('failing tasks', () => {
  it('are tried again, and the batch completes', async () => {
    site.pipeline(
      `keep('all', ssc.queueStream([[1, 2, 3]]).map((n) => {
        appendFileSync(directory + '/tries', n + '\\\\n');
        const tries = readFileSync(directory + '/tries', 'utf8').split('\\\\n');
        if (n === 2 && tries.filter((each) => each === '2').length < 4) throw new Error('not yet');
        return n * 10;
      }));`,
      { head: "import { appendFileSync, readFileSync } from 'node:fs';" },
    );
    const run = await site.finish({ executors: 2 });
    expect(site.records('all')).toEqual([10, 30, 20]);
    const tries = run
      .of('task-failed')
      .map(({ attempt, error }) => [attempt, /not yet/.test(error)]);
    expect(tries).toEqual([
      [0, true],
      [1, true],
      [2, true],
    ]);
  });

  it('fail their batch after maxTaskFailures; corrected, it runs with the same records', async () => {
    const broken = 'throw new RangeError(`broken by ${n}`);';
    const write = (body: string): void => {
      numbersPipeline(
        `numbers.map((n) => { ${body} return n; }).saveAsTextFiles(directory + '/out/n');`,
      );
    };
    write(broken);
    const run = await site.start({ maxTaskFailures: 2 });
    const failure = await failureOf(run.context.awaitTermination());
    expect(failure).toMatchObject({ code: 'TASK_FAILED', class: 'fatal', exitCode: 1 });
    expect(failure.message).toMatch(/map-0.*broken by 1/s);
    expect(failure.message).toMatch(/batch \d{13}, output saveAsTextFiles-0/);
    expect(run.of('task-failed').length).toBeGreaterThanOrEqual(2);
    write('');
    const again = await site.start();
    await again.until('a batch', () => again.of('batch-completed').length > 1);
    await again.context.stop();
    const numbers = site.saved('out/n').map(Number);
    expect(numbers.length).toBeGreaterThanOrEqual(lastNote());
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  });

  it('whose thread ends are tried on another one', async () => {
    site.pipeline(
      `keep('all', ssc.queueStream([[1, 2], [3]]).map((n) => {
        if (n === 2 && !existsSync(directory + '/died')) {
          writeFileSync(directory + '/died', '');
          process.exit(3);
        }
        return n;
      }));`,
      { head: "import { existsSync, writeFileSync } from 'node:fs';" },
    );
    const run = await site.finish({ executors: 2 });
    expect(site.records('all')).toEqual([1, 2, 3]);
    expect(run.of('task-failed')).toMatchObject([{ attempt: 0 }]);
  });
});
