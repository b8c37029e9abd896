/** The `ssc` of a pipeline: its inputs. Exists in every thread while the graph is built.
 *
 * Only adds nodes; nothing is opened, and no factory is called here. Life cycle belongs to the
 * driver's StreamingContext.
 * @module */
import { MillraceError } from '../core/errors.ts';
import { DStream } from './dstream.ts';
import type { StatelessDStream } from './dstream.ts';
import type { GraphBuilder } from './graph-builder.ts';
import type { GraphNode, KindOf, UserFunction } from './graph.ts';
import {
  checkCustom,
  checkGenerator,
  checkHttp,
  checkQueue,
  checkSocket,
  checkTextFiles,
} from './input-options.ts';
import type {
  CheckedInput,
  GeneratorOptions,
  HttpTextOptions,
  InputOptions,
  ReceiverInputOptions,
} from './input-options.ts';
import { checkOperator } from './operator-options.ts';
import type { OperatorOptions } from './operator-options.ts';
import type { Receiver } from './receiver.ts';
import type { StreamScope, TransformFunction } from './stream-scope.ts';

/** Each of the streams with stateless operators only. */
type Stateless<S extends readonly unknown[]> = {
  readonly [I in keyof S]: S[I] extends DStream<infer T> ? StatelessDStream<T> : never;
};

export class PipelineContext {
  readonly #builder: GraphBuilder;

  /** Engine only: `definePipeline` hands one out. */
  constructor(builder: GraphBuilder) {
    this.#builder = builder;
  }

  /** Records of receivers of your own.
   * @param factory called in the receiver's executor only, once for each receiver and restart. */
  receiverStream<T>(factory: () => Receiver<T>, options?: ReceiverInputOptions): DStream<T> {
    return this.#input('receiverStream', checkCustom(factory, options), { fn: factory });
  }

  /** Lines that come by HTTP POST, answered when they are as durable as the input asks for. */
  httpTextStream(options: HttpTextOptions): DStream<string> {
    return this.#input('httpTextStream', checkHttp(options));
  }

  /** Lines of a TCP server, to which each receiver connects, again and again. At-least-once at
   * best: what the peer sent while the connection was lost is gone. */
  socketTextStream(host: string, port: number, options?: ReceiverInputOptions): DStream<string> {
    return this.#input('socketTextStream', checkSocket(host, port, options));
  }

  /** Lines of the files that are moved into a directory, each file in exactly one batch. */
  textFileStream(directory: string, options?: OperatorOptions): DStream<string> {
    return this.#input('textFileStream', checkTextFiles(directory, options));
  }

  /** One array of records for each batch, fixed here; empty batches follow. A restart goes on after
   * the last batch that was recorded. Every thread must build the same records. */
  queueStream<K, V>(
    batches: readonly (readonly (readonly [K, V])[])[],
    options?: OperatorOptions,
  ): DStream<[K, V]>;
  queueStream<T>(batches: readonly (readonly T[])[], options?: OperatorOptions): DStream<T>;
  queueStream<T>(batches: readonly (readonly T[])[], options?: OperatorOptions): DStream<T> {
    const checked = checkQueue(batches, options);
    return this.#input('queueStream', checked, { batches: batches.map((batch) => [...batch]) });
  }

  /** Made-up ASCII lines of the words `w0` … `w999`, the same for the same seed. */
  generatorStream(options?: GeneratorOptions): DStream<string> {
    return this.#input('generatorStream', checkGenerator(options));
  }

  /** The records of all streams, the partitions of the first one first. */
  union<T, In extends StreamScope = 'pipeline'>(
    streams: readonly DStream<T, In>[],
    options?: OperatorOptions,
  ): DStream<T, In> {
    const [first, ...others] = streams;
    if (first === undefined) {
      throw new MillraceError('PIPELINE_INVALID', 'union: give at least one stream');
    }
    const { id } = checkOperator('union', options);
    return first.unionAll(others, id);
  }

  /** What `f` makes of several streams with stateless operators. `f` gets them as one array, and
   * runs once, now, while the graph is built. */
  transform<const S extends readonly DStream<unknown>[], U>(
    streams: S,
    f: TransformFunction<[Stateless<S>], StatelessDStream<U>>,
  ): DStream<U> {
    const [first, ...others] = streams;
    if (first === undefined) {
      throw new MillraceError('PIPELINE_INVALID', 'transform: give at least one stream');
    }
    return first.transformAll(others, f, () => f(streams as Stateless<S>));
  }

  #input<T>(
    kind: KindOf<'input'>,
    { id, options }: CheckedInput<InputOptions>,
    content: {
      readonly fn?: UserFunction;
      readonly batches?: NonNullable<GraphNode['batches']>;
    } = {},
  ): DStream<T> {
    const nodeId = this.#builder.add({ kind, parents: [], id, options, ...content });
    return new DStream<T>(this.#builder, nodeId);
  }
}
