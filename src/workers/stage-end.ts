/** The end of a task's stage: where the records go, by the task's action.
 * @module */
import { operatorOfShuffle } from '../dstream/batch-plan.ts';
import type { PartitionWriter } from '../dstream/sink.ts';
import type { TaskAction, TaskSpec } from '../dstream/task-spec.ts';
import { openShuffleMap } from './shuffle-map.ts';
import { functionOf } from './stage-chain.ts';
import { OperatorFailure } from './stage-failure.ts';
import { shuffleKind } from './stage-leaf.ts';
import { openStateUpdate } from './state-update.ts';
import type { StageEnd, TaskEnvironment } from './task-environment.ts';

/** Thrown by `push` when the task has all records that it needs. Never passes through user code. */
export const ENOUGH: Error = new Error('the task has all records that it needs');

type ActionOf<K extends TaskAction['kind']> = TaskAction & { readonly kind: K };

export function openStageEnd(spec: TaskSpec, env: TaskEnvironment): StageEnd | Promise<StageEnd> {
  const { action } = spec;
  switch (action.kind) {
    case 'shuffle-write':
      return writingShuffle(action, spec, env);
    case 'collect':
      return collecting(action, env);
    case 'count':
      return counting();
    case 'sink':
      return writingToSink(action, spec, env);
    case 'foreach-partition':
      return callingForPartition(spec, env);
    case 'state-update':
      return openStateUpdate(action, spec, env);
  }
}

function writingShuffle(
  { shuffleId, partitions }: ActionOf<'shuffle-write'>,
  spec: TaskSpec,
  env: TaskEnvironment,
): StageEnd {
  const node = env.graph.node(operatorOfShuffle(shuffleId));
  const { codec } = env;
  const map = openShuffleMap(
    { node, partitions, mapPartition: spec.partition, codec },
    shuffleKind(node.kind),
  );
  return {
    ...map,
    finish: () => ({
      kind: 'shuffle-write',
      pieces: map.finish().map((piece) => (piece === undefined ? null : env.writeShared(piece))),
    }),
  };
}

function collecting(
  { limit = Number.POSITIVE_INFINITY }: ActionOf<'collect'>,
  env: TaskEnvironment,
): StageEnd {
  const records: unknown[] = [];
  return {
    push(record) {
      if (records.length < limit) records.push(record);
      if (records.length >= limit) throw ENOUGH;
    },
    finish() {
      const recordCount = records.length;
      if (recordCount === 0) return { kind: 'collect', bytes: null, recordCount };
      return { kind: 'collect', bytes: env.writeShared(env.codec.pack(records)), recordCount };
    },
  };
}

function counting(): StageEnd {
  let recordCount = 0;
  return {
    push() {
      recordCount += 1;
    },
    pushCount(n) {
      recordCount += n;
    },
    finish: () => ({ kind: 'count', recordCount }),
  };
}

async function writingToSink(
  { batch }: ActionOf<'sink'>,
  spec: TaskSpec,
  env: TaskEnvironment,
): Promise<StageEnd> {
  const sink = env.sinkFor(spec.outputId);
  const writer: PartitionWriter<unknown> = await sink.openPartition(
    batch,
    spec.partition,
    spec.attempt,
  );
  let recordCount = 0;
  return {
    push(record) {
      writer.write(record);
      recordCount += 1;
    },
    finish: async () => ({ kind: 'sink', token: await writer.close(), recordCount }),
    abort: () => writer.abort(),
  };
}

function callingForPartition(spec: TaskSpec, env: TaskEnvironment): StageEnd {
  const { outputId, batchTimeMs, partition } = spec;
  const f = functionOf<(records: unknown[], info: object) => unknown>(env.graph.node(outputId));
  const records: unknown[] = [];
  return {
    push(record) {
      records.push(record);
    },
    async finish() {
      const recordCount = records.length; // before the user's function, which may change the array
      try {
        await f(records, { batchTime: batchTimeMs, partition });
      } catch (error) {
        throw new OperatorFailure(outputId, error);
      }
      return { kind: 'foreach-partition', recordCount };
    },
  };
}
