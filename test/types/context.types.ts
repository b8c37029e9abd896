/** The types of a run: its life, its listeners. Checked by `npm run typecheck`, never run.
 * @module */
import { StreamingContext } from 'millrace';
import type {
  BatchTimeMs,
  ReceiverInfo,
  SlicedBatch,
  StreamingBatchInfo,
  StreamingListener,
} from 'millrace';

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

export async function sliced(context: StreamingContext): Promise<readonly string[]> {
  const unknowns: readonly SlicedBatch[] = await context.slice('words', 0, 1_000);
  const words: readonly SlicedBatch<string>[] = await context.slice<string>('words', 0, 1_000);
  const times: readonly BatchTimeMs[] = words.map(({ batchTime }) => batchTime);
  // @ts-expect-error records are of no known type unless it is given
  unknowns[0]?.records[0]?.length satisfies number | undefined;
  // @ts-expect-error both ends are given
  await context.slice('words', 0);
  return [...times.map(String), ...words.flatMap(({ records }) => records)];
}

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
