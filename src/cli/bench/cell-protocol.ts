/** What the command tells the process that measures one sample, and what comes back. Plain data.
 * @module */
import type { WireError } from '../../serde/wire-error.ts';
import type { Cell } from './cell.ts';
import type { CellSample } from './cell-sample.ts';

export interface CellTask {
  readonly cell: Cell;
  /** Path of the pipeline module. */
  readonly pipeline: string;
  readonly checkpointDir: string;
  readonly batchIntervalMs: number;
  readonly warmUpMs: number;
  readonly fullMs: number;
  readonly halfMs: number;
  readonly memoryBytes: number;
}

export type CellAnswer =
  | { readonly kind: 'measured'; readonly sample: CellSample }
  | { readonly kind: 'failed'; readonly error: WireError };
