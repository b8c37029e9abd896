/** A receiver of the user's own that stores single records and cannot send them again, and what has to
 * hold of its records whatever dies. @module */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { checkShares, readLines } from './batch-output.ts';
import type { CrashSite } from './crash-site.ts';

/** Numbers its records in each of its lives, and writes down the lives: `store(record)`, which
 * promises nothing until the block is registered. */
export const TICKS = `import { appendFileSync } from 'node:fs';
import { threadId } from 'node:worker_threads';
class Ticks extends Receiver {
  constructor(file) { super(); this.file = file; }
  onStart() {
    const life = [process.pid, threadId, Date.now(), this.receiverIndex].join('.');
    appendFileSync(this.file, life + '\\n');
    this.loop = this.run(life);
  }
  async run(life) {
    for (let n = 0; !this.signal.aborted; n += 1) {
      await this.store(life + ' ' + n);
      if (n % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  async onStop() { await this.loop; }
}`;

/** The input, for the body of a pipeline whose head is `TICKS`. */
export function ticksInput(site: CrashSite): string {
  const lives = JSON.stringify(livesFile(site));
  return `ssc.receiverStream(() => new Ticks(${lives}), { receivers: 4 })`;
}

/** Of each life a beginning without gaps came, each record once: blocks are lost from the end or not
 * at all. */
export function checkTicks(site: CrashSite): void {
  const counts = new Map<string, Set<number>>();
  const known = new Set(readFileSync(livesFile(site), 'utf8').trimEnd().split('\n'));
  for (const line of readLines(site.outputPrefix)) {
    const [life = '', n] = line.split(' ');
    expect(known.has(life), `${line} comes from nobody`).toBe(true);
    const seen = counts.get(life) ?? new Set();
    expect(seen.has(Number(n)), `${line} came twice`).toBe(false);
    counts.set(life, seen.add(Number(n)));
  }
  for (const [life, seen] of counts) {
    expect(Math.max(...seen), `gaps in the records of ${life}`).toBe(seen.size - 1);
  }
  checkShares(site);
}

function livesFile(site: CrashSite): string {
  return join(site.directory, 'lives');
}
