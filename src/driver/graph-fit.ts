/** Whether a graph can run with its options, which neither of the two shows alone. A start asks
 * before it writes anything, and `millrace check` asks the same. @module */
import { arenaLayout } from '../blocks/block-arena.ts';
import { MillraceError } from '../core/errors.ts';
import type { ResolvedOptions } from '../core/options.ts';
import { isSliding } from '../dstream/graph.ts';
import type { Graph } from '../dstream/graph.ts';
import { inputOptions } from '../dstream/input-options.ts';
import { StreamTimes } from '../dstream/stream-times.ts';
import { checkConcurrency } from './flow-parts.ts';
import { requireRoom } from './receiver-room.ts';

/** @throws {MillraceError} PIPELINE_INVALID, OPTIONS_INVALID. */
export function requireFit({ nodes, inputs }: Graph, options: ResolvedOptions): void {
  const times = new StreamTimes(nodes, options.batchIntervalMs);
  checkConcurrency({ nodes }, options, times);
  const receivers = inputs.reduce((sum, node) => sum + inputOptions(node).receivers, 0);
  requireRoom(receivers, arenaLayout(options.memoryBytes), options);
  if (options.checkpointDir === false) requireNoInverse({ nodes }, options);
}

function requireNoInverse({ nodes }: Pick<Graph, 'nodes'>, { name }: ResolvedOptions): void {
  const ids = nodes.flatMap(({ id, kind }) => (isSliding(kind) ? [id] : []));
  if (ids.length === 0) return;
  throw new MillraceError(
    'OPTIONS_INVALID',
    `pipeline ${name}: a window with an inverse function (${ids.join(', ')}) needs a checkpoint ` +
      'directory, which keeps what it has to take away again: set checkpointDir (--checkpoint ' +
      'DIR), or call the operator without the inverse function',
  );
}
