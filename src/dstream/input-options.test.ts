import { describe, expect, it } from 'vitest';
import { graphOf } from '../../test/support/inline-driver.ts';
import type { StorageLevel } from '../core/storage-level.ts';
import type { DStream } from './dstream.ts';
import { inputOptions, storageLevelOf } from './input-options.ts';
import type { InputOptions } from './input-options.ts';
import type { PipelineContext } from './pipeline-context.ts';
import { Receiver } from './receiver.ts';

class Ticks extends Receiver<number> {
  override onStart(): void {}
  override onStop(): void {}
}

function optionsOf(input: (ssc: PipelineContext) => DStream<unknown>): InputOptions {
  const [node] = graphOf((ssc) => input(ssc).print()).inputs;
  if (node === undefined) throw new Error('no input');
  return inputOptions(node);
}

describe('what an input node carries', () => {
  it('has every default filled in', () => {
    expect(optionsOf((ssc) => ssc.httpTextStream({ port: 8080 }))).toEqual({
      source: 'http',
      receivers: 1,
      host: '127.0.0.1',
      ports: [8080],
      path: '/',
      maxBodyBytes: 8 * 1024 * 1024,
    });
    expect(optionsOf((ssc) => ssc.generatorStream())).toEqual({
      source: 'generator',
      receivers: 1,
      recordBytes: 100,
      seed: 1,
    });
    expect(optionsOf((ssc) => ssc.socketTextStream('db', 99))).toEqual({
      source: 'socket',
      receivers: 1,
      host: 'db',
      port: 99,
    });
    expect(optionsOf((ssc) => ssc.textFileStream('in'))).toEqual({
      source: 'text-files',
      receivers: 0,
      directory: 'in',
    });
  });

  it('keeps what was given', () => {
    const given = { total: 10, recordsPerSecond: 2.5, receivers: 3 } as const;
    expect(optionsOf((ssc) => ssc.generatorStream(given))).toMatchObject(given);
  });

  it('has one port for each receiver', () => {
    const ports = (port: number | readonly number[], receivers?: number): unknown =>
      optionsOf((ssc) =>
        ssc.httpTextStream({ port, ...(receivers === undefined ? {} : { receivers }) }),
      );
    expect(ports(80, 3)).toMatchObject({ receivers: 3, ports: [80, 81, 82] });
    expect(ports(0, 2)).toMatchObject({ receivers: 2, ports: [0, 0] });
    expect(ports([90, 70])).toMatchObject({ receivers: 2, ports: [90, 70] });
  });

  it('names the class of a receiver, and does not call its factory', () => {
    let calls = 0;
    const graph = graphOf((ssc) => {
      const ticks = ssc.receiverStream(() => {
        calls += 1;
        return new Ticks();
      });
      ticks.print();
      const make = (): Ticks => Reflect.construct(Ticks, []);
      ssc.receiverStream(make, { receivers: 2 }).print();
    });
    expect(graph.inputs.map((node) => inputOptions(node))).toEqual([
      { source: 'custom', receivers: 1, className: 'Ticks' },
      { source: 'custom', receivers: 2 },
    ]);
    expect(calls).toBe(0);
    expect(graph.inputs[0]?.fn).toBeTypeOf('function');
  });

  it('keeps queued records out of the options, and apart from the array that was given', () => {
    const batches = [['a', 'b'], []];
    const graph = graphOf((ssc) => ssc.queueStream(batches).print());
    batches[0]?.push('late');
    batches.push(['later']);
    expect(graph.inputs[0]?.options).toEqual({ source: 'queue', receivers: 0, batchCount: 2 });
    expect(graph.inputs[0]?.batches).toEqual([['a', 'b'], []]);
  });
});

describe('wrong options', () => {
  it('are all named in one message', () => {
    const wrong = {
      port: 70_000,
      host: '',
      path: 'x',
      maxBodyBytes: 0,
      receivers: 65,
      pots: 1,
    };
    const use = (): unknown => optionsOf((ssc) => ssc.httpTextStream(wrong));
    expect(use).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
    for (const problem of [
      'httpTextStream: there is no option pots',
      'receivers must be an integer from 1 to 64, not 65',
      'host must be text',
      'port must be an integer from 0 to 65535, not 70000',
      'maxBodyBytes must be an integer from 1',
      'path must begin with /',
    ]) {
      expect(use).toThrow(problem);
    }
  });

  it.each<[string, (ssc: PipelineContext) => DStream<unknown>, string]>([
    ['a port too few', (ssc) => ssc.httpTextStream({ port: [1], receivers: 2 }), '1 ports for 2'],
    ['no port', (ssc) => ssc.httpTextStream({ port: [] }), 'receivers must be an integer from 1'],
    ['ports past the last', (ssc) => ssc.httpTextStream({ port: 65_535, receivers: 2 }), '65536'],
    ['no options', (ssc) => ssc.httpTextStream(undefined as never), 'port must be an integer'],
    ['socket port 0', (ssc) => ssc.socketTextStream('h', 0), 'port must be an integer from 1'],
    ['no directory', (ssc) => ssc.textFileStream(''), 'the directory must be text'],
    ['a total below 0', (ssc) => ssc.generatorStream({ total: -1 }), 'total must be an integer'],
    ['an endless rate', (ssc) => ssc.generatorStream({ recordsPerSecond: Infinity }), 'above 0'],
    ['no factory', (ssc) => ssc.receiverStream(new Ticks() as never), 'the factory must be'],
    [
      'an async factory',
      (ssc) => ssc.receiverStream((async () => new Ticks()) as never),
      'the factory must not be asynchronous',
    ],
    [
      'a flat queue',
      (ssc) => ssc.queueStream(['a'] as never),
      'an array of records for each batch',
    ],
    ['a union of nothing', (ssc) => ssc.union([]), 'union: give at least one stream'],
  ])('such as %s are refused', (_name, input, message) => {
    expect(() => optionsOf(input)).toThrow(message);
  });
});

describe('the storage level of an input', () => {
  const levels = (ofPipeline?: StorageLevel): StorageLevel[] => {
    const { inputs } = graphOf((ssc) => {
      ssc.httpTextStream({ port: 1 }).print();
      ssc.generatorStream().print();
      ssc.receiverStream(() => new Ticks(), { storageLevel: 'disk' }).print();
    });
    return inputs.map((node) => storageLevelOf(node, ofPipeline));
  };

  it('is its own, else the pipeline’s, else what fits its source', () => {
    expect(levels()).toEqual(['memory-and-disk', 'memory', 'disk']);
    expect(levels('memory')).toEqual(['memory', 'memory', 'disk']);
    expect(levels('memory-and-disk')).toEqual(['memory-and-disk', 'memory-and-disk', 'disk']);
  });

  it('is one of three', () => {
    const wrong = { storageLevel: 'MEMORY_ONLY' as StorageLevel };
    expect(() => optionsOf((ssc) => ssc.socketTextStream('db', 99, wrong))).toThrow(
      'storageLevel must be one of memory, memory-and-disk, disk, not MEMORY_ONLY',
    );
  });
});
