/** Kills of engines that read what the other crash tests do not: a receiver of the user's own whose
 * records cannot be sent again, files moved into a directory, a queue. @module */
import { mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { CrashPlan, CrashStep } from '../../src/core/crash-point.ts';
import { readLines } from '../support/batch-output.ts';
import type { ChildEngine } from '../support/child-engine.ts';
import { CrashSite } from '../support/crash-site.ts';
import { killOrEnd, randomOf, SEED, shareOfKills } from '../support/kill-plan.ts';
import { checkRecords } from '../support/record-sets.ts';
import { checkTicks, TICKS, ticksInput } from '../support/ticks.ts';

const OPTIONS = {
  blockInterval: 10,
  receiverExecutors: 2,
  executors: 2,
  receiverSegmentBytes: '256KiB',
  driverSegmentBytes: '64KiB',
  memory: '64MiB',
} as const;

const sites: CrashSite[] = [];
afterEach(async () => {
  await Promise.all(sites.splice(0).map((site) => site.close()));
});

function siteOf(input: (site: CrashSite) => string, head?: string): CrashSite {
  const site = new CrashSite(OPTIONS);
  sites.push(site);
  site.pipeline(`${input(site)}.saveAsTextFiles(${JSON.stringify(site.outputPrefix)});`, head);
  return site;
}

describe('store(record) of a receiver that cannot send again', () => {
  function ticks(): CrashSite {
    return siteOf(ticksInput, TICKS);
  }

  async function finishAndCheck(site: CrashSite): Promise<void> {
    const engine = site.start();
    await engine.ready();
    await sleep(300);
    await site.stop(engine);
    checkTicks(site);
  }

  it(`loses nothing but the end of a life under random kills (MILLRACE_SEED=${SEED})`, async () => {
    const random = randomOf('store(record)');
    const site = ticks();
    for (let kill = 0; kill < shareOfKills(1 / 6); kill += 1) {
      await killOrEnd(site.start(), random);
    }
    await finishAndCheck(site);
  });

  /** Each dies with durable blocks that the driver does not know, then in the recovery that adopts
   * them, then in the recovery after that. */
  const inRecovery = [
    { first: at('recovery.rewrite'), next: at('recovery.rewrite') },
    { first: at('recovery.rewrite', 2), next: at('recovery.adopt') }, // the second log's
    { first: at('recovery.adopt'), next: at('recovery.adopt') },
    { first: at('R2.before'), next: at('R2.before') },
    { first: at('R2.after'), next: at('recovery.adopt') },
    { first: at('R0.before'), next: at('recovery.verdict') },
  ];
  it.each(inRecovery)('$first.step ($first.occurrence), $next.step', async ({ first, next }) => {
    const site = ticks();
    await dieInRecovery(site, first);
    const again = site.start({ crash: { driver: next } });
    expect(await again.ended(), again.describe()).toEqual({ code: null, signal: 'SIGKILL' });
    await finishAndCheck(site);
  });
});

/** A plan in few words. */
function at(step: CrashStep, occurrence = 1): CrashPlan {
  return { step, occurrence };
}

/** Which logs have something to rewrite, and whether there is a block to adopt, depends on what the
 * logs had told each other when the process died: it dies until the plan meets its step. */
async function dieInRecovery(site: CrashSite, plan: CrashPlan): Promise<void> {
  for (let attempt = 0; attempt < 30; attempt += 1) {
    const first = site.start({ crash: { receivers: at('R1.after', 20) } });
    expect((await first.ended()).signal, first.describe()).toBe('SIGKILL');
    const second = site.start({ crash: { driver: plan } });
    // R0 comes after recovery; R2 is passed by recovery and by running engines.
    const next = plan.step.startsWith('R0') ? 'ready' : 'engine-recovered';
    await second.waitFor(next, ({ type }) => type === next).catch(() => undefined);
    await second.kill();
    if (second.events.every(({ type }) => type !== next)) return;
  }
  throw new Error(`${plan.step} was never passed ${plan.occurrence} times in recovery`);
}

it(`takes each file once under random kills (MILLRACE_SEED=${SEED})`, async () => {
  const random = randomOf('textFileStream');
  const site = siteOf(({ directory }) => {
    mkdirSync(join(directory, 'in'));
    return `ssc.textFileStream(${JSON.stringify(join(directory, 'in'))})`;
  });
  const sent = new Set<string>();
  let isWriting = true;
  const writing = writeFiles(join(site.directory, 'in'), sent, () => isWriting);
  for (let kill = 0; kill < shareOfKills(1 / 6); kill += 1) {
    await killOrEnd(site.start(), random);
  }
  isWriting = false;
  await writing;
  const engine = site.start();
  await takenAll(site, engine);
  await site.stop(engine);
  checkRecords(readLines(site.outputPrefix), { promised: sent, sent, onceOnly: sent });
});

it(`takes each batch of a queue once under random kills (MILLRACE_SEED=${SEED})`, async () => {
  const random = randomOf('queueStream');
  const batches = Array.from({ length: 50 }, (_, batch) =>
    Array.from({ length: 20 }, (_unused, n) => `q${batch}-${n}`),
  );
  const site = siteOf(() => `ssc.queueStream(${JSON.stringify(batches)})`);
  for (let kill = 0; kill < shareOfKills(1 / 6); kill += 1) {
    await killOrEnd(site.start(), random); // later ones may find that the queue is over
  }
  await site.finish();
  const sent = new Set(batches.flat());
  checkRecords(readLines(site.outputPrefix), { promised: sent, sent, onceOnly: sent });
});

/** Waits for a batch that was cut by this engine, after the last file was written, and found none. A
 * batch takes so many files at most; the first one need not have all that had gathered meanwhile. */
async function takenAll({ outputPrefix }: CrashSite, engine: ChildEngine): Promise<void> {
  const cut = new Set<number>();
  let isReady = false;
  await engine.waitFor('a batch that finds no file', (event) => {
    if (event.type === 'ready') isReady = true;
    if (event.type === 'batch-submitted' && isReady) cut.add(event.batchTimeMs);
    if (event.type !== 'batch-completed' || !cut.has(event.batchTimeMs)) return false;
    const directory = `${outputPrefix}-${event.batchTimeMs}`;
    const parts = readdirSync(directory).filter((name) => name.startsWith('part-'));
    return parts.every((name) => statSync(join(directory, name)).size === 0);
  });
}

/** Files of unique lines, each written under a hidden name and then renamed. */
async function writeFiles(directory: string, sent: Set<string>, goesOn: () => boolean) {
  for (let file = 0; goesOn(); file += 1) {
    const lines = Array.from({ length: 20 }, (_, line) => `f${file}-${line}`);
    const hidden = join(directory, `.f${file}.tmp`);
    writeFileSync(hidden, `${lines.join('\n')}\n`);
    for (const line of lines) sent.add(line);
    renameSync(hidden, join(directory, `f${file}`));
    await sleep(5);
  }
}
