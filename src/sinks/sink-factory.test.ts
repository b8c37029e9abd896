import { describe, expect, it } from 'vitest';
import type { GraphNode } from '../dstream/graph.ts';
import { DirectorySink } from './directory-sink.ts';
import { createSink } from './sink-factory.ts';

function output(kind: GraphNode['kind']): GraphNode {
  return { id: `${kind}-0`, kind, parents: ['map-0'], options: { prefix: 'out/x', suffix: 'txt' } };
}

describe('createSink', () => {
  it.each(['saveAsTextFiles', 'saveAsJsonFiles'] as const)('makes the sink of %s', (kind) => {
    expect(createSink(output(kind))).toBeInstanceOf(DirectorySink);
  });

  it('refuses an output that writes to no sink', () => {
    expect(() => createSink(output('print'))).toThrow(/print-0 writes to no sink/);
  });
});
