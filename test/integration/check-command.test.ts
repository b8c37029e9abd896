/** `millrace check` and `millrace explain` as a user calls them, and that a start does what `check`
 * has said. Needs a built dist/. @module */
import { createHash } from 'node:crypto';
import { cpSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CommandPlace } from '../support/command.ts';
import type { CommandEnd } from '../support/command.ts';

const HEAD = `const pairs = ssc
    .queueStream([[['a', 1], ['b', 2]], [['a', 3]], [['c', 4]], []], { id: 'queue' });`;
const SUMS = `pairs.updateStateByKey((values, state) =>
    values.reduce((a, b) => a + b, state ?? 0), { id: 'sums' }).foreachBatch(() => {});`;
const LAST = 'pairs.updateStateByKey((values) => values.at(-1)).foreachBatch(() => {});';
/** The same, whatever stands in front of it. */
const NAMED = LAST.replace('.at(-1))', ".at(-1), { id: 'updateStateByKey-1' })");
const OBJECTS = (migrate: string): string => `pairs.updateStateByKey((values, state) =>
    ({ total: values.reduce((a, b) => a + b, state?.total ?? 0) }),
    { id: 'sums', version: 2${migrate} }).foreachBatch(() => {});`;

let place: CommandPlace;
/** A directory that the first version has left: `sums` by its id, another state by its place. */
let made: string;
let copies = 0;

beforeAll(async () => {
  place = new CommandPlace();
  made = join(place.directory, 'made');
  place.pipeline('p', `${HEAD}\n${SUMS}\n${LAST}`);
  const { code, err } = await place.run('run', 'p.ts', '--checkpoint', made);
  expect(code, err).toBe(0);
});
afterAll(() => place.close());

/** A copy of what was left, which a test may start on. */
function copy(): string {
  copies += 1;
  const directory = join(place.directory, `copy-${copies}`);
  cpSync(made, directory, { recursive: true });
  return directory;
}

function check(directory: string, ...more: readonly string[]): Promise<CommandEnd> {
  return place.run('check', 'p.ts', '--checkpoint', directory, ...more);
}

function fingerprint(directory: string): string[] {
  return (readdirSync(directory, { recursive: true }) as string[]).toSorted().map((name) => {
    const path = join(directory, name);
    if (!statSync(path).isFile()) return name;
    return `${name} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`;
  });
}

interface Version {
  readonly name: string;
  readonly body: string;
  readonly flags?: readonly string[];
  readonly says: readonly string[];
  /** Of `check`; a start ends with `start`, or 0. */
  readonly code?: number;
  readonly start?: number;
}

const REFUSED = { code: 1, start: 64 };
const VERSIONS: readonly Version[] = [
  { name: 'the same', body: SUMS + LAST, says: ['state       sums: kept, 3 keys, version 1'] },
  {
    name: 'with operators that come and go',
    body: `ssc.queueStream([['x']], { id: 'more' }).print(); ${SUMS} ${LAST}`,
    says: ['operator    print-0 (print): new', 'input       more (queueStream): new'],
  },
  {
    name: 'without an operator that has state',
    body: NAMED,
    says: ['sums: refused, 3 keys', 'To give the state up: --drop-state sums', 'Refused'],
    ...REFUSED,
  },
  {
    name: 'without it, as told',
    body: NAMED,
    flags: ['--drop-state', 'sums'],
    says: ['sums: dropped, 3 keys', 'Accepted'],
  },
  {
    name: 'with another one in the place of one without an id',
    body: `pairs.filter(() => true).updateStateByKey((values) => values.length)
      .foreachBatch(() => {}); ${SUMS} ${LAST}`,
    says: ["write { id: 'updateStateByKey-1' } where the operator stands now"],
    ...REFUSED,
  },
  {
    name: 'that says who had the id',
    body: `pairs.filter(() => true).updateStateByKey((values) => values.length)
      .foreachBatch(() => {}); ${SUMS} ${NAMED}`,
    says: ['updateStateByKey-1: kept', 'updateStateByKey-0: new'],
  },
  {
    name: 'that migrates',
    body: `${OBJECTS(', migrate: (old) => ({ total: old })')} ${LAST}`,
    says: ['sums: migrated, 3 keys, version 1 to 2', 'Its state was read'],
  },
  {
    name: 'that does not migrate',
    body: `${OBJECTS('')} ${LAST}`,
    says: ['sums: refused', 'no migrate: give it migrate(old, fromVersion)'],
    ...REFUSED,
  },
  {
    name: 'whose migrate throws',
    body: `${OBJECTS(", migrate: () => { throw new Error('boom'); }")} ${LAST}`,
    says: ['migrate of operator sums failed for the key', 'boom'],
    code: 1,
    start: 1,
  },
  {
    name: 'with another batch interval',
    body: SUMS + LAST,
    flags: ['--batch-interval', '200ms', '--memory', '64MiB'],
    says: ['batchInterval: 100 is 200 now (must match)', 'memory: ', '(may change)'],
    ...REFUSED,
  },
];

