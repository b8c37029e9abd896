/** Task executors of a simulated process: the real TaskExecutor, each on a thread that is none and
 * that may die in the middle of a task. Mirrors driver/executor-pool.ts.
 * @module */
import type { BlockArena } from '../blocks/block-arena.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { TaskExecutors } from '../driver/executor-pool.ts';
import type { GraphNode } from '../dstream/graph.ts';
import type { LoadedPipeline } from '../dstream/load-pipeline.ts';
import type { Sink } from '../dstream/sink.ts';
import type { TaskResult, TaskSpec } from '../dstream/task-spec.ts';
import type { Disk } from '../wal/disk.ts';
import type { TaskExecutorData, ThreadGraph } from '../workers/protocol.ts';
import { TaskExecutor } from '../workers/task-executor.ts';
import { Lane, SimThread } from './sim-scheduler.ts';
import type { SimScheduler } from './sim-scheduler.ts';

/** What a simulated process gives to its task executors. */
export interface SimTaskHost {
  readonly scheduler: SimScheduler;
  readonly process: SimThread;
  readonly arena: BlockArena;
  readonly openDisk: (lane: Lane) => Disk;
  readonly load: () => LoadedPipeline;
  readonly sinkOf: (node: GraphNode, thread: SimThread) => Sink<unknown>;
  /** How often, 0 … 1, a thread dies of a task. */
  readonly deathShare: number;
}

interface Slot {
  readonly thread: SimThread;
  readonly executor: TaskExecutor;
  /** To the thread. */
  readonly lane: Lane;
}

interface Waiting {
  readonly resolve: (slot: Slot) => void;
  readonly reject: (cause: Error) => void;
}

/** Owners below are receiver executors. */
const FIRST_TASK_OWNER = 1 << 20;

export class SimTaskExecutors implements TaskExecutors {
  readonly #host: SimTaskHost;
  readonly #data: TaskExecutorData;
  readonly #slots: Slot[];
  readonly #answers: Lane;
  readonly #idle: Slot[];
  readonly #waiting: Waiting[] = [];
  readonly #running = new Set<(cause: Error) => void>();
  #nextOwner = FIRST_TASK_OWNER;
  #started = 0;
  #isClosed = false;

  constructor(data: TaskExecutorData, host: SimTaskHost & { readonly threads: number }) {
    this.#host = host;
    this.#data = data;
    this.#answers = new Lane('task answers', host.process);
    this.#slots = Array.from({ length: host.threads }, () => this.#newSlot());
    this.#idle = [...this.#slots];
  }

  hello(): Promise<readonly ThreadGraph[]> {
    return Promise.all(
      this.#slots.map(
        ({ executor, lane, thread }) =>
          new Promise<ThreadGraph>((resolve, reject) => {
            this.#host.scheduler.post(lane, 'hello', () => {
              executor.hello().then((graph) => {
                this.#host.scheduler.post(this.#answers, `${thread.name} hello`, () =>
                  resolve(structuredClone(graph)),
                );
              }, reject);
            });
          }),
      ),
    );
  }

  async run(spec: TaskSpec): Promise<TaskResult> {
    const slot = await this.#freeSlot();
    const owner = this.#nextOwner;
    this.#nextOwner += 1;
    try {
      const result = await this.#runIn(slot, structuredClone(spec), owner);
      this.#free(slot);
      return result;
    } catch (error) {
      this.#host.arena.reclaim(owner, new Map());
      this.#free(this.#newSlot());
      throw error;
    }
  }

  /** Ends the threads, also in the middle of a task. */
  close(): Promise<void> {
    this.#isClosed = true;
    for (const { thread } of this.#slots) thread.kill();
    for (const reject of this.#running) reject(ended());
    this.#running.clear();
    for (const { reject } of this.#waiting.splice(0)) reject(ended());
    return Promise.resolve();
  }

  #runIn(slot: Slot, spec: TaskSpec, owner: number): Promise<TaskResult> {
    const { scheduler, deathShare } = this.#host;
    const name = `${spec.action.kind} ${spec.outputId} ${spec.partition}.${spec.attempt}`;
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        if (this.#running.delete(reject)) act();
      };
      this.#running.add(reject);
      const answer = (label: string, act: () => void): void =>
        scheduler.post(this.#answers, `${slot.thread.name} ${label}`, () => settle(act));
      let isDone = false;
      const die = (): void => {
        if (isDone) return; // the thread has another task by now, or none
        slot.thread.kill();
        answer('died', () => reject(new MillraceError('EXECUTOR_DIED', 'the thread died')));
      };
      scheduler.post(slot.lane, name, () => {
        const isDoomed = scheduler.chance(deathShare);
        if (isDoomed) scheduler.post(new Lane(`${slot.thread.name} dies`, slot.thread), name, die);
        slot.executor.run(spec, owner).then(
          (result) => {
            if (!slot.thread.isAlive) return;
            isDone = true;
            answer(name, () => resolve(structuredClone(result)));
          },
          (error: unknown) => answer(`${name} failed`, () => reject(toError(error))),
        );
      });
    });
  }

  #freeSlot(): Promise<Slot> {
    if (this.#isClosed) return Promise.reject(ended());
    const slot = this.#idle.shift();
    if (slot !== undefined) return Promise.resolve(slot);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  #free(slot: Slot): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(slot);
    else next.resolve(slot);
  }

  #newSlot(): Slot {
    const { arena, openDisk, process, load, sinkOf } = this.#host;
    const thread = new SimThread(`tasks ${this.#started}`, process);
    this.#started += 1;
    let pipeline: LoadedPipeline | undefined;
    const executor = new TaskExecutor(this.#data, {
      arena,
      disk: openDisk(new Lane(`disk of ${thread.name}`, thread)),
      load: () => Promise.resolve((pipeline ??= load())),
      createSink: (node) => sinkOf(node, thread),
    });
    const slot = { thread, executor, lane: new Lane(`to ${thread.name}`, thread) };
    return slot;
  }
}

function ended(): MillraceError {
  return new MillraceError('EXECUTOR_DIED', 'the task executors have ended');
}
