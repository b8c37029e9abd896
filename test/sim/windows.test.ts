/** Windows and joins of them, nested at random, against the slow and obvious way, over histories
 * with gaps and restarts. The engine's scheduler, plan, stage code and memory, without threads.
 * @module */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { seededRandom } from '../../src/core/random.ts';
import type { Random } from '../../src/core/random.ts';
import { InlineBatches } from '../support/inline-batches.ts';
import { check, scaled, scaledTimeoutMs, seedNote, simSeed } from '../support/sim-runs.ts';
import { buildStream, expectedAt, randomSpec, slideOf } from '../support/window-oracle.ts';
import type { Pair, Spec } from '../support/window-oracle.ts';

const HISTORIES = 10_000;
const BATCHES_MAX = 6;
/** How often operators are nested no deeper than once, and than twice; the rest thrice. Tasks multiply
 * with every level. */
const DEPTHS = [0.65, 0.98];

const directory = mkdtempSync(join(tmpdir(), 'windows-'));
afterAll(() => rmSync(directory, { recursive: true }));

interface Step {
  /** In batch intervals. */
  readonly time: number;
  readonly records: Readonly<Record<string, readonly Pair[]>>;
  /** The process dies after it. */
  readonly dies: boolean;
}

function randomSteps(random: Random): readonly Step[] {
  const steps: Step[] = [];
  let time = Math.floor(random.next() * 12);
  const count = 2 + Math.floor(random.next() * (BATCHES_MAX - 1));
  for (let i = 0; i < count; i += 1) {
    time += random.next() < 0.15 ? 1 + Math.floor(random.next() * 5) : 1;
    const records = { a: randomRecords(random), b: randomRecords(random) };
    steps.push({ time, records, dies: random.next() < 0.1 });
  }
  return steps;
}

function randomRecords(random: Random): Pair[] {
  return Array.from({ length: Math.floor(random.next() * 4) }, (): Pair => {
    const key = 'xyz'[Math.floor(random.next() * 3)] as string;
    return [key, 'pqr'[Math.floor(random.next() * 3)] as string];
  });
}

const sorted = (records: readonly unknown[] = []): string =>
  records
    .map((record) => JSON.stringify(record))
    .toSorted()
    .join(' ');

async function runHistory(spec: Spec, steps: readonly Step[]): Promise<number> {
  const spillDirectory = mkdtempSync(join(directory, 'spill-'));
  const batches = new InlineBatches(
    (ssc, keep) => {
      const inputs = new Map(
        ['a', 'b'].map((id) => {
          const queue = steps.map(({ records }) => records[id] ?? []);
          return [id, ssc.queueStream<string, string>(queue, { id })];
        }),
      );
      keep('out', buildStream(spec, inputs));
    },
    { spillDirectory },
  );
  const history = new Map<number, Step['records']>();
  for (const [index, { time, records, dies }] of steps.entries()) {
    history.set(time, records);
    await batches.run(time * 1_000, index);
    batches.clean();
    if (dies) await batches.restart();
  }
  compare(batches, { spec, history });
  rmSync(spillDirectory, { recursive: true });
  return batches.restarts;
}

function compare(
  { results }: InlineBatches,
  {
    spec,
    history,
  }: {
    readonly spec: Spec;
    readonly history: ReadonlyMap<number, Step['records']>;
  },
): void {
  const found = results.get('out');
  const due = [...history.keys()].filter((time) => time % slideOf(spec) === 0);
  const times = [...(found?.keys() ?? [])].map((time) => time / 1_000);
  check(String(times) === String(due), () => `batches ${String(times)}, not ${String(due)}`);
  for (const time of due) {
    const is = sorted(found?.get(time * 1_000));
    const want = sorted(expectedAt(spec, time, history));
    check(is === want, () => `at ${time}: ${is}, not ${want}: ${JSON.stringify(spec)}`);
  }
}

it(
  `${scaled(HISTORIES)} random histories of windows and joins hold what the definition says (${seedNote})`,
  async () => {
    const random = seededRandom(simSeed);
    const used = new Set<string>();
    let restarts = 0;
    for (let run = 0; run < scaled(HISTORIES); run += 1) {
      const steps = randomSteps(random);
      const slide = 1 + Math.floor(random.next() * 3);
      const rare = random.next();
      const depth = 1 + DEPTHS.filter((part) => part < rare).length;
      const spec = randomSpec(random, depth, slide);
      for (const [, op] of JSON.stringify(spec).matchAll(/"op":"(\w+)"/g)) used.add(String(op));
      try {
        restarts += await runHistory(spec, steps);
      } catch (cause) {
        throw new Error(`history ${run}: ${JSON.stringify(steps)}`, { cause });
      }
    }
    // Each kind of window and join, and restarts, did occur.
    expect(used.size).toBe(16);
    expect(restarts).toBeGreaterThan(scaled(HISTORIES) / 10);
  },
  scaledTimeoutMs(),
);
