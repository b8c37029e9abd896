/** Windows and joins of them, nested at random, with inverse functions at the top, and keyed state over
 * them, against the slow and obvious way, over histories
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
import {
  buildStream,
  expectedAt,
  randomInputs,
  randomSpec,
  slideOf,
} from '../support/window-oracle.ts';
import type { Pair, Spec } from '../support/window-oracle.ts';

const HISTORIES = 10_000;
const BATCHES_MAX = 6;
/** How often operators are nested no deeper than once, and than twice; the rest thrice. Tasks multiply
 * with every level. */
const DEPTHS = [0.65, 0.98];

const directory = mkdtempSync(join(tmpdir(), 'windows-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** How many batches of keyed state lie between two of what looks at one of them. */
const SELDOM = 2;
/** How often there is state over the windows. */
const STATE_SHARE = 0.25;

/** Letters that were ever there, in their order. */
function added(values: readonly string[], state: string | undefined): string {
  return [...values, state ?? ''].join('').split('').toSorted().join('');
}

interface RandomHistory {
  readonly spec: Spec;
  readonly steps: readonly Step[];
  readonly hasState: boolean;
}

interface Step {
  /** In batch intervals. */
  readonly time: number;
  readonly records: Readonly<Record<string, readonly Pair[]>>;
  /** A snapshot of keyed state is taken after it. */
  readonly isSaved: boolean;
  /** The process dies after it. */
  readonly dies: boolean;
}

function randomSteps(random: Random): readonly Step[] {
  const steps: Step[] = [];
  let time = Math.floor(random.next() * 12);
  const count = 2 + Math.floor(random.next() * (BATCHES_MAX - 1));
  for (let i = 0; i < count; i += 1) {
    time += random.next() < 0.15 ? 1 + Math.floor(random.next() * 5) : 1;
    const records = randomInputs(random);
    const [isSaved, dies] = [random.next() < 0.2, random.next() < 0.1];
    steps.push({ time, records, isSaved, dies });
  }
  return steps;
}

const sorted = (records: readonly unknown[] = []): string =>
  records
    .map((record) => JSON.stringify(record))
    .toSorted()
    .join(' ');

async function runHistory({ spec, steps, hasState }: RandomHistory): Promise<number> {
  const spillDirectory = mkdtempSync(join(directory, 'spill-'));
  const batches = new InlineBatches(
    (ssc, keep) => {
      const inputs = new Map(
        ['a', 'b'].map((id) => {
          const queue = steps.map(({ records }) => records[id] ?? []);
          return [id, ssc.queueStream<string, string>(queue, { id })];
        }),
      );
      const stream = buildStream(spec, inputs);
      keep('out', stream);
      if (!hasState) return;
      const state = stream.updateStateByKey(added);
      keep('state', state);
      const seldomMs = SELDOM * slideOf(spec) * 1_000;
      keep('seldom', state.window(slideOf(spec) * 1_000, seldomMs));
    },
    { spillDirectory },
  );
  const history = new Map<number, Step['records']>();
  for (const [index, { time, records, isSaved, dies }] of steps.entries()) {
    history.set(time, records);
    await batches.run(time * 1_000, index);
    if (batches.hasState && isSaved) await batches.snapshot();
    batches.clean();
    batches.statePartitions = 1 + (index % 3);
    if (dies) await batches.restart();
  }
  compare(batches, { spec, history });
  if (hasState) compareState(batches, { spec, history });
  rmSync(spillDirectory, { recursive: true });
  return batches.restarts;
}

interface Compared {
  readonly spec: Spec;
  readonly history: ReadonlyMap<number, Step['records']>;
}

function compare({ results }: InlineBatches, { spec, history }: Compared): void {
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

/** The state after each batch is what all batches of the stream together are, each once. */
function compareState({ results }: InlineBatches, { spec, history }: Compared): void {
  const state = new Map<string, string>();
  for (const time of [...history.keys()].filter((each) => each % slideOf(spec) === 0)) {
    for (const [key, letters] of expectedAt(spec, time, history)) {
      state.set(key, added([letters], state.get(key)));
    }
    const want = sorted([...state]);
    const isDue = time % (SELDOM * slideOf(spec)) === 0;
    for (const name of isDue ? ['state', 'seldom'] : ['state']) {
      const is = sorted(results.get(name)?.get(time * 1_000));
      check(is === want, () => `${name} at ${time}: ${is}, not ${want}: ${JSON.stringify(spec)}`);
    }
  }
}

it(
  `${scaled(HISTORIES)} random histories of windows and joins hold what the definition says (${seedNote})`,
  async () => {
    const random = seededRandom(simSeed);
    const used = new Set<string>();
    let restarts = 0;
    let stateful = 0;
    for (let run = 0; run < scaled(HISTORIES); run += 1) {
      const steps = randomSteps(random);
      const slide = 1 + Math.floor(random.next() * 3);
      const rare = random.next();
      const depth = 1 + DEPTHS.filter((part) => part < rare).length;
      const spec = randomSpec(random, { depth, slide });
      for (const [, op] of JSON.stringify(spec).matchAll(/"op":"(\w+)"/g)) used.add(String(op));
      try {
        const hasState = random.next() < STATE_SHARE;
        restarts += await runHistory({ spec, steps, hasState });
        if (hasState) stateful += 1;
      } catch (cause) {
        throw new Error(`history ${run}: ${JSON.stringify(steps)}`, { cause });
      }
    }
    // Each kind of window and join, state, and restarts, did occur.
    expect(used.size).toBe(19);
    expect(stateful).toBeGreaterThan((scaled(HISTORIES) * STATE_SHARE) / 2);
    expect(restarts).toBeGreaterThan(scaled(HISTORIES) / 10);
  },
  scaledTimeoutMs(),
);
