/** One twin of a test of Spark's: its inputs, its operators, and what each batch must have.
 *
 * The same case runs inline (operators.test.ts) and in an engine with threads, for which the text of
 * `build` is written into a pipeline module (test/integration/spark-operators.test.ts): it names
 * nothing outside itself. Inputs are what JSON can hold.
 * @module */
import type { DStream } from '../../src/dstream/dstream.ts';
import type { Batches, PairBatches } from '../../src/testing/kit/test-stream.ts';

export type BuildCase = (...streams: DStream<never>[]) => DStream<unknown>;

export interface SparkCase {
  readonly name: string;
  /** One, or two for an operator of two streams. */
  readonly inputs: readonly Batches<unknown>[];
  readonly build: BuildCase;
  readonly expected: Batches<unknown>;
  /** The result tells how records were dealt to partitions: two contiguous halves. */
  readonly isOfHalves: boolean;
}

interface Twin<U> {
  readonly name: string;
  readonly expected: Batches<NoInfer<U>>;
  readonly isOfHalves?: true;
}

interface One<T, S, U> extends Twin<U> {
  readonly input: T;
  readonly build: (stream: DStream<S>) => DStream<U>;
}

interface Two<T, S, T2, S2, U> extends Twin<U> {
  readonly left: T;
  readonly right: T2;
  readonly build: (left: DStream<S>, right: DStream<S2>) => DStream<U>;
}

/** A case of one stream. */
export function one<T, U>(twin: One<Batches<T>, T, U>): SparkCase {
  const { name, expected, input, build, isOfHalves = false } = twin;
  return { name, expected, inputs: [input], build, isOfHalves };
}

/** A case of one stream of pairs. */
export function onePairs<K, V, U>(twin: One<PairBatches<K, V>, [K, V], U>): SparkCase {
  const { name, expected, input, build, isOfHalves = false } = twin;
  return { name, expected, inputs: [input], build, isOfHalves };
}

/** A case of two streams. */
export function two<T, S, U>(twin: Two<Batches<T>, T, Batches<S>, S, U>): SparkCase {
  const { name, expected, left, right, build, isOfHalves = false } = twin;
  return { name, expected, inputs: [left, right], build, isOfHalves };
}
