/** Backpressure: keeps, for each input with receivers, the rate that its batches have shown to be
 * right, and publishes what each receiver may take of it. Mirrors Spark's ReceiverRateController.
 *
 * The rate of an input is split evenly over its receivers (Spark tells each of them all of it).
 * `maxRate` is not known here: receivers keep to the smaller one. Rates are not kept over a
 * restart: another process may have another machine to itself. One writer: the driver. @module */
import type { Backpressure } from '../core/options-types.ts';
import type { EventBus } from '../core/events.ts';
import type { StreamId } from '../core/ids.ts';
import { shareRecordCount } from './batch-shares.ts';
import { PidRateEstimator } from './pid-rate-estimator.ts';
import type { BatchSpeed } from './pid-rate-estimator.ts';
import type { BatchShare } from './tracker-state.ts';

export interface RateControllerOptions {
  readonly settings: Backpressure;
  readonly batchIntervalMs: number;
  /** How many receivers each input has; inputs without receivers have no rate. */
  readonly receivers: ReadonlyMap<StreamId, number>;
  readonly events: EventBus;
  /** @param recordsPerSecond of each receiver. */
  readonly publish: (streamId: StreamId, recordsPerSecond: number) => void;
}

export class RateController {
  readonly #options: RateControllerOptions;
  readonly #estimators = new Map<StreamId, PidRateEstimator>();
  readonly #rates = new Map<StreamId, number>();

  constructor(options: RateControllerOptions) {
    this.#options = options;
    const { settings, batchIntervalMs, receivers } = options;
    for (const [streamId, receiverCount] of receivers) {
      if (receiverCount === 0) continue;
      this.#estimators.set(streamId, new PidRateEstimator(batchIntervalMs, settings));
      if (settings.initialRate === undefined) continue;
      this.#rates.set(streamId, settings.initialRate / receiverCount);
    }
  }

  /** Of each receiver, by input: what executors that start now go by. */
  get rates(): ReadonlyMap<StreamId, number> {
    return this.#rates;
  }

  /** A batch is done. */
  completed({ inputs }: Pick<BatchShare, 'inputs'>, speed: Omit<BatchSpeed, 'recordCount'>): void {
    for (const input of inputs) {
      if (input.kind !== 'blocks') continue;
      const recordCount = shareRecordCount([input]);
      const rate = this.#estimators.get(input.streamId)?.next({ ...speed, recordCount });
      if (rate !== undefined) this.#set(input.streamId, rate);
    }
  }

  #set(streamId: StreamId, rate: number): void {
    const { receivers, events, publish } = this.#options;
    const recordsPerSecond = rate / (receivers.get(streamId) ?? 1);
    if (recordsPerSecond === this.#rates.get(streamId)) return;
    this.#rates.set(streamId, recordsPerSecond);
    events.emit({ type: 'rate-changed', streamId, recordsPerSecond: rate });
    publish(streamId, recordsPerSecond);
  }
}
