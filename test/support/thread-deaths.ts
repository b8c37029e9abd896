/** Makes threads of a running engine die: its pipeline module watches for a file, which stands for
 * whatever makes a thread die; the thread that finds it takes it away and dies. @module */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { ChildEngine } from './child-engine.ts';
import type { CrashSite } from './crash-site.ts';

const DEATHS = 2;

/** `dieIfAsked` takes the file away and dies; receiver threads look for it all the time. */
export function watcher(file: string, way: string): string {
  return `import { renameSync } from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';
let calls = 0;
function dieIfAsked() {
  try { renameSync(${JSON.stringify(file)}, ${JSON.stringify(`${file}-taken`)}); } catch { return; }
  ${way};
}
// Receiver threads are told later what they are for, task threads at their start.
const isReceiverThread = !isMainThread && workerData === undefined;
if (isReceiverThread && ${JSON.stringify(file)}.endsWith('receiver')) setInterval(dieIfAsked, 2);`;
}

/** Makes threads die, one after the other; each death must be noticed and outlived. */
export async function killThreads(site: CrashSite, engine: ChildEngine, kind: 'receiver' | 'task') {
  const file = join(site.directory, `die-${kind}`);
  for (let death = 1; death <= DEATHS; death += 1) {
    writeFileSync(file, '');
    while (existsSync(file) && engine.exit === undefined) await sleep(5);
    expect(engine.exit, engine.describe()).toBeUndefined();
    if (kind === 'receiver') await replaced(engine, death);
    await sleep(100);
  }
}

/** Waits until so many executors have died, and every receiver has started again after each. */
async function replaced(engine: ChildEngine, deaths: number): Promise<void> {
  let deathsSeen = 0;
  let isStarted = false;
  await engine.waitFor(`receiver ${deaths} of a new thread`, (event) => {
    if (event.type === 'executor-died') {
      deathsSeen += 1;
      isStarted = false;
    }
    if (event.type === 'receiver-started') isStarted = true;
    return deathsSeen === deaths && isStarted;
  });
}
