/** Keyed state under `kill -9`: each batch's state is that of the batch before and what the batch
 * brought, in the files that both were written to, and in the end it is all that there was.
 *
 * Dies around the writing of a snapshot, between snapshot and checkpoint, while batches run again for
 * their state, and at random. Executors and partitions change from life to life. @module */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { CrashPlan } from '../../src/core/crash-point.ts';
import { readBatches } from '../support/batch-output.ts';
import type { BatchOutput } from '../support/batch-output.ts';
import { CommandProcess } from '../support/command.ts';
import { CrashSite } from '../support/crash-site.ts';
import type { StartOptions } from '../support/crash-site.ts';
import { SEED, killOrEnd, randomOf } from '../support/kill-plan.ts';
import { expectedCounts, heldInput } from '../support/word-counts.ts';

const INPUT = { total: 3_000, recordsPerSecond: 2_000 };
/** Comes all the while, so that the state changes until the input is released. */
const TICK = 'w5000';
const OPTIONS = { batchInterval: 50, receiverSegmentBytes: '4MiB', memory: '32MiB' } as const;

const sites: CrashSite[] = [];
afterEach(async () => {
  await Promise.all(sites.splice(0).map((site) => site.close()));
});

interface Trial {
  readonly site: CrashSite;
  readonly statePrefix: string;
  readonly release: () => void;
}

/** What a version of the pipeline keeps for each word, and makes of what earlier versions kept. */
interface Shape {
  /** Expressions of `count`, and of the state `s`. */
  readonly state: string;
  readonly count: string;
  /** After `id`. */
  readonly options: string;
}

const NUMBERS: Shape = { state: 'count', count: 's', options: '' };

/** @param partitions of the state: the operators have the same ids in each. */
function writePipeline(
  { site, statePrefix }: Omit<Trial, 'release'>,
  partitions: number,
  shape = NUMBERS,
) {
  const held = heldInput(site);
  site.pipeline(
    `const ticks = ssc.receiverStream(() => new Held()).map(() => '${TICK}');
    const words = ssc.generatorStream(${JSON.stringify(INPUT)})
      .flatMap((line) => line.split(' ')).union(ticks).mapToPair((word) => [word, 1]);
    words.reduceByKey((a, b) => a + b).saveAsTextFiles(${JSON.stringify(site.outputPrefix)});
    const countOf = (s) => ${shape.count};
    words.mapWithState((word, one, state) => {
      const count = (state.exists() ? countOf(state.get()) : 0) + one;
      state.update(${shape.state});
    }, { id: 'counts', partitions: ${partitions}${shape.options} })
      .stateSnapshots().map(([word, s]) => [word, countOf(s)])
      .saveAsTextFiles(${JSON.stringify(statePrefix)});`,
    `${held.head}\nimport { existsSync, writeFileSync } from 'node:fs';`,
  );
  return held.release;
}

function openTrial(partitions = 3): Trial {
  const site = new CrashSite(OPTIONS);
  sites.push(site);
  const statePrefix = join(site.directory, 'states', 'batch');
  mkdirSync(join(site.directory, 'states'));
  return { site, statePrefix, release: writePipeline({ site, statePrefix }, partitions) };
}

async function dieAt({ site }: Trial, plan: CrashPlan, start: StartOptions = {}): Promise<void> {
  const engine = site.start({ ...start, crash: { driver: plan } });
  const exit = await engine.ended();
  expect(exit.signal, `${plan.step} was not passed: ${engine.describe()}`).toBe('SIGKILL');
}

type Counts = ReadonlyMap<string, number>;

function countsOf(lines: readonly string[]): Counts {
  const counts = new Map<string, number>();
  for (const line of lines) {
    const [, word = '', count] = /^\((w\d+),(\d+)\)$/.exec(line) ?? [];
    expect(count, `a line that nobody wrote: ${line}`).toBeDefined();
    expect(counts.has(word), `${word} is there twice`).toBe(false);
    counts.set(word, Number(count));
  }
  return counts;
}

/** Lets the inputs end, and compares every batch. */
async function finishAndCheck({ site, statePrefix, release }: Trial): Promise<void> {
  release();
  await site.finish();
  const batches = readBatches(site.outputPrefix);
  const states = readBatches(statePrefix);
  expect(timesOf(states)).toEqual(timesOf(batches));
  const sum = new Map<string, number>();
  for (const [index, { batchTimeMs, lines }] of batches.entries()) {
    for (const [word, count] of countsOf(lines)) sum.set(word, (sum.get(word) ?? 0) + count);
    const state = countsOf(states[index]?.lines ?? []);
    expect(state, `the state after batch ${batchTimeMs}`).toEqual(sum);
  }
  sum.delete(TICK);
  expect(sum).toEqual(expectedCounts(INPUT));
}

