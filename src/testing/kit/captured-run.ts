/** What the outputs of a pipeline got in a run in memory: records and lines, by output and batch.
 * @module */
import { MillraceError } from '../../core/errors.ts';
import type { BatchTimeMs } from '../../core/ids.ts';
import type { GraphNode } from '../../dstream/graph.ts';
import { formatJson } from '../../sinks/json-format.ts';
import { formatText } from '../../sinks/text-format.ts';

/** What one output got: for each batch, for each partition, its records. */
export interface CapturedOutput {
  readonly node: GraphNode;
  readonly batches: unknown[][][];
}

/** One run of `runPipeline`. Outputs are named by their ids: `print-0`, or their own. */
export class CapturedRun {
  /** In milliseconds since the epoch, in order. */
  readonly batchTimes: readonly BatchTimeMs[];
  readonly #outputs: ReadonlyMap<string, CapturedOutput>;

  /** Kit only: `runPipeline` makes one. */
  constructor(batchTimes: readonly BatchTimeMs[], outputs: readonly CapturedOutput[]) {
    this.batchTimes = batchTimes;
    this.#outputs = new Map(outputs.map((output) => [output.node.id, output]));
  }

  /** Ids of the outputs, in the order in which they are declared. */
  get outputIds(): readonly string[] {
    return [...this.#outputs.keys()];
  }

  /** The records that an output got, one array for each batch, in partition order. `print` has all
   * of them here, not only those that it shows.
   * @throws {MillraceError} OPTIONS_INVALID when there is no such output. */
  batchesOf<T = unknown>(outputId: string): T[][] {
    return this.#outputOf(outputId).batches.map((partitions) => partitions.flat() as T[]);
  }

  /** The same, one array for each partition of each batch. */
  partitionsOf<T = unknown>(outputId: string): T[][][] {
    return this.#outputOf(outputId).batches.map((partitions) =>
      partitions.map((records) => [...records] as T[]),
    );
  }

  /** The lines that `print`, `saveAsTextFiles` or `saveAsJsonFiles` make of each batch; `print`
   * without its head.
   * @throws {MillraceError} OPTIONS_INVALID when the output makes no lines; RECORD_UNSUPPORTED when
   *   a record cannot be written. */
  linesOf(outputId: string): string[][] {
    const { node, batches } = this.#outputOf(outputId);
    return batches.map((partitions) => linesOf(node, partitions.flat()));
  }

  #outputOf(outputId: string): CapturedOutput {
    const output = this.#outputs.get(outputId);
    if (output !== undefined) return output;
    throw new MillraceError(
      'OPTIONS_INVALID',
      `the pipeline has no output ${JSON.stringify(outputId)}; ` +
        `its outputs are ${this.outputIds.join(', ')}`,
    );
  }
}

function linesOf({ id, kind, options }: GraphNode, records: readonly unknown[]): string[] {
  switch (kind) {
    case 'print': {
      const shown = options['n'] as number;
      const lines = records.slice(0, shown).map(formatText);
      return records.length > shown ? [...lines, '...'] : lines;
    }
    case 'saveAsTextFiles':
      return records.map(formatText);
    case 'saveAsJsonFiles':
      return records.map(formatJson);
    default:
      throw new MillraceError(
        'OPTIONS_INVALID',
        `the output ${id} makes no lines: it is a ${kind}; use batchesOf`,
      );
  }
}
