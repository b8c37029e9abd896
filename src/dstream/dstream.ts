/** A stream of batches, as the author of a pipeline sees it: each method adds one operator to the
 * graph and returns the stream of its results. No record passes here.
 *
 * What an operator does at run time stands in workers/stage-chain.ts (fused operators), in
 * workers/shuffle-map.ts and shuffle-reduce.ts. Functions run in executor threads: module variables
 * are per thread, and a function may run again for the same records when a task is retried.
 * Mirrors Spark's `DStream` and `PairDStreamFunctions`; pair methods ask for pairs by their `this`.
 * An example of each operator, which the tests run: docs/operators.md.
 * @module */
import type { Duration } from '../core/duration.ts';
import { MillraceError } from '../core/errors.ts';
import type { Batch, BatchInfo, PartitionInfo } from './batch.ts';
import { addDedupe } from './dedupe-operator.ts';
import type { DedupeOptions } from './dedupe-operator.ts';
import type { GraphBuilder, NodeRequest } from './graph-builder.ts';
import type { KindOf, OperatorKind, UserFunction } from './graph.ts';
import { aggregation, checkFunctions, checkOperator, checkShuffle } from './operator-options.ts';
import type { OperatorOptions, ShuffleOptions, SyncResult } from './operator-options.ts';
import { checkCall, checkFiles, checkPrint } from './output-options.ts';
import type { CheckedOutput } from './output-options.ts';
import { checkSink } from './sink-check.ts';
import type { Sink } from './sink.ts';
import type { StreamScope, TransformFunction } from './stream-scope.ts';
import { checkMapping, checkState } from './state-spec.ts';
import type {
  KeyedStateOptions,
  MapWithStateOptions,
  StateFunction,
  StateSpec,
} from './state-spec.ts';
import {
  addCountByValueAndWindow,
  addCountByWindow,
  addGroupByKeyAndWindow,
  addReduceByKeyAndWindow,
  addReduceByWindow,
  addWindow,
  checkpointMsOf,
  windowCall,
} from './window-operators.ts';
import type { InverseWindowOptions, WindowArguments } from './window-operators.ts';

export class DStream<T, In extends StreamScope = 'pipeline'> {
  /** For the type checker only: a stream of one type is no stream of another. */
  declare protected readonly recordType: T;
  /** For the type checker only: whether it has all operators, or those for `transform`. */
  declare protected readonly scope: In;
  /** Id of the operator that makes this stream. */
  readonly id: string;
  readonly #builder: GraphBuilder;

  /** Engine only: streams come from a PipelineContext and from other streams. */
  constructor(builder: GraphBuilder, id: string) {
    this.#builder = builder;
    this.id = id;
  }

  /** One record for each record. */
  map<U>(f: (record: T) => SyncResult<U>, options?: OperatorOptions): DStream<U, In> {
    return this.#narrow('map', f, options);
  }

  /** All that `f` yields for a record, in its place: an array, or any other iterable. */
  flatMap<U>(f: (record: T) => Iterable<U>, options?: OperatorOptions): DStream<U, In> {
    return this.#narrow('flatMap', f, options);
  }

  /** The records for which `f` returns true. */
  filter<S extends T>(f: (record: T) => record is S, options?: OperatorOptions): DStream<S, In>;
  filter(f: (record: T) => boolean, options?: OperatorOptions): DStream<T, In>;
  filter(f: (record: T) => boolean, options?: OperatorOptions): DStream<T, In> {
    return this.#narrow('filter', f, options);
  }

  /** All that `f` yields for a whole partition, whose records are gathered in memory first. It is
   * called for an empty partition too. */
  mapPartitions<U>(
    f: (records: Iterable<T>) => Iterable<U>,
    options?: OperatorOptions,
  ): DStream<U, In> {
    return this.#narrow('mapPartitions', f, options);
  }

  /** One array with all its records for each partition, an empty one included. */
  glom(options?: OperatorOptions): DStream<T[], In> {
    return this.#narrow('glom', undefined, options);
  }

  /** Like `map`, for results that are `[key, value]`: it tells the type checker that they are. */
  mapToPair<K, V>(
    f: (record: T) => readonly [K, V],
    options?: OperatorOptions,
  ): DStream<[K, V], In> {
    return this.#narrow('mapToPair', f, options);
  }

