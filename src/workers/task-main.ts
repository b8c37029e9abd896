/** Entry of a task executor thread, called by piscina once for each task. Thin: the work is in
 * task-runner.ts. Loads the pipeline once, checks that its graph equals the driver's, and answers
 * failures as data, because an error that is thrown to piscina loses its code. @module */
import { workerData } from 'node:worker_threads';
import { BlockArena } from '../blocks/block-arena.ts';
import type { SharedBytes } from '../blocks/block-ref.ts';
import { SharedStore, freeShared, readShared } from '../blocks/shared-store.ts';
import { armCrash, reached } from '../core/crash-point.ts';
import { MillraceError } from '../core/errors.ts';
import { describeGraph, graphHash } from '../dstream/graph.ts';
import type { Graph } from '../dstream/graph.ts';
import { loadPipeline } from '../dstream/load-pipeline.ts';
import type { TaskResult, TaskSpec } from '../dstream/task-spec.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { toWireError } from '../serde/wire-error.ts';
import { createSink } from '../sinks/sink-factory.ts';
import { readLines } from '../sources/text-files.ts';
import { nodeDisk } from '../wal/node-disk.ts';
import { BlockReader } from './block-reader.ts';
import type { HelloTask, PoolTask, TaskExecutorData, ThreadGraph } from './protocol.ts';
import { runTask } from './task-runner.ts';

/** A thread that waits at the barrier for longer than this has lost a sibling at its start. */
const BARRIER_LIMIT_MS = 10_000;

const data = workerData as TaskExecutorData;
armCrash(data.crash);
const arena = BlockArena.attach(data.arena);
let loading: Promise<Graph> | undefined;

export default async function runPoolTask(task: PoolTask): Promise<TaskResult | ThreadGraph> {
  if (task.kind === 'hello') return hello(task);
  return runInStore(task.spec, task.arenaOwner);
}

async function hello({ barrier, threads }: HelloTask): Promise<ThreadGraph> {
  const { graph } = await loadPipeline(data.pipeline.moduleUrl, 'the pipeline module');
  const arrived = new Int32Array(barrier);
  Atomics.add(arrived, 0, 1);
  Atomics.notify(arrived, 0);
  for (let seen = Atomics.load(arrived, 0); seen < threads; seen = Atomics.load(arrived, 0)) {
    if (Atomics.wait(arrived, 0, seen, BARRIER_LIMIT_MS) === 'timed-out') break;
  }
  const nodes = describeGraph(graph);
  return { nodes, graphHash: graphHash(nodes) };
}

async function runInStore(spec: TaskSpec, arenaOwner: number): Promise<TaskResult> {
  const store = new SharedStore(arena, arenaOwner, data.spillDirectory);
  const reader = new BlockReader({ arena, disk: nodeDisk, codec: msgpackCodec });
  const written: SharedBytes[] = [];
  try {
    const graph = await (loading ??= loadSameGraph());
    reached('R5.before');
    const { value, inputRecordCount } = await runTask(spec, {
      graph,
      codec: msgpackCodec,
      readBlock: (ref) => reader.read(ref),
      readFile: readLines,
      readShared: (shared) => readShared(arena, shared),
      writeShared: (bytes) => {
        const shared = store.write(bytes);
        written.push(shared);
        return shared;
      },
      sinkFor: (outputId) => createSink(graph.node(outputId)),
    });
    reached('R5.after');
    return { ok: true, value, inputRecordCount };
  } catch (error) {
    for (const shared of written) freeShared(arena, shared);
    return { ok: false, error: toWireError(error) };
  } finally {
    store.close();
    await reader.close();
  }
}

async function loadSameGraph(): Promise<Graph> {
  const { graph } = await loadPipeline(data.pipeline.moduleUrl, 'the pipeline module');
  if (graphHash(describeGraph(graph)) !== data.graphHash) {
    throw new MillraceError(
      'PIPELINE_MISMATCH',
      'a task executor that was started anew built another graph than the driver did; a pipeline ' +
        'must not depend on time, randomness or the thread that builds it',
    );
  }
  return graph;
}
