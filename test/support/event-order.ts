/** The order of one run's events, as it has to be: each batch is submitted, started and completed
 * once, and in between each of its output operations starts and ends once, in the order of the
 * pipeline; a receiver starts, then stops or restarts; after the end there is nothing. @module */
import type { EngineEvent } from '../../src/core/events.ts';

interface BatchProgress {
  state: 'submitted' | 'started' | 'completed';
  /** Index of the last output that started. */
  lastOutput: number;
  /** One has started and not ended. */
  isInOutput: boolean;
  hasFailed: boolean;
}

export class EventOrder {
  readonly #batches = new Map<number, BatchProgress>();
  readonly #receivers = new Set<string>();
  #hasEnded = false;

  /** @returns what is wrong with it. */
  hear(event: EngineEvent): string[] {
    const problems = this.#hasEnded ? [`${event.type} after the end of the run`] : [];
    if ('batchTimeMs' in event && event.batchTimeMs !== null) {
      const problem = this.#hearBatch(event);
      if (problem !== undefined) problems.push(`batch ${event.batchTimeMs}: ${problem}`);
    }
    if ('receiverIndex' in event) problems.push(...this.#hearReceiver(event));
    if (event.type === 'executor-died') {
      for (const name of event.receivers) this.#receivers.delete(name);
    }
    return problems;
  }

  /** Everything is closed. @param isWell without a failure. @throws what was not told. */
  ended(isWell: boolean): void {
    this.#hasEnded = true;
    const [receiver] = this.#receivers;
    if (receiver !== undefined)
      throw new Error(`receiver ${receiver} stopped, and nobody was told`);
    for (const [timeMs, { isInOutput, state }] of this.#batches) {
      if (isInOutput) throw new Error(`an output of batch ${timeMs} ended, and nobody was told`);
      if (isWell && state === 'started') throw new Error(`batch ${timeMs} was never completed`);
    }
  }

  #hearBatch(event: EngineEvent & { readonly batchTimeMs: number | null }): string | undefined {
    const timeMs = event.batchTimeMs ?? 0;
    const batch = this.#batches.get(timeMs);
    switch (event.type) {
      case 'batch-submitted':
        if (batch !== undefined) return 'submitted twice';
        this.#batches.set(timeMs, {
          state: 'submitted',
          lastOutput: -1,
          isInOutput: false,
          hasFailed: false,
        });
        return sumOf(event.inputs) === event.recordCount ? undefined : 'inputs and records differ';
      case 'batch-started':
        if (batch?.state !== 'submitted') return `started when ${batch?.state ?? 'unknown'}`;
        batch.state = 'started';
        return;
      case 'batch-completed':
        if (batch?.state !== 'started') return `completed when ${batch?.state ?? 'unknown'}`;
        batch.state = 'completed';
        return batch.isInOutput || batch.hasFailed
          ? 'completed with an unfinished output'
          : undefined;
      case 'output-operation-started':
      case 'output-operation-completed':
        return batch === undefined ? `${event.type} when unknown` : hearOutput(batch, event);
      default:
        return; // of a batch, and at any time
    }
  }

  #hearReceiver(
    event: EngineEvent & { readonly streamId: string; readonly receiverIndex: number },
  ): string[] {
    const name = `${event.streamId}/${event.receiverIndex}`;
    if (event.type === 'receiver-started') {
      if (this.#receivers.has(name)) return [`receiver ${name} started twice`];
      this.#receivers.add(name);
    }
    if (event.type === 'receiver-restarting') this.#receivers.delete(name);
    if (event.type === 'receiver-stopped' && !this.#receivers.delete(name)) {
      return [`receiver ${name} stopped and had not started`];
    }
    return [];
  }
}

type OutputEvent = Extract<EngineEvent, { readonly type: `output-operation-${string}` }>;

function hearOutput(batch: BatchProgress, event: OutputEvent): string | undefined {
  if (batch.state !== 'started' || batch.hasFailed) return `${event.type} when ${batch.state}`;
  if (event.type === 'output-operation-started') {
    if (batch.isInOutput) return 'two outputs at a time';
    if (event.outputIndex <= batch.lastOutput) return 'outputs out of order';
    batch.lastOutput = event.outputIndex;
    batch.isInOutput = true;
    return;
  }
  if (!batch.isInOutput || event.outputIndex !== batch.lastOutput) return 'another output ended';
  batch.isInOutput = false;
  batch.hasFailed = event.failureReason !== undefined;
  return;
}

function sumOf(inputs: readonly { readonly recordCount: number }[]): number {
  return inputs.reduce((sum, { recordCount }) => sum + recordCount, 0);
}
