/** Which receiver runs on which executor. Pure. @module */
import type { StreamId } from '../core/ids.ts';
import type { Graph } from '../dstream/graph.ts';
import { inputOptions } from '../dstream/input-options.ts';

const RECEIVER_EXECUTORS_MAX = 4;

/** One receiver to run. */
export interface ReceiverPlace {
  readonly streamId: StreamId;
  readonly receiverIndex: number;
  readonly receiverCount: number;
}

/** Spreads receivers round robin over executor threads. @param wanted as the option says. */
export function placeReceivers(
  graph: Graph,
  wanted: number | undefined,
): readonly ReceiverPlace[][] {
  const places: ReceiverPlace[] = [];
  let inputs = 0;
  for (const node of graph.inputs) {
    const { receivers: receiverCount } = inputOptions(node);
    if (receiverCount > 0) inputs += 1;
    const streamId = node.id as StreamId;
    for (let receiverIndex = 0; receiverIndex < receiverCount; receiverIndex += 1) {
      places.push({ streamId, receiverIndex, receiverCount });
    }
  }
  const count = Math.min(wanted ?? Math.min(inputs, RECEIVER_EXECUTORS_MAX), places.length);
  return Array.from({ length: count }, (_, index) =>
    places.filter((_place, place) => place % count === index),
  );
}
