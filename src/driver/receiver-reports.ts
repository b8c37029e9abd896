/** What receivers say of themselves, as events of the engine, and what the driver remembers of it:
 * which ever started, which run, whose source has ended. Decides nothing about their lives.
 *
 * `receiver-stopped` comes once for each that runs, also when its thread had no time to say so.
 * @module */
import type { EventBus } from '../core/events.ts';
import { receiverKey } from '../core/ids.ts';
import type { StreamId } from '../core/ids.ts';
import type { ReceiverEvent } from '../workers/protocol.ts';

/** Which receiver. */
interface Place {
  readonly streamId: StreamId;
  readonly receiverIndex: number;
}

export class ReceiverReports {
  readonly #events: EventBus;
  readonly #started = new Set<string>();
  readonly #running = new Map<string, Place>();
  readonly #ended = new Set<string>();

  constructor(events: EventBus) {
    this.#events = events;
  }

  /** True when it has run in this process. */
  hasStarted(place: Place): boolean {
    return this.#started.has(placeKey(place));
  }

  /** True when it has said that its source has ended, in its present life. */
  hasEnded(place: Place): boolean {
    return this.#ended.has(placeKey(place));
  }

  /** A new life: a source that ended may have more to send after what was lost with the old one. */
  begins(place: Place): void {
    this.#ended.delete(placeKey(place));
  }

  /** @param executor the thread that it runs in. */
  tell({ streamId, receiverIndex }: Place, executor: string, event: ReceiverEvent): void {
    const which = { streamId, receiverIndex };
    switch (event.kind) {
      case 'started': {
        const address = event.address === undefined ? {} : { address: event.address };
        this.#started.add(placeKey(which));
        this.#running.set(placeKey(which), which);
        return this.#events.emit({ type: 'receiver-started', ...which, executor, ...address });
      }
      case 'ended':
        this.#ended.add(placeKey(which));
        return this.#events.emit({ type: 'receiver-ended', ...which });
      case 'error': {
        const { message } = event;
        const error = event.error === undefined ? {} : { error: event.error.message };
        return this.#events.emit({ type: 'receiver-error', ...which, message, ...error });
      }
      case 'restarting': {
        const { reason, delayMs } = event;
        this.#running.delete(placeKey(which));
        return this.#events.emit({ type: 'receiver-restarting', ...which, reason, delayMs });
      }
      case 'stopped':
        return this.#stopped(which);
    }
  }

  executorDied(executor: string, places: readonly Place[], error: string): void {
    for (const place of places) this.#running.delete(placeKey(place));
    const receivers = places.map(placeKey);
    this.#events.emit({ type: 'executor-died', executor, receivers, error });
  }

  /** Their threads have ended, whatever they had the time to say. */
  allStopped(): void {
    for (const place of this.#running.values()) this.#stopped(place);
  }

  #stopped(place: Place): void {
    if (this.#running.delete(placeKey(place))) {
      this.#events.emit({ type: 'receiver-stopped', ...place });
    }
  }
}

/** Names a receiver where texts are wanted. */
export function placeKey({ streamId, receiverIndex }: Place): string {
  return receiverKey(streamId, receiverIndex);
}
