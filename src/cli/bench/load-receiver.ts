/** The receiver of the built-in pipeline, which imports it (pipeline-text.ts).
 *
 * Owns its end of the channel from its start to its stop. @module */
import { channel } from 'node:diagnostics_channel';
import { performance } from 'node:perf_hooks';
import { BroadcastChannel } from 'node:worker_threads';
import { systemClock } from '../../core/clock.ts';
import { Receiver } from '../../dstream/receiver.ts';
import { makeLines } from '../../sources/generator-lines.ts';
import { LoadLoop } from './load-loop.ts';
import { COUNT_CHANNEL, LOAD_CHANNEL, callRecords } from './load-protocol.ts';
import type { LoadMessage } from './load-protocol.ts';

export { isSelected } from './load-protocol.ts';

export function loadReceiver(recordBytes: number): Receiver<string> {
  class LoadReceiver extends Receiver<string> {
    readonly #channel = new BroadcastChannel(LOAD_CHANNEL);
    #loop: LoadLoop | undefined;
    #running: Promise<void> = Promise.resolve();

    override onStart(): void {
      const loop = new LoadLoop({
        clock: systemClock,
        lines: makeLines(1, recordBytes).slice(0, callRecords(recordBytes)),
        store: (lines, position) =>
          this.store(lines, { position: { [`r${this.receiverIndex}`]: position } }),
        nextTurn: () => new Promise((resolve) => setImmediate(resolve)),
        busyShare: busyShareMeter(),
        onFailed: (error) => this.restart('records of the measurement were not stored', error),
      });
      this.#loop = loop;
      this.#channel.onmessage = (event: unknown) => {
        const { data } = event as { readonly data: LoadMessage };
        if (data.kind === 'order') loop.order(data);
      };
      this.#running = this.#run(loop);
    }

    override async onStop(): Promise<void> {
      this.#loop?.stop();
      await this.#running;
      this.#channel.close();
    }

    async #run(loop: LoadLoop): Promise<void> {
      const end = await loop.run();
      if (end === undefined) return;
      this.#channel.postMessage({ kind: 'ended', receiver: this.receiverIndex, ...end });
    }
  }
  return new LoadReceiver();
}

/** Tells how many lines of a batch were selected. On the driver. */
export function tellCount(counts: readonly number[]): void {
  channel(COUNT_CHANNEL).publish({ count: counts.reduce((sum, each) => sum + each, 0) });
}

function busyShareMeter(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}
