/** What a run tells its listeners, and that a process has one active context: twins of Spark's
 * StreamingListenerSuite and StreamingContextSuite with a whole engine. Needs a built dist/.
 * @module */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StreamingContext } from '../../src/driver/stream-context.ts';
import type {
  OutputOperationInfo,
  ReceiverInfo,
  StreamingBatchInfo,
  StreamingListener,
} from '../../src/driver/streaming-listener.ts';
import { EventOrder } from '../support/event-order.ts';
import { failureOf, PipelineSite } from '../support/pipeline-site.ts';
import type { PipelineRun } from '../support/pipeline-site.ts';

let site: PipelineSite;
beforeEach(() => {
  site = new PipelineSite();
});
afterEach(() => site.close());

/** Writes down all that it is told. */
class Collector implements StreamingListener {
  readonly names: string[] = [];
  readonly submitted: StreamingBatchInfo[] = [];
  readonly started: StreamingBatchInfo[] = [];
  readonly completed: StreamingBatchInfo[] = [];
  readonly outputsStarted: OutputOperationInfo[] = [];
  readonly outputsCompleted: OutputOperationInfo[] = [];
  readonly receivers: (readonly [string, ReceiverInfo])[] = [];

  onStreamingStarted(): void {
    this.names.push('streaming started');
  }
  onBatchSubmitted(batch: StreamingBatchInfo): void {
    this.submitted.push(batch);
  }
  onBatchStarted(batch: StreamingBatchInfo): void {
    this.started.push(batch);
  }
  onBatchCompleted(batch: StreamingBatchInfo): void {
    this.completed.push(batch);
  }
  onOutputOperationStarted(output: OutputOperationInfo): void {
    this.outputsStarted.push(output);
  }
  onOutputOperationCompleted(output: OutputOperationInfo): void {
    this.outputsCompleted.push(output);
  }
  onReceiverStarted(receiver: ReceiverInfo): void {
    this.receivers.push(['started', receiver]);
  }
  onReceiverError(receiver: ReceiverInfo): void {
    this.receivers.push(['error', receiver]);
  }
  onReceiverStopped(receiver: ReceiverInfo): void {
    this.receivers.push(['stopped', receiver]);
  }
}

/** Stores one record in each of four calls, and then says that it has failed. */
const FOUR = `class Four extends Receiver {
  async onStart() {
    for (let n = 1; n <= 4; n += 1) await this.store([n], { position: n });
    this.reportError('that was all', new Error('nothing more'));
    this.end();
  }
  onStop() {}
}`;

/** The class of the contexts that dist/ makes. */
function contextClass({ context }: PipelineRun): typeof StreamingContext {
  return context.constructor as typeof StreamingContext;
}

function checkOrder({ events }: PipelineRun, isWell: boolean): void {
  const order = new EventOrder();
  expect(events.flatMap((event) => order.hear(event))).toEqual([]);
  order.ended(isWell);
}

