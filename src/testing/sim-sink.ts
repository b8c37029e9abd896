/** A database of the simulated world: commits a whole batch at once, and remembers it for ever.
 * Each call takes effect at a moment of the seed, and never after the death of its thread.
 * @module */
import { MillraceError, toError } from '../core/errors.ts';
import type { PartitionWriter, Sink, SinkBatch } from '../dstream/sink.ts';
import type { Lane, SimScheduler } from './sim-scheduler.ts';

/** Committed records by `<output>@<batch time>`, and what attempts at a batch wanted to commit. */
export class SimDatabase {
  readonly committed = new Map<string, readonly string[]>();
  /** Faults: told of each call, and throws when it is to fail. */
  before: (call: 'prepare' | 'write' | 'commit') => void = () => {};
  #logId: string | undefined;

  requireLog(logId: string): void {
    this.#logId ??= logId;
    if (this.#logId === logId) return;
    throw new MillraceError('SINK_CONFLICT', `output of the log ${this.#logId}, not ${logId}`);
  }
}

export class SimSink implements Sink<unknown> {
  readonly guarantee = 'exactly-once';
  readonly #database: SimDatabase;
  readonly #scheduler: SimScheduler;
  readonly #lane: Lane;
  readonly #delayMs: number;

  constructor(
    database: SimDatabase,
    {
      scheduler,
      lane,
      delayMs,
    }: {
      readonly scheduler: SimScheduler;
      readonly lane: Lane;
      /** The longest that a call takes. */
      readonly delayMs: number;
    },
  ) {
    this.#delayMs = delayMs;
    this.#database = database;
    this.#scheduler = scheduler;
    this.#lane = lane;
  }

  prepare(batch: SinkBatch): Promise<'needed' | 'already-committed'> {
    return this.#turn(`prepare ${keyOf(batch)}`, () => {
      this.#database.before('prepare');
      this.#database.requireLog(batch.logId);
      return this.#database.committed.has(keyOf(batch)) ? 'already-committed' : 'needed';
    });
  }

  openPartition(batch: SinkBatch, partition: number): Promise<PartitionWriter<unknown>> {
    const records: string[] = [];
    return this.#turn(`open ${keyOf(batch)} ${partition}`, () => ({
      write: (record) => void records.push(String(record)),
      close: () =>
        this.#turn(`close ${keyOf(batch)} ${partition}`, () => {
          this.#database.before('write');
          return records;
        }),
      abort: () => Promise.resolve(),
    }));
  }

  commit(batch: SinkBatch, tokens: readonly unknown[]): Promise<void> {
    return this.#turn(`commit ${keyOf(batch)}`, () => {
      this.#database.before('commit');
      this.#database.requireLog(batch.logId);
      if (this.#database.committed.has(keyOf(batch))) return; // by a try that was cut off
      this.#database.committed.set(keyOf(batch), (tokens as readonly (readonly string[])[]).flat());
    });
  }

  /** The effect comes at once or with the answer. */
  #turn<T>(label: string, act: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = (): (() => void) => {
        try {
          const value = act();
          return () => resolve(value);
        } catch (error) {
          return () => reject(toError(error));
        }
      };
      const isEarly = this.#lane.thread.isAlive && this.#scheduler.chance(0.5);
      const settle = isEarly ? run() : undefined;
      const answer = (): void => this.#scheduler.post(this.#lane, label, () => (settle ?? run())());
      const delayMs = this.#scheduler.below(this.#delayMs);
      if (delayMs === 0) answer();
      else this.#scheduler.after(this.#lane.thread, delayMs, answer);
    });
  }
}

function keyOf({ outputId, batchTimeMs }: SinkBatch): string {
  return `${outputId}@${batchTimeMs}`;
}
