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
    ['an empty suffix', (s) => s.saveAsJsonFiles('a', ''), 'saveAsJsonFiles: suffix must be text'],
    [
      'no callback',
      (s) => s.foreachBatch(undefined as never),
      'foreachBatch: the function must be',
    ],
    ['no other stream', (s) => s.union(undefined as never), 'stream of the same pipeline'],
  ])('refuses %s', (_name, use, message) => {
    expect(failure((ssc) => void use(ssc.generatorStream())).message).toContain(message);
  });

  it('lets outputs be asynchronous', () => {
    const graph = graphOf((ssc) => {
      const lines = ssc.generatorStream();
      lines.foreachBatch(async () => {});
      lines.foreachPartition(async () => {});
      lines.saveAsTextFiles('out/x', 'txt');
    });
    expect(graph.outputs.map(({ id, options }) => [id, options])).toEqual([
      ['foreachBatch-0', {}],
      ['foreachPartition-0', {}],
      ['saveAsTextFiles-0', { prefix: 'out/x', suffix: 'txt' }],
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
