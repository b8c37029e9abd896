/** One owner per directory (I9), with real processes: a hundred pairs of engines that start together,
 * engines that are stopped for a while, and one that wakes up in a directory which has another owner
 * by now. Whatever was acknowledged, by whomever, is in the output exactly once. @module */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { readLines } from '../support/batch-output.ts';
import type { ChildEngine } from '../support/child-engine.ts';
import { CrashSite } from '../support/crash-site.ts';
import { freePort, HttpClients } from '../support/http-clients.ts';
import { HttpTrial } from '../support/http-trial.ts';
import { randomOf, SEED } from '../support/kill-plan.ts';
import { WITHOUT_FLOCK } from '../support/no-flock.ts';
import { checkRecords } from '../support/record-sets.ts';

const RACES = 100;
/** Milliseconds; the last one is longer than a client waits for its answer. */
const STOPS = [100, 300, 1_000, 5_500];
const TAKEOVERS = 4;

const owned: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of owned.splice(0)) await each.close();
});

async function openTrial(): Promise<HttpTrial> {
  const trial = await HttpTrial.open({ withKeys: true, options: { executors: 1 } });
  owned.push(trial);
  return trial;
}

async function moreAcknowledged(clients: HttpClients, engine: ChildEngine): Promise<void> {
  const before = clients.acknowledged.size;
  await engine.until('an acknowledgement', () => clients.acknowledged.size > before);
}

async function expectRefused(loser: ChildEngine): Promise<void> {
  expect(await loser.ended(), loser.describe()).toEqual({ code: 75, signal: null });
  expect(loser.events.map(({ type }) => type)).toEqual(['failed']);
}

it(`lets exactly one of two own the directory, ${RACES} times (MILLRACE_SEED=${SEED})`, async () => {
  const random = randomOf('races');
  const trial = await openTrial();
  const { site, clients } = trial;
  for (let race = 0; race < RACES; race += 1) {
    // By flock, by owner files, and one by each.
    const prefixes = [race % 3 === 1 ? WITHOUT_FLOCK : [], race % 3 === 0 ? [] : WITHOUT_FLOCK];
    const first = site.start({ prefix: prefixes[0] ?? [] });
    await sleep(20 * random.next());
    const second = site.start({ prefix: prefixes[1] ?? [] });
    const winner = await winnerOf([first, second]);
    for (const each of [first, second]) if (each !== winner) await expectRefused(each);
    if (winner === undefined) {
      // Each saw the other one: of two that lock in different ways both may give way.
      expect(race % 3, 'nobody got the directory').toBe(2);
      continue;
    }
    await moreAcknowledged(clients, winner);
    await winner.kill();
  }
  await trial.finishAndCheck();
});

/** The first that is ready; nobody when all have ended. */
async function winnerOf(engines: readonly ChildEngine[]): Promise<ChildEngine | undefined> {
  return Promise.any(engines.map((each) => each.ready().then(() => each))).catch(() => undefined);
}

/** Stops and wakes an engine again and again; a second one never gets the directory meanwhile. */
async function stopAndGo(prefix: readonly string[]): Promise<void> {
  const trial = await openTrial();
  const { site, clients } = trial;
  const engine = site.start({ prefix });
  await engine.ready();
  for (const stopMs of STOPS) {
    await moreAcknowledged(clients, engine);
    engine.signal('SIGSTOP');
    await Promise.all([sleep(stopMs), expectRefused(site.start({ prefix }))]);
    engine.signal('SIGCONT');
    await moreAcknowledged(clients, engine);
  }
  await trial.finishAndCheck(engine);
}

it('keeps its directory while it is stopped, and goes on as if nothing had been', async () => {
  // Locked by the kernel, and by owner files.
  await Promise.all([stopAndGo([]), stopAndGo(WITHOUT_FLOCK)]);
});

it('acknowledges nothing in a directory that another engine has taken meanwhile', async () => {
  const options = { blockInterval: 10, batchInterval: 500, executors: 2, memory: '64MiB' } as const;
  const site = new CrashSite(options);
  owned.push(site);
  const sides: { readonly port: number; readonly clients: HttpClients }[] = [];
  for (const name of ['a', 'b']) {
    const port = await freePort();
    sides.push({ port, clients: new HttpClients({ port, withKeys: true, clients: 2, name }) });
  }
  owned.push({
    close: async () => void (await Promise.all(sides.map((side) => side.clients.giveUp()))),
  });
  const start = async (index: number): Promise<ChildEngine> => {
    site.pipeline(
      `const lines = ssc.httpTextStream({ port: ${sides[index % 2]?.port} });
      lines.saveAsTextFiles(${JSON.stringify(site.outputPrefix)});
      lines.foreachBatch(() => {
        if (existsSync(STOP)) {
          rmSync(STOP);
          process.kill(process.pid, 'SIGSTOP');
        }
      });`,
      `import { existsSync, rmSync } from 'node:fs';
      const STOP = ${JSON.stringify(join(site.directory, 'stop'))};`,
    );
    const engine = site.start({ prefix: index % 4 < 2 ? [] : WITHOUT_FLOCK });
    await engine.ready();
    return engine;
  };
  const clientsOf = (index: number): HttpClients => sides[index % 2]?.clients as HttpClients;

  let old = await start(0);
  for (let takeover = 1; takeover <= TAKEOVERS; takeover += 1) {
    await moreAcknowledged(clientsOf(takeover - 1), old);
    await stopBetweenBatches(site, old);
    for (const name of lockFiles(site)) rmSync(name);
    const next = await start(takeover);
    await moreAcknowledged(clientsOf(takeover), next);
    old.signal('SIGCONT');
    expect(await old.ended(), old.describe()).toEqual({ code: 75, signal: null });
    await moreAcknowledged(clientsOf(takeover), next);
    old = next;
  }
  await site.stop(old);
  await Promise.all(sides.map(({ clients }) => clients.giveUp()));
  const all = (of: (clients: HttpClients) => ReadonlySet<string>): Set<string> =>
    new Set(sides.flatMap(({ clients }) => [...of(clients)]));
  const sent = all((clients) => clients.sent);
  const promised = all((clients) => clients.acknowledged);
  checkRecords(readLines(site.outputPrefix), { promised, sent, onceOnly: sent });
});

/** By its own hand, when a batch's output is committed and the next one's has not begun. */
async function stopBetweenBatches(site: CrashSite, engine: ChildEngine): Promise<void> {
  writeFileSync(join(site.directory, 'stop'), '');
  await engine.stopped();
}

/** As a careless hand would remove them. */
function lockFiles(site: CrashSite): string[] {
  return readdirSync(site.checkpointDir)
    .filter((name) => name === 'LOCK' || name.startsWith('LOCK.'))
    .map((name) => join(site.checkpointDir, name));
}
