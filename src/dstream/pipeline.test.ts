import { describe, expect, it } from 'vitest';
import { graphOf } from '../../test/support/inline-driver.ts';
import { MillraceError } from '../core/errors.ts';
import type { DStream } from './dstream.ts';
import { buildGraph, definePipeline, isPipelineDefinition } from './pipeline.ts';
import type { BuildPipeline } from './pipeline.ts';

function failure(build: BuildPipeline): MillraceError {
  try {
    graphOf(build);
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
  throw new Error('the graph was built');
}

describe('definePipeline', () => {
  it('starts nothing: the function runs when the graph is built, each time anew', () => {
    let calls = 0;
    const definition = definePipeline({ name: 'p' }, (ssc) => {
      calls += 1;
      ssc.generatorStream().print();
    });
    expect(calls).toBe(0);
    const graphs = [buildGraph(definition), buildGraph(definition)];
    expect(calls).toBe(2);
    expect(graphs[0]?.nodes).toEqual(graphs[1]?.nodes);
  });

  it('makes what another copy of the package recognises', () => {
    const foreign = { [Symbol.for('millrace.pipeline')]: true };
    expect(isPipelineDefinition(foreign)).toBe(true);
    expect(isPipelineDefinition(definePipeline({ name: 'p' }, () => {}))).toBe(true);
    for (const other of [undefined, null, {}, 'p', (): void => {}]) {
      expect(isPipelineDefinition(other)).toBe(false);
    }
  });

  it.each([undefined, '', 'a b', '../up', '..', 7])('refuses the name %j', (name) => {
    expect(() => definePipeline({ name } as never, () => {})).toThrow(
      expect.objectContaining({ code: 'OPTIONS_INVALID' }),
    );
  });

  it('refuses to be called without options or function', () => {
    expect(() => definePipeline(undefined as never, () => {})).toThrow('name must be');
    expect(() => definePipeline({ name: 'p' }, undefined as never)).toThrow(
      expect.objectContaining({ code: 'PIPELINE_INVALID' }),
    );
  });
});

describe('buildGraph', () => {
  it('says what the function threw, and keeps it as the cause', () => {
    const cause = new TypeError('no such topic');
    const error = failure(() => {
      throw cause;
    });
    expect(error.code).toBe('PIPELINE_INVALID');
    expect(error.message).toContain('TypeError: no such topic');
    expect(error.cause).toBe(cause);
  });

  it('asks for an output', () => {
    const error = failure((ssc) => void ssc.generatorStream().count());
    expect(error.code).toBe('PIPELINE_INVALID');
    expect(error.message).toContain('has no output operation');
  });

  it('refuses an asynchronous function, and owns its rejection', async () => {
    const late: unknown = async (): Promise<void> => {
      throw new Error('late');
    };
    const error = failure(late as BuildPipeline);
    expect(error.code).toBe('PIPELINE_INVALID');
    expect(error.message).toContain('returned a promise');
    // A rejection without an owner would fail the run here.
    await new Promise((resolve) => setImmediate(resolve));
  });

  it('passes on what is wrong with an option', () => {
    const error = failure((ssc) => ssc.generatorStream({ recordBytes: 1 }).print());
    expect(error.code).toBe('OPTIONS_INVALID');
    expect(error.message).toContain('generatorStream: recordBytes must be an integer from 2');
  });

  it('refuses streams of another pipeline', () => {
    let foreign: DStream<string> | undefined;
    graphOf((ssc) => {
      foreign = ssc.generatorStream();
      foreign.print();
    });
    const error = failure((ssc) =>
      ssc
        .generatorStream()
        .union(foreign as DStream<string>)
        .print(),
    );
    expect(error.code).toBe('PIPELINE_INVALID');
    expect(error.message).toContain('the same pipeline');
  });
});

describe('operators', () => {
  it.each<[string, (stream: DStream<string>) => unknown, string]>([
    ['no function', (s) => s.map(undefined as never), 'map: the function must be a function'],
    ['text for a function', (s) => s.filter('x' as never), "not 'x'"],
    [
      'an async function',
      (s) => s.flatMap((async () => []) as never),
      'flatMap: the function must not be asynchronous',
    ],
    [
      'an async generator function',
      (s) => s.flatMap(async function* none() {} as never),
      'must not be asynchronous',
    ],
    ['no reducer', (s) => s.reduce(undefined as never), 'reduce: the function must be'],
    ['an unknown option', (s) => s.map((x) => x, { ids: 'x' } as never), 'there is no option ids'],
    [
      '0 partitions',
      (s) => s.repartition(0),
      'partitions must be an integer from 1 to 4096, not 0',
    ],
    ['1.5 partitions', (s) => s.countByValue({ partitions: 1.5 }), 'partitions must be an integer'],
    ['print of none', (s) => s.print(0), 'print: the number of records must be an integer from 1'],
    ['an empty prefix', (s) => s.saveAsTextFiles(''), 'saveAsTextFiles: prefix must be text'],
    [
      'a suffix that is no text',
      (s) => s.saveAsJsonFiles('a', 7 as never),
      'saveAsJsonFiles: suffix must be text',
    ],
    [
      'no callback',
      (s) => s.foreachBatch(undefined as never),
      'foreachBatch: the function must be',
    ],
    ['no window', (s) => s.window(undefined as never), 'window: the window must be a duration'],
    [
      'a window of nothing',
      (s) => s.countByWindow(0),
      'countByWindow: the window must be a duration',
    ],
    [
      'a slide of nothing',
      (s) => s.window('2s', '0s'),
      'window: the slide must be a duration above 0, such as \'10s\', not "0s"',
    ],
    [
      'a window and a slide that are none',
      (s) => s.countByValueAndWindow('x', 'y'),
      'not "x"; the slide must be a duration above 0, such as \'10s\', not "y"',
    ],
    [
      'partitions of a window',
      (s) => s.window('2s', '2s', { partitions: 2 } as never),
      'no option',
    ],
    ['no other stream', (s) => s.union(undefined as never), 'stream of the same pipeline'],
  ])('refuses %s', (_name, use, message) => {
    expect(failure((ssc) => void use(ssc.generatorStream())).message).toContain(message);
  });

  const late = (async () => []) as never;
  it.each<[string, (stream: DStream<[string, number]>) => unknown]>([
    ['map', (s) => s.map(late)],
    ['flatMap', (s) => s.flatMap(late)],
    ['filter', (s) => s.filter(late)],
    ['mapPartitions', (s) => s.mapPartitions(late)],
    ['mapToPair', (s) => s.mapToPair(late)],
    ['keyBy', (s) => s.keyBy(late)],
    ['mapValues', (s) => s.mapValues(late)],
    ['flatMapValues', (s) => s.flatMapValues(late)],
    ['reduce', (s) => s.reduce(late)],
    ['reduceByKey', (s) => s.reduceByKey(late)],
    [
      'combineByKey',
      (s) =>
        s.combineByKey(
          late,
          (a) => a,
          (a) => a,
        ),
    ],
    [
      'combineByKey',
      (s) =>
        s.combineByKey(
          (n) => n,
          late,
          (a) => a,
        ),
    ],
    [
      'combineByKey',
      (s) =>
        s.combineByKey(
          (n) => n,
          (a) => a,
          late,
        ),
    ],
    ['aggregateByKey', (s) => s.aggregateByKey(0, late, (a) => a)],
    ['aggregateByKey', (s) => s.aggregateByKey(0, (a) => a, late)],
    ['reduceByWindow', (s) => s.reduceByWindow(late, '2s')],
    ['reduceByKeyAndWindow', (s) => s.reduceByKeyAndWindow(late, '2s')],
    ['transform', (s) => s.transform(late)],
    ['transformWith', (s) => s.transformWith(s, late)],
  ])('names %s when its function is asynchronous', (name, use) => {
    const build: BuildPipeline = (ssc) => void use(ssc.queueStream<string, number>([]));
    expect(failure(build).message).toMatch(
      new RegExp(`^${name}: (the function|\\w+) must not be asynchronous`),
    );
  });

  it('copies zero of aggregateByKey, so it must be data', () => {
    const build: BuildPipeline = (ssc) =>
      void ssc.queueStream<string, number>([]).aggregateByKey(
        () => 1,
        (a) => a,
        (a) => a,
      );
    expect(failure(build).message).toBe(
      'aggregateByKey: zero must be plain data: it is copied for each key',
    );
  });

  it('lets outputs be asynchronous', () => {
    const graph = graphOf((ssc) => {
      const lines = ssc.generatorStream();
      lines.foreachBatch(async () => {});
      lines.foreachPartition(async () => {});
      lines.saveAsTextFiles('out/x', 'txt');
      lines.saveAsTextFiles('out/y', ''); // as in Spark: none
    });
    expect(graph.outputs.map(({ id, options }) => [id, options])).toEqual([
      ['foreachBatch-0', {}],
      ['foreachPartition-0', {}],
      ['saveAsTextFiles-0', { prefix: 'out/x', suffix: 'txt' }],
      ['saveAsTextFiles-1', { prefix: 'out/y' }],
    ]);
  });
});

describe('places', () => {
  it.each([
    ['one port twice', { port: [8080, 8080] }, 'httpTextStream-0 uses 127.0.0.1:8080 twice'],
    ['two receivers on neighbouring ports', { port: 8080, receivers: 2 }, undefined],
    ['any free port', { port: 0, receivers: 2 }, undefined],
  ] as const)('of inputs: %s', (_, options, problem) => {
    const build: BuildPipeline = (ssc) => ssc.httpTextStream(options).print();
    if (problem === undefined) expect(() => graphOf(build)).not.toThrow();
    else expect(failure(build)).toMatchObject({ code: 'PIPELINE_INVALID' });
    if (problem !== undefined) expect(failure(build).message).toContain(problem);
  });

  it('of two inputs, and of two outputs, have to differ', () => {
    const inputs = failure((ssc) => {
      ssc.httpTextStream({ port: 8080 }).print();
      ssc.httpTextStream({ port: 8079, receivers: 2 }).print();
    });
    expect(inputs.message).toContain('httpTextStream-0 and httpTextStream-1 both use');
    const outputs = failure((ssc) => {
      const lines = ssc.generatorStream();
      lines.saveAsTextFiles('out/x');
      lines.count().saveAsJsonFiles('./out/x');
    });
    expect(outputs.message).toContain('saveAsTextFiles-0 and saveAsJsonFiles-0 both use');
  });

  it('of outputs differ by their suffix', () => {
    const build: BuildPipeline = (ssc) => {
      const lines = ssc.generatorStream();
      lines.saveAsTextFiles('out/x');
      lines.saveAsTextFiles('out/x', 'txt');
    };
    expect(() => graphOf(build)).not.toThrow();
  });
});

describe('windows', () => {
  it('are three operators each, but for window itself, with ids of their own', () => {
    const graph = graphOf((ssc) => {
      const lines = ssc.generatorStream();
      lines.window('2s').print();
      lines.countByWindow('4s', '2s').print();
      lines.countByValueAndWindow('4s', '2s', { id: 'mine', partitions: 3 }).print();
      lines.count().print();
    });
    const shown = graph.nodes.map(({ id, kind, parents, options }) => [id, kind, parents, options]);
    expect(shown.filter(([, kind]) => kind !== 'print')).toEqual([
      ['generatorStream-0', 'generatorStream', [], expect.anything()],
      ['window-0', 'window', ['generatorStream-0'], { windowMs: 2_000 }],
      ['countByWindow-0.batch', 'count', ['generatorStream-0'], {}],
      [
        'countByWindow-0.window',
        'window',
        ['countByWindow-0.batch'],
        { windowMs: 4_000, slideMs: 2_000 },
      ],
      ['countByWindow-0', 'reduce', ['countByWindow-0.window'], {}],
      ['mine.batch', 'countByValue', ['generatorStream-0'], { partitions: 3 }],
      ['mine.window', 'window', ['mine.batch'], { windowMs: 4_000, slideMs: 2_000 }],
      ['mine', 'reduceByKey', ['mine.window'], { partitions: 3 }],
      ['count-0', 'count', ['generatorStream-0'], {}],
    ]);
  });
});

describe('transform', () => {
  it('runs its function once, while the graph is built, and adds no operator of its own', () => {
    const graph = graphOf((ssc) => {
      const lines = ssc.generatorStream();
      lines.transform((s) => s.map((line) => line.length)).print();
      lines.transformWith(lines.count(), (s, n) => s.map(() => 1).union(n)).print();
      ssc.transform([lines, lines.count()], ([s, n]) => s.map(() => 1).union(n)).print();
      lines.transform((s) => s.transform((same) => same)).print();
    });
    expect(graph.nodes.map(({ id }) => id)).toEqual([
      'generatorStream-0',
      'map-0',
      'print-0',
      'count-0',
      'map-1',
      'union-0',
      'print-1',
      'count-1',
      'map-2',
      'union-1',
      'print-2',
      'print-3',
    ]);
  });

  const mine = 'the function must return a stream of the same pipeline';
  it.each<[string, BuildPipeline, string]>([
    [
      'a result that is no stream',
      (ssc) => void ssc.generatorStream().transform((() => undefined) as never),
      `transform of generatorStream-0: ${mine}`,
    ],
    [
      'a result of another pipeline',
      (ssc) => {
        let foreign: unknown;
        graphOf((other) => {
          foreign = other.generatorStream();
          other.generatorStream().print();
        });
        ssc
          .generatorStream()
          .transformWith(ssc.generatorStream(), () => foreign as DStream<string>);
      },
      `transformWith of generatorStream-0: ${mine}`,
    ],
    [
      'another stream that is none',
      (ssc) => void ssc.generatorStream().transformWith(undefined as never, (s) => s),
      'transformWith of generatorStream-0: the other stream must be a stream of the same pipeline',
    ],
    [
      'an output inside',
      (ssc) =>
        void ssc.generatorStream().transform((s: DStream<string>) => {
          s.print();
          return s;
        }),
      'print was called inside the function given to transform of generatorStream-0, ' +
        'which may use stateless operators only',
    ],
    [
      'a window inside',
      (ssc) => void ssc.generatorStream().transform((s: DStream<string>) => s.countByWindow('2s')),
      'window was called inside the function given to transform of generatorStream-0',
    ],
    [
      'an input inside',
      (ssc) => void ssc.generatorStream().transform(() => ssc.generatorStream()),
      'generatorStream was called inside the function given to transform',
    ],
    ['no streams', (ssc) => void ssc.transform([], late), 'transform: give at least one stream'],
    [
      'a foreign stream among several',
      (ssc) => void ssc.transform([ssc.generatorStream(), 7 as never], ([s]) => s),
      'transform of generatorStream-0: the other stream must be a stream of the same pipeline',
    ],
  ])('refuses %s', (_name, build, message) => {
    expect(failure(build).message).toContain(message);
  });

  it('lets outputs follow, also after a function that threw', () => {
    const graph = graphOf((ssc) => {
      const lines = ssc.generatorStream();
      expect(() =>
        lines.transform(() => {
          throw new Error('changed my mind');
        }),
      ).toThrow('changed my mind');
      lines.print();
    });
    expect(graph.outputs).toHaveLength(1);
  });
});

const late = (async () => {}) as never;