describe('a version', () => {
  it.each(VERSIONS)('$name is checked, and started like that', async (version) => {
    const { body, flags = [], says, code = 0, start = 0 } = version;
    const directory = copy();
    place.pipeline('p', `${HEAD}\n${body}`);
    const before = fingerprint(directory);
    const checked = await check(directory, ...flags);
    expect(checked.code, checked.err + checked.out).toBe(code);
    for (const text of says) expect(checked.out + checked.err).toContain(text);
    expect(fingerprint(directory)).toEqual(before);
    const started = await place.run('run', 'p.ts', '--checkpoint', directory, ...flags);
    expect(started.code, started.err).toBe(start);
    // What was told once needs not be told again, and what was migrated stays so.
    if (start === 0) expect((await check(directory)).code).toBe(0);
  });
});

describe('a window with an inverse function', () => {
  const SLID = (key: string): string => `${HEAD}
    pairs.mapToPair(([word, n]) => [${key}, n])
      .reduceByKeyAndWindow((a, b) => a + b, (a, b) => a - b, '400ms').foreachBatch(() => {});`;
  let directory: string;

  /** @returns what `check` says before a start that is accepted, too. */
  async function checkAndStart(body: string): Promise<string> {
    place.pipeline('slid', body);
    const { code, out, err } = await place.run('check', 'slid.ts', '--checkpoint', directory);
    expect(code, err + out).toBe(0);
    const started = await place.run('run', 'slid.ts', '--checkpoint', directory);
    expect(started.code, started.err).toBe(0);
    return out;
  }

  it('is kept, begins anew, and goes as a start does it', async () => {
    directory = join(place.directory, 'slid');
    place.pipeline('slid', SLID('word'));
    const made = await place.run('run', 'slid.ts', '--checkpoint', directory);
    expect(made.code, made.err).toBe(0);
    const id = 'reduceByKeyAndWindow-0';
    expect(await checkAndStart(SLID('word'))).toContain(`${id}: kept, 3 keys, version 1`);
    const other = await checkAndStart(SLID('word.toUpperCase()'));
    expect(other).toContain(`${id}: rebuilt, `);
    expect(other).not.toContain('has no id of its own');
    const gone = await checkAndStart(`${HEAD}\npairs.foreachBatch(() => {});`);
    expect(gone).toContain(`${id} (reduceByKeyAndWindow): gone`);
    expect(gone).not.toContain('state       ');
  });

  it('is refused without a checkpoint directory, and with batches at the same time', async () => {
    place.pipeline('slid', SLID('word'));
    for (const flags of [['--no-checkpoint'], ['--concurrent-batches', '2']]) {
      const checked = await place.run('check', 'slid.ts', ...flags);
      const started = await place.run('run', 'slid.ts', ...flags);
      expect([checked.code, started.code, checked.err]).toEqual([64, 64, started.err]);
    }
  });
});