describe('a StreamingListener', () => {
  it('is told of each batch three times, with what is known by then', async () => {
    site.pipeline(
      `const numbers = ssc.receiverStream(() => new Four(), { id: 'numbers' });
      keep('all', numbers);
      numbers.count().print();
      numbers.map((n) => n * 2).saveAsTextFiles(directory + '/out/n');`,
      { head: FOUR, options: { blockInterval: 5 } },
    );
    const run = await site.open();
    const heard = new Collector();
    run.context.addStreamingListener(heard);
    await run.context.start();
    await run.context.awaitTermination();
    checkOrder(run, true);
    expect(heard.names).toEqual(['streaming started']);
    const times = (batches: readonly StreamingBatchInfo[]): number[] =>
      batches.map(({ batchTimeMs }) => batchTimeMs);
    const inOrder = [...new Set(times(heard.submitted))].toSorted((a, b) => a - b);
    expect(times(heard.submitted)).toEqual(inOrder);
    expect(times(heard.started)).toEqual(times(heard.submitted));
    expect(times(heard.completed)).toEqual(times(heard.submitted));
    const records = heard.submitted.map(({ recordCount }) => recordCount);
    expect(records.reduce((sum, count) => sum + count, 0)).toBe(4);
    for (const batch of heard.submitted) {
      expect(batch).not.toHaveProperty('schedulingDelayMs');
      expect(batch.inputs).toMatchObject([{ streamId: 'numbers', recordCount: batch.recordCount }]);
    }
    for (const batch of heard.started) {
      expect(batch.schedulingDelayMs).toBeGreaterThanOrEqual(0);
      expect(batch).not.toHaveProperty('processingDelayMs');
    }
    for (const batch of heard.completed) {
      const { schedulingDelayMs = NaN, processingDelayMs = NaN, outputOperations } = batch;
      expect(batch.totalDelayMs).toBe(schedulingDelayMs + processingDelayMs);
      expect(outputOperations.map(({ id, name }) => [id, name])).toEqual([
        [0, 'all'],
        [1, 'print-0'],
        [2, 'saveAsTextFiles-0'],
      ]);
      for (const output of outputOperations) {
        expect(output.endTimeMs).toBeGreaterThanOrEqual(output.startTimeMs);
        expect(output).not.toHaveProperty('failureReason');
      }
    }
    const ids = heard.outputsCompleted.map(({ id }) => id);
    expect(ids).toEqual(heard.submitted.flatMap(() => [0, 1, 2]));
    expect(heard.outputsStarted.map(({ id }) => id)).toEqual(ids);
  });

  it('is told of a receiver that starts, reports an error and stops, once each', async () => {
    site.pipeline(`keep('all', ssc.receiverStream(() => new Four(), { id: 'numbers' }));`, {
      head: FOUR,
    });
    const run = await site.open();
    const heard = new Collector();
    run.context.addStreamingListener(heard);
    await run.context.start();
    await run.context.awaitTermination();
    expect(heard.receivers.map(([what]) => what).toSorted()).toEqual([
      'error',
      'started',
      'stopped',
    ]);
    const of = (name: string) => heard.receivers.find(([what]) => what === name)?.[1];
    const receiver = { streamId: 'numbers', receiverIndex: 0, executor: 'receiver executor 0' };
    expect(of('started')).toMatchObject({ ...receiver, active: true });
    const error = { lastErrorMessage: 'that was all', lastError: 'nothing more' };
    expect(of('error')).toMatchObject(error);
    expect(of('stopped')).toMatchObject({ ...receiver, ...error, active: false });
  });

  it('is told why an output failed; neither its batch nor later outputs go on', async () => {
    site.pipeline(
      `const q = ssc.queueStream([[1]]);
      q.print();
      q.foreachBatch(() => { throw new RangeError('out of paper'); });
      keep('last', q);`,
    );
    const run = await site.open();
    const heard = new Collector();
    run.context.addStreamingListener(heard);
    await run.context.start();
    expect(await failureOf(run.context.awaitTermination())).toMatchObject({
      code: 'OUTPUT_FAILED',
    });
    checkOrder(run, false);
    const reasons = heard.outputsCompleted.map(({ id, failureReason }) => [id, failureReason]);
    expect(reasons).toEqual([
      [0, undefined],
      [1, expect.stringContaining('out of paper')],
    ]);
    expect([heard.started.length, heard.completed.length]).toEqual([1, 0]);
  });

  it('may stop the run, and wait for its end; none hears anything after it', async () => {
    site.pipeline(`keep('all', ssc.generatorStream({ recordsPerSecond: 1000 }));`);
    const run = await site.open();
    const waiting: Promise<void>[] = [];
    const calls: string[] = [];
    run.context.addStreamingListener({
      onBatchCompleted: () => {
        calls.push('completed');
        waiting.push(run.context.stop());
      },
    });
    await run.context.start();
    await run.context.awaitTermination();
    await Promise.all(waiting);
    checkOrder(run, true);
    expect(run.context.getState()).toBe('stopped');
    const late = new Collector();
    run.context.addStreamingListener(late);
    const count = run.events.length;
    run.context.subscribe(() => calls.push('after the end'));
    await run.context.stop();
    expect(run.events).toHaveLength(count);
    expect(calls.filter((call) => call !== 'completed')).toEqual([]);
    expect(late.names).toEqual([]);
  });
});

describe('a context', () => {
  it('is initialized, active and stopped; getActive() knows it while it is active', async () => {
    site.pipeline(`keep('all', ssc.queueStream([[1]]));`);
    const run = await site.open();
    const { context } = run;
    const getActive = () => contextClass(run).getActive();
    const seen: unknown[] = [[context.getState(), getActive()]];
    context.addStreamingListener({
      onBatchCompleted: () => seen.push([context.getState(), getActive()]),
    });
    await context.start();
    expect(await context.awaitTermination()).toBe(true);
    seen.push([context.getState(), getActive()]);
    expect(seen).toEqual([
      ['initialized', undefined],
      ['active', context],
      ['stopped', undefined],
    ]);
  });

  it('is stopped by a failing start, and by stop() before any start', async () => {
    site.pipeline(`keep('all', ssc.httpTextStream({ port: 1, host: '203.0.113.1' }));`);
    const failing = await site.open();
    await failureOf(failing.context.start());
    expect(failing.context.getState()).toBe('stopped');
    expect(contextClass(failing).getActive()).toBeUndefined();
    site.pipeline(`keep('all', ssc.queueStream([[1]]));`);
    const run = await site.open({ checkpointDir: site.path('other') });
    await run.context.stop();
    expect(run.context.getState()).toBe('stopped');
    expect(await run.context.awaitTermination({ timeout: 0 })).toBe(true);
  });

  it('of which a second one starts is refused by name, until the first has ended', async () => {
    site.pipeline(`keep('all', ssc.generatorStream({ recordsPerSecond: 1000 }));`);
    const first = await site.start();
    const second = await site.open({ checkpointDir: site.path('second') });
    const refusal = await failureOf(second.context.start());
    expect(refusal).toMatchObject({ code: 'CONTEXT_STATE' });
    expect(refusal.message).toContain(`integration (${site.checkpointDir}) is active`);
    expect(second.context.getState()).toBe('initialized');
    const before = first.of('batch-completed').length;
    await first.until('more batches', () => first.of('batch-completed').length > before);
    await first.context.stop();
    await second.context.start();
    const beside = await site.start({
      checkpointDir: site.path('third'),
      allowOtherContexts: true,
    });
    expect(contextClass(first).getActive()).toBe(second.context);
    await second.context.stop();
    expect(contextClass(first).getActive()).toBe(beside.context);
  });

  it('getActiveOrCreate gives the active one, or opens one; never of another directory', async () => {
    const pipeline = site.pipeline(`keep('all', ssc.queueStream([[1], [2]]));`);
    const quiet = { allowNetworkFileSystem: true };
    const contexts = contextClass(await site.open({ checkpointDir: false }));
    const opened = await contexts.getActiveOrCreate(site.checkpointDir, pipeline, quiet);
    try {
      expect(opened.getState()).toBe('initialized');
      await opened.start();
      expect(await contexts.getActiveOrCreate(site.checkpointDir, pipeline, quiet)).toBe(opened);
      expect(await contexts.getActiveOrCreate(undefined, pipeline)).toBe(opened);
      const other = failureOf(contexts.getActiveOrCreate(site.path('other'), pipeline, quiet));
      expect(await other).toMatchObject({ code: 'CONTEXT_STATE' });
      await opened.awaitTermination();
    } finally {
      await opened.stop();
    }
  });
});