function timesOf(batches: readonly BatchOutput[]): readonly number[] {
  return batches.map(({ batchTimeMs }) => batchTimeMs);
}

function snapshotsIn({ site }: Trial): string[] {
  const directory = join(site.checkpointDir, 'state');
  return existsSync(directory) ? readdirSync(directory) : [];
}

describe(`keyed state under kill -9 (MILLRACE_SEED=${SEED})`, () => {
  it('comes back from its snapshot and the batches since', async () => {
    const trial = openTrial();
    await dieAt(trial, { step: 'R7.after', occurrence: 8 }); // no snapshot yet
    await dieAt(trial, { step: 'state.before', occurrence: 1 });
    expect(snapshotsIn(trial).every((name) => name.endsWith('.tmp'))).toBe(true);
    await dieAt(trial, { step: 'state.after', occurrence: 1 });
    expect(snapshotsIn(trial).some((name) => name.endsWith('.snapshot'))).toBe(true);
    await dieAt(trial, { step: 'R8.after', occurrence: 2 }, { options: { executors: 1 } });
    await dieAt(trial, { step: 'R0.after', occurrence: 1 }, { options: { executors: 4 } });
    await dieAt(trial, { step: 'state.after', occurrence: 2 });
    await finishAndCheck(trial);
    // Older ones are removed as checkpoints move on.
    expect(snapshotsIn(trial).length).toBeLessThanOrEqual(3);
  });

  it('is spread anew when it has another number of partitions', async () => {
    const trial = openTrial(3);
    for (const partitions of [1, 5]) {
      await dieAt(trial, { step: 'state.after', occurrence: 2 });
      writePipeline(trial, partitions);
    }
    await finishAndCheck(trial);
  });

  it('is the same whenever it dies', async () => {
    const trial = openTrial();
    const random = randomOf('keyed state');
    for (let kill = 0; kill < 4; kill += 1) await killOrEnd(trial.site.start(), random);
    await finishAndCheck(trial);
  });

  it('is migrated to a later version, wherever the start that does it dies', async () => {
    const trial = openTrial();
    await dieAt(trial, { step: 'state.after', occurrence: 2 });
    const marker = join(trial.site.directory, 'died-in-migrate');
    // Dies between two keys, once; a state of another shape than its version would end the start.
    writePipeline(trial, 3, {
      state: '{ count }',
      count: 's.count',
      options: `, version: 2, migrate(old, from) {
        if (typeof old !== 'number' || from !== 1) throw new Error('not of version 1');
        globalThis.migrated = (globalThis.migrated ?? 0) + 1;
        if (globalThis.migrated === 400 && !existsSync('${marker}')) {
          writeFileSync('${marker}', '');
          process.kill(process.pid, 'SIGKILL');
        }
        return { count: old };
      }`,
    });
    const killed = await trial.site.start().ended();
    expect([killed.signal, existsSync(marker)]).toEqual(['SIGKILL', true]);
    await dieAt(trial, { step: 'recovery.verdict', occurrence: 1 });
    await dieAt(trial, { step: 'R0.after', occurrence: 1 });
    await dieAt(trial, { step: 'state.before', occurrence: 1 });
    await dieAt(trial, { step: 'R8.after', occurrence: 2 });
    // Executors and partitions change with the shape.
    writePipeline(trial, 5, {
      state: '[count]',
      count: 's[0]',
      options: ', version: 3, migrate: (old, from) => [from === 1 ? old : old.count]',
    });
    await dieAt(trial, { step: 'state.after', occurrence: 1 }, { options: { executors: 1 } });
    await finishAndCheck(trial);
  });

  it('of a damaged snapshot is not made up', async () => {
    const trial = openTrial();
    await trial.site.stop(await startedAfterSnapshot(trial));
    const [name = ''] = snapshotsIn(trial).slice(-1);
    const path = join(trial.site.checkpointDir, 'state', name);
    const bytes = readFileSync(path);
    bytes[bytes.byteLength >> 1] = (bytes[bytes.byteLength >> 1] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    const engine = trial.site.start();
    expect((await engine.ended()).code, engine.describe()).toBe(2);
    expect(engine.describe()).toContain(name);
    const { checkpointDir, directory } = trial.site;
    const verified = await new CommandProcess(['wal', 'verify', checkpointDir], directory).ended;
    expect([verified.code, verified.out]).toEqual([2, expect.stringContaining(name)]);
    bytes[bytes.byteLength >> 1] = (bytes[bytes.byteLength >> 1] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    await finishAndCheck(trial);
  });
});

async function startedAfterSnapshot({ site }: Trial) {
  const engine = site.start();
  await engine.waitFor('a snapshot', ({ type }) => type === 'state-snapshot-written');
  return engine;
}
