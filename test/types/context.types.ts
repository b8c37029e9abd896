/** The types of a run: its life, its listeners. Checked by `npm run typecheck`, never run.
 * @module */
import { StreamingContext } from 'millrace';
import type { ReceiverInfo, StreamingBatchInfo, StreamingListener } from 'millrace';

export class Delays implements StreamingListener {
  readonly delaysMs: number[] = [];

  onBatchCompleted({ totalDelayMs, outputOperations }: StreamingBatchInfo): void {
    if (totalDelayMs !== undefined) this.delaysMs.push(totalDelayMs);
    for (const { failureReason } of outputOperations) {
      const reason: string | undefined = failureReason;
      this.delaysMs.push(reason === undefined ? 0 : reason.length);
    }
  }

  onReceiverError({ name, active, lastErrorMessage }: ReceiverInfo): string {
    return `${name} ${active ? 'runs' : 'stopped'}: ${lastErrorMessage ?? ''}`;
  }
}

export const listeners: StreamingListener[] = [
  {},
  new Delays(),
  { onBatchStarted: ({ batchTimeMs }) => void batchTimeMs },
  // @ts-expect-error there is no such event
  { onBatchEnded: () => {} },
  // @ts-expect-error a batch has no such part
  { onBatchSubmitted: ({ totalDelay }) => void totalDelay },
];

export async function life(context: StreamingContext): Promise<string> {
  const active: StreamingContext | undefined = StreamingContext.getActive();
  context.addStreamingListener(new Delays());
  // @ts-expect-error a listener is an object
  context.addStreamingListener(() => {});
  const hasEnded: boolean = await context.awaitTermination({ timeout: '1s' });
  // @ts-expect-error no duration
  await context.awaitTermination({ timeout: true });
  switch ((active ?? context).getState()) {
    case 'initialized':
      return 'start it';
    case 'active':
      return hasEnded ? 'never' : 'running';
    case 'stopped':
      return 'over';
  }
}
