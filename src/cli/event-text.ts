/** Engine events in words, and how loud each is. Pure.
 * @module */
import { formatBytes } from '../core/bytes.ts';
import type { EngineEvent } from '../core/events.ts';
import type { LogLevel } from './talk.ts';

export function eventLevel(event: EngineEvent): LogLevel {
  switch (event.type) {
    case 'batch-submitted':
    case 'batch-started':
    case 'output-operation-started':
    case 'output-operation-completed':
    case 'batch-completed':
    case 'receiver-stopped':
    case 'checkpoint-written':
    case 'state-snapshot-written':
    case 'rate-changed':
      return 'debug';
    case 'engine-recovered':
      // Something was left behind that a reader of the log may look for.
      return event.dropped > 0 || event.tornTails.length > 0 ? 'warn' : 'info';
    case 'engine-started':
    case 'engine-stopping':
    case 'receiver-started':
    case 'receiver-ended':
    case 'sources-released':
    case 'copy-restored':
    case 'state-restored':
      return 'info';
    case 'receiver-error':
    case 'receiver-restarting':
    case 'executor-died':
    case 'task-failed':
    case 'checkpoint-skipped':
    case 'copy-restoring':
    case 'blocks-lost':
    case 'sources-held':
    case 'checkpoint-postponed':
    case 'log-quarantined':
    case 'warning':
      return 'warn';
    default:
      return event satisfies never;
  }
}

/** One sentence without a newline at its end. */
export function eventText(event: EngineEvent): string {
  switch (event.type) {
    case 'engine-started':
    case 'engine-recovered':
    case 'engine-stopping':
      return engineText(event);
    case 'receiver-started':
      return event.address === undefined
        ? `receiver ${receiver(event)} has started`
        : `receiver ${receiver(event)} takes records at ${event.address}`;
    case 'receiver-ended':
      return `receiver ${receiver(event)}: its source has ended`;
    case 'receiver-stopped':
      return `receiver ${receiver(event)} has stopped`;
    case 'receiver-error':
      return `receiver ${receiver(event)}: ${event.message}${because(event.error)}`;
    case 'receiver-restarting':
      return `receiver ${receiver(event)} restarts in ${event.delayMs} ms: ${event.reason}`;
    case 'executor-died':
      return `${event.executor} died: ${event.error}; it is replaced`;
    case 'batch-submitted':
    case 'batch-started':
    case 'batch-completed':
      return batchText(event);
    case 'output-operation-started':
      return `batch ${event.batchTimeMs}: ${event.outputId} started`;
    case 'output-operation-completed':
      return (
        `batch ${event.batchTimeMs}: ${event.outputId} ` +
        (event.failureReason === undefined
          ? `completed in ${rounded(event.durationMs)} ms`
          : `failed after ${rounded(event.durationMs)} ms: ${event.failureReason}`)
      );
    case 'task-failed':
      return `try ${event.attempt + 1} of a task of ${event.outputId} failed: ${event.error}`;
    case 'rate-changed':
      return `input ${event.streamId} may send ${rounded(event.recordsPerSecond)} records a second`;
    case 'checkpoint-written':
      return `checkpoint ${event.seq} written (${event.bytes} bytes)`;
    case 'state-snapshot-written':
    case 'state-restored':
      return stateText(event);
    case 'checkpoint-skipped':
      return `checkpoint ${event.path} is not used: ${event.reason}`;
    case 'copy-restoring':
      return `${event.directory} is made again from the other copy: ${event.reason}`;
    case 'copy-restored':
      return (
        `${event.directory} is a whole copy again: ` +
        `${counted(event.fileCount, 'file')}, ${formatBytes(event.copiedBytes)} copied`
      );
    case 'blocks-lost':
      return lossText(event);
    case 'sources-held':
    case 'sources-released':
    case 'checkpoint-postponed':
    case 'log-quarantined':
      return diskText(event);
    case 'warning':
      return event.message;
    default:
      return event satisfies never;
  }
}