  /** Pairs of the key that `f` finds in a record, and the record. */
  keyBy<K>(f: (record: T) => SyncResult<K>, options?: OperatorOptions): DStream<[K, T], In> {
    return this.#narrow('keyBy', f, options);
  }

  /** The same keys with other values. */
  mapValues<K, V, W>(
    this: DStream<readonly [K, V], In>,
    f: (value: V) => SyncResult<W>,
    options?: OperatorOptions,
  ): DStream<[K, W], In> {
    return this.#narrow('mapValues', f, options);
  }

  /** A pair for each value that `f` yields for a pair's value. */
  flatMapValues<K, V, W>(
    this: DStream<readonly [K, V], In>,
    f: (value: V) => Iterable<W>,
    options?: OperatorOptions,
  ): DStream<[K, W], In> {
    return this.#narrow('flatMapValues', f, options);
  }

  /** The records of this stream and then those of `other`, partition after partition. */
  union(other: StatelessDStream<T>, options?: OperatorOptions): DStream<T, In> {
    return this.unionAll([other], checkOperator('union', options).id);
  }

  /** Engine only: PipelineContext.union. */
  unionAll(others: readonly StatelessDStream<T>[], id: string | undefined): DStream<T, In> {
    const parents = [this.id, ...others.map((other) => this.#idOf('union', other))];
    return this.#derive('union', { id, parents });
  }

  /** The same records in `partitions` partitions of about equal size. */
  repartition(partitions: number, options?: OperatorOptions): DStream<T, In> {
    return this.#shuffle('repartition', { ...options, partitions });
  }

  /** The same stream, computed once a batch and kept, however many operators read it. Without it
   * each of them computes it anew; blocks and results of shuffles are kept anyway. */
  persist(options?: OperatorOptions): DStream<T, In> {
    const { id } = checkOperator('persist', options);
    return this.#derive('persist', { id });
  }

  /** Another name of `persist`. */
  cache(options?: OperatorOptions): DStream<T, In> {
    return this.persist(options);
  }

  /** How often the state of this stream is written to the checkpoint directory: after the first
   * batch at or behind each multiple of `interval` in which it changes. A crash runs the batches
   * since then again, to make the state again. Without it a snapshot is due each 10 batches, or
   * later when little has changed. All states of a pipeline are one file: the shortest interval
   * counts.
   * Of a stream without state nothing has to be kept, because its batches are in the log: there it
   * does nothing, so that a pipeline that was written for Spark stays as it is.
   * @param interval a multiple of this stream's slide, at most 10,000 times as long.
   * @returns this stream. */
  checkpoint(interval: Duration): this {
    this.#builder.setCheckpoint(this.id, checkpointMsOf(interval));
    return this;
  }

  /** What `f` makes of this stream with stateless operators, all that a stream in it has. `f` runs
   * once, now, while the graph is built. */
  transform<U>(f: TransformFunction<[StatelessDStream<T>], StatelessDStream<U>>): DStream<U, In> {
    return this.#transformed('transform', f, () => f(this));
  }

  /** What `f` makes of this and another stream with stateless operators. `f` runs once, now, while
   * the graph is built. */
  transformWith<W, U>(
    other: StatelessDStream<W>,
    f: TransformFunction<[StatelessDStream<T>, StatelessDStream<W>], StatelessDStream<U>>,
  ): DStream<U, In> {
    this.#idOf('transformWith', other);
    return this.#transformed('transformWith', f, () => f(this, other));
  }

  /** Engine only: PipelineContext.transform. */
  transformAll<U>(
    others: readonly StatelessDStream<unknown>[],
    f: UserFunction,
    run: () => StatelessDStream<U>,
  ): DStream<U, In> {
    for (const other of others) this.#idOf('transform', other);
    return this.#transformed('transform', f, run);
  }

  /** One record a batch: how many records it has, 0 for an empty one. */
  count(options?: OperatorOptions): DStream<number, In> {
    const { id } = checkOperator('count', options);
    return this.#derive('count', { id });
  }

  /** A pair for each different record: the record, and how often it comes in the batch. */
  countByValue(options?: ShuffleOptions): DStream<[T, number], In> {
    return this.#shuffle('countByValue', options);
  }

  /** One record a batch, all records combined pairwise in partition order; none for an empty batch.
   * @param f associative; it may change and return its first argument. */
  reduce(f: (a: T, b: T) => T, options?: OperatorOptions): DStream<T, In> {
    const { id } = checkOperator('reduce', options, [f]);
    return this.#derive('reduce', { id, fn: f });
  }

  /** A pair for each key: the key, and its values combined pairwise. Combines before the shuffle.
   * @param f associative; it may change and return its first argument. */
  reduceByKey<K, V>(
    this: DStream<readonly [K, V], In>,
    f: (a: V, b: V) => V,
    options?: ShuffleOptions,
  ): DStream<[K, V], In> {
    checkOperator('reduceByKey', undefined, [f]);
    return this.#shuffle('reduceByKey', options, f);
  }

  /** A pair for each key: the key, and its values combined to a value of another type. Combines
   * before the shuffle.
   * @param create makes a combined value of a key's first value, on each partition.
   * @param mergeValue takes one more value in; it may change and return its first argument.
   * @param mergeCombiners puts two combined values of a key together, those of the earlier
   *   partition first; it may change and return its first argument. */
  combineByKey<K, V, C>(
    this: DStream<readonly [K, V], In>,
    create: (value: V) => SyncResult<C>,
    mergeValue: (combined: C, value: V) => C,
    mergeCombiners: (a: C, b: C) => C,
    options?: ShuffleOptions,
  ): DStream<[K, C], In> {
    const fns = { create, mergeValue, mergeCombiners };
    checkFunctions('combineByKey', fns);
    return this.#derive('combineByKey', { ...checkShuffle('combineByKey', options), fns });
  }

  /** Like `combineByKey`, each key beginning with a copy of `zero` on each partition.
   * @param zero plain data, neutral for `mergeCombiners`. */
  aggregateByKey<K, V, C>(
    this: DStream<readonly [K, V], In>,
    zero: C,
    mergeValue: (combined: C, value: V) => C,
    mergeCombiners: (a: C, b: C) => C,
    options?: ShuffleOptions,
  ): DStream<[K, C], In> {
    const kind = 'aggregateByKey';
    const fns = aggregation(kind, zero, { mergeValue, mergeCombiners });
    return this.#derive(kind, { ...checkShuffle(kind, options), fns });
  }

  /** A pair for each key: the key, and all its values, in the order of partitions and records. */
  groupByKey<K, V>(
    this: DStream<readonly [K, V], In>,
    options?: ShuffleOptions,
  ): DStream<[K, V[]], In> {
    return this.#shuffle('groupByKey', options);
  }

  /** A pair for each key of either stream: the key, and its values here and there. */
  cogroup<K, V, W>(
    this: DStream<readonly [K, V], In>,
    other: StatelessDStream<readonly [K, W]>,
    options?: ShuffleOptions,
  ): DStream<[K, [V[], W[]]], In> {
    return this.#pairUp('cogroup', other, options);
  }

  /** For each key that both streams have, every combination of a value here and a value there. */
  join<K, V, W>(
    this: DStream<readonly [K, V], In>,
    other: StatelessDStream<readonly [K, W]>,
    options?: ShuffleOptions,
  ): DStream<[K, [V, W]], In> {
    return this.#pairUp('join', other, options);
  }

  /** Like `join`; a key that only this stream has comes with `undefined`. */
  leftOuterJoin<K, V, W>(
    this: DStream<readonly [K, V], In>,
    other: StatelessDStream<readonly [K, W]>,
    options?: ShuffleOptions,
  ): DStream<[K, [V, W | undefined]], In> {
    return this.#pairUp('leftOuterJoin', other, options);
  }

  /** Like `join`; a key that only the other stream has comes with `undefined`. */
  rightOuterJoin<K, V, W>(
    this: DStream<readonly [K, V], In>,
    other: StatelessDStream<readonly [K, W]>,
    options?: ShuffleOptions,
  ): DStream<[K, [V | undefined, W]], In> {
    return this.#pairUp('rightOuterJoin', other, options);
  }

  /** Like `join`; a key that one stream lacks comes with `undefined` in its place. */
  fullOuterJoin<K, V, W>(
    this: DStream<readonly [K, V], In>,
    other: StatelessDStream<readonly [K, W]>,
    options?: ShuffleOptions,
  ): DStream<[K, [V | undefined, W | undefined]], In> {
    return this.#pairUp('fullOuterJoin', other, options);
  }

  /** The records of all batches of this stream in the last `length`, the oldest batch first.
   * @param length a multiple of this stream's slide, which is the batch interval unless it comes
   *   from another window.
   * @param slide how often there is a batch of the result: at batch times that are multiples of
   *   it. Itself a multiple of this stream's slide, and by default equal to it. */
  window(
    this: DStream<T>,
    length: Duration,
    slide?: Duration,
    options?: OperatorOptions,
  ): DStream<T> {
    return this.#stream(addWindow(this.#builder, this.id, { span: { length, slide }, options }));
  }

  /** One record for each window: how many records its batches have, 0 for none. */
  countByWindow(
    this: DStream<T>,
    length: Duration,
    slide?: Duration,
    options?: OperatorOptions,
  ): DStream<number> {
    const call = { parent: this.id, span: { length, slide }, options };
    return this.#stream(addCountByWindow(this.#builder, call));
  }

  /** For each window a pair for each different record: the record, and how often it comes. */
  countByValueAndWindow(
    this: DStream<T>,
    length: Duration,
    slide?: Duration,
    options?: ShuffleOptions,
  ): DStream<[T, number]> {
    const call = { parent: this.id, span: { length, slide }, options };
    return this.#stream(addCountByValueAndWindow(this.#builder, call));
  }

  /** One record for each window, all records of its batches combined pairwise in their order; none
   * for an empty window. Each batch is reduced once, and windows combine the results.
   * With an inverse function the value is kept from window to window, and a batch costs as much as
   * what leaves and what enters, however long the window is; it needs a checkpoint directory. There
   * is a record as soon as the first one has come, and for ever: what is left when all have gone.
   * @param f associative; it may change and return its first argument.
   * @param inverse takes away what is oldest: `inverse(f(a, b), a)` is `b`, and
   *   `f(inverse(a, a), b)` too. It may change and return its first argument. */
  reduceByWindow(
    this: DStream<T>,
    f: (a: T, b: T) => T,
    length: Duration,
    slide?: Duration,
    options?: OperatorOptions,
  ): DStream<T>;
  reduceByWindow(
    this: DStream<T>,
    f: (a: T, b: T) => T,
    inverse: (all: T, left: T) => T,
    length: Duration,
    slide?: Duration,
    options?: OperatorOptions,
  ): DStream<T>;
  reduceByWindow(
    this: DStream<T>,
    fn: (a: T, b: T) => T,
    ...rest: WindowArguments<T, OperatorOptions>
  ): DStream<T> {
    return this.#stream(addReduceByWindow(this.#builder, fn, windowCall(this.id, rest)));
  }

  /** For each window a pair for each key: the key, and all its values, oldest batch first. */
  groupByKeyAndWindow<K, V>(
    this: DStream<readonly [K, V]>,
    length: Duration,
    slide?: Duration,
    options?: ShuffleOptions,
  ): DStream<[K, V[]]> {
    const call = { parent: this.id, span: { length, slide }, options };
    return this.#stream(addGroupByKeyAndWindow(this.#builder, call));
  }

  /** For each window a pair for each key: the key, and its values combined pairwise in their order.
   * Each batch is reduced once, and windows combine the results. With an inverse function the
   * values are kept from window to window, as in `reduceByWindow`; a key stays when all of its
   * values have left, unless `filter` drops it.
   * @param f associative; it may change and return its first argument.
   * @param inverse takes a value away again, as in `reduceByWindow`. */
  reduceByKeyAndWindow<K, V>(
    this: DStream<readonly [K, V]>,
    f: (a: V, b: V) => V,
    length: Duration,
    slide?: Duration,
    options?: ShuffleOptions,
  ): DStream<[K, V]>;
  reduceByKeyAndWindow<K, V>(
    this: DStream<readonly [K, V]>,
    f: (a: V, b: V) => V,
    inverse: (all: V, left: V) => V,
    length: Duration,
    slide?: Duration,
    options?: InverseWindowOptions<K, V>,
  ): DStream<[K, V]>;
  reduceByKeyAndWindow<K, V>(
    this: DStream<readonly [K, V]>,
    fn: (a: V, b: V) => V,
    ...rest: WindowArguments<V, InverseWindowOptions<K, V>>
  ): DStream<[K, V]> {
    return this.#stream(addReduceByKeyAndWindow(this.#builder, fn, windowCall(this.id, rest)));
  }

  /** A state for each key, kept from batch to batch. The stream is the whole state after each
   * batch: a pair for every key that has one, in no particular order.
   * @param f called once in a batch for each key that has values in it, and only for those (Spark
   *   calls it for every key there is): the new state, or `undefined` to drop the key. For keys
   *   that shall go when they are idle take `mapWithState` with a timeout. */
  updateStateByKey<K, V, S>(
    this: DStream<readonly [K, V]>,
    f: (values: V[], state: S | undefined) => SyncResult<S> | undefined,
    options?: KeyedStateOptions<K, S>,
  ): DStream<[K, S]> {
    return this.#derive('updateStateByKey', checkState('updateStateByKey', f, options));
  }

  /** Calls `f` for each record with the state of its key, which it may change for the records and
   * batches that follow. The stream is what `f` returns, without `undefined`. A batch costs as much
   * as it has records and expired keys, however many keys there are.
   * @param options win over those of a specification. */
  mapWithState<K, V, S, M>(
    this: DStream<readonly [K, V]>,
    spec: StateSpec<K, V, S, M>,
    options?: MapWithStateOptions<K, S>,
  ): StatefulDStream<K, S, Exclude<M, undefined | void>>;
  mapWithState<K, V, S, M>(
    this: DStream<readonly [K, V]>,
    f: StateFunction<K, V, S, M>,
    options?: MapWithStateOptions<K, S>,
  ): StatefulDStream<K, S, Exclude<M, undefined | void>>;
  mapWithState<K, V, S, M>(
    given: StateSpec<K, V, S, M> | StateFunction<K, V, S, M>,
    options?: MapWithStateOptions<K, S>,
  ): StatefulDStream<K, S, Exclude<M, undefined | void>> {
    const checked = checkMapping(given, options);
    const id = this.#builder.add({ kind: 'mapWithState', parents: [this.id], ...checked });
    return new StatefulDStream(this.#builder, id);
  }

  /** Of the records with one key only the first that comes in `within`; those after it are dropped,
   * and do not make the span longer. Remembers keys, not records, from batch to batch.
   * @param key what makes two records the same: a message id, for example. */
  dedupeBy<K>(
    this: DStream<T>,
    key: (record: T) => SyncResult<K>,
    options: DedupeOptions,
  ): DStream<T> {
    return this.#stream(addDedupe(this.#builder, this.id, { key, options }));
  }

  /** Writes the first `n` records of each batch to standard output. @param n 1 … 10,000. */
  print(this: DStream<T>, n = 10, options?: OperatorOptions): void {
    this.#output('print', checkPrint(n, options));
  }

  /** Calls `f` on the driver for each batch, in order; the batch is done when its promise resolves.
   * After a crash a batch may come again, with the same content and the same time. */
  foreachBatch(
    this: DStream<T>,
    f: (batch: Batch<T>, info: BatchInfo) => void | Promise<void>,
    options?: OperatorOptions,
  ): void {
    this.#output('foreachBatch', checkCall('foreachBatch', f, options));
  }

  /** Calls `f` in an executor for each partition of each batch. A failed task calls it again. */
  foreachPartition(
    this: DStream<T>,
    f: (records: Iterable<T>, info: PartitionInfo) => void | Promise<void>,
    options?: OperatorOptions,
  ): void {
    this.#output('foreachPartition', checkCall('foreachPartition', f, options));
  }

  /** Writes each batch to a directory `<prefix>-<batch time>[.<suffix>]`, one line a record,
   * exactly one copy whatever crashes. A pair is written as `(key,value)`, another object as
   * JSON. @param suffix none when it is empty. */
  saveAsTextFiles(
    this: DStream<T>,
    prefix: string,
    suffix?: string,
    options?: OperatorOptions,
  ): void {
    this.#output('saveAsTextFiles', checkFiles('saveAsTextFiles', { prefix, suffix }, options));
  }

  /** Like `saveAsTextFiles`, with each record as one line of JSON. */
  saveAsJsonFiles(
    this: DStream<T>,
    prefix: string,
    suffix?: string,
    options?: OperatorOptions,
  ): void {
    this.#output('saveAsJsonFiles', checkFiles('saveAsJsonFiles', { prefix, suffix }, options));
  }

  /** Writes each batch to `sink`, as it promises: exactly one copy of a batch, if it can. A sink of
   * your own: docs/sinks.md. */
  to(this: DStream<T>, sink: Sink<T>, options?: OperatorOptions): void {
    this.#output('to', { ...checkOperator('to', options), ...checkSink(sink) });
  }

  #derive<U>(
    kind: OperatorKind,
    node: Partial<Omit<NodeRequest, 'kind'>> & Pick<NodeRequest, 'id'>,
  ): DStream<U, In> {
    return this.#stream(this.#builder.add({ kind, parents: [this.id], ...node }));
  }

  #stream<U>(id: string): DStream<U, In> {
    return new DStream<U, In>(this.#builder, id);
  }

  #narrow<U>(
    kind: KindOf<'narrow'>,
    fn: UserFunction | undefined,
    options: OperatorOptions | undefined,
  ): DStream<U, In> {
    const { id } = checkOperator(kind, options, kind === 'glom' ? [] : [fn]);
    return this.#derive(kind, { id, fn });
  }

  #shuffle<U>(
    kind: KindOf<'shuffle'>,
    given: ShuffleOptions | undefined,
    fn?: UserFunction,
  ): DStream<U, In> {
    return this.#derive(kind, { ...checkShuffle(kind, given), fn });
  }

