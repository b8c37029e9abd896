/** A receiver executor without a thread: the test speaks for it. @module */
import { MillraceError } from '../../src/core/errors.ts';
import type { BlockArena } from '../../src/blocks/block-arena.ts';
import type { ReceiverExecutorHandle } from '../../src/driver/executor-threads.ts';
import type { ReceiverTrackerOptions } from '../../src/driver/receiver-tracker.ts';
import type { NodeDescription } from '../../src/dstream/graph.ts';
import type {
  AddOutcome,
  BlockAnnouncement,
  DriverCallbacks,
  ReceiverExecutorApi,
  ReceiverExecutorData,
  ReceiverLife,
} from '../../src/workers/protocol.ts';
import type { StreamId } from '../../src/core/ids.ts';
import { LINES } from './block-samples.ts';

const GRAPH: NodeDescription[] = [
  { id: LINES, kind: 'socketTextStream', parents: [], options: {} },
];

/** What a receiver tracker is told of its executors when they are fake ones.
 * @param onSpawn called with each of them as it is made. */
export function fakeExecutors(
  arena: BlockArena,
  onSpawn: (executor: FakeExecutor) => void,
): Pick<ReceiverTrackerOptions, 'spawn' | 'executorData' | 'graph'> {
  return {
    spawn: (data) => {
      const executor = new FakeExecutor(data);
      onSpawn(executor);
      return executor;
    },
    executorData: (executorIndex, arenaOwner) => ({
      executorIndex,
      arenaOwner,
      arena: arena.handle,
      pipeline: { moduleUrl: '', codeHash: '' },
      blockIntervalMs: 200,
      blockBytesMax: 1_000,
      durability: 'sync',
      driverDurableLsn: new SharedArrayBuffer(8),
    }),
    graph: GRAPH,
  };
}

export class FakeExecutor implements ReceiverExecutorHandle {
  readonly data: ReceiverExecutorData;
  readonly lives: ReceiverLife[] = [];
  readonly truncations: number[] = [];
  readonly holds: boolean[] = [];
  readonly rates: [streamId: StreamId, recordsPerSecond: number][] = [];
  readonly exited: Promise<Error>;
  graph: readonly NodeDescription[] = GRAPH;
  truncationFailure: Error | undefined;
  openFailure: Error | undefined;
  isClosed = false;
  isTerminated = false;
  lastAnnouncementSeq = 0;
  #callbacks: DriverCallbacks | undefined;
  #death: Error | undefined;
  #exit: (cause: Error) => void = () => {};

  constructor(data: ReceiverExecutorData) {
    this.data = data;
    this.exited = new Promise((resolve) => (this.#exit = resolve));
  }

  /** The driver's end. */
  get driver(): DriverCallbacks {
    if (this.#callbacks === undefined) throw new Error('not open');
    return this.#callbacks;
  }

  get life(): ReceiverLife {
    const life = this.lives.at(-1);
    if (life === undefined) throw new Error('no receiver was started');
    return life;
  }

  readonly api: ReceiverExecutorApi = {
    load: () => this.#answer(() => ({ nodes: this.graph, graphHash: 'g' })),
    open: (callbacks) =>
      this.#answer(() => {
        if (this.openFailure !== undefined) throw this.openFailure;
        this.#callbacks = callbacks;
      }),
    startReceiver: (life) => this.#answer(() => void this.lives.push(life)),
    stopReceivers: () => this.#answer(() => ({ lastAnnouncementSeq: this.lastAnnouncementSeq })),
    hold: (isHeld) => this.#answer(() => void this.holds.push(isHeld)),
    setRate: (streamId, recordsPerSecond) =>
      this.#answer(() => void this.rates.push([streamId, recordsPerSecond])),
    truncateLog: (lsn) =>
      this.#answer(() => {
        if (this.truncationFailure !== undefined) throw this.truncationFailure;
        return this.truncations.push(lsn);
      }),
    stats: () => this.#answer(() => ({ recordCount: 0, blockCount: 0, inFlightBytes: 0 })),
    close: () => this.#answer(() => void (this.isClosed = true)),
  };

  terminate(): Promise<void> {
    this.isTerminated = true;
    this.die();
    return Promise.resolve();
  }

  /** The thread ends. What it has posted may still arrive. */
  die(): void {
    this.#death = new MillraceError('EXECUTOR_DIED', 'exited with code 1');
    this.#exit(this.#death);
  }

  announce(...blocks: BlockAnnouncement[]): Promise<readonly AddOutcome[]> {
    this.lastAnnouncementSeq += 1;
    return this.driver.announce({ seq: this.lastAnnouncementSeq, blocks });
  }

  async #answer<R>(work: () => R): Promise<R> {
    await Promise.resolve();
    if (this.#death !== undefined) throw this.#death;
    return work();
  }
}