function batchText(event: Extract<EngineEvent, { readonly type: `batch-${string}` }>): string {
  switch (event.type) {
    case 'batch-submitted':
      return (
        `batch ${event.batchTimeMs} submitted: ${counted(event.recordCount, 'record')} in ` +
        counted(event.blockCount, 'block')
      );
    case 'batch-started':
      return (
        `batch ${event.batchTimeMs} started: ` +
        `scheduling delay ${rounded(event.schedulingDelayMs)} ms`
      );
    case 'batch-completed':
      return (
        `batch ${event.batchTimeMs} completed: ${counted(event.recordCount, 'record')}, ` +
        `scheduling delay ${rounded(event.schedulingDelayMs)} ms, ` +
        `processing ${rounded(event.processingMs)} ms`
      );
    default:
      return event satisfies never;
  }
}

function stateText(event: Extract<EngineEvent, { readonly type: `state-${string}` }>): string {
  const keys = counted(event.keyCount, 'key');
  if (event.type === 'state-snapshot-written') {
    return `state of ${keys} after batch ${event.batchTimeMs} written (${event.bytes} bytes)`;
  }
  const from =
    event.batchTimeMs === null ? 'no snapshot yet' : `snapshot after batch ${event.batchTimeMs}`;
  const batches = counted(event.replayedBatches, 'finished batch', 'finished batches');
  return `state of ${keys} restored (${from}); ${batches} run again for their state only`;
}

function lossText(event: Extract<EngineEvent, { readonly type: 'blocks-lost' }>): string {
  const { batchTimeMs, recordCount, droppedCount } = event;
  const dropped = 'that a repair of this directory has dropped';
  const start = `batch ${batchTimeMs} runs without ${counted(recordCount, 'record')}`;
  if (droppedCount === recordCount) return `${start} ${dropped}`;
  const unsynced = `${start} that had not been synced when an earlier process died`;
  return droppedCount === 0 ? unsynced : `${unsynced}, or (${droppedCount}) ${dropped}`;
}

type LifeEvent = Extract<EngineEvent, { readonly type: `engine-${string}` }>;

function engineText(event: LifeEvent): string {
  switch (event.type) {
    case 'engine-started':
      return (
        `pipeline ${event.pipeline} takes records: durability ${event.durability}, ` +
        `${event.directory ?? 'no checkpoint directory'}, epoch ${event.epoch}, ` +
        `started in ${event.startMs} ms`
      );
    case 'engine-recovered': {
      if (hasNothing(event)) return 'the run before has left nothing to do';
      const tails = event.tornTails.length === 0 ? '' : `; torn: ${event.tornTails.join(', ')}`;
      return (
        `recovered ${counted(event.blocks, 'block')} and ` +
        `${counted(event.batches, 'unfinished batch', 'unfinished batches')}; ` +
        `blocks adopted ${event.adopted}, dropped for their source to send again ` +
        `${event.dropped}${tails}`
      );
    }
    case 'engine-stopping':
      return `stopping: ${event.reason}`;
    default:
      return event satisfies never;
  }
}

/** As after a graceful stop. */
function hasNothing(event: Extract<EngineEvent, { readonly type: 'engine-recovered' }>): boolean {
  const { blocks, batches, adopted, dropped, tornTails } = event;
  return blocks + batches + adopted + dropped + tornTails.length === 0;
}

type DiskEvent = Extract<
  EngineEvent,
  {
    readonly type: 'sources-held' | 'sources-released' | 'checkpoint-postponed' | 'log-quarantined';
  }
>;

function diskText(event: DiskEvent): string {
  switch (event.type) {
    case 'sources-held':
      return (
        `the disk of ${event.directory} is full: ${formatBytes(event.missingBytes)} are missing ` +
        `for the next ${formatBytes(event.wantedBytes)}; held until there is room: ` +
        `${event.receivers.join(', ')}. Nothing is lost; make room on the disk`
      );
    case 'sources-released':
      return `the disk of ${event.directory} has room again: ${event.receivers.join(', ')} go on`;
    case 'checkpoint-postponed':
      return `no checkpoint: ${event.error}; tried again in ${event.retryMs} ms`;
    case 'log-quarantined':
      return (
        `the log ${event.from} has failed: ${event.error}. ${event.receivers.join(', ')} go on ` +
        `in ${event.to}; the failed log is read until its blocks are done`
      );
    default:
      return event satisfies never;
  }
}

/** `3 records`, `1 record`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`;
}

function receiver(event: { readonly streamId: string; readonly receiverIndex: number }): string {
  return `${event.streamId}/${event.receiverIndex}`;
}

function because(error: string | undefined): string {
  return error === undefined ? '' : `: ${error}`;
}

function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}
