/** @module */
import { describe, expect, it } from 'vitest';
import { graphOf } from '../../../test/support/inline-driver.ts';
import type { PipelineContext } from '../../dstream/pipeline-context.ts';
import { outputGuarantee } from '../../sinks/sink-factory.ts';
import { postgresSink } from '../../sinks/postgres-sink.ts';
import { sqliteSink } from '../../sinks/sqlite-sink.ts';
import { sourceGuarantee } from '../../sources/receiver-factory.ts';
import { explainGraph } from './explanation.ts';
import type { Explanation, ExplanationInput, Guarantee } from './explanation.ts';
import { explanationLines, mermaidLines } from './explanation-text.ts';

const SYNC = { durability: 'sync', checkpointDir: '/home' } as const;

async function explain(
  build: (ssc: PipelineContext) => void,
  options: ExplanationInput['options'] = SYNC,
): Promise<Explanation> {
  const graph = graphOf(build);
  const sources = new Map<string, Awaited<ReturnType<typeof sourceGuarantee>>>();
  for (const node of graph.inputs) sources.set(node.id, await sourceGuarantee(node));
  const outputs = new Map(graph.outputs.map((node) => [node.id, outputGuarantee(node)]));
  return explainGraph({ graph, options, sources, outputs });
}

type AnInput = (ssc: PipelineContext) => { saveAsTextFiles(prefix: string): void };
const INPUTS: Readonly<Record<string, AnInput>> = {
  files: (ssc) => ssc.textFileStream('in'),
  queue: (ssc) => ssc.queueStream([['x']]),
  generator: (ssc) => ssc.generatorStream(),
  http: (ssc) => ssc.httpTextStream({ port: 0 }),
  socket: (ssc) => ssc.socketTextStream('h', 1),
  own: (ssc) => ssc.receiverStream(() => expect.fail('nothing is started')),
};

describe('the edge from a source', () => {
  it.each<[string, ExplanationInput['options'], Readonly<Record<string, Guarantee>>]>([
    [
      'with a synced log',
      SYNC,
      {
        files: 'exactly-once',
        queue: 'exactly-once',
        generator: 'exactly-once',
        http: 'at-least-once',
        socket: 'at-most-once',
        own: 'at-least-once',
      },
    ],
    [
      'without a log',
      { ...SYNC, durability: 'off' },
      {
        files: 'exactly-once',
        queue: 'exactly-once',
        generator: 'at-most-once',
        http: 'at-most-once',
      },
    ],
    [
      'without a checkpoint directory',
      { durability: 'off', checkpointDir: false },
      { files: 'at-most-once', http: 'at-most-once' },
    ],
  ])('%s', async (_name, options, wanted) => {
    const found: Record<string, Guarantee> = {};
    for (const name of Object.keys(wanted)) {
      const { edges } = await explain((ssc) => INPUTS[name]?.(ssc).saveAsTextFiles('o'), options);
      expect(edges[0]).toMatchObject({ from: null, reason: expect.stringMatching(/\w/) });
      found[name] = edges[0]?.guarantee ?? 'none';
    }
    expect(found).toEqual(wanted);
  });

  it('says what a log that is not synced is worth', async () => {
    const { edges } = await explain((ssc) => ssc.generatorStream().print(), {
      ...SYNC,
      durability: 'flush',
    });
    expect(edges[0]?.reason).toContain('only while the machine runs');
  });
});

describe('the edge to a sink', () => {
  it('is what the sink says of itself, with its reason', async () => {
    const own = {
      target: 'a list',
      guarantee: 'at-least-once',
      prepare: () => expect.fail('nothing is started'),
      openPartition: () => expect.fail('nothing is started'),
      commit: () => expect.fail('nothing is started'),
    } as const;
    const rows = sqliteSink({ file: 'o.db', table: 't', columns: { n: 'INTEGER' } });
    const table = postgresSink({ url: 'postgres://h/d', table: 't', columns: { n: 'int' } });
    const { edges } = await explain((ssc) => {
      const ones = ssc.queueStream([['x']]).map((): [number] => [1]);
      ones.to(rows, { id: 'rows' });
      ones.to(table, { id: 'table' });
      ones.to(own, { id: 'own' });
      ones.to({ ...own, reason: 'it appends' }, { id: 'told' });
    });
    expect(edges.filter(({ to }) => to === null)).toEqual([
      {
        from: 'rows',
        to: null,
        guarantee: 'exactly-once',
        reason: expect.stringContaining('one transaction'),
      },
      {
        from: 'table',
        to: null,
        guarantee: 'exactly-once',
        reason: expect.stringContaining('a later start closes'),
      },
      { from: 'own', to: null, guarantee: 'at-least-once', reason: 'as its sink says' },
      { from: 'told', to: null, guarantee: 'at-least-once', reason: 'it appends' },
    ]);
  });
});

describe('from end to end', () => {
  it('the weakest edge on the way to an output counts, and no other', async () => {
    const { outputs } = await explain((ssc) => {
      const sure = ssc.generatorStream({ id: 'sure' });
      const lossy = ssc.socketTextStream('h', 1, { id: 'lossy' });
      const both = sure.union(lossy);
      sure.saveAsTextFiles('a', undefined, { id: 'once' });
      sure.print(10, { id: 'again' });
      both.saveAsJsonFiles('b', undefined, { id: 'missing' });
      both.foreachBatch(() => {}, { id: 'anything' });
    });
    expect(outputs).toEqual([
      { output: 'once', guarantee: 'exactly-once', because: [] },
      { output: 'again', guarantee: 'at-least-once', because: ['again → target'] },
      { output: 'missing', guarantee: 'at-most-once', because: ['source → lossy'] },
      { output: 'anything', guarantee: 'none', because: ['source → lossy', 'anything → target'] },
    ]);
  });
});

it('shows a stream without repeats as state, which a crash does not lose', async () => {
  const { edges } = await explain((ssc) => {
    const lines = ssc.queueStream([['a']], { id: 'q' });
    lines.dedupeBy((line) => line, { within: '10m', id: 'once' }).print();
  });
  expect(edges.slice(1, 3)).toMatchObject([
    { from: 'q', to: 'once.pairs' },
    { from: 'once.pairs', to: 'once', reason: expect.stringMatching(/state changes once/) },
  ]);
});

it('has every edge, in text and as a flowchart', async () => {
  const found = await explain((ssc) => {
    const words = ssc.queueStream<string, number>([[['a', 1]]], { id: 'q' });
    words
      .window('2s')
      .updateStateByKey((values) => values.length, { id: 's' })
      .print();
  });
  expect(found.edges.map(({ from, to }) => [from, to])).toEqual([
    [null, 'q'],
    ['q', 'window-0'],
    ['window-0', 's'],
    ['s', 'print-0'],
    ['print-0', null],
  ]);
  const lines = explanationLines(found);
  expect(lines.slice(0, 2)).toEqual([
    'source → q   replayable: exactly once',
    '    its records are in the module, and it goes on after the last recorded batch',
  ]);
  expect(lines.at(-1)).toBe('  print-0: at least once, because of print-0 → target');
  expect(mermaidLines(found)).toEqual([
    'flowchart LR',
    '  n0["q<br/>queueStream"]',
    '  n1["window-0"]',
    '  n2["s<br/>updateStateByKey"]',
    '  n3["print-0"]',
    '  n0s(["source"]) -->|"replayable: exactly once"| n0',
    '  n0 -->|"exactly once"| n1',
    '  n1 -->|"exactly once"| n2',
    '  n2 -->|"exactly once"| n3',
    '  n3 -->|"at least once"| n3t(["target"])',
  ]);
});
