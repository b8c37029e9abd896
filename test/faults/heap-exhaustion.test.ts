/** Threads whose heap is full: V8 ends a task executor, or a receiver executor, that can have no more
 * memory. The engine replaces it, and what was acknowledged is there exactly once. Should the memory
 * of the whole process be gone with it, the process dies as by a kill, and the next start makes good.
 * @module */
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { HttpTrial } from '../support/http-trial.ts';
import { killThreads, watcher } from '../support/thread-deaths.ts';

/** Of each thread. */
const HEAP_MIB = 96;
const HOG = 'const hog = []; for (;;) hog.push(Array.from({ length: 10_000 }, (_, n) => [n]))';

let trial: HttpTrial | undefined;
afterEach(async () => {
  await trial?.close();
});

it.each(['receiver', 'task'] as const)(
  'replaces a %s executor that has no memory',
  async (kind) => {
    trial = await HttpTrial.open({ withKeys: true });
    const { site } = trial;
    const operators =
      kind === 'task'
        ? '.map((line) => { if ((calls += 1) % 20 === 0) dieIfAsked(); return line; })'
        : '';
    trial.pipeline({ head: watcher(join(site.directory, `die-${kind}`), HOG), operators });
    const engine = site.start({ prefix: ['env', `NODE_OPTIONS=--max-old-space-size=${HEAP_MIB}`] });
    await engine.ready();
    await killThreads(site, engine, kind);
    const told = kind === 'receiver' ? 'executor-died' : 'task-failed';
    const deaths = engine.events.filter(({ type }) => type === told);
    expect(JSON.stringify(deaths), engine.describe()).toContain('heap out of memory');
    await trial.finishAndCheck(engine);
  },
);
