/** What outputs committed in one history: the records of each batch, as often as it was committed.
 *
 * An output that a replay leaves alone has a batch once. One that is at-least-once has it as often
 * as it ran: each time it must have been the same.
 * @module */
import type { PartitionWriter, Sink, SinkBatch, SinkGuarantee } from '../../dstream/sink.ts';
import type { GraphNode } from '../../dstream/graph.ts';
import { msgpackCodec } from '../../serde/msgpack-codec.ts';
import { formatJson } from '../../sinks/json-format.ts';
import { formatText } from '../../sinks/text-format.ts';
import { SinkTurns } from '../sim-sink.ts';
import type { SinkPlace } from '../sim-sink.ts';

/** By batch time, the records of each run of that batch. */
export type OutputBatches = ReadonlyMap<number, readonly (readonly unknown[])[]>;

export class CapturedBatches {
  readonly #outputs = new Map<string, Map<number, (readonly unknown[])[]>>();

  of(outputId: string): OutputBatches {
    return this.#outputs.get(outputId) ?? new Map();
  }

  has(outputId: string, batchTimeMs: number): boolean {
    return this.#outputs.get(outputId)?.has(batchTimeMs) ?? false;
  }

  /** How often a batch ran again that was committed before. */
  get rerunCount(): number {
    let count = 0;
    for (const output of this.#outputs.values()) {
      for (const runs of output.values()) count += runs.length - 1;
    }
    return count;
  }

  add(outputId: string, batchTimeMs: number, records: readonly unknown[]): void {
    const output = this.#outputs.get(outputId) ?? new Map<number, (readonly unknown[])[]>();
    this.#outputs.set(outputId, output);
    const runs = output.get(batchTimeMs) ?? [];
    output.set(batchTimeMs, [...runs, records]);
  }
}

/** Stands in for an output: what it would have written, or handed to a function. */
export class CaptureSink implements Sink<unknown> {
  readonly target = 'the records of a crash test';
  readonly guarantee: SinkGuarantee;
  readonly #captured: CapturedBatches;
  readonly #node: GraphNode;
  readonly #turns: SinkTurns;

  /** @param node the output that it stands for. */
  constructor(captured: CapturedBatches, node: GraphNode, place: SinkPlace) {
    this.#captured = captured;
    this.#node = node;
    this.guarantee = guaranteeOf(node);
    this.#turns = new SinkTurns(place);
  }

  prepare({ batchTimeMs }: SinkBatch): Promise<'needed' | 'already-committed'> {
    return this.#turns.take(`prepare ${this.#node.id} ${batchTimeMs}`, () =>
      this.#isThere(batchTimeMs) ? 'already-committed' : 'needed',
    );
  }

  openPartition({ batchTimeMs }: SinkBatch, partition: number): Promise<PartitionWriter<unknown>> {
    const format = formatOf(this.#node);
    const records: unknown[] = [];
    const label = `${this.#node.id} ${batchTimeMs} ${partition}`;
    return this.#turns.take(`open ${label}`, () => ({
      write: (record) => void records.push(format(record)),
      close: () => this.#turns.take(`close ${label}`, () => msgpackCodec.pack(records)),
      abort: () => Promise.resolve(),
    }));
  }

  commit({ batchTimeMs }: SinkBatch, tokens: readonly unknown[]): Promise<void> {
    const { id } = this.#node;
    return this.#turns.take(`commit ${id} ${batchTimeMs}`, () => {
      if (this.#isThere(batchTimeMs)) return; // by a try that was cut off
      const parts = (tokens as readonly Uint8Array[]).map((token) => msgpackCodec.unpack(token));
      this.#captured.add(id, batchTimeMs, (parts as readonly (readonly unknown[])[]).flat());
    });
  }

  #isThere(batchTimeMs: number): boolean {
    return this.guarantee === 'exactly-once' && this.#captured.has(this.#node.id, batchTimeMs);
  }
}

function guaranteeOf({ kind, sink }: GraphNode): SinkGuarantee {
  if (kind === 'to') return sink?.guarantee ?? 'exactly-once';
  const isSaved = kind === 'saveAsTextFiles' || kind === 'saveAsJsonFiles';
  return isSaved ? 'exactly-once' : 'at-least-once';
}

/** Files have lines; everything else gets the records themselves. */
function formatOf({ kind }: GraphNode): (record: unknown) => unknown {
  if (kind === 'saveAsTextFiles') return formatText;
  if (kind === 'saveAsJsonFiles') return formatJson;
  return (record) => record;
}
