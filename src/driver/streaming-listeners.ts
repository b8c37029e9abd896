/** Turns events into calls of `StreamingListener`s. Keeps what a call tells beyond its event: each
 * unfinished batch, each receiver; so its memory is bounded by those, and a listener that comes
 * late is told the whole. While there is none, events of batches are only kept, and made into what
 * listeners are told when the first one comes. Nothing is queued: a call is made when its event is
 * emitted, and what an asynchronous listener holds is its own.
 * @module */
import type { Clock } from '../core/clock.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { EngineEvent, EventBus } from '../core/events.ts';
import { receiverKey } from '../core/ids.ts';
import type { BatchTimeMs, StreamId } from '../core/ids.ts';
import type { Graph, GraphNode } from '../dstream/graph.ts';
import type {
  OutputOperationInfo,
  ReceiverInfo,
  StreamingBatchInfo,
  StreamingListener,
} from './streaming-listener.ts';

type EventOf<T extends EngineEvent['type']> = Extract<EngineEvent, { readonly type: T }>;
type Method = keyof StreamingListener;

type BatchEvent = EventOf<
  | 'batch-submitted'
  | 'batch-started'
  | 'output-operation-started'
  | 'output-operation-completed'
  | 'batch-completed'
>;

/** An event, and when it was. */
interface Heard {
  readonly event: BatchEvent;
  readonly wallMs: number;
}

/** Each of them: a method that is missing here does not compile. */
const METHODS: Readonly<Record<Method, true>> = {
  onStreamingStarted: true,
  onReceiverStarted: true,
  onReceiverError: true,
  onReceiverStopped: true,
  onBatchSubmitted: true,
  onBatchStarted: true,
  onBatchCompleted: true,
  onOutputOperationStarted: true,
  onOutputOperationCompleted: true,
};

export interface StreamingListenersOptions {
  readonly events: EventBus;
  readonly clock: Clock;
  readonly graph: Graph;
}

export class StreamingListeners {
  readonly #options: StreamingListenersOptions;
  /** With the name by which a warning calls it. */
  readonly #listeners = new Map<StreamingListener, string>();
  /** Those whose error has been told. */
  readonly #faulty = new WeakSet<StreamingListener>();
  readonly #batches = new Map<BatchTimeMs, StreamingBatchInfo>();
  /** Of unfinished batches, in order: what came while nobody listened. */
  #kept: Heard[] = [];
  readonly #receivers = new Map<string, ReceiverInfo>();
  #addedCount = 0;

  /** Listens from now on. */
  constructor(options: StreamingListenersOptions) {
    this.#options = options;
    options.events.subscribe((event) => this.#hear(event));
  }

  /** One that is added twice is called once.
   * @throws {MillraceError} OPTIONS_INVALID: none of its methods would ever be called. */
  add(listener: StreamingListener): void {
    requireListener(listener);
    if (this.#listeners.has(listener)) return;
    // Before there is anybody to call.
    for (const heard of this.#kept.splice(0)) this.#hearBatch(heard);
    this.#addedCount += 1;
    this.#listeners.set(listener, nameOf(listener, this.#addedCount));
  }

  remove(listener: StreamingListener): void {
    this.#listeners.delete(listener);
  }

  #hear(event: EngineEvent): void {
    switch (event.type) {
      case 'engine-started':
        return this.#call('onStreamingStarted', { timeMs: this.#options.clock.wallMs() });
      case 'batch-submitted':
      case 'batch-started':
      case 'output-operation-started':
      case 'output-operation-completed':
      case 'batch-completed': {
        const heard = { event, wallMs: this.#options.clock.wallMs() };
        return this.#listeners.size === 0 ? this.#keep(heard) : this.#hearBatch(heard);
      }
      default:
        return this.#hearReceivers(event);
    }
  }

  #keep(heard: Heard): void {
    const { type, batchTimeMs } = heard.event;
    if (type !== 'batch-completed') return void this.#kept.push(heard);
    this.#kept = this.#kept.filter(({ event }) => event.batchTimeMs !== batchTimeMs);
    this.#batches.delete(batchTimeMs);
  }

  #hearBatch({ event, wallMs }: Heard): void {
    switch (event.type) {
      case 'batch-submitted':
        return this.#submitted(event, wallMs);
      case 'batch-started':
        return this.#started(event, wallMs);
      case 'output-operation-started':
        return this.#outputStarted(event, wallMs);
      case 'output-operation-completed':
        return this.#outputCompleted(event);
      case 'batch-completed':
        return this.#completed(event);
      default:
        event satisfies never;
    }
  }

  #hearReceivers(event: EngineEvent): void {
    switch (event.type) {
      case 'receiver-started': {
        const { executor, address } = event;
        const at = address === undefined ? {} : { address };
        const receiver = this.#receiver(event, { active: true, executor, ...at });
        return this.#call('onReceiverStarted', receiver);
      }
      case 'receiver-error':
        return this.#call('onReceiverError', this.#receiver(event, this.#errorOf(event)));
      case 'receiver-restarting':
        return this.#receiverStopped(event, this.#errorOf({ message: event.reason }));
      case 'receiver-ended':
      case 'receiver-stopped':
        return this.#receiverStopped(event, {});
      case 'executor-died':
        for (const receiver of this.#receivers.values()) {
          if (!event.receivers.includes(receiver.name)) continue;
          const message = `${event.executor} died`;
          this.#receiverStopped(receiver, this.#errorOf({ message, error: event.error }));
        }
        return;
      default:
        return; // not of those that listeners hear
    }
  }

