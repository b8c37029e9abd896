/** A stream of batches, as the author of a pipeline sees it: each method adds one operator to the
 * graph and returns the stream of its results. No record passes here.
 *
 * What an operator does at run time stands in workers/stage-chain.ts (fused operators), in
 * workers/shuffle-map.ts and shuffle-reduce.ts. Functions run in executor threads: module variables
 * are per thread, and a function may run again for the same records when a task is retried.
 * Mirrors Spark's `DStream` and `PairDStreamFunctions`; pair methods ask for pairs by their `this`.
 * @module */
import { MillraceError } from '../core/errors.ts';
import type { Batch, BatchInfo, PartitionInfo } from './batch.ts';
import type { GraphBuilder } from './graph-builder.ts';
import type { KindOf, NodeOptions, OperatorKind, UserFunction } from './graph.ts';
import { OptionCheck } from './option-check.ts';
import { checkOperator, checkShuffle } from './operator-options.ts';
import type { OperatorOptions, ShuffleOptions, SyncResult } from './operator-options.ts';
import { checkState, StateSpec } from './state-spec.ts';
import type {
  CheckedState,
  KeyedStateOptions,
  MapWithStateOptions,
  StateFunction,
} from './state-spec.ts';

const PRINT_RECORDS_MAX = 10_000;

/** Two streams that a shuffle brings together by key. */
type PairedKind = 'cogroup' | 'join' | 'leftOuterJoin' | 'rightOuterJoin' | 'fullOuterJoin';

export class DStream<T> {
  /** For the type checker only: a stream of one type is no stream of another. */
  declare protected readonly recordType: T;
  /** Id of the operator that makes this stream. */
  readonly id: string;
  readonly #builder: GraphBuilder;

  /** Engine only: streams come from a PipelineContext and from other streams. */
  constructor(builder: GraphBuilder, id: string) {
    this.#builder = builder;
    this.id = id;
  }

  /** One record for each record. */
  map<U>(f: (record: T) => SyncResult<U>, options?: OperatorOptions): DStream<U> {
    return this.#narrow('map', f, options);
  }

  /** All that `f` yields for a record, in its place: an array, or any other iterable. */
  flatMap<U>(f: (record: T) => Iterable<U>, options?: OperatorOptions): DStream<U> {
    return this.#narrow('flatMap', f, options);
  }

  /** The records for which `f` returns true. */
  filter<S extends T>(f: (record: T) => record is S, options?: OperatorOptions): DStream<S>;
  filter(f: (record: T) => boolean, options?: OperatorOptions): DStream<T>;
  filter(f: (record: T) => boolean, options?: OperatorOptions): DStream<T> {
    return this.#narrow('filter', f, options);
  }

  /** All that `f` yields for a whole partition, whose records are gathered in memory first. It is
   * called for an empty partition too. */
  mapPartitions<U>(
    f: (records: Iterable<T>) => Iterable<U>,
    options?: OperatorOptions,
  ): DStream<U> {
    return this.#narrow('mapPartitions', f, options);
  }

  /** One array with all its records for each partition, an empty one included. */
  glom(options?: OperatorOptions): DStream<T[]> {
    return this.#narrow('glom', undefined, options);
  }

  /** Like `map`, for results that are `[key, value]`: it tells the type checker that they are. */
  mapToPair<K, V>(f: (record: T) => readonly [K, V], options?: OperatorOptions): DStream<[K, V]> {
    return this.#narrow('mapToPair', f, options);
  }

  /** Pairs of the key that `f` finds in a record, and the record. */
  keyBy<K>(f: (record: T) => SyncResult<K>, options?: OperatorOptions): DStream<[K, T]> {
    return this.#narrow('keyBy', f, options);
  }

  /** The same keys with other values. */
  mapValues<K, V, W>(
    this: DStream<readonly [K, V]>,
    f: (value: V) => SyncResult<W>,
    options?: OperatorOptions,
  ): DStream<[K, W]> {
    return this.#narrow('mapValues', f, options);
  }

  /** A pair for each value that `f` yields for a pair's value. */
  flatMapValues<K, V, W>(
    this: DStream<readonly [K, V]>,
    f: (value: V) => Iterable<W>,
    options?: OperatorOptions,
  ): DStream<[K, W]> {
    return this.#narrow('flatMapValues', f, options);
  }

  /** The records of this stream and then those of `other`, partition after partition. */
  union(other: DStream<T>, options?: OperatorOptions): DStream<T> {
    return this.unionAll([other], checkOperator('union', options).id);
  }

