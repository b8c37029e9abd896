/** The process dies exactly before and exactly after each protocol step, in each thread that takes
 * it, at the first, the second and a later passing; after each it is started again. Clients post
 * all the while; what they were told must be true in the end.
 *
 * A run that does not die at its step fails: each listed step is really passed. Steps of recovery
 * are armed after kills under load, and once more after the kill inside recovery. @module */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { CrashPlan, CrashStep } from '../../src/core/crash-point.ts';
import type { PipelineOptions } from '../../src/core/options-types.ts';
import { HttpTrial } from '../support/http-trial.ts';

type Thread = 'driver' | 'receivers' | 'tasks';

/** Steps that are passed again and again, by the thread that takes them. */
const STEPS: readonly (readonly [Thread, string])[] = [
  ['receivers', 'R1'],
  ['driver', 'R2'],
  ['receivers', 'R3'],
  ['driver', 'R4'],
  ['driver', 'R5'],
  ['tasks', 'R5'],
  ['driver', 'R6'],
  ['driver', 'R7'],
  ['driver', 'R8'],
  ['driver', 'R9'],
  ['receivers', 'R9'],
];
const OCCURRENCES = [1, 2, 5];
/** How long the driver stands at its steps before it dies, so that an acknowledgement which the
 * receivers give before the driver has registered the block reaches its client. */
const LINGER_MS = 50;

const trials: HttpTrial[] = [];
afterEach(async () => {
  await Promise.all(trials.splice(0).map((trial) => trial.close()));
});

async function openTrial(
  withKeys = true,
  options: Partial<PipelineOptions> = {},
): Promise<HttpTrial> {
  const trial = await HttpTrial.open({ withKeys, options });
  trials.push(trial);
  return trial;
}

async function dieAt({ site }: HttpTrial, thread: Thread, plan: CrashPlan): Promise<void> {
  const engine = site.start({ crash: { [thread]: plan } });
  const exit = await engine.ended();
  const what = `${plan.step} was not passed ${plan.occurrence} times by ${thread}`;
  expect(exit.signal, `${what}: ${engine.describe()}`).toBe('SIGKILL');
}

/** Dies before and after the step, in turn. */
async function dieAround(trial: HttpTrial, thread: Thread, step: string): Promise<void> {
  for (const occurrence of OCCURRENCES) {
    const plan = { occurrence, ...(thread === 'driver' ? { lingerMs: LINGER_MS } : {}) };
    await dieAt(trial, thread, { step: `${step}.before` as CrashStep, ...plan });
    await dieAt(trial, thread, { step: `${step}.after` as CrashStep, ...plan });
  }
}

describe('dies before and after', () => {
  it.each(STEPS)('in the %s: %s', async (thread, step) => {
    const trial = await openTrial();
    await dieAround(trial, thread, step);
    await trial.finishAndCheck();
  });

  it('in the driver: R3', async () => {
    const trial = await openTrial();
    for (const occurrence of OCCURRENCES) {
      await dieAt(trial, 'driver', { step: 'R3.before', occurrence });
    }
    await trial.finishAndCheck();
  });

  // Only the driver log knows then what the batch had.
  it('the publishing of a batch of which no checkpoint knows', async () => {
    const trial = await openTrial(true, { checkpointInterval: 60_000 });
    for (const occurrence of [6, 6, 6]) {
      await dieAt(trial, 'driver', { step: 'R6.after', occurrence });
    }
    await trial.finishAndCheck();
  });

  it.each(['R1', 'R3'])('in the receivers: %s, of clients without keys', async (step) => {
    const trial = await openTrial(false);
    await dieAround(trial, 'receivers', step);
    await trial.finishAndCheck();
  });
});

describe('dies on its way up at', () => {
  it.each([
    'recovery.verdict',
    'recovery.rewrite',
    'recovery.replay',
    'recovery.adopt',
    'R0.before',
    'R0.after',
  ] as const)('%s', async (step) => {
    const trial = await openTrial();
    const first = trial.site.start();
    await first.ready();
    await sleep(300);
    await first.kill();
    // With an event that is durable and that nothing witnesses, so that there is some to rewrite.
    await dieAt(trial, 'driver', { step: 'R2.after', occurrence: 10 });
    await dieAt(trial, 'driver', { step, occurrence: 1 });
    await dieAt(trial, 'driver', { step, occurrence: 1 });
    await trial.finishAndCheck();
  });

  // No batch has been cut, so no checkpoint but the first one (R0) has been written.
  it('the first records of all', async () => {
    const trial = await openTrial(true, { batchInterval: 10_000 });
    await dieAt(trial, 'receivers', { step: 'R1.after', occurrence: 1 });
    await dieAt(trial, 'driver', { step: 'R2.before', occurrence: 1 });
    await dieAt(trial, 'driver', { step: 'R2.after', occurrence: 1 });
    await trial.finishAndCheck();
  });

  it('the very first start, again and again', async () => {
    const trial = await openTrial();
    const steps = ['recovery.verdict', 'recovery.replay', 'recovery.adopt', 'R0.before'] as const;
    for (const step of [...steps, ...steps, 'R0.after', 'R0.after'] as const) {
      await dieAt(trial, 'driver', { step, occurrence: 1 });
    }
    await trial.finishAndCheck();
  });
});
