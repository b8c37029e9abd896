/** `slice` of a running context, on threads and over a log: what was received is read again.
 * Needs a built dist/.
 * @module */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { failureOf, PipelineSite } from '../support/pipeline-site.ts';
import type { PipelineRun } from '../support/pipeline-site.ts';

let site: PipelineSite;
beforeEach(() => {
  site = new PipelineSite();
});
afterEach(() => site.close());

const NUMBERS = `class Numbers extends Receiver {
  async onStart() {
    this.run().catch(() => undefined); // the end of this life
  }
  async run() {
    for (let n = (this.lastPosition[''] ?? 0) + 1; ; n += 1) await this.store([n], { position: n });
  }
  onStop() {}
}`;

/** Keeps the halves of even numbers under `halves`, and how many came in two batches. */
function numbersPipeline(options = {}, more = ''): void {
  site.pipeline(
    `const halves = ssc.receiverStream(() => new Numbers(), { id: 'numbers' })
       .filter((n) => n % 2 === 0).map((n) => n / 2, { id: 'halved' });
     keep('halves', halves);
     ${more}`,
    { head: NUMBERS, options: { blockInterval: 5, maxRate: 400, ...options } },
  );
}

/** Times of the first batches that are done; `count` of them with records. */
async function done(run: PipelineRun, count: number): Promise<number[]> {
  const full = (): readonly { batchTimeMs: number }[] =>
    run.of('batch-completed').filter(({ recordCount }) => recordCount > 0);
  await run.until(`${count} batches`, () => full().length >= count);
  const lastMs = full()[count - 1]?.batchTimeMs ?? 0;
  const times = run.of('batch-completed').map(({ batchTimeMs }) => batchTimeMs);
  return times.filter((time) => time <= lastMs);
}

/** What the output got in these batches, by batch time. */
function keptIn(name: string, times: readonly number[]): unknown[] {
  return site.kept
    .filter((each) => each.name === name && times.includes(each.batchTime))
    .map(({ batchTime, records }) => ({ batchTime, records }));
}

async function expectSlice({ context }: PipelineRun, times: readonly number[]): Promise<void> {
  const [first = 0, last = 0] = [times[0], times.at(-1)];
  expect(await context.slice('halved', first, last)).toEqual(keptIn('halves', times));
}

it.each([
  ['with a directory', undefined, {}],
  ['without a log', undefined, { durability: 'off' }],
  ['without a directory', false, {}],
] as const)('reads what its batches had, while the run goes on: %s', async (_, dir, options) => {
  numbersPipeline({ remember: '60m', ...options });
  const run = await site.start(dir === undefined ? {} : { checkpointDir: dir });
  const times = await done(run, 4);
  await expectSlice(run, times);
  await expectSlice(run, times.slice(1, -1));
  const completed = run.of('batch-completed').length;
  await run.until('another batch', () => run.of('batch-completed').length > completed);
  await run.context.stop();
  expect(await failureOf(run.context.slice('halved', 0, 1))).toMatchObject({
    code: 'CONTEXT_STATE',
    message: expect.stringContaining('stopped'),
  });
});

it('reads batches of an earlier run from the log', async () => {
  numbersPipeline({ remember: '60m' });
  const first = await site.start();
  const times = await done(first, 3);
  await first.context.stop();
  const second = await site.start();
  await done(second, 1);
  await expectSlice(second, times);
  await second.context.stop();
});

it('says what is forgotten, and is refused before the start', async () => {
  numbersPipeline();
  const run = await site.open();
  const early = await failureOf(run.context.slice('halved', 0, 1));
  expect(early).toMatchObject({
    code: 'CONTEXT_STATE',
    message: expect.stringMatching(/initialized/),
  });
  await run.context.start();
  const [time = 0] = await done(run, 2);
  const forgotten = await failureOf(run.context.slice('halved', time, time));
  expect(forgotten).toMatchObject({
    code: 'CONTEXT_STATE',
    message: expect.stringContaining(`batch ${time} has been forgotten`),
  });
  await done(run, 3);
  await run.context.stop();
});

it('a stop ends it, and is not held up', async () => {
  numbersPipeline({ remember: '60m' });
  const run = await site.start();
  const times = await done(run, 2);
  const reading = failureOf(run.context.slice('halved', times[0] ?? 0, Number.MAX_SAFE_INTEGER));
  await run.context.stop();
  expect(await reading).toMatchObject({ code: 'CONTEXT_STATE' });
});

it('is refused in a function of foreachBatch, which goes on', async () => {
  numbersPipeline(
    { remember: '60m' },
    `halves.foreachBatch(async (batch, { batchTime }) => {
       const { StreamingContext } = await import('millrace');
       const refused = await StreamingContext.getActive().slice('numbers', 0, batchTime).catch((e) => e);
       globalThis.millraceKept.get(directory).push({ name: 'told', batchTime, records: [refused.message] });
     });`,
  );
  const run = await site.start();
  await done(run, 1);
  await run.context.stop();
  expect(site.kept.filter(({ name }) => name === 'told')[0]?.records).toEqual([
    expect.stringContaining('not possible in a function of foreachBatch'),
  ]);
});
