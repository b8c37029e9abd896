/** Reads batches of a stream that have run: `slice`.
 *
 * Nothing of what a batch made is kept for this. Each batch is made again from its share, by the
 * plan of the stream, in a history of its own that keeps nothing for later ones: so the batches of
 * the run notice nothing but the time it takes.
 *
 *      batch │ slice: hold ─ look ─ batch a ─ batch b ─ … ─ let go │ batch      on the scheduler
 *
 * It runs between two batches. No batch is done meanwhile, so no blocks are freed, and what it
 * reads is held against cleaning (held-batches.ts). One slice at a time; others wait, up to a
 * number of them. Mirrors `slice` of Spark's DStream. @module */
import type { BlockArena } from '../blocks/block-arena.ts';
import { MillraceError } from '../core/errors.ts';
import { EventBus } from '../core/events.ts';
import type { BatchTimeMs } from '../core/ids.ts';
import type { SlicedBatch } from '../dstream/batch.ts';
import { Graph, roleOf } from '../dstream/graph.ts';
import type { StreamTimes } from '../dstream/stream-times.ts';
import type { Codec } from '../serde/codec.ts';
import { BatchExecution } from './batch-execution.ts';
import { BatchHistory } from './batch-history.ts';
import type { BatchScheduler } from './batch-scheduler.ts';
import type { BlockMemory } from './block-memory.ts';
import { doneThroughMs } from './cleaning.ts';
import { collectRecords } from './collected-records.ts';
import type { HeldBatches } from './held-batches.ts';
import type { TaskScheduler } from './task-scheduler.ts';
import type { BatchShare, TrackerState } from './tracker-state.ts';

export interface SlicesOptions {
  readonly graph: Graph;
  readonly times: StreamTimes;
  readonly state: TrackerState;
  readonly held: HeldBatches;
  readonly scheduler: Pick<BatchScheduler, 'betweenBatches'>;
  readonly tasks: TaskScheduler;
  readonly memory: BlockMemory;
  readonly arena: BlockArena;
  readonly codec: Codec;
  readonly spillDirectory: string;
  /** Keys of blocks that a repair has taken out of the log. */
  readonly droppedBlocks: ReadonlySet<string>;
}

/** Batch times of a stream, both ends included. */
interface Range {
  readonly streamId: string;
  readonly fromMs: number;
  readonly toMs: number;
}

const WAITING_MAX = 16;

export class Slices {
  readonly #options: SlicesOptions;
  /** Operators only: what outputs and their windows need is not kept for them. */
  readonly #streams: Graph;
  /** The last of those that wait, or that one under way. */
  #last: Promise<void> = Promise.resolve();
  #count = 0;
  #hasEnded = false;
  readonly #abandons = new Set<() => void>();

  constructor(options: SlicesOptions) {
    this.#options = options;
    this.#streams = new Graph(options.graph.nodes.filter(({ kind }) => roleOf(kind) !== 'output'));
  }

  /** @throws {MillraceError} OPTIONS_INVALID: no such stream, a wrong range, a stream of keyed
   *   state. CONTEXT_STATE: a batch has been forgotten, the run ends, too many slices wait. Else
   *   what made a batch fail; the run goes on. */
  async read(streamId: string, fromMs: number, toMs: number): Promise<readonly SlicedBatch[]> {
    this.#check({ streamId, fromMs, toMs });
    if (this.#hasEnded) throw runEnds();
    if (this.#count > WAITING_MAX) {
      throw new MillraceError(
        'CONTEXT_STATE',
        `slice() is not possible: ${WAITING_MAX} slices wait already; wait for them first`,
      );
    }
    const slideMs = this.#options.times.slideMs(streamId);
    const range = { streamId, fromMs: Math.floor(fromMs / slideMs) * slideMs, toMs };
    const before = this.#last;
    const reading = this.#inTurn(range, before);
    const ignore = (): void => {};
    this.#last = reading.then(ignore, ignore);
    return this.#untilEnded(reading);
  }

  /** Whoever waits for a slice is told now that the run ends; what is under way ends with the batch
   * that it reads. */
  end(): void {
    this.#hasEnded = true;
    for (const abandon of this.#abandons) abandon();
  }

  async #inTurn(range: Range, before: Promise<void>): Promise<readonly SlicedBatch[]> {
    this.#count += 1;
    try {
      await before;
      if (this.#hasEnded) throw runEnds();
      return await this.#options.scheduler.betweenBatches(() => this.#readHeld(range));
    } finally {
      this.#count -= 1;
    }
  }

  async #untilEnded<R>(reading: Promise<R>): Promise<R> {
    let abandon = (): void => {};
    const ended = new Promise<never>((_, reject) => {
      abandon = () => reject(runEnds());
    });
    this.#abandons.add(abandon);
    try {
      return await Promise.race([reading, ended]);
    } finally {
      this.#abandons.delete(abandon);
    }
  }

  /** Looking and holding is one turn of the event loop: nothing is cleaned between. */
  async #readHeld(range: Range): Promise<readonly SlicedBatch[]> {
    const { held, times } = this.#options;
    const { streamId, fromMs } = range;
    this.#requireRemembered(range);
    const shares = this.#sharesIn(range);
    const release = held.hold(fromMs - times.reachOf(streamId));
    try {
      const batches: SlicedBatch[] = [];
      for (const share of shares) {
        if (this.#hasEnded) throw runEnds();
        batches.push({
          batchTime: share.batchTimeMs,
          records: await this.#recordsOf(streamId, share),
        });
      }
      return batches;
    } finally {
      release();
    }
  }

  async #recordsOf(streamId: string, share: BatchShare): Promise<unknown[]> {
    const { times, tasks, memory, arena, codec, state, ...more } = this.#options;
    const history = new BatchHistory({
      graph: this.#streams,
      times,
      arena,
      spillDirectory: more.spillDirectory,
      memory,
      // What is lost is told to the caller, and was told to all when the run began.
      events: new EventBus(),
      droppedBlocks: more.droppedBlocks,
      shareAt: (timeMs) => state.batches.get(timeMs)?.share,
      isPassing: true,
    });
    const execution = new BatchExecution(share, { tasks, memory, arena, history });
    try {
      this.#requireWhole(history, { streamId, batchTimeMs: share.batchTimeMs });
      return await collectRecords(execution, streamId, { arena, codec });
    } finally {
      execution.close();
    }
  }

