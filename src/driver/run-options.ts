/** What a run is told besides its pipeline. @module */
import type { Clock } from '../core/clock.ts';
import type { CrashPlan } from '../core/crash-point.ts';
import type { EngineListener } from '../core/events.ts';
import type { PipelineOptions } from '../core/options-types.ts';
import type { Disk } from '../wal/disk.ts';

/** Options of one run; each wins over the module's own. */
export type RunOptions = Partial<Omit<PipelineOptions, 'name' | 'checkpointDir'>> & {
  /** Aborting it stops the run gracefully. */
  readonly signal?: AbortSignal;
  /** It may be started while another context of this process is active. @defaultValue false */
  readonly allowOtherContexts?: boolean;
  /** Stop gracefully after so many batches. */
  readonly batches?: number;
  /** Ids of operators whose state may be given up where it does not fit the pipeline any more: else
   * such a start is refused. What fits is kept all the same. @defaultValue none */
  readonly dropState?: readonly string[];
  /** Where `print()` writes its lines. @defaultValue standard output */
  readonly printLine?: (line: string) => void;
  /** Hears everything that happens, from the start on. */
  readonly onEvent?: EngineListener;
};

/** What only tests set. */
export interface InternalOptions {
  /** Of the driver: checkpoints and its log. Receivers open the real one. */
  readonly disk?: Disk;
  readonly clock?: Clock;
  readonly crash?: { readonly receivers?: CrashPlan; readonly tasks?: CrashPlan };
}