  #submitted(event: EventOf<'batch-submitted'>, submissionTimeMs: number): void {
    const { batchTimeMs, inputs, recordCount } = event;
    const counts = { inputs, recordCount, submissionTimeMs, outputOperations: [] };
    this.#call('onBatchSubmitted', this.#batch(batchTimeMs, { batchTimeMs, ...counts }));
  }

  #started(event: EventOf<'batch-started'>, processingStartTimeMs: number): void {
    const { batchTimeMs, schedulingDelayMs } = event;
    const change = { processingStartTimeMs, schedulingDelayMs };
    this.#call('onBatchStarted', this.#batch(batchTimeMs, change));
  }

  #completed(event: EventOf<'batch-completed'>): void {
    const { batchTimeMs, schedulingDelayMs, processingMs } = event;
    const { processingStartTimeMs = 0 } = this.#batches.get(batchTimeMs) ?? {};
    const batch = this.#batch(batchTimeMs, {
      processingEndTimeMs: processingStartTimeMs + processingMs,
      processingDelayMs: processingMs,
      totalDelayMs: schedulingDelayMs + processingMs,
    });
    this.#batches.delete(batchTimeMs);
    this.#call('onBatchCompleted', batch);
  }

  #outputStarted(event: EventOf<'output-operation-started'>, startTimeMs: number): void {
    const { batchTimeMs, outputIndex: id, outputId: name } = event;
    const description = describeOutput(this.#options.graph.node(name));
    const output = { batchTimeMs, id, name, description, startTimeMs };
    const { outputOperations = [] } = this.#batches.get(batchTimeMs) ?? {};
    this.#batch(batchTimeMs, { outputOperations: [...outputOperations, output] });
    this.#call('onOutputOperationStarted', output);
  }

  #outputCompleted(event: EventOf<'output-operation-completed'>): void {
    const { batchTimeMs, outputIndex, durationMs, failureReason } = event;
    const { outputOperations = [] } = this.#batches.get(batchTimeMs) ?? {};
    const before = outputOperations.find(({ id }) => id === outputIndex);
    if (before === undefined) return;
    const endTimeMs = before.startTimeMs + durationMs;
    const reason = failureReason === undefined ? {} : { failureReason };
    const output: OutputOperationInfo = { ...before, endTimeMs, ...reason };
    const changed = outputOperations.map((each) => (each === before ? output : each));
    this.#batch(batchTimeMs, { outputOperations: changed });
    this.#call('onOutputOperationCompleted', output);
  }

  /** Takes a change down. */
  #batch(batchTimeMs: BatchTimeMs, change: Partial<StreamingBatchInfo>): StreamingBatchInfo {
    const before = this.#batches.get(batchTimeMs);
    const batch = { ...(before as StreamingBatchInfo), ...change };
    this.#batches.set(batchTimeMs, batch);
    return batch;
  }

  /** Takes a change down. */
  #receiver(
    { streamId, receiverIndex }: { readonly streamId: StreamId; readonly receiverIndex: number },
    change: Partial<ReceiverInfo>,
  ): ReceiverInfo {
    const name = receiverKey(streamId, receiverIndex);
    const before = this.#receivers.get(name) ?? { active: false };
    const receiver = { ...before, streamId, receiverIndex, name, ...change };
    this.#receivers.set(name, receiver);
    return receiver;
  }

  /** Told once, whatever follows its end; and not of one that never came to run. */
  #receiverStopped(
    which: { readonly streamId: StreamId; readonly receiverIndex: number },
    change: Partial<ReceiverInfo>,
  ): void {
    const { active } = this.#receiver(which, {});
    const receiver = this.#receiver(which, { ...change, active: false });
    if (active) this.#call('onReceiverStopped', receiver);
  }

  #errorOf({ message, error }: { readonly message: string; readonly error?: string }) {
    const lastErrorTimeMs = this.#options.clock.wallMs();
    return { lastErrorMessage: message, lastError: error ?? message, lastErrorTimeMs };
  }

  #call<M extends Method>(method: M, told: Parameters<NonNullable<StreamingListener[M]>>[0]): void {
    // One that another has just removed hears nothing more.
    for (const listener of this.#listeners.keys()) {
      try {
        const call = listener[method] as ((told: unknown) => unknown) | undefined;
        const returned = call?.call(listener, told);
        if (returned instanceof Promise) {
          returned.catch((error: unknown) => this.#threw(listener, method, error));
        }
      } catch (error) {
        this.#threw(listener, method, error);
      }
    }
  }

  #threw(listener: StreamingListener, method: Method, error: unknown): void {
    if (this.#faulty.has(listener)) return;
    this.#faulty.add(listener);
    const name = this.#listeners.get(listener) ?? 'a StreamingListener that was removed';
    const message =
      `${name} failed in ${method}: ${toError(error).message}; ` +
      'it goes on to be called, and further errors of it are not told';
    this.#options.events.emit({ type: 'warning', message });
  }
}

/** Objects without a class of their own are told by their number. */
function nameOf(listener: StreamingListener, n: number): string {
  const { name } = listener.constructor;
  return name === '' || name === 'Object' ? `StreamingListener ${n}` : `StreamingListener ${name}`;
}

/** `print(10)`, `saveAsTextFiles(out/counts)`, `foreachBatch`. */
function describeOutput({ kind, options }: GraphNode): string {
  const shown = Object.values(options).filter((value) => value !== '');
  return shown.length === 0 ? kind : `${kind}(${shown.map(String).join(', ')})`;
}

function requireListener(listener: unknown): void {
  const methods = Object(listener) as Readonly<Record<string, unknown>>;
  const names = Object.keys(METHODS);
  if (names.some((name) => typeof methods[name] === 'function')) return;
  throw new MillraceError(
    'OPTIONS_INVALID',
    `addStreamingListener(): a listener is an object with one or more of ${names.join(', ')}`,
  );
}
