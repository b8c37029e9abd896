/** A database of the simulated world: commits a whole batch at once, and remembers it for ever.
 * Each call takes effect at a moment of the seed, and never after the death of its thread.
 * @module */
import { MillraceError, toError } from '../core/errors.ts';
import type { PartitionWriter, Sink, SinkBatch } from '../dstream/sink.ts';
import type { Lane, SimScheduler } from './sim-scheduler.ts';

/** Committed records by `<output>@<batch time>`, and what attempts at a batch wanted to commit. */
export class SimDatabase {
  readonly committed: Map<string, readonly string[]> = new Map();
  /** Faults: told of each call, and throws when it is to fail. */
  before: (call: 'prepare' | 'write' | 'commit') => void = () => {};
  #logId: string | undefined;

  requireLog(logId: string): void {
    this.#logId ??= logId;
    if (this.#logId === logId) return;
    throw new MillraceError('SINK_CONFLICT', `output of the log ${this.#logId}, not ${logId}`);
  }
}

/** What the calls of one thread to a database are made with. */
export interface SinkPlace {
  readonly scheduler: SimScheduler;
  readonly lane: Lane;
  /** The longest that a call takes. */
  readonly delayMs: number;
}

/** Calls that take their time: the effect of each comes at once or with its answer. */
export class SinkTurns {
  readonly #place: SinkPlace;

  constructor(place: SinkPlace) {
    this.#place = place;
  }

  take<T>(label: string, act: () => T): Promise<T> {
    const { scheduler, lane, delayMs: longestMs } = this.#place;
    return new Promise((resolve, reject) => {
      const run = (): (() => void) => {
        try {
          const value = act();
          return () => resolve(value);
        } catch (error) {
          return () => reject(toError(error));
        }
      };
      const isEarly = lane.thread.isAlive && scheduler.chance(0.5);
      const settle = isEarly ? run() : undefined;
      const answer = (): void => scheduler.post(lane, label, () => (settle ?? run())());
      const delayMs = scheduler.below(longestMs);
      if (delayMs === 0) answer();
      else scheduler.after(lane.thread, delayMs, answer);
    });
  }
}

export class SimSink implements Sink<unknown> {
  readonly target = 'the simulated database';
  readonly guarantee = 'exactly-once';
  readonly #database: SimDatabase;
  readonly #turns: SinkTurns;

  constructor(database: SimDatabase, place: SinkPlace) {
    this.#database = database;
    this.#turns = new SinkTurns(place);
  }

  prepare(batch: SinkBatch): Promise<'needed' | 'already-committed'> {
    return this.#turns.take(`prepare ${keyOf(batch)}`, () => {
      this.#database.before('prepare');
      this.#database.requireLog(batch.logId);
      return this.#database.committed.has(keyOf(batch)) ? 'already-committed' : 'needed';
    });
  }

  openPartition(batch: SinkBatch, partition: number): Promise<PartitionWriter<unknown>> {
    const records: string[] = [];
    return this.#turns.take(`open ${keyOf(batch)} ${partition}`, () => ({
      write: (record) => void records.push(String(record)),
      close: () =>
        this.#turns.take(`close ${keyOf(batch)} ${partition}`, () => {
          this.#database.before('write');
          return records;
        }),
      abort: () => Promise.resolve(),
    }));
  }

  commit(batch: SinkBatch, tokens: readonly unknown[]): Promise<void> {
    return this.#turns.take(`commit ${keyOf(batch)}`, () => {
      this.#database.before('commit');
      this.#database.requireLog(batch.logId);
      if (this.#database.committed.has(keyOf(batch))) return; // by a try that was cut off
      this.#database.committed.set(keyOf(batch), (tokens as readonly (readonly string[])[]).flat());
    });
  }
}

function keyOf({ outputId, batchTimeMs }: SinkBatch): string {
  return `${outputId}@${batchTimeMs}`;
}
