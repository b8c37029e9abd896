/** What users get wrong, and what they are told: options, pipeline modules, functions. Needs a
 * built dist/.
 * @module */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { WallMs } from '../../src/core/ids.ts';
import { CommandPlace } from '../support/command.ts';
import { LineServer } from '../support/peers.ts';
import { failureOf, PipelineSite } from '../support/pipeline-site.ts';

let site: PipelineSite;
beforeEach(() => {
  site = new PipelineSite();
});
afterEach(() => site.close());

describe('options', () => {
  it('are refused in one message with all problems, before anything is made', async () => {
    site.pipeline(`ssc.queueStream([[1]]).print();`, {
      options: { executors: 0, blockInterval: '30ms', memory: '1MiB' },
    });
    const wrong = { batchInterval: 'soon', durability: 'maybe', nope: 1 } as object;
    const failure = await failureOf(site.open(wrong));
    expect(failure).toMatchObject({ code: 'OPTIONS_INVALID', exitCode: 64 });
    const parts = ['executors is 0', 'memory is', "batchInterval (--batch-interval) is 'soon'"];
    for (const part of [...parts, "durability (--wal) is 'maybe'", 'no option nope']) {
      expect(failure.message).toContain(part);
    }
    expect(readdirSync(site.directory)).not.toContain('checkpoint');
  });

  it.each([
    ['a block interval that does not divide', { blockInterval: 30 }, /blockInterval.*30.*divide/],
    ['a log without a directory', { checkpointDir: false, durability: 'sync' }, /durability/],
    ['too little memory for its receivers', { memory: '16MiB' }, /memory.*64 receivers/],
  ])('%s', async (_, options, expected) => {
    site.pipeline(`ssc.generatorStream({ receivers: 64 }).print();`);
    const failure = await failureOf(site.open(options as object));
    expect(failure).toMatchObject({ code: 'OPTIONS_INVALID' });
    expect(failure.message).toMatch(expected);
  });

  it('of inputs and operators name the operator, all problems of a call at once', async () => {
    site.pipeline(`ssc.httpTextStream({ port: -1, path: 'x', receivers: 1.5, wrong: 1 }).print();`);
    const failure = await failureOf(site.open());
    expect(failure).toMatchObject({ code: 'OPTIONS_INVALID', exitCode: 64 });
    for (const part of ['httpTextStream', 'port', 'path', 'receivers', 'wrong']) {
      expect(failure.message).toContain(part);
    }
  });
});

describe('pipeline modules', () => {
  const MODULES: Readonly<Record<string, readonly [code: string, expected: RegExp]>> = {
    'no default export': ['export const x = 1;', /no pipeline as its default export/],
    'another default export': ['export default { name: "x" };', /no pipeline as its default/],
    'no output': [
      "export default definePipeline({ name: 'x' }, (ssc) => { ssc.queueStream([]); });",
      /pipeline x has no output/,
    ],
    'no input': ["export default definePipeline({ name: 'x' }, () => {});", /no output/],
    'an asynchronous function': [
      "export default definePipeline({ name: 'x' }, async (ssc) => { ssc.queueStream([]).print(); });",
      /returned a promise/,
    ],
    'a function that throws': [
      "export default definePipeline({ name: 'x' }, () => { throw new RangeError('mine'); });",
      /threw RangeError: mine/,
    ],
    'a name that is none': [
      "export default definePipeline({ name: 'a b' }, () => {});",
      /name must be/,
    ],
    'a stream of another pipeline': [
      `      definePipeline({ name: 'y' }, () => {});
      export default definePipeline({ name: 'x' }, (ssc) => {
        const own = ssc.queueStream([]);
        own.union({}).print();
      });`,
      /union of queueStream-0: the other stream/,
    ],
    'the same id twice': [
      `export default definePipeline({ name: 'x' }, (ssc) => {
        ssc.queueStream([], { id: 'a' }).map((x) => x, { id: 'a' }).print();
      });`,
      /two operators have the id a/,
    ],
    'a syntax error': ['export default definePipeline({ name: ', /pipeline\.mjs:3:\d+: /],
    'a function that must not be asynchronous': [
      `export default definePipeline({ name: 'x' }, (ssc) => {
        ssc.queueStream([]).map(async (x) => x).print();
      });`,
      /map: the function must not be asynchronous/,
    ],
    'an import that is not there': ["import './nowhere.mjs';", /nowhere\.mjs/],
    'a package that is not there': [
      "import 'no-such-package-here';",
      /threw while it was imported/,
    ],
  };

  it.each(Object.entries(MODULES))('%s', async (_, [code, expected]) => {
    const pipeline = site.write(
      'pipeline.mjs',
      `import { definePipeline } from 'millrace';\nvoid definePipeline;\n${code}`,
    );
    const failure = await failureOf(site.open({ pipeline }));
    expect(failure).toMatchObject({
      code: expect.stringMatching(/^(PIPELINE|OPTIONS)_INVALID$/),
      exitCode: 64,
    });
    expect(failure.message).toMatch(expected);
    expect(readdirSync(site.directory)).not.toContain('checkpoint');
  });

  it('that is not there is named', async () => {
    const failure = await failureOf(site.open({ pipeline: site.path('missing.ts') }));
    expect(failure).toMatchObject({ code: 'PIPELINE_INVALID' });
    expect(failure.message).toContain(site.path('missing.ts'));
  });
});

