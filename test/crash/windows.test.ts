/** Kills of an engine with windows: every window holds exactly the batches of its time, as the
 * pipeline has written them itself, whatever died in between. Needs a built dist/. @module */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { readBatches } from '../support/batch-output.ts';
import { CrashSite } from '../support/crash-site.ts';
import { killOrEnd, randomOf, SEED, shareOfKills } from '../support/kill-plan.ts';

const TOTAL = 40_000;

/** Small files, so that many are recycled, and only those that no window needs. */
const OPTIONS = {
  blockInterval: 20,
  executors: 2,
  receiverSegmentBytes: '256KiB',
  driverSegmentBytes: '64KiB',
  memory: '64MiB',
} as const;

/** Made again from its snapshot and the batches since, whose windows look back before it. */
const KEYED_STATE = `words.window('400ms', '200ms')
  .updateStateByKey((ones, n) => ones.length + (n ?? 0))`;

/** Lines by batch time. */
type Batches = ReadonlyMap<number, readonly string[]>;

interface Output {
  readonly slideMs: number;
  /** Of the lines `lines`, or the pairs `words`. */
  readonly code: string;
  /** What it writes at a batch time, in any order. */
  readonly expected: (raw: Batches, timeMs: number) => readonly string[];
}

const OUTPUTS: Readonly<Record<string, Output>> = {
  lines: {
    slideMs: 300,
    code: `lines.window('700ms', '300ms')`,
    expected: (raw, timeMs) => within(raw, timeMs, 700),
  },
  count: {
    slideMs: 400,
    code: `lines.countByWindow('400ms', '400ms')`,
    expected: (raw, timeMs) => [`${within(raw, timeMs, 400).length}`],
  },
  sums: {
    slideMs: 100,
    code: `words.reduceByKeyAndWindow((a, b) => a + b, '600ms')`,
    expected: (raw, timeMs) => countsOf(within(raw, timeMs, 600)),
  },
  slid: {
    slideMs: 100,
    code: `words.reduceByKeyAndWindow((a, b) => a + b, (a, b) => a - b, '600ms', '100ms',
      { filter: ([, n]) => n !== 0 })`,
    expected: (raw, timeMs) => countsOf(within(raw, timeMs, 600)),
  },
  slidSeldom: {
    slideMs: 200,
    code: `words.window('300ms').reduceByKeyAndWindow((a, b) => a + b, (a, b) => a - b, '400ms', '200ms')
      .checkpoint('600ms').filter(([, n]) => n !== 0)`,
    expected: (raw, timeMs) =>
      countsOf(
        [300, 200, 100, 0].flatMap((ageMs) =>
          raw.has(timeMs - ageMs) ? within(raw, timeMs - ageMs, 300) : [],
        ),
      ),
  },
  nested: {
    slideMs: 200,
    code: `words.reduceByKeyAndWindow((a, b) => a + b, '400ms', '200ms')
      .window('400ms').reduceByKey((a, b) => a + b)`,
    expected: (raw, timeMs) =>
      countsOf(
        [timeMs - 200, timeMs].flatMap((each) => (raw.has(each) ? within(raw, each, 400) : [])),
      ),
  },
  state: {
    slideMs: 200,
    code: KEYED_STATE,
    expected: (raw, timeMs) => stateAt(raw, timeMs),
  },
  seldom: {
    slideMs: 600,
    code: `${KEYED_STATE}.window('200ms', '600ms')`,
    expected: (raw, timeMs) => stateAt(raw, timeMs),
  },
};

/** Every window of 400 ms that there was up to a batch time. */
function stateAt(raw: Batches, timeMs: number): readonly string[] {
  const times = [...raw.keys()].filter((each) => each % 200 === 0 && each <= timeMs);
  return countsOf(times.flatMap((each) => within(raw, each, 400)));
}

function within(raw: Batches, timeMs: number, lengthMs: number): readonly string[] {
  return [...raw].flatMap(([each, lines]) =>
    each > timeMs - lengthMs && each <= timeMs ? lines : [],
  );
}

function countsOf(lines: readonly string[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const line of lines) {
    const [word = ''] = line.split(' ');
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return [...counts].map(([word, n]) => `(${word},${n})`);
}

let site: CrashSite | undefined;
afterEach(async () => {
  await site?.close();
});

/** Where an output writes. */
function prefixOf({ directory }: CrashSite, name: string): string {
  return join(directory, name, 'batch');
}

const isSliding = (name: string): boolean => name.startsWith('slid');

function writePipeline(to: CrashSite, isWanted: (name: string) => boolean = () => true): void {
  const input = { recordsPerSecond: 12_000, recordBytes: 40, total: TOTAL, receivers: 2 };
  const wanted = Object.entries(OUTPUTS).filter(([name]) => isWanted(name));
  const outputs = wanted.map(([name, { code }]) => {
    mkdirSync(join(to.directory, name));
    return `${code}.saveAsTextFiles(${JSON.stringify(prefixOf(to, name))});`;
  });
  to.pipeline(`
    const lines = ssc.generatorStream(${JSON.stringify(input)});
    const words = lines.mapToPair((line) => [line.split(' ')[0], 1]);
    lines.saveAsTextFiles(${JSON.stringify(to.outputPrefix)});
    ${outputs.join('\n')}
  `);
}

/** Compares each output with what the lines of the batches make of it. */
function checkOutputs(of: CrashSite, isWanted: (name: string) => boolean = () => true): void {
  const raw: Batches = new Map(
    readBatches(of.outputPrefix).map(({ batchTimeMs, lines }) => [batchTimeMs, lines]),
  );
  expect([...raw.values()].flat()).toHaveLength(TOTAL);
  for (const [name, { slideMs, expected }] of Object.entries(OUTPUTS)) {
    if (!isWanted(name)) continue;
    const written = readBatches(prefixOf(of, name));
    const due = [...raw.keys()].filter((timeMs) => timeMs % slideMs === 0);
    expect(written.map(({ batchTimeMs }) => batchTimeMs)).toEqual(due);
    for (const { batchTimeMs, lines } of written) {
      const is = lines.toSorted().join('\n');
      const want = expected(raw, batchTimeMs).toSorted().join('\n');
      expect(is === want, `${name} at ${batchTimeMs}: ${lines.length} lines`).toBe(true);
    }
  }
  const counts = readBatches(prefixOf(of, 'count')).map(({ lines }) => Number(lines[0]));
  // Windows that do not overlap: each record is in one of them, also of the last one.
  expect(counts.reduce((sum, n) => sum + n, 0)).toBe(TOTAL);
}

it(`every window holds its batches under random kills (MILLRACE_SEED=${SEED})`, async () => {
  const random = randomOf('windows');
  site = new CrashSite(OPTIONS);
  writePipeline(site);
  for (let kill = 0; kill < shareOfKills(1 / 8); kill += 1) {
    await killOrEnd(site.start(), random); // later ones may find that all is done
  }
  await site.finish();
  checkOutputs(site);
});

it('every window holds its batches without a checkpoint directory', async () => {
  site = new CrashSite({ ...OPTIONS, memory: '16MiB' });
  const needsNone = (name: string): boolean => !isSliding(name);
  writePipeline(site, needsNone);
  await site.finish({ checkpointDir: false });
  checkOutputs(site, needsNone);
});