  /** Engine only: PipelineContext.union. */
  unionAll(others: readonly DStream<T>[], id: string | undefined): DStream<T> {
    const parents = [this.id, ...others.map((other) => this.#idOf('union', other))];
    return this.#derive('union', { id, parents });
  }

  /** The same records in `partitions` partitions of about equal size. */
  repartition(partitions: number, options?: OperatorOptions): DStream<T> {
    return this.#shuffle('repartition', { ...options, partitions });
  }

  /** One record a batch: how many records it has, 0 for an empty one. */
  count(options?: OperatorOptions): DStream<number> {
    const { id } = checkOperator('count', options);
    return this.#derive('count', { id });
  }

  /** A pair for each different record: the record, and how often it comes in the batch. */
  countByValue(options?: ShuffleOptions): DStream<[T, number]> {
    return this.#shuffle('countByValue', options);
  }

  /** One record a batch, all records combined pairwise in partition order; none for an empty batch.
   * @param f associative; it may change and return its first argument. */
  reduce(f: (a: T, b: T) => T, options?: OperatorOptions): DStream<T> {
    const { id } = checkOperator('reduce', options, [f]);
    return this.#derive('reduce', { id, fn: f });
  }

  /** A pair for each key: the key, and its values combined pairwise. Combines before the shuffle.
   * @param f associative; it may change and return its first argument. */
  reduceByKey<K, V>(
    this: DStream<readonly [K, V]>,
    f: (a: V, b: V) => V,
    options?: ShuffleOptions,
  ): DStream<[K, V]> {
    checkOperator('reduceByKey', undefined, [f]);
    return this.#shuffle('reduceByKey', options, f);
  }

  /** A pair for each key: the key, and all its values, in the order of partitions and records. */
  groupByKey<K, V>(this: DStream<readonly [K, V]>, options?: ShuffleOptions): DStream<[K, V[]]> {
    return this.#shuffle('groupByKey', options);
  }

  /** A pair for each key of either stream: the key, and its values here and there. */
  cogroup<K, V, W>(
    this: DStream<readonly [K, V]>,
    other: DStream<readonly [K, W]>,
    options?: ShuffleOptions,
  ): DStream<[K, [V[], W[]]]> {
    return this.#pairUp('cogroup', other, options);
  }

  /** For each key that both streams have, every combination of a value here and a value there. */
  join<K, V, W>(
    this: DStream<readonly [K, V]>,
    other: DStream<readonly [K, W]>,
    options?: ShuffleOptions,
  ): DStream<[K, [V, W]]> {
    return this.#pairUp('join', other, options);
  }

  /** Like `join`; a key that only this stream has comes with `undefined`. */
  leftOuterJoin<K, V, W>(
    this: DStream<readonly [K, V]>,
    other: DStream<readonly [K, W]>,
    options?: ShuffleOptions,
  ): DStream<[K, [V, W | undefined]]> {
    return this.#pairUp('leftOuterJoin', other, options);
  }

  /** Like `join`; a key that only the other stream has comes with `undefined`. */
  rightOuterJoin<K, V, W>(
    this: DStream<readonly [K, V]>,
    other: DStream<readonly [K, W]>,
    options?: ShuffleOptions,
  ): DStream<[K, [V | undefined, W]]> {
    return this.#pairUp('rightOuterJoin', other, options);
  }

  /** Like `join`; a key that one stream lacks comes with `undefined` in its place. */
  fullOuterJoin<K, V, W>(
    this: DStream<readonly [K, V]>,
    other: DStream<readonly [K, W]>,
    options?: ShuffleOptions,
  ): DStream<[K, [V | undefined, W | undefined]]> {
    return this.#pairUp('fullOuterJoin', other, options);
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
   * as it has records and expired keys, however many keys there are. */
  mapWithState<K, V, S, M>(
    this: DStream<readonly [K, V]>,
    spec: StateSpec<K, V, S, M>,
  ): StatefulDStream<K, S, Exclude<M, undefined | void>>;
  mapWithState<K, V, S, M>(
    this: DStream<readonly [K, V]>,
    f: StateFunction<K, V, S, M>,
    options?: MapWithStateOptions<K, S>,
  ): StatefulDStream<K, S, Exclude<M, undefined | void>>;
  mapWithState<K, V, S, M>(
    this: DStream<readonly [K, V]>,
    given: StateSpec<K, V, S, M> | StateFunction<K, V, S, M>,
    options?: MapWithStateOptions<K, S>,
  ): StatefulDStream<K, S, Exclude<M, undefined | void>> {
    const spec = given instanceof StateSpec ? given : new StateSpec(given, options ?? {});
    const { id, ...checked }: CheckedState = checkState('mapWithState', spec.f, spec.options);
    const request = { kind: 'mapWithState', id, parents: [this.id], ...checked } as const;
    return new StatefulDStream(this.#builder, this.#builder.add(request));
  }

  /** Writes the first `n` records of each batch to standard output. @param n 1 … 10,000. */
  print(n = 10, options?: OperatorOptions): void {
    const check = new OptionCheck('print');
    check.integer('the number of records', n, { min: 1, max: PRINT_RECORDS_MAX });
    check.finish();
    this.#output('print', { ...checkOperator('print', options), options: { n } });
  }

  /** Calls `f` on the driver for each batch, in order; the batch is done when its promise resolves.
   * After a crash a batch may come again, with the same content and the same time. */
  foreachBatch(
    f: (batch: Batch<T>, info: BatchInfo) => void | Promise<void>,
    options?: OperatorOptions,
  ): void {
    this.#callOutput('foreachBatch', f, options);
  }

  /** Calls `f` in an executor for each partition of each batch. A failed task calls it again. */
  foreachPartition(
    f: (records: Iterable<T>, info: PartitionInfo) => void | Promise<void>,
    options?: OperatorOptions,
  ): void {
    this.#callOutput('foreachPartition', f, options);
  }

  /** Writes each batch to a directory `<prefix>-<batch time>[.<suffix>]`, one line a record,
   * exactly one copy whatever crashes. A pair is written as `(key,value)`, another object as
   * JSON. */
  saveAsTextFiles(prefix: string, suffix?: string, options?: OperatorOptions): void {
    this.#fileOutput('saveAsTextFiles', { prefix, suffix }, options);
  }

  /** Like `saveAsTextFiles`, with each record as one line of JSON. */
  saveAsJsonFiles(prefix: string, suffix?: string, options?: OperatorOptions): void {
    this.#fileOutput('saveAsJsonFiles', { prefix, suffix }, options);
  }

  #derive<U>(
    kind: OperatorKind,
    node: {
      readonly id: string | undefined;
      readonly parents?: readonly string[];
      readonly options?: NodeOptions;
      readonly fn?: UserFunction | undefined;
      readonly initialState?: CheckedState['initialState'];
    },
  ): DStream<U> {
    const { parents = [this.id], options = {}, fn, ...rest } = node;
    const request = { kind, ...rest, parents, options, ...(fn === undefined ? {} : { fn }) };
    return new DStream<U>(this.#builder, this.#builder.add(request));
  }

  #narrow<U>(
    kind: KindOf<'narrow'>,
    fn: UserFunction | undefined,
    options: OperatorOptions | undefined,
  ): DStream<U> {
    const { id } = checkOperator(kind, options, kind === 'glom' ? [] : [fn]);
    return this.#derive(kind, { id, fn });
  }

  #shuffle<U>(
    kind: KindOf<'shuffle'>,
    given: ShuffleOptions | undefined,
    fn?: UserFunction,
  ): DStream<U> {
    return this.#derive(kind, { ...checkShuffle(kind, given), fn });
  }

  #pairUp<U, W>(
    kind: PairedKind,
    other: DStream<W>,
    given: ShuffleOptions | undefined,
  ): DStream<U> {
    const parents = [this.id, this.#idOf(kind, other)];
    return this.#derive(kind, { ...checkShuffle(kind, given), parents });
  }

  #output(
    kind: KindOf<'output'>,
    node: {
      readonly id: string | undefined;
      readonly options?: NodeOptions;
      readonly fn?: UserFunction;
    },
  ): void {
    this.#builder.add({ kind, parents: [this.id], ...node });
  }

  #callOutput(
    kind: 'foreachBatch' | 'foreachPartition',
    fn: UserFunction,
    options: OperatorOptions | undefined,
  ): void {
    const check = new OptionCheck(kind);
    check.function('the function', fn);
    check.finish();
    this.#output(kind, { ...checkOperator(kind, options), fn });
  }

  #fileOutput(
    kind: 'saveAsTextFiles' | 'saveAsJsonFiles',
    { prefix, suffix }: { readonly prefix: string; readonly suffix: string | undefined },
    options: OperatorOptions | undefined,
  ): void {
    const check = new OptionCheck(kind);
    check.text('prefix', prefix);
    if (suffix !== undefined) check.text('suffix', suffix);
    check.finish();
    this.#output(kind, {
      ...checkOperator(kind, options),
      options: { prefix, ...(suffix === undefined ? {} : { suffix }) },
    });
  }

  /** The id of another stream of this pipeline. */
  #idOf(kind: OperatorKind, other: unknown): string {
    if (other instanceof DStream && other.#builder === this.#builder) return other.id;
    throw new MillraceError(
      'PIPELINE_INVALID',
      `${kind} of ${this.id}: the other stream must be a stream of the same pipeline`,
    );
  }
}

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
