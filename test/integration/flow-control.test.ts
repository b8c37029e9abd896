/** Rates, batches at the same time and missed batch times in whole runs, on real threads. No test here
 * looks at how long anything takes. Needs a built dist/. @module */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PipelineSite } from '../support/pipeline-site.ts';

let site: PipelineSite;
beforeEach(() => {
  site = new PipelineSite();
});
afterEach(() => site.close());

/** Each receiver stores its numbers, fifty at a time, until it is stopped. */
const NUMBERS = `
class Numbers extends Receiver {
  onStart() {
    this.running = this.run();
  }
  async run() {
    for (let n = 0; !this.isStopping; n += 50) {
      const own = Array.from({ length: 50 }, (_, k) => this.receiverIndex + ':' + (n + k));
      await this.store(own, { position: { ['r' + this.receiverIndex]: n + 49 } });
    }
  }
  async onStop() {
    this.isStopping = true;
    await this.running;
  }
}`;

it('rates follow slow batches, reach the receivers, and nothing is lost', async () => {
  site.pipeline(
    `
    const numbers = ssc.receiverStream(() => new Numbers(), { receivers: 2 });
    numbers.foreachBatch(async (batch, { batchTime }) => {
      const records = await batch.collect();
      globalThis.millraceKept.get(directory).push({ name: 'numbers', batchTime, records });
      // So long that no machine does it faster: the rate has to come down to it.
      const { length } = records;
      if (length > 0) await new Promise((resolve) => setTimeout(resolve, 20 + length / 5));
    });`,
    {
      head: NUMBERS,
      options: { maxRate: 20_000, backpressure: { minRate: 500, initialRate: 2_000 } },
    },
  );
  const run = await site.start({ executors: 2 });
  await run.until('three rates', () => run.of('rate-changed').length >= 3);
  await run.context.stop({ graceful: true });
  for (const { recordsPerSecond } of run.of('rate-changed')) {
    expect(recordsPerSecond).toBeGreaterThanOrEqual(500);
    expect(recordsPerSecond).toBeLessThan(5_000); // n records in n / 5 ms, and 20 ms more
  }
  for (const receiver of ['0', '1']) {
    const own = (site.records('numbers') as string[])
      .map((record) => record.split(':'))
      .filter(([index]) => index === receiver)
      .map(([, n]) => Number(n));
    expect(own.length).toBeGreaterThan(0);
    expect(own).toEqual(own.map((_, n) => n)); // each once, in order
  }
});

it('outputs get their batches in order, however many run at the same time', async () => {
  site.pipeline(
    `
    const kept = globalThis.millraceKept?.get(directory);
    const words = ssc.queueStream(Array.from({ length: 12 }, (_, index) => [[index, 1], [index, 2]]));
    const sums = words.reduceByKey((a, b) => a + b);
    for (const name of ['first', 'second']) {
      sums.foreachBatch(async (batch, { batchTime }) => {
        kept.push({ name, batchTime, records: ['begins'] });
        const records = await batch.collect();
        await new Promise((resolve) => setTimeout(resolve, 60));
        kept.push({ name, batchTime, records });
      }, { id: name });
    }`,
    { options: { concurrentBatches: 3 } },
  );
  const run = await site.finish({ executors: 2 });
  for (const name of ['first', 'second']) {
    const own = site.kept.filter((each) => each.name === name && each.records.length > 0);
    const wanted = Array.from({ length: 12 }, (_, index) => ['begins', [index, 3]]).flat();
    expect(own.flatMap(({ records }) => records).slice(0, wanted.length)).toEqual(wanted);
  }
  const done = run.of('batch-completed').map(({ batchTimeMs }) => batchTimeMs);
  expect(done).toEqual(done.toSorted((a, b) => a - b));
});

it('refuses batches at the same time where one needs the other', async () => {
  site.pipeline(`ssc.queueStream([['a']]).window(100).print();`, {
    options: { concurrentBatches: 2 },
  });
  await expect(site.finish()).rejects.toMatchObject({
    code: 'OPTIONS_INVALID',
    message: expect.stringContaining('must be 1 in a pipeline with windows'),
  });
});

it.each(['coalesce', 'replay'] as const)('after downtime: %s', async (catchUp) => {
  const elements = JSON.stringify(Array.from({ length: 20 }, (_, index) => [index]));
  site.pipeline(`keep('all', ssc.queueStream(${elements}));`, { options: { catchUp } });
  const first = await site.start();
  await first.until('three batches', () => first.of('batch-completed').length >= 3);
  await first.context.stop({ graceful: true });
  const before = new Set(site.kept.map(({ batchTime }) => batchTime));
  const downUntil = Math.max(...before) + 6 * 50;
  while (Date.now() < downUntil) await new Promise((resolve) => setImmediate(resolve));
  await site.finish();
  expect(site.records('all')).toEqual(Array.from({ length: 20 }, (_, index) => index));
  const times = [...new Set(site.kept.map(({ batchTime }) => batchTime))];
  const [next = 0] = times.filter((time) => !before.has(time));
  const missed = (next - Math.max(...before)) / 50 - 1;
  if (catchUp === 'replay') expect(missed).toBe(0);
  else expect(missed).toBeGreaterThan(3);
});
