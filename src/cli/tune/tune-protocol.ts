/** What the command tells the process that measures one sample of a setting, and what the threads
 * in it tell each other. Plain data. @module */
import type { RunOptions } from '../../driver/run-options.ts';
import type { Setting } from './setting.ts';

/** What stands in for inputs and outputs of the pipeline. */
export interface Replacements {
  /** Outputs count and drop their records. */
  readonly dropsOutputs: boolean;
  /** A file of lines, absolute, in place of every input of text that has receivers. */
  readonly linesFile?: string;
  /** Inputs of lines wait at this level; absent: at that of the pipeline. */
  readonly linesLevel?: 'memory';
}

export interface TuneTask {
  readonly setting: Setting;
  /** Of all receivers together; absent: as many as get done, by backpressure. */
  readonly wantedRate?: number;
  /** Records a second of each input, with which backpressure begins. */
  readonly initialRate: number;
  /** Path of the pipeline module. */
  readonly pipeline: string;
  /** Of this sample, gone after it. */
  readonly directory: string;
  /** In it. */
  readonly checkpointDir: string | false;
  /** Of the run, beside the setting; plain data. */
  readonly options: Omit<RunOptions, 'signal' | 'printLine' | 'onEvent'>;
  /** Over all inputs. */
  readonly receivers: number;
  /** Of the inputs with receivers. */
  readonly inputIds: readonly string[];
  readonly isSourceEndless: boolean;
  /** After so many batches windows have the same work again; 1 without slides. */
  readonly slideBatches: number;
  /** `--lines` is not given, and could stand in for the inputs: worth a hint. */
  readonly takesLines: boolean;
  /** With `--lines`: receivers answer how long acknowledgements took. */
  readonly hasAckTimes: boolean;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** In the driver: records that a batch had for one output. */
export const DROPPED_CHANNEL = 'millrace:tune:dropped';

export interface Dropped {
  readonly recordCount: number;
}

/** Between the driver's thread and those of receivers of lines. */
export const ACK_CHANNEL = 'millrace-tune-acks';

/** `begin`: forget what was timed. `tell`: answer with `acks`. */
export type AckMessage =
  | { readonly kind: 'begin' | 'tell' }
  | { readonly kind: 'acks'; readonly ackMs: readonly number[] };