describe('awaitTermination with a timeout', () => {
  it('answers whether the run has ended', async () => {
    site.pipeline(`keep('all', ssc.generatorStream({ recordsPerSecond: 1000 }));`);
    const { context } = await site.start();
    expect(await context.awaitTermination({ timeout: 0 })).toBe(false);
    expect(await context.awaitTermination({ timeout: '10ms' })).toBe(false);
    const waiting = context.awaitTermination({ timeout: '10m' });
    await context.stop();
    expect(await waiting).toBe(true);
    expect(await context.awaitTermination({ timeout: 0 })).toBe(true);
    const refused = { code: 'OPTIONS_INVALID' };
    await expect(context.awaitTermination({ timeout: '1 day' })).rejects.toMatchObject(refused);
    await expect(context.awaitTermination({ timeout: 2 ** 31 })).rejects.toMatchObject(refused);
  });

  it('rejects with what ended the run, also when that came between two calls', async () => {
    site.pipeline(
      `ssc.generatorStream({ recordsPerSecond: 1000 }).foreachBatch(() => {
        if (existsSync(directory + '/broken')) throw new Error('broken');
      });`,
      { head: "import { existsSync } from 'node:fs';" },
    );
    const run = await site.start();
    expect(await run.context.awaitTermination({ timeout: 1 })).toBe(false);
    site.write('broken', '');
    await run.until('the end', () => run.context.getState() === 'stopped');
    const failed = { code: 'OUTPUT_FAILED' };
    expect(await failureOf(run.context.awaitTermination({ timeout: 0 }))).toMatchObject(failed);
    expect(await failureOf(run.context.awaitTermination())).toMatchObject(failed);
  });
});

describe('a function of foreachBatch', () => {
  const HEAD = `import { StreamingContext } from 'millrace';
  const active = () => globalThis.millraceActive();`;
  const everywhere = globalThis as { millraceActive?: () => StreamingContext | undefined };
  afterEach(() => delete everywhere.millraceActive);

  it.each([true, false])(
    'may wait for stop({ graceful: %s }), which does not wait for it',
    async (graceful) => {
      site.pipeline(
        `const q = ssc.queueStream([[1], [2], [3]]);
        q.foreachBatch(async (batch) => {
          if ((await batch.collect())[0] !== 1) return;
          await active()?.stop({ graceful: ${graceful} });
        });
        keep('all', q);`,
        { head: HEAD, options: { gracefulStopTimeout: '60s' } },
      );
      const run = await site.open();
      everywhere.millraceActive = () => contextClass(run).getActive();
      await run.context.start();
      await run.context.awaitTermination();
      checkOrder(run, graceful);
      expect(run.of('warning')).toEqual([]);
      if (graceful) expect(site.records('all')).toContain(1);
      everywhere.millraceActive = () => undefined;
      await site.finish(); // the directory is free, and what is left runs
      expect(site.records('all')).toEqual([1, 2, 3]);
    },
  );

  it('is refused the wait for an end that waits for it', async () => {
    site.pipeline(`ssc.queueStream([[1]]).foreachBatch(() => active().awaitTermination());`, {
      head: HEAD,
    });
    const run = await site.open();
    everywhere.millraceActive = () => contextClass(run).getActive();
    await run.context.start();
    const failure = await failureOf(run.context.awaitTermination());
    expect(failure).toMatchObject({ code: 'OUTPUT_FAILED', cause: { code: 'CONTEXT_STATE' } });
    expect(failure.message).toContain('awaitTermination() is not possible');
  });
});