  #pairUp<U, W>(
    kind: KindOf<'shuffle'>,
    other: StatelessDStream<W>,
    given: ShuffleOptions | undefined,
  ): DStream<U, In> {
    const parents = [this.id, this.#idOf(kind, other)];
    return this.#derive(kind, { ...checkShuffle(kind, given), parents });
  }

  #output(kind: KindOf<'output'>, node: CheckedOutput): void {
    this.#builder.add({ kind, parents: [this.id], ...node });
  }

  #transformed<U>(caller: string, f: UserFunction, run: () => unknown): DStream<U, In> {
    checkFunctions(caller, { 'the function': f });
    const named = `${caller} of ${this.id}`;
    const result: unknown = this.#builder.transforming(named, run);
    if (this.#isOwn(result)) return result as DStream<U, In>;
    throw new MillraceError(
      'PIPELINE_INVALID',
      `${named}: the function must return a stream of the same pipeline`,
    );
  }

  #isOwn(other: unknown): other is DStream<unknown> {
    return other instanceof DStream && other.#builder === this.#builder;
  }

  /** The id of another stream of this pipeline. */
  #idOf(kind: string, other: unknown): string {
    if (this.#isOwn(other)) return other.id;
    throw new MillraceError(
      'PIPELINE_INVALID',
      `${kind} of ${this.id}: the other stream must be a stream of the same pipeline`,
    );
  }
}

/** A stream in the function given to `transform`: with stateless operators, whose results are such
 * streams. */
export type StatelessDStream<T> = DStream<T, StreamScope>;

/** The stream of `mapWithState`: what the function returned, and the state beside it. */
export class StatefulDStream<K, S, M> extends DStream<M> {
  readonly #builder: GraphBuilder;

  /** Engine only. */
  constructor(builder: GraphBuilder, id: string) {
    super(builder, id);
    this.#builder = builder;
  }

  /** The whole state after each batch: a pair for every key that has one, in no particular order.
   * Reading it costs as much as there are keys. */
  stateSnapshots(options?: OperatorOptions): DStream<[K, S]> {
    const { id } = checkOperator('stateSnapshots', options);
    const request = { kind: 'stateSnapshots', id, parents: [this.id] } as const;
    return new DStream(this.#builder, this.#builder.add(request));
  }
}
