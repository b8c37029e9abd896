/** The public API of millrace: what a pipeline module imports, and nothing else.
 *
 * To read the engine, begin here and at driver/stream-context.ts.
 * @module */
export { milliseconds, minutes, seconds } from './core/duration.ts';
export type { Duration } from './core/duration.ts';
export { MillraceError } from './core/errors.ts';
export type { ErrorClass, ErrorCode, ErrorDetails } from './core/errors.ts';
export type { BatchTimeMs, StreamId } from './core/ids.ts';
export type { ResolvedOptions } from './core/options.ts';
export type { BackpressureOptions, PipelineOptions } from './core/options-types.ts';
export type { DurabilityLevel, PositionValue } from './blocks/block-ref.ts';
export type { Batch, BatchInfo, PartitionInfo, SlicedBatch } from './dstream/batch.ts';
export type { DedupeOptions } from './dstream/dedupe-operator.ts';
export { DStream, StatefulDStream } from './dstream/dstream.ts';
export type { StatelessDStream } from './dstream/dstream.ts';
export type {
  GeneratorOptions,
  HttpTextOptions,
  ReceiverInputOptions,
} from './dstream/input-options.ts';
export type { OperatorOptions, ShuffleOptions, SyncResult } from './dstream/operator-options.ts';
export { PipelineContext } from './dstream/pipeline-context.ts';
export { definePipeline, isPipelineDefinition } from './dstream/pipeline.ts';
export type { BuildPipeline, PipelineDefinition } from './dstream/pipeline.ts';
export { Receiver } from './dstream/receiver.ts';
export type { ClaimOutcome, SourcePositions, StoreOptions } from './dstream/receiver.ts';
export type { PartitionWriter, Sink, SinkBatch, SinkGuarantee, SinkOwner } from './dstream/sink.ts';
export { StateSpec, stateSpec } from './dstream/state-spec.ts';
export type {
  KeyedStateOptions,
  MapWithStateOptions,
  State,
  StateFunction,
} from './dstream/state-spec.ts';
export type { InverseWindowOptions } from './dstream/window-operators.ts';
export type { StreamScope } from './dstream/stream-scope.ts';
export { postgresSink } from './sinks/postgres-sink.ts';
export type { PostgresSinkOptions } from './sinks/postgres-sink.ts';
export type { PostgresRow, PostgresValue } from './sinks/postgres-values.ts';
export { sqliteSink } from './sinks/sqlite-sink.ts';
export type { SqliteSinkOptions } from './sinks/sqlite-sink.ts';
export type { SqliteRow, SqliteValue } from './sinks/sqlite-values.ts';
export { StreamingContext } from './driver/stream-context.ts';
export type { StreamingContextState } from './driver/stream-context.ts';
export type {
  OutputOperationInfo,
  ReceiverInfo,
  StreamingBatchInfo,
  StreamingListener,
} from './driver/streaming-listener.ts';
export type { RunOptions } from './driver/run-options.ts';
export type { EngineTotals } from './driver/engine.ts';
export type { LogStats, ReceiverExecutorStats } from './workers/protocol.ts';
export type { EngineEvent, EngineListener, ReceivedInput } from './core/events.ts';