describe('a pipeline that differs between threads', () => {
  const BODIES: Readonly<Record<string, readonly [body: string, expected: RegExp]>> = {
    'by the thread': [
      `const lines = ssc.queueStream([[1]]);
      (isMainThread ? lines : lines.filter(() => true)).print();`,
      /parents of print-0|print-0: parents|filter-0/,
    ],
    'by chance': [
      `ssc.queueStream([[1]]).repartition(1 + Math.floor(Math.random() * 4000)).print();`,
      /repartition-0: option partitions is \d+ in the driver and \d+ in an? .*executor/,
    ],
    'by the order': [
      `const queue = ssc.queueStream([[1]]);
      if (isMainThread) { queue.print(1); queue.print(2); } else { queue.print(2); queue.print(1); }`,
      /print-0: option n is 1 in the driver and 2/,
    ],
    'in an input with receivers': [
      `ssc.generatorStream({ seed: isMainThread ? 1 : 2 }).print();`,
      /generatorStream-0: option seed is 1 in the driver and 2 in/,
    ],
  };

  it.each(Object.entries(BODIES))('%s', async (_, [body, expected]) => {
    site.pipeline(body, { head: "import { isMainThread } from 'node:worker_threads';" });
    const run = await site.open();
    const failure = await failureOf(run.context.start());
    expect(failure).toMatchObject({ code: 'PIPELINE_MISMATCH', exitCode: 64 });
    expect(failure.message).toMatch(expected);
    await expect(run.context.awaitTermination()).rejects.toBe(failure);
    // Nothing was received, so a corrected one may use the directory.
    site.pipeline(`keep('all', ssc.queueStream([[1]]));`);
    await site.finish();
    expect(site.records('all')).toEqual([1]);
  });
});

