/** Places that two operators of one pipeline cannot share: ports, and directories of output.
 *
 * Found when the graph is built, before anything is opened: at run time the second listener would
 * fail for ever, and the second output would find the first one's directory.
 * @module */
import { resolve } from 'node:path';
import { MillraceError } from '../core/errors.ts';
import type { Graph, GraphNode } from './graph.ts';
import { roleOf } from './graph.ts';
import { inputOptions } from './input-options.ts';

/** @throws {MillraceError} PIPELINE_INVALID naming both operators and the place. */
export function checkPlaces(pipelineName: string, { nodes }: Graph): void {
  const takenBy = new Map<string, string>();
  for (const node of nodes) {
    for (const place of placesOf(node)) {
      const other = takenBy.get(place);
      if (other !== undefined) {
        const what = other === node.id ? `${node.id} uses` : `${other} and ${node.id} both use`;
        throw new MillraceError(
          'PIPELINE_INVALID',
          `pipeline ${pipelineName}: ${what} ${place}${other === node.id ? ' twice' : ''}; ` +
            'give each a place of its own',
        );
      }
      takenBy.set(place, node.id);
    }
  }
}

/** How messages name what a node takes for itself. */
function placesOf(node: GraphNode): string[] {
  if (node.kind === 'saveAsTextFiles' || node.kind === 'saveAsJsonFiles') {
    const { prefix, suffix = '' } = node.options as { prefix: string; suffix?: string };
    const ending = suffix === '' ? '' : `.${suffix}`;
    return [`the directories ${resolve(prefix)}-<batch time>${ending}`];
  }
  if (roleOf(node.kind) !== 'input') return [];
  const options = inputOptions(node);
  if (options.source !== 'http') return [];
  // 0 is any free port, which is never one that is taken.
  return options.ports.filter((port) => port > 0).map((port) => `${options.host}:${port}`);
}
