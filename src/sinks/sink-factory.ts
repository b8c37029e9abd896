/** From an output of the graph to its sink: the same on the driver and on every executor.
 * @module */
import { assert, present } from '../core/assert.ts';
import { MillraceError } from '../core/errors.ts';
import type { GraphNode } from '../dstream/graph.ts';
import type { Sink } from '../dstream/sink.ts';
import { DirectorySink } from './directory-sink.ts';
import { formatJson } from './json-format.ts';
import { formatText } from './text-format.ts';

/** A sink of ours holds no state between calls: a new one may continue the work of another.
 * @throws {MillraceError} BROKEN_INVARIANT for an output that writes to no sink. */
export function createSink(node: GraphNode): Sink<unknown> {
  switch (node.kind) {
    case 'saveAsTextFiles':
      return new DirectorySink({ ...fileOptions(node), format: formatText });
    case 'saveAsJsonFiles':
      return new DirectorySink({ ...fileOptions(node), format: formatJson });
    case 'to':
      return present(node.sink, `the sink of ${node.id}`);
    default:
      throw new MillraceError('BROKEN_INVARIANT', `${node.id} writes to no sink`);
  }
}

function fileOptions(node: GraphNode): { readonly prefix: string; readonly suffix?: string } {
  const { prefix, suffix } = node.options;
  assert(typeof prefix === 'string', `${node.id} has a prefix`); // checked when the graph was built
  return { prefix, ...(typeof suffix === 'string' ? { suffix } : {}) };
}
