/** What the command tells the process that measures one sample of a cell. Plain data. @module */
import type { Cell } from './cell.ts';

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
