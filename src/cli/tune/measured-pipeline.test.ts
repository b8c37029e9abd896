import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { expect, it } from 'vitest';
import { present } from '../../core/assert.ts';
import type { GraphNode } from '../../dstream/graph.ts';
import type { PipelineContext } from '../../dstream/pipeline-context.ts';
import { buildGraph, definePipeline } from '../../dstream/pipeline.ts';
import type { Receiver } from '../../dstream/receiver.ts';
import type { Sink } from '../../dstream/sink.ts';
import { LinesReceiver } from './lines-receiver.ts';
import { replaced } from './measured-pipeline.ts';
import { DROPPED_CHANNEL } from './tune-protocol.ts';

const called = (): never => {
  throw new Error('an output was called');
};
const SINK: Sink<unknown> = {
  target: 'a table',
  guarantee: 'exactly-once',
  open: called,
  prepare: called,
  openPartition: called,
  commit: called,
};

function nodesOf(build: (ssc: PipelineContext) => void): readonly GraphNode[] {
  return buildGraph(definePipeline({ name: 'p' }, build)).nodes;
}

function withOutputs(ssc: PipelineContext): void {
  const lines = ssc.generatorStream({ receivers: 2, id: 'in' });
  lines.to(SINK, { id: 'table' });
  lines.foreachBatch(called, { id: 'batch' });
  lines.foreachPartition(called, { id: 'partition' });
  lines.saveAsTextFiles('out/x');
  lines.saveAsJsonFiles('out/y');
  lines.print();
}

it('puts a sink that drops in the place of every output but print, id for id', () => {
  const nodes = nodesOf(withOutputs);
  const measured = replaced(nodes, { dropsOutputs: true });
  expect(measured.map(({ id, parents }) => ({ id, parents }))).toEqual(
    nodes.map(({ id, parents }) => ({ id, parents })),
  );
  expect(measured.map(({ kind }) => kind)).toEqual([
    'generatorStream',
    ...Array.from({ length: 5 }, () => 'to'),
    'print',
  ]);
  const droppers = measured.filter(({ kind }) => kind === 'to');
  for (const { sink, fn } of droppers) expect([sink === SINK, fn]).toEqual([false, undefined]);
});

it('leaves outputs alone when it is told to', () => {
  const nodes = nodesOf(withOutputs);
  expect(replaced(nodes, { dropsOutputs: false })).toEqual(nodes);
});

it('counts what it drops, of all partitions of a batch', async () => {
  const table = replaced(nodesOf(withOutputs), { dropsOutputs: true }).find(
    ({ id }) => id === 'table',
  );
  const sink = present(table?.sink, 'the sink');
  const told: unknown[] = [];
  const hear = (message: unknown): void => void told.push(message);
  subscribe(DROPPED_CHANNEL, hear);
  const batch = {
    logId: 'l',
    outputId: 'table',
    epoch: 1,
    batchTimeMs: 1_000 as Parameters<Sink<unknown>['commit']>[0]['batchTimeMs'],
    cleanedThroughMs: 0,
  };
  expect(await sink.prepare(batch)).toBe('needed');
  const tokens: unknown[] = [];
  for (const records of [['a', 'b'], [], ['c']]) {
    const writer = await sink.openPartition(batch, tokens.length, 0);
    for (const record of records) writer.write(record);
    tokens.push(await writer.close());
  }
  await sink.commit(batch, tokens);
  unsubscribe(DROPPED_CHANNEL, hear);
  expect(told).toEqual([{ recordCount: 3 }]);
});

it('puts as many receivers of lines in the place of inputs of text, queues stay', () => {
  const nodes = nodesOf((ssc) => {
    ssc.httpTextStream({ port: [1, 2, 3], id: 'http' }).print();
    ssc.socketTextStream('h', 4, { id: 'socket', storageLevel: 'disk' }).print();
    ssc.generatorStream({ total: 5, id: 'made' }).print();
    ssc.queueStream([['x']], { id: 'queue' }).print();
  });
  const measured = replaced(nodes, { dropsOutputs: true, linesFile: '/f', linesLevel: 'memory' });
  const inputs = measured.filter(({ parents }) => parents.length === 0);
  expect(inputs.map(({ id, options }) => ({ id, ...options }))).toEqual([
    { id: 'http', source: 'custom', receivers: 3, storageLevel: 'memory' },
    { id: 'socket', source: 'custom', receivers: 1, storageLevel: 'disk' },
    { id: 'made', source: 'custom', receivers: 1, storageLevel: 'memory' },
    nodes.filter(({ id }) => id === 'queue').map(({ id, options }) => ({ id, ...options }))[0],
  ]);
  expect(inputs[0]?.fn?.()).toBeInstanceOf(LinesReceiver);
});

it('refuses lines for inputs that may have no lines, all in one error', () => {
  const nodes = nodesOf((ssc) => {
    ssc.receiverStream((): Receiver<number> => called(), { id: 'own' }).print();
    ssc.textFileStream('dir', { id: 'files' }).print();
    ssc.generatorStream().print();
  });
  expect(() => replaced(nodes, { dropsOutputs: true, linesFile: '/f' })).toThrow(/own, files/);
});