describe('millrace check', () => {
  it('answers programs', async () => {
    place.pipeline('p', `${HEAD}\n${LAST}`);
    const { code, out } = await check(made, '--json');
    const found = JSON.parse(out) as { readonly states: readonly object[] };
    expect(code).toBe(1);
    expect(found).toMatchObject({
      format: 'millrace-check',
      version: 1,
      pipeline: 'p',
      verdict: 'refused',
      exitCode: 1,
      directory: made,
      isRunning: false,
      unfinishedBatches: 0,
      inputs: [{ id: 'queue', change: 'same', waitingBlocks: 0 }],
      problems: [expect.stringContaining('sums'), expect.stringContaining('updateStateByKey-1')],
      statefulWithoutId: ['updateStateByKey-0'],
    });
    expect(found.states).toContainEqual(
      expect.objectContaining({ id: 'sums', outcome: 'refused', keyCount: 3, fromVersion: 1 }),
    );
  });

  it('needs no checkpoint to say what a pipeline lacks', async () => {
    place.pipeline('p', `${HEAD}\n${SUMS}\n${LAST}`);
    const { code, out } = await place.run('check', 'p.ts');
    expect([code, out]).toEqual([0, expect.stringContaining('The graph is sound')]);
    expect(out).toContain('updateStateByKey-1 keeps state and has no id of its own');
    expect(out).not.toContain('sums keeps');
  });

  it('looks beside a running engine', async () => {
    const directory = join(place.directory, 'live');
    place.pipeline('live', 'ssc.generatorStream({ recordsPerSecond: 100 }).count().print();');
    const engine = place.start('run', 'live.ts', '--checkpoint', directory, '--json');
    await engine.line('engine-started');
    const { code, out } = await place.run('check', 'live.ts', '--checkpoint', directory);
    expect([code, out]).toEqual([0, expect.stringContaining('an engine is running here')]);
    engine.child.kill('SIGTERM');
    expect((await engine.ended).code).toBe(0);
  });

  it('has the exit codes of damage and of wrong use', async () => {
    place.pipeline('p', `${HEAD}\n${SUMS}\n${LAST}`);
    const directory = copy();
    const [name = ''] = readdirSync(join(directory, 'state'));
    const path = join(directory, 'state', name);
    const bytes = readFileSync(path);
    bytes[bytes.byteLength - 40] = (bytes[bytes.byteLength - 40] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    expect(await check(directory)).toMatchObject({ code: 2, err: expect.stringContaining(name) });
    expect((await check(join(made, 'driver-log'))).code).toBe(64);
    expect((await check(join(made, 'nothing'))).code).toBe(64);
    expect((await place.run('check', 'p.ts', '--batch-interval', 'soon')).code).toBe(64);
    expect((await place.run('check', 'none.ts')).code).toBe(64);
    place.pipeline('other', 'ssc.generatorStream().print();');
    const other = await place.run('check', 'other.ts', '--checkpoint', made);
    expect([other.code, other.out]).toEqual([
      1,
      expect.stringContaining("belongs to the pipeline 'p'"),
    ]);
  });
});

describe('millrace explain', () => {
  const BODY = `const lines = ssc.httpTextStream({ port: 0, id: 'web' })
      .union(ssc.generatorStream({ total: 1 }));
    lines.saveAsTextFiles('out/x', undefined, { id: 'files' }); lines.print();`;

  it('prints each edge with its guarantee and the reason', async () => {
    place.pipeline('e', BODY);
    const { code, out } = await place.run('explain', 'e.ts');
    expect(code).toBe(0);
    expect(out).toContain('source → web   acknowledged: at least once\n    a request is answered');
    expect(out).toContain(
      'files → target   exactly once\n    a batch becomes visible by one rename',
    );
    expect(out).toContain('  files: at least once, because of source → web');
    const off = await place.run('explain', 'e.ts', '--wal', 'off');
    expect(off.out).toContain('source → web   acknowledged: at most once\n    the log is off');
  });

  it('prints it as a flowchart, and for programs', async () => {
    place.pipeline('e', BODY);
    const { out } = await place.run('explain', 'e.ts', '--mermaid');
    expect(out).toMatch(/^flowchart LR\n {2}n0\["web<br\/>httpTextStream"\]\n/);
    const json = await place.run('explain', 'e.ts', '--json', '--no-checkpoint');
    expect(JSON.parse(json.out)).toMatchObject({
      format: 'millrace-explain',
      version: 1,
      pipeline: 'e',
      durability: 'off',
      checkpointDir: false,
      outputs: [
        { output: 'files', guarantee: 'at-most-once' },
        { output: 'print-0', guarantee: 'none' },
      ],
    });
    expect((await place.run('explain', 'e.ts', '--json', '--mermaid')).code).toBe(64);
  });
});
