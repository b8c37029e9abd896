/** The options of a pipeline as its author writes them. Checked and completed in options.ts.
 * @module */
import type { Duration } from './duration.ts';
import type { StorageLevel } from './storage-level.ts';

/** Settings of backpressure; each has a default. Rates are records per second of a whole input. */
export interface BackpressureOptions {
  /** Weight of the last batch's speed against the rate before it, 0 to 100. @defaultValue 1.0 */
  readonly proportional?: number;
  /** Weight of what waits to be processed, 0 to 100. @defaultValue 0.2 */
  readonly integral?: number;
  /** Weight of how the error changes, 0 to 100. @defaultValue 0.0 */
  readonly derived?: number;
  /** The rate never falls below it: above 0. @defaultValue 100 */
  readonly minRate?: number;
  /** The rate before the first estimate, above 0. @defaultValue no limit, or `maxRate` */
  readonly initialRate?: number;
}

/** With a value for each setting. */
export interface Backpressure {
  readonly proportional: number;
  readonly integral: number;
  readonly derived: number;
  readonly minRate: number;
  /** Absent: receivers start without a rate. */
  readonly initialRate?: number;
}

/** Options of `definePipeline`. Flags of the command line win over them. */
export interface PipelineOptions {
  /** Names the pipeline in its directory, logs and messages: letters, digits, `.`, `_`, `-`. */
  readonly name: string;
  /** How often a batch is cut, 10 ms to 24 hours. @defaultValue 1 second */
  readonly batchInterval?: Duration;
  /** How often a receiver cuts a block; divides the batch interval, at least 5 ms.
   * @defaultValue 200 milliseconds, or less where that does not divide the batch interval */
  readonly blockInterval?: Duration;
  /** Task threads, 1 to 256. @defaultValue the number of cores */
  readonly executors?: number;
  /** Receiver threads, 1 to 64. @defaultValue one per input with receivers, at most 4 */
  readonly receiverExecutors?: number;
  /** Directory of logs and checkpoints; `false`: none, then nothing survives the process.
   * @defaultValue `./.millrace/<name>` */
  readonly checkpointDir?: string | false;
  /** A second directory, on another disk, that everything in `checkpointDir` is written to as well,
   * before anything is acknowledged; either one is enough to recover. @defaultValue none */
  readonly mirrorDir?: string | false;
  /** Take a directory on a network file system, where a sync and a lock mean what a server makes of
   * them. @defaultValue false: such a directory is refused */
  readonly allowNetworkFileSystem?: boolean;
  /** What an acknowledgement means. @defaultValue `sync`; `off` without a checkpoint directory */
  readonly durability?: 'sync' | 'flush' | 'off';
  /** Shared memory for blocks, in bytes or as `'64MiB'`, 16 MiB to 4 GiB. @defaultValue 512 MiB */
  readonly memory?: number | string;
  /** Where blocks wait until their batch has run; an input's own level wins.
   * @defaultValue `memory-and-disk`; `memory` for `generatorStream` */
  readonly storageLevel?: StorageLevel;
  /** Records that each receiver takes in a second, 1 to 1,000,000,000; a receiver that was idle may
   * take what comes in 200 ms at once. @defaultValue no limit */
  readonly maxRate?: number;
  /** Lets receivers take no more than the pipeline gets done: a rate for each input, found from the
   * batches that are done. `true`: with the defaults of BackpressureOptions.
   * @defaultValue false: only a full memory or disk holds sources back */
  readonly backpressure?: boolean | BackpressureOptions;
  /** Batches that may run at the same time, 1 to 16; each output still gets them in their order.
   * More than 1 only without windows and state. @defaultValue 1 */
  readonly concurrentBatches?: number;
  /** Batch times that were missed while the process was down: left out, so that one batch has all
   * that came meanwhile, or made up, each with a batch of its own.
   * @defaultValue `coalesce` */
  readonly catchUp?: 'coalesce' | 'replay';
  /** Shortest time between two checkpoints; batches without records have one a second at most.
   * @defaultValue the batch interval */
  readonly checkpointInterval?: Duration;
  /** How long the records of a batch stay in the log at least, so that a later version of the
   * pipeline can have longer windows from its first batch on; up to 7 days.
   * @defaultValue as long as some window looks back */
  readonly remember?: Duration;
  /** Tries of a task before its batch fails, 1 to 100. @defaultValue 4 */
  readonly maxTaskFailures?: number;
  /** How long a graceful stop may take. @defaultValue 60 seconds */
  readonly gracefulStopTimeout?: Duration;
  /** A block is cut when it holds this much, 4 KiB to 16 MiB; at most 1/16 of `memory` and 1/8 of
   * `receiverSegmentBytes`. @defaultValue 1 MiB, or less where these are small */
  readonly blockBytesMax?: number | string;
  /** Idempotency keys that each input remembers, the newest ones. @defaultValue 100,000 */
  readonly idempotencyKeysMax?: number;
  /** Length of one file of a receiver log, 64 KiB to 1 GiB, a multiple of 4 KiB.
   * @defaultValue 64 MiB */
  readonly receiverSegmentBytes?: number | string;
  /** Length of one file of the driver log, 64 KiB to 1 GiB, a multiple of 4 KiB.
   * @defaultValue 16 MiB */
  readonly driverSegmentBytes?: number | string;
  /** After a failed write or sync of a receiver log: stop with exit code 74, or go on with a fresh
   * log in `quarantineDir`. A failed driver log always stops. @defaultValue `stop` */
  readonly onWalFailure?: 'stop' | 'quarantine';
  /** Directory on another disk, for `onWalFailure: 'quarantine'`; pipelines may share it. */
  readonly quarantineDir?: string;
}
