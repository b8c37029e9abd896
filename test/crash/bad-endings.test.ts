/** Ends that are not kills: user code that throws, a disk that is full, a sync that fails. The
 * engine says what it was, with the documented exit code, and after the repair nothing
 * acknowledged is missing. @module */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { ChildEngine, DiskFailure } from '../support/child-engine.ts';
import type { StartOptions } from '../support/crash-site.ts';
import { HttpTrial } from '../support/http-trial.ts';
import type { HttpTrialOptions } from '../support/http-trial.ts';
import { whyNoTrace } from '../support/strace.ts';

const trials: HttpTrial[] = [];
afterEach(async () => {
  await Promise.all(trials.splice(0).map((trial) => trial.close()));
});

async function openTrial(options: Omit<HttpTrialOptions, 'withKeys'> = {}): Promise<HttpTrial> {
  const trial = await HttpTrial.open({ withKeys: true, ...options });
  trials.push(trial);
  return trial;
}

async function failure(engine: ChildEngine, code: number) {
  const exit = await engine.ended();
  expect(exit, engine.describe()).toEqual({ code, signal: null });
  const told = engine.events.find((event) => event.type === 'failed');
  expect(told, engine.describe()).toBeDefined();
  return told?.type === 'failed' ? told : { code: '', message: '' };
}

describe('a function of the user that throws', () => {
  it('ends the run with exit 1 and names operator, batch and cause; a fix loses nothing', async () => {
    const trial = await openTrial();
    const refuse = `if (line.startsWith('c1-p9-')) throw new Error('not p9'); return line;`;
    trial.pipeline({ operators: `.map((line) => { ${refuse} })` });
    const first = await failure(trial.site.start(), 1);
    expect(first.code).toBe('TASK_FAILED');
    expect(first.message).toMatch(/map-0.*batch \d+.*not p9/s);
    // The batch is not skipped: without a fix it fails again, at once.
    const again = trial.site.start();
    const second = await failure(again, 1);
    expect(second.message).toContain('not p9');
    expect(again.events.some(({ type }) => type === 'batch-completed')).toBe(false);
    trial.pipeline({ operators: '.map((line) => line)' });
    await trial.finishAndCheck();
  });

  it('ends the run with exit 1 when it is an output operation', async () => {
    const trial = await openTrial();
    const refuse = `if ((await batch.count()) > 0) throw new Error('the database is closed');`;
    trial.pipeline({ more: `lines.foreachBatch(async (batch) => { ${refuse} });` });
    const told = await failure(trial.site.start(), 1);
    expect(told.code).toBe('OUTPUT_FAILED');
    expect(told.message).toMatch(/batch \d+.*foreachBatch-0.*the database is closed/s);
    trial.pipeline({ more: 'lines.foreachBatch(async (batch) => { await batch.count(); });' });
    await trial.finishAndCheck();
  });
});

describe('a disk that fails', () => {
  /** The engine ends with 74, and nothing is acknowledged from the failure on. Nobody may be waiting
   * when the call fails: that those who are get a 503 is for test/integration/disk-failure.test.ts. */
  async function failAndRepair(
    start: StartOptions,
    given: Omit<HttpTrialOptions, 'withKeys'> = {},
  ): Promise<void> {
    const trial = await openTrial(given);
    const { site, clients } = trial;
    const told = await failure(site.start(start), 74);
    expect(told.code).toMatch(/^(WAL_POISONED|DISK_FULL|DISK_FAILED)$/);
    expect(clients.answers.get(200) ?? 0, 'it failed before it took anything').toBeGreaterThan(0);
    const { size } = clients.acknowledged;
    await sleep(100);
    expect(clients.acknowledged.size, 'acknowledged by nobody').toBe(size);
    await trial.finishAndCheck();
  }

  it.each<DiskFailure>([
    { folder: 'driver-log', call: 'sync', after: 60, as: 'EIO' },
    { folder: 'driver-log', call: 'write', after: 100, as: 'ENOSPC' },
    { folder: 'driver-log', call: 'write', after: 100, as: 'short' },
    { folder: 'checkpoints', call: 'sync', after: 5, as: 'EIO' },
  ])('fails a $call in $folder ($as)', async (failing) => {
    await failAndRepair({ failing });
  });

  it('has no room for checkpoints: the batches go on without', async () => {
    const trial = await openTrial();
    const engine = trial.site.start({
      failing: { folder: 'checkpoints', call: 'write', after: 5, as: 'ENOSPC' },
    });
    await engine.waitFor('postponed', ({ type }) => type === 'checkpoint-postponed');
    const seen = engine.events.length;
    await engine.waitFor('a batch after that', (event) => {
      return event.type === 'batch-completed' && engine.events.indexOf(event) > seen;
    });
    await engine.kill();
    await trial.finishAndCheck();
  });

  it('has no room for the next segment of a receiver log', async () => {
    // A limit on the length of files: the first segment (16 MiB) fits, the next (32 MiB) does not.
    const prefix = ['bash', '-c', 'ulimit -f 20480; exec "$@"', 'limited'];
    const options = { receiverSegmentBytes: '32MiB', memory: '512MiB' };
    await failAndRepair({ prefix }, { options, paddingBytes: 5_000 });
  });

  // As a grandchild (-D) strace leaves the engine to us: its exit code, and its end by a kill.
  it.skipIf(whyNoTrace() !== undefined)('syncs nothing any more (needs strace)', async () => {
    const inject = 'inject=fdatasync:error=EIO:when=60+';
    const command = `strace -D -f -qq -o /dev/null -e trace=fdatasync -e ${inject}`;
    await failAndRepair({ prefix: command.split(' ') });
  });
});