describe('functions', () => {
  const FUNCTIONS: Readonly<
    Record<string, readonly [chain: string, operator: string, cause: RegExp]>
  > = {
    'map that throws': [`.map(() => { throw new TypeError('mine'); })`, 'map-0', /TypeError: mine/],
    'map that throws no error': [`.map(() => { throw 'text'; })`, 'map-0', /text/],
    'map that returns a promise': [
      '.map((x) => Promise.resolve(x))',
      'map-0',
      /returned a promise/,
    ],
    'filter that returns a promise': [
      '.filter(() => Promise.resolve(true))',
      'filter-0',
      /promise/,
    ],
    'filter that returns no boolean': ['.filter((x) => x)', 'filter-0', /true or false/],
    'flatMap of no iterable': ['.flatMap((x) => x)', 'flatMap-0', /iterable/],
    'flatMap that throws half-way': [
      `.flatMap(function* (x) { yield x; throw new Error('half'); })`,
      'flatMap-0',
      /half/,
    ],
    'mapToPair of no pair': ['.mapToPair((x) => [x])', 'mapToPair-0', /pair/],
    'reduceByKey of no pairs': ['.map((x) => x).reduceByKey((a) => a)', 'reduceByKey-0', /pair/],
    'reduce that throws': [
      `.map((x) => x).reduce(() => { throw new Error('sum'); })`,
      'reduce-0',
      /sum/,
    ],
    'a record that cannot cross threads': [
      '.map((x) => () => x).repartition(2)',
      'repartition-0',
      /function/,
    ],
    'mapPartitions that throws': [
      `.mapPartitions(() => { throw new Error('whole'); })`,
      'mapPartitions-0',
      /whole/,
    ],
  };

  it.each(Object.entries(FUNCTIONS))('%s', async (_, [chain, operator, cause]) => {
    site.pipeline(`keep('all', ssc.queueStream([[1, 2, 3, 4]])${chain});`);
    const run = await site.start({ maxTaskFailures: 2 });
    const failure = await failureOf(run.context.awaitTermination());
    expect(failure).toMatchObject({ code: 'TASK_FAILED', exitCode: 1 });
    expect(failure.message).toContain(`operator ${operator} failed`);
    expect(failure.message).toMatch(/batch \d{13}, output all/);
    expect(failure.message).toMatch(cause);
    expect(site.kept).toEqual([]);
  });

  it('foreachPartition that rejects', async () => {
    site.pipeline(
      `ssc.queueStream([[1]]).foreachPartition(async () => { throw new Error('mine'); });`,
    );
    const run = await site.start({ maxTaskFailures: 1 });
    const failure = await failureOf(run.context.awaitTermination());
    expect(failure).toMatchObject({ code: 'TASK_FAILED' });
    expect(failure.message).toMatch(/operator foreachPartition-0 failed.*mine/s);
  });

  it('foreachBatch that throws or rejects', async () => {
    for (const body of [
      `() => { throw new Error('mine'); }`,
      `async () => { throw new Error('mine'); }`,
    ]) {
      site.pipeline(`ssc.queueStream([[1]]).foreachBatch(${body});`);
      const run = await site.start({ checkpointDir: false });
      const failure = await failureOf(run.context.awaitTermination());
      expect(failure).toMatchObject({ code: 'OUTPUT_FAILED', exitCode: 1 });
      expect(failure.message).toMatch(/batch \d{13}: .*foreachBatch-0 failed: mine/);
    }
  });

  it('a directory to read that is not there', async () => {
    site.pipeline(`ssc.textFileStream(directory + '/nowhere').print();`);
    const run = await site.start();
    const failure = await failureOf(run.context.awaitTermination());
    expect(failure).toMatchObject({ code: 'SOURCE_FAILED', exitCode: 1 });
    expect(failure.message).toContain(site.path('nowhere'));
  });

  it('a file that changed after its batch was allocated', async () => {
    site.write('in/file.txt', 'one\n');
    site.pipeline(`
      ssc.queueStream([]).foreachBatch(() => {
        if (!existsSync(directory + '/changed')) throw new Error('wait');
      });
      keep('all', ssc.textFileStream(directory + '/in'));`);
    site.prepend("import { existsSync } from 'node:fs';");
    const first = await site.start();
    await failureOf(first.context.awaitTermination());
    site.write('in/file.txt', 'changed and longer\n');
    site.write('changed', '');
    const second = await site.start();
    const failure = await failureOf(second.context.awaitTermination());
    expect(failure.message).toContain(site.path('in', 'file.txt'));
    expect(failure.message).toContain('must not change');
    expect(site.records('all')).toEqual([]);
  });

  it('an output directory that belongs to another pipeline', async () => {
    site.pipeline(`ssc.queueStream([['one']]).saveAsTextFiles(directory + '/out/x');`);
    const first = await site.finish();
    const time = first.of('batch-completed')[0]?.batchTimeMs ?? 0;
    // Another log, whose first batch has the same time: its clock stands still there.
    const clock: Clock = { ...systemClock, wallMs: () => time as WallMs };
    const second = await site.start({ checkpointDir: site.path('other'), clock });
    const failure = await failureOf(second.context.awaitTermination());
    expect(failure).toMatchObject({ code: 'SINK_CONFLICT', exitCode: 1 });
    expect(failure.message).toContain(site.path('out', `x-${time}`));
    expect(site.saved('out/x')).toEqual(['one']);
  });
});