  /** Those that are done, the oldest first. */
  #sharesIn({ streamId, fromMs, toMs }: Range): readonly BatchShare[] {
    const { state, times } = this.#options;
    return [...state.batches.values()]
      .filter(({ isDone }) => isDone)
      .map(({ share }) => share)
      .filter(({ batchTimeMs: timeMs }) => timeMs >= fromMs && timeMs <= toMs)
      .filter(({ batchTimeMs }) => times.isDue(streamId, batchTimeMs))
      .toSorted((a, b) => a.batchTimeMs - b.batchTimeMs);
  }

  #check({ streamId, fromMs, toMs }: Range): void {
    const { times } = this.#options;
    const ids = this.#streams.nodes.map(({ id }) => id);
    if (!ids.includes(streamId)) {
      throw wrong(`there is no stream ${streamId}; the pipeline has ${ids.join(', ')}`);
    }
    if (!Number.isFinite(fromMs) || !Number.isFinite(toMs) || fromMs > toMs) {
      throw wrong(
        `from and to must be batch times in ms, the earlier one first, not ${fromMs} and ${toMs}`,
      );
    }
    const statefulId = times.statefulOf(streamId);
    if (statefulId === undefined) return;
    const whose = streamId === statefulId ? statefulId : `${streamId}, which reads ${statefulId}`;
    throw wrong(
      `a slice cannot look at earlier batches of ${whose}: keyed state is there only as it is ` +
        'after the last batch. Take the slice of a stream before the state, or write the stream ' +
        'to an output and read that',
    );
  }

  #requireRemembered({ streamId, fromMs, toMs }: Range): void {
    const { held, state, times } = this.#options;
    const { forgottenThroughMs } = held;
    if (forgottenThroughMs === 0) return;
    const slideMs = times.slideMs(streamId);
    const reachMs = times.reachOf(streamId);
    const doneMs = doneThroughMs(state);
    // The latest one that looks at what has been forgotten.
    const latestMs = Math.min(toMs, forgottenThroughMs + reachMs, doneMs);
    const batchTimeMs = Math.floor(latestMs / slideMs) * slideMs;
    if (batchTimeMs < fromMs) return;
    const neededMs = doneMs - (batchTimeMs - reachMs) + times.batchIntervalMs;
    throw new MillraceError(
      'CONTEXT_STATE',
      `slice() of ${streamId}: batch ${batchTimeMs} has been forgotten; the option remember ` +
        `would have kept it with ${neededMs} ms. Ask for later batches, or let the pipeline ` +
        'remember more',
      { details: { streamId, batchTimeMs } },
    );
  }

  /** Records that were only in the memory of an earlier process, or that a repair gave up. */
  #requireWhole(
    history: BatchHistory,
    { streamId, batchTimeMs }: { readonly streamId: string; readonly batchTimeMs: BatchTimeMs },
  ): void {
    const { times } = this.#options;
    const oldestMs = batchTimeMs - times.reachOf(streamId);
    for (let timeMs = oldestMs; timeMs <= batchTimeMs; timeMs += times.batchIntervalMs) {
      const lostRecords = history.at(timeMs as BatchTimeMs)?.lostRecords ?? 0;
      if (lostRecords === 0) continue;
      throw new MillraceError(
        'CONTEXT_STATE',
        `slice() of ${streamId}: ${lostRecords} records of batch ${timeMs} are gone: they were ` +
          'in no log, or a repair has given them up. Ask for later batches',
        { details: { streamId, batchTimeMs: timeMs } },
      );
    }
  }
}

function wrong(what: string): MillraceError {
  return new MillraceError('OPTIONS_INVALID', `slice(): ${what}`);
}

function runEnds(): MillraceError {
  return new MillraceError('CONTEXT_STATE', 'slice() is not possible: the run has ended');
}
