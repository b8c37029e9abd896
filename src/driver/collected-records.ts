/** Brings the records of one batch of a stream to the driver. @module */
import type { BlockArena } from '../blocks/block-arena.ts';
import { freeShared, readShared } from '../blocks/shared-store.ts';
import { assert } from '../core/assert.ts';
import type { TaskValue } from '../dstream/task-spec.ts';
import type { Codec } from '../serde/codec.ts';
import type { BatchExecution } from './batch-execution.ts';

export interface ResultMemory {
  readonly arena: BlockArena;
  readonly codec: Codec;
}

/** @param id of an output operation, or of a stream.
 * @param limit the first so many. @returns records in partition order. */
export async function collectRecords(
  execution: BatchExecution,
  id: string,
  { limit, ...memory }: ResultMemory & { readonly limit?: number | undefined },
): Promise<unknown[]> {
  if (limit !== undefined && limit <= 0) return [];
  const bound = limit === undefined ? {} : { limit };
  const values = await execution.runJob(id, { kind: 'collect', ...bound });
  const records: unknown[] = [];
  for (const value of values) {
    for (const record of takeResult(value, memory)) records.push(record);
  }
  return limit === undefined ? records : records.slice(0, limit);
}

function takeResult(value: TaskValue, { arena, codec }: ResultMemory): readonly unknown[] {
  assert(value.kind === 'collect', 'a collect task answered something else');
  if (value.bytes === null) return value.records ?? [];
  // Copied first: unpacked binary values are views, and the piece is freed here.
  const bytes = Buffer.from(readShared(arena, value.bytes));
  freeShared(arena, value.bytes);
  return codec.unpack(bytes) as unknown[];
}
