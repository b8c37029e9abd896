/** Makes the parts of an engine that decide how much flows: rates, and batches at the same time.
 * @module */
import { MillraceError } from '../core/errors.ts';
import type { EventBus } from '../core/events.ts';
import type { StreamId } from '../core/ids.ts';
import type { ResolvedOptions } from '../core/options.ts';
import { roleOf } from '../dstream/graph.ts';
import type { Graph } from '../dstream/graph.ts';
import { inputOptions } from '../dstream/input-options.ts';
import type { StreamTimes } from '../dstream/stream-times.ts';
import { RateController } from './rate-controller.ts';
import type { RateControllerOptions } from './rate-controller.ts';

interface FlowInput {
  readonly graph: Graph;
  readonly options: ResolvedOptions;
  readonly events: EventBus;
}

/** @returns `undefined` without backpressure. */
export function buildRates(
  { graph, options, events }: FlowInput,
  publish: RateControllerOptions['publish'],
): RateController | undefined {
  const { backpressure: settings, batchIntervalMs } = options;
  if (settings === false) return undefined;
  const receivers = new Map(
    graph.inputs.map((node) => [node.id as StreamId, inputOptions(node).receivers]),
  );
  return new RateController({ settings, batchIntervalMs, receivers, events, publish });
}

/** State of a batch follows from the batch before, and the pieces that windows keep of a batch move
 * when it ends: both want one batch after the other. @throws {MillraceError} OPTIONS_INVALID. */
export function checkConcurrency(
  { nodes }: Pick<Graph, 'nodes'>,
  { concurrentBatches }: ResolvedOptions,
  { reachMs }: StreamTimes,
): void {
  if (concurrentBatches === 1) return;
  const stateful = nodes.filter(({ kind }) => roleOf(kind) === 'state').map(({ id }) => id);
  const reasons = [
    ...(stateful.length === 0 ? [] : [`state (${stateful.join(', ')})`]),
    ...(reachMs === 0 ? [] : ['windows']),
  ];
  if (reasons.length === 0) return;
  throw new MillraceError(
    'OPTIONS_INVALID',
    `wrong option: concurrentBatches is ${concurrentBatches} and must be 1 in a pipeline with ` +
      `${reasons.join(' and ')}: each batch of it needs what the one before has made`,
  );
}
