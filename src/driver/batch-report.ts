/** Tells how one batch goes, as events: started, each output operation, completed. Each comes once
 * and in this order, whatever other batches do meanwhile; what was started and failed is completed
 * with a reason, and its batch never is. Decides nothing.
 * @module */
import type { Clock } from '../core/clock.ts';
import { toError } from '../core/errors.ts';
import type { EventBus, ReceivedInput } from '../core/events.ts';
import type { MonotonicMs } from '../core/ids.ts';
import { shareRecordCount } from './batch-shares.ts';
import type { BatchShare, InputShare } from './tracker-state.ts';

export interface BatchReportOptions {
  readonly clock: Clock;
  readonly events: EventBus;
}

/** A batch is given to the scheduler. */
export function tellSubmitted({ inputs, batchTimeMs }: BatchShare, events: EventBus): void {
  const received = inputs.map(receivedOf);
  const blockCount = received.reduce((sum, input) => sum + input.blockCount, 0);
  const recordCount = shareRecordCount(inputs);
  const counts = { recordCount, blockCount, inputs: received };
  events.emit({ type: 'batch-submitted', batchTimeMs, ...counts });
}

export class BatchReport {
  readonly #share: BatchShare;
  readonly #options: BatchReportOptions;
  readonly #startedMs: MonotonicMs;
  readonly #schedulingDelayMs: number;

  /** Made when the batch starts. */
  constructor(share: BatchShare, options: BatchReportOptions) {
    this.#share = share;
    this.#options = options;
    const { clock, events } = options;
    const { batchTimeMs } = share;
    this.#startedMs = clock.monotonicMs();
    this.#schedulingDelayMs = Math.max(0, clock.wallMs() - batchTimeMs);
    const schedulingDelayMs = this.#schedulingDelayMs;
    events.emit({ type: 'batch-started', batchTimeMs, schedulingDelayMs });
  }

  /** Runs one output operation and tells of it. @param output its place in the graph's outputs. */
  async output(
    { outputId, outputIndex }: { readonly outputId: string; readonly outputIndex: number },
    run: () => Promise<void>,
  ): Promise<void> {
    const { clock, events } = this.#options;
    const { batchTimeMs } = this.#share;
    const which = { batchTimeMs, outputId, outputIndex };
    const startedMs = clock.monotonicMs();
    const tellCompleted = (failure: { readonly failureReason?: string }): void => {
      const durationMs = clock.monotonicMs() - startedMs;
      events.emit({ type: 'output-operation-completed', ...which, durationMs, ...failure });
    };
    events.emit({ type: 'output-operation-started', ...which });
    try {
      await run();
    } catch (error) {
      tellCompleted({ failureReason: toError(error).message });
      throw error;
    }
    tellCompleted({});
  }

  /** All of its outputs are durable. */
  completed(): void {
    const { clock, events } = this.#options;
    const { batchTimeMs, inputs } = this.#share;
    events.emit({
      type: 'batch-completed',
      batchTimeMs,
      recordCount: shareRecordCount(inputs),
      schedulingDelayMs: this.#schedulingDelayMs,
      processingMs: clock.monotonicMs() - this.#startedMs,
    });
  }
}

function receivedOf(input: InputShare): ReceivedInput {
  return {
    streamId: input.streamId,
    recordCount: shareRecordCount([input]),
    blockCount: input.kind === 'blocks' ? input.blocks.length : 0,
    fileCount: input.kind === 'files' ? input.files.length : 0,
  };
}
