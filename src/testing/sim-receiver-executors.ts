/** Receiver executors of a simulated process: the real ReceiverExecutor on a thread that is none.
 *
 * Calls and callbacks travel as messages, in order within one direction of one channel and in any
 * order between channels, as comlink's do; what they carry is cloned. A thread may die between any
 * two events: calls to it reject, messages that it has sent still arrive, and some of the disk
 * calls that it had under way still happen before its exit is told. @module */
import type { ArenaHandle, BlockArena } from '../blocks/block-arena.ts';
import type { Clock } from '../core/clock.ts';
import { MillraceError } from '../core/errors.ts';
import type { ReceiverExecutorHandle } from '../driver/executor-threads.ts';
import type { LoadedPipeline } from '../dstream/load-pipeline.ts';
import { fromWireError, toWireError } from '../serde/wire-error.ts';
import type { Disk } from '../wal/disk.ts';
import type {
  AddOutcome,
  AnnouncementBatch,
  DriverCallbacks,
  ReceiverExecutorApi,
  ReceiverExecutorData,
} from '../workers/protocol.ts';
import { ReceiverExecutor } from '../workers/receiver-executor.ts';
import { Lane, SimThread } from './sim-scheduler.ts';
import type { SimScheduler } from './sim-scheduler.ts';

/** What a simulated process gives to its receiver executors. */
export interface SimExecutorHost {
  readonly scheduler: SimScheduler;
  readonly process: SimThread;
  readonly clockOf: (thread: SimThread) => Clock;
  readonly openDisk: (lane: Lane) => Disk;
  readonly attachArena: (handle: ArenaHandle) => BlockArena;
  readonly load: () => LoadedPipeline;
  /** Blocks are in the log, and on their way to the driver. @returns who is told what the driver
   * made of them. */
  readonly onAnnounced: (
    thread: SimThread,
    batch: AnnouncementBatch,
  ) => (outcomes: readonly AddOutcome[]) => void;
}

type Method = (...args: readonly unknown[]) => Promise<unknown>;

const API: readonly (keyof ReceiverExecutorApi)[] = [
  'load',
  'open',
  'startReceiver',
  'stopReceivers',
  'hold',
  'setRate',
  'truncateLog',
  'stats',
  'close',
];
const CALLBACKS: readonly (keyof DriverCallbacks)[] = [
  'announce',
  'claim',
  'releaseClaim',
  'renewLife',
  'receiverEvent',
  'logPoisoned',
  'logShortage',
];

export class SimReceiverExecutor implements ReceiverExecutorHandle {
  readonly thread: SimThread;
  readonly api: ReceiverExecutorApi;
  readonly exited: Promise<Error>;
  readonly #host: SimExecutorHost;
  readonly #lanes: Readonly<Record<'calls' | 'answers' | 'callbacks' | 'replies' | 'disk', Lane>>;
  readonly #exitLane: Lane;
  readonly #pending = new Set<(cause: Error) => void>();
  #exit: (cause: Error) => void = () => {};
  #ended: Error | undefined;

  constructor(data: ReceiverExecutorData, host: SimExecutorHost) {
    const { process } = host;
    const name = `receivers ${data.executorIndex}`;
    const thread = new SimThread(name, process);
    this.thread = thread;
    this.#host = host;
    this.#exitLane = new Lane(`${name} exit`, process);
    this.#lanes = {
      calls: new Lane(`driver to ${name}`, thread),
      answers: new Lane(`${name} answers`, process),
      callbacks: new Lane(`${name} call back`, process),
      replies: new Lane(`driver replies to ${name}`, thread),
      disk: new Lane(`disk of ${name}`, thread),
    };
    this.exited = new Promise((resolve) => (this.#exit = resolve));
    const executor = new ReceiverExecutor(data, {
      openDisk: () => ({
        disk: host.openDisk(this.#lanes.disk),
        close: () => Promise.resolve(),
      }),
      clock: host.clockOf(thread),
      own: (disk) => disk,
      attachArena: host.attachArena,
      load: () => Promise.resolve(host.load()),
    });
    this.api = remote<ReceiverExecutorApi>(API, (method, args) =>
      this.#call(executor, method, args),
    );
  }

  terminate(): Promise<void> {
    this.die('was terminated');
    return this.exited.then(() => undefined);
  }

  /** The thread ends where it stands. */
  die(reason: string): void {
    if (!this.thread.isAlive) return;
    const { scheduler } = this.#host;
    this.thread.kill();
    const underWay = scheduler.empty(this.#lanes.disk);
    const count = scheduler.below(underWay.length + 1);
    scheduler.post(this.#exitLane, reason, () => {
      for (const { effect } of underWay.slice(0, count)) effect?.();
      this.#end(new MillraceError('EXECUTOR_DIED', `${this.thread.name} ${reason}`));
    });
  }

  #end(cause: Error): void {
    this.#ended = cause;
    for (const reject of this.#pending) reject(cause);
    this.#pending.clear();
    this.#exit(cause);
  }

  #call(executor: ReceiverExecutor, method: string, args: readonly unknown[]): Promise<unknown> {
    const { calls, answers } = this.#lanes;
    const given =
      method === 'open' ? [this.#callbacks(args[0] as DriverCallbacks)] : structuredClone(args);
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#ended);
      this.#pending.add(reject);
      const settle = (act: () => void): void => {
        this.#pending.delete(reject);
        act();
      };
      this.#host.scheduler.post(calls, method, () => {
        const run = methodOf(executor, method);
        this.#answer(answers, { method, answer: run(...given) }, (outcome) =>
          settle(() => (outcome.ok ? resolve(outcome.value) : reject(outcome.error))),
        );
      });
    });
  }

  #callbacks(driver: DriverCallbacks): DriverCallbacks {
    const { callbacks, replies } = this.#lanes;
    return remote<DriverCallbacks>(
      CALLBACKS,
      (method, args) =>
        new Promise((resolve, reject) => {
          const given = structuredClone(args);
          const tell =
            method === 'announce'
              ? this.#host.onAnnounced(this.thread, given[0] as AnnouncementBatch)
              : undefined;
          this.#host.scheduler.post(callbacks, method, () => {
            const answer = methodOf(driver, method)(...given);
            if (tell !== undefined) {
              answer.then(
                (outcomes) => tell(outcomes as readonly AddOutcome[]),
                () => undefined,
              );
            }
            this.#answer(replies, { method, answer }, (outcome) =>
              outcome.ok ? resolve(outcome.value) : reject(outcome.error),
            );
          });
        }),
    );
  }

  /** Sends what becomes of a call, as data. */
  #answer(
    lane: Lane,
    { method, answer }: { readonly method: string; readonly answer: Promise<unknown> },
    settle: (outcome: Outcome) => void,
  ): void {
    const send = (label: string, outcome: Outcome): void =>
      this.#host.scheduler.post(lane, label, () => settle(outcome));
    answer.then(
      (value) => send(`${method} answered`, { ok: true, value: structuredClone(value) }),
      (error: unknown) => {
        const wire = structuredClone(toWireError(error));
        send(`${method} failed: ${wire.message}`, { ok: false, error: fromWireError(wire) });
      },
    );
  }
}

type Outcome =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: Error };

function remote<T extends object>(
  methods: readonly (keyof T & string)[],
  call: (method: string, args: readonly unknown[]) => Promise<unknown>,
): T {
  const made: Record<string, Method> = {};
  for (const method of methods) made[method] = (...args) => call(method, args);
  return made as T;
}

function methodOf(target: object, method: string): Method {
  const found: unknown = Reflect.get(target, method);
  return (...args) => Reflect.apply(found as Method, target, args);
}