describe('places', () => {
  it('a port in use ends the first start', async () => {
    const other = await LineServer.listen();
    try {
      site.pipeline(`ssc.httpTextStream({ port: ${other.port} }).print();`);
      const failure = await failureOf(site.start());
      expect(failure).toMatchObject({ code: 'ADDRESS_UNAVAILABLE', exitCode: 1 });
      expect(failure.message).toContain(`127.0.0.1:${other.port}: the port is in use`);
    } finally {
      await other.close();
    }
  });

  it('a directory with other things in it becomes no checkpoint directory', async () => {
    site.pipeline(`ssc.queueStream([[1]]).print();`);
    site.write('home/notes.txt', 'mine');
    const failure = await failureOf(site.open({ checkpointDir: site.path('home') }));
    expect(failure).toMatchObject({ code: 'CHECKPOINT_MISMATCH', exitCode: 64 });
    expect(failure.message).toContain('not empty (notes.txt)');
  });

  it('a checkpoint directory that cannot be made is named, whatever the reason', async () => {
    site.pipeline(`ssc.queueStream([[1]]).print();`);
    site.write('file', 'not a directory');
    const wrong = { code: 'OPTIONS_INVALID', exitCode: 64 };
    for (const [path, error] of [
      [site.path('file'), wrong],
      [site.path('file', 'below'), wrong],
      ['/proc/nowhere/at/all', { code: 'DISK_FAILED', exitCode: 74 }],
    ] as const) {
      const failure = await failureOf(site.open({ checkpointDir: path }));
      expect(failure).toMatchObject(error);
      expect(failure.message).toContain(path);
    }
  });

  it('an output directory that cannot be made fails the batch, and is tried again', async () => {
    site.pipeline(`ssc.queueStream([['x']]).saveAsTextFiles(directory + '/file/out');`);
    site.write('file', 'not a directory');
    const run = await site.start();
    const failure = await failureOf(run.context.awaitTermination());
    expect(failure).toMatchObject({ code: 'OUTPUT_FAILED', exitCode: 1 });
    expect(failure.message).toContain(site.path('file', 'out'));
    site.remove('file');
    await site.finish();
    expect(site.saved('file/out')).toEqual(['x']);
  });

  it('a checkpoint directory in use is refused, naming the process', async () => {
    site.pipeline(`ssc.generatorStream({ recordsPerSecond: 10 }).print();`);
    await site.start();
    const failure = await failureOf(site.open());
    expect(failure).toMatchObject({ code: 'DIRECTORY_LOCKED', exitCode: 75 });
    expect(failure.message).toContain(String(process.pid));
    expect(failure.message).toContain(site.checkpointDir);
  });
});

describe('the command line', () => {
  let place: CommandPlace;
  beforeEach(() => {
    place = new CommandPlace();
  });
  afterEach(() => place.close());

  it.each([
    [
      'the module throws when it is imported',
      "type Row = { n: number };\nconst row = JSON.parse('null') as Row;\nexport default row.n;\n",
      /TypeError.*\n.*wrong\.ts:3:20/,
    ],
    [
      'the function that builds throws, in a file of its own',
      `import { definePipeline } from 'millrace';
import { build } from './lib/build.ts';
export default definePipeline({ name: 'x' }, (ssc) => {
  ssc.queueStream([[build()]]).print();
});
`,
      /mine.*\n.*lib\/build\.ts:4:9/s,
    ],
    ['the module is no TypeScript', 'export default {\n  name: ;\n};\n', /wrong\.ts:2:9: /],
  ])('ends with 64 and names file and line when %s', async (_, text, expected) => {
    mkdirSync(join(place.directory, 'lib'));
    const helper =
      '// one\n// two\nexport function build(): never {\n  throw new Error("mine");\n}\n';
    writeFileSync(join(place.directory, 'lib', 'build.ts'), helper);
    writeFileSync(join(place.directory, 'wrong.ts'), text);
    const { code, out, err } = await place.run('run', 'wrong.ts');
    expect({ code, out }, err).toEqual({ code: 64, out: '' });
    expect(err).toMatch(expected);
    expect(readdirSync(place.directory)).not.toContain('home');
  });

  it('ends with 64 and names the first difference when threads differ', async () => {
    writeFileSync(
      join(place.directory, 'differs.ts'),
      `import { isMainThread } from 'node:worker_threads';
import { definePipeline } from 'millrace';
export default definePipeline({ name: 'x' }, (ssc) => {
  ssc.queueStream([[1]]).print(isMainThread ? 1 : 2);
});
`,
    );
    const { code, err } = await place.run('run', 'differs.ts');
    expect(code, err).toBe(64);
    expect(err).toContain('print-0: option n is 1 in the driver and 2 in');
  });
});
