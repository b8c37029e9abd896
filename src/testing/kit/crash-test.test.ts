/** @module */
import { AssertionError } from 'node:assert';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { definePipeline } from '../../dstream/pipeline.ts';
import type { PipelineContext } from '../../dstream/pipeline-context.ts';
import type { PipelineDefinition } from '../../dstream/pipeline.ts';
import type { State } from '../../dstream/state-spec.ts';
import type { PartitionWriter, Sink, SinkBatch } from '../../dstream/sink.ts';
import { sqliteSink } from '../../sinks/sqlite-sink.ts';
import { CRASH_FAULTS } from './crash-options.ts';
import type { CrashTestOptions } from './crash-options.ts';
import { crashTest } from './crash-test.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

const LINES = [['to be or', 'not to be'], ['be'], [], ['to see', 'or be'], ['not']];
const input = { lines: LINES };

function pipeline(build: (lines: ReturnType<typeof wordsOf>) => void): PipelineDefinition {
  return definePipeline({ name: 'tested', batchInterval: '1s' }, (ssc) => build(wordsOf(ssc)));
}

function wordsOf(ssc: PipelineContext) {
  return ssc.httpTextStream({ port: 0, id: 'lines' }).flatMap((line) => line.split(' '));
}

/** Whatever MILLRACE_SEED says: what these tests find has to be there. */
function first(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

/** What a test that fails says. */
async function failureOf(
  tested: Parameters<typeof crashTest>[0],
  options: CrashTestOptions,
): Promise<AssertionError> {
  const error: unknown = await crashTest(tested, options).then(
    () => new Error('it passed'),
    (reason: unknown) => reason,
  );
  if (error instanceof AssertionError) return error;
  throw error;
}

describe('a pipeline that survives', () => {
  it('a word count in files', async () => {
    const counts = pipeline((words) => words.countByValue().saveAsTextFiles('out/counts'));
    const report = await crashTest(counts, { input, seeds: first(20) });
    expect(report.seeds).toHaveLength(20);
    expect(report.lives).toBeGreaterThan(40);
    expect(Object.keys(report.faults).toSorted()).toEqual(CRASH_FAULTS.toSorted());
  });

  it('the faults that were asked for, and no others', async () => {
    const seen: number[] = [];
    const words = pipeline((each) => each.print());
    const imported = (life: number): PipelineDefinition => {
      seen.push(life);
      return words;
    };
    const kills = { input, faults: ['kill'], seeds: [3, 4] } as const;
    const cuts = { input, faults: ['power-cut'], seeds: first(2) } as const;
    // At once: one after the other, then.
    const [killed, cut] = await Promise.all([crashTest(imported, kills), crashTest(words, cuts)]);
    expect(Object.keys(killed.faults)).toEqual(['kill']);
    expect(Object.keys(cut.faults)).toEqual(['power-cut']);
    expect(killed.seeds).toEqual([3, 4]);
    expect(seen.filter((life) => life === 1)).toHaveLength(4); // two of them undisturbed
    expect(Math.max(...seen)).toBeGreaterThan(1);
  });

  it('from the seed that the environment names', async () => {
    const words = pipeline((each) => each.print());
    vi.stubEnv('MILLRACE_SEED', '7');
    const report = await crashTest(words, { input, seeds: 2 });
    expect(report.seeds).toEqual([7, 8]);
    vi.stubEnv('MILLRACE_SEED', 'seven');
    await expect(crashTest(words, { input })).rejects.toThrow(/MILLRACE_SEED must be/);
  });

  it('keyed state, joined with a queue', async () => {
    const counted = definePipeline({ name: 'counted', batchInterval: '1s' }, (ssc) => {
      const ages = ssc.queueStream<[string, number]>([[['be', 2]], [], [['to', 3]]]);
      const totals = wordsOf(ssc)
        .mapToPair((word) => [word, 1])
        .mapWithState((word: string, _one: number | undefined, state: State<number>) => {
          const total = (state.exists() ? state.get() : 0) + 1;
          state.update(total);
          return [word, total] as [string, number];
        });
      totals.saveAsJsonFiles('out/totals');
      totals.leftOuterJoin(ages).print();
    });
    await crashTest(counted, { input, seeds: first(8), executors: [2, 1, 3] });
  });

  it('windows, with an inverse function and without', async () => {
    const windows = pipeline((words) => {
      const pairs = words.mapToPair((word) => [word, 1]);
      pairs.window('2s', '1s').groupByKey().saveAsJsonFiles('out/two');
      pairs
        .reduceByKeyAndWindow(
          (a, b) => a + b,
          (a, b) => a - b,
          '3s',
          '1s',
        )
        .saveAsTextFiles('out/three');
    });
    await crashTest(windows, { input, seeds: first(10), batches: 7 });
  });

  it('a function that writes each batch in the place of the same batch', async () => {
    const table = new Map<number, string[]>();
    const writes = pipeline((words) => {
      words.foreachBatch(async (batch, { batchTime }) => {
        table.set(batchTime, await batch.collect());
        await turn(); // a database that answers later
      });
    });
    const report = await crashTest(writes, {
      input,
      seeds: first(8),
      call: ['foreachBatch-0'],
      reset: () => table.clear(),
      observe: () => [...table].toSorted(([a], [b]) => a - b),
    });
    expect(report.repeatedBatches).toBeGreaterThan(0);
  });

  it('a sink of its own that knows its batches', async () => {
    const sink = new Table();
    const stored = pipeline((words) => words.to(sink, { id: 'table' }));
    await crashTest(stored, {
      input,
      seeds: first(8),
      call: ['table'],
      reset: () => sink.batches.clear(),
      observe: () => new Map(sink.batches),
    });
  });

  it('sums of fractions, as far as they are compared', async () => {
    const sums = pipeline((words) => {
      words
        .mapToPair((word) => [word, 0.1])
        .reduceByKey((a, b) => a + b)
        .foreachPartition(() => {});
    });
    const compareBy = (record: unknown): unknown => {
      const [word, sum] = record as [string, number];
      return [word, sum.toFixed(6)];
    };
    await crashTest(sums, { input, seeds: first(3), executors: [1, 3], compareBy });
  });
});

describe('a pipeline that does not survive is found:', () => {
  it('state in a variable of the module', async () => {
    let seen = 0;
    const numbered = pipeline((words) => {
      words.map((word) => `${(seen += 1)} ${word}`).saveAsTextFiles('out/numbered');
    });
    const { message } = await failureOf(numbered, { input, seeds: first(8) });
    expect(message).toMatch(/two undisturbed runs with the same input differ/);
  });

  it('state in a variable that is lost at a restart', async () => {
    const greeted = pipeline((words) => {
      let hasBegun = false; // of each thread, and gone with it; true from the first word of all on
      words.map((word) => `${(hasBegun ||= word === 'to')} ${word}`).saveAsTextFiles('out/greeted');
    });
    const { message } = await failureOf(greeted, { input, seeds: first(30), executors: 1 });
    expect(message).toMatch(/seed \d+ leaves something else/);
    expect(message).toMatch(/missing \(\d\): 'true .*\n {2}too much \(\d\): 'false /);
  });

  it('chance', async () => {
    const random = pipeline((words) => words.map((word) => `${word} ${Math.random()}`).print());
    const { message } = await failureOf(random, { input, seeds: first(1) });
    expect(message).toMatch(/print-0, the batch with the time 1000:\n {2}missing \(6\)/);
  });

  it('a function that adds each batch to what is there', async () => {
    let total = 0;
    const adds = pipeline((words) => {
      words.foreachBatch(async (batch) => {
        total += await batch.count();
      });
    });
    const options = {
      input,
      call: ['foreachBatch-0'],
      reset: () => {
        total = 0;
      },
      observe: () => total,
    };
    const { message } = await failureOf(adds, { ...options, seeds: first(20) });
    expect(message).toMatch(/what observe\(\) returns differs:\n {2}undisturbed: 12\n/);
    const [, seed] = /replay it with seeds: \[(\d+)\], or with MILLRACE_SEED=\1$/.exec(message)!;
    const again = await failureOf(adds, { ...options, seeds: [Number(seed)] });
    expect(again.message).toBe(message);
  });

  it('a function that does not bear a repetition', async () => {
    const keys = new Set<number>();
    const inserts = pipeline((words) => {
      words.foreachBatch((_, { batchTime }) => {
        if (keys.has(batchTime)) throw new Error(`duplicate key ${batchTime}`);
        keys.add(batchTime);
      });
    });
    const call = ['foreachBatch-0'];
    const reset = (): void => keys.clear();
    const { message, cause } = await failureOf(inserts, { input, seeds: first(20), call, reset });
    expect(message).toMatch(/life \d fails: .*foreachBatch-0 failed: duplicate key \d000/);
    expect(cause).toMatchObject({ code: 'OUTPUT_FAILED' });
  });

  it('a sink that forgets what it has committed', async () => {
    const sink = new Table();
    sink.prepare = () => Promise.resolve('needed');
    const stored = pipeline((words) => words.to(sink, { id: 'table' }));
    const { message } = await failureOf(stored, {
      input,
      seeds: first(20),
      call: ['table'],
      reset: () => sink.batches.clear(),
      observe: () => new Map(sink.batches),
    });
    expect(message).toMatch(/what observe\(\) returns differs/);
  });

  it('a function that always throws', async () => {
    const broken = pipeline((words) => {
      const fail = (word: string): string => {
        throw new Error(`I do not like ${word}`);
      };
      words.map(fail).print();
    });
    const { message } = await failureOf(broken, { input, seeds: first(1) });
    expect(message).toMatch(/the undisturbed run fails: .*map-0.*I do not like/);
  });
});

describe('what cannot be simulated is refused', () => {
  const refused: readonly (readonly [string, PipelineDefinition, object, RegExp])[] = [
    [
      'an input without records',
      pipeline((words) => words.print()),
      {},
      /lines \(httpText.*input:/,
    ],
    ['an unknown input', pipeline((words) => words.print()), { input: { a: [] } }, /no input "a"/],
    [
      'a real database',
      pipeline((words) => {
        const columns = { word: 'text' } as const;
        const rows = words.map((word) => ({ word }));
        rows.to(sqliteSink({ file: 'words.db', table: 'words', columns }), { id: 'db' });
      }),
      { input, call: ['db'] },
      /call names db, whose sink writes to a real database \(SQLite /,
    ],
    ['an unknown fault', pipeline((words) => words.print()), { input, faults: ['flood'] }, /flood/],
    ['no seed', pipeline((words) => words.print()), { input, seeds: 0 }, /seeds/],
    [
      'effects that nobody takes back',
      pipeline((words) => words.print()),
      { input, observe: () => 1 },
      /observe needs reset/,
    ],
  ];
  it.each(refused)('%s', async (...[, tested, options, message]) => {
    const error: unknown = await crashTest(tested, options).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'OPTIONS_INVALID',
      message: expect.stringMatching(message),
    });
  });
});

/** A database table that commits a batch at once, as docs/sinks.md has it. */
class Table implements Sink<string> {
  readonly target = 'a table';
  readonly guarantee = 'exactly-once';
  readonly batches = new Map<string, string[]>();

  prepare({ batchTimeMs }: SinkBatch): Promise<'needed' | 'already-committed'> {
    const isThere = [...this.batches.keys()].some((key) => key.startsWith(`${batchTimeMs}/`));
    return Promise.resolve(isThere ? 'already-committed' : 'needed');
  }

  openPartition(): Promise<PartitionWriter<string>> {
    const records: string[] = [];
    return Promise.resolve({
      write: (record: string) => void records.push(record),
      close: () => Promise.resolve(records),
      abort: () => Promise.resolve(),
    });
  }

  commit({ batchTimeMs }: SinkBatch, tokens: readonly unknown[]): Promise<void> {
    const number = [...this.batches.keys()].filter((key) => key.startsWith(`${batchTimeMs}/`));
    this.batches.set(`${batchTimeMs}/${number.length}`, (tokens as string[][]).flat());
    return Promise.resolve();
  }
}
