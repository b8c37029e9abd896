/** Talk for a terminal: one line that is redrawn in place, and messages that scroll by above it.
 *
 * Before anything else is written to the terminal the line is erased; it is drawn again with the
 * next progress, or at once below a message. Nothing here needs a terminal library.
 * @module */
import { stripVTControlCharacters, styleText } from 'node:util';
import type { EngineEvent } from '../core/events.ts';
import { formatError } from './error-report.ts';
import { counted, eventLevel, eventText } from './event-text.ts';
import type { CliIo } from './io.ts';
import type { Progress } from './progress.ts';
import { isTold } from './talk.ts';
import type { LogLevel, Talk } from './talk.ts';

const ERASE_LINE = '\r\u001B[K';

const STYLES = {
  debug: 'dim',
  info: 'reset',
  warn: 'yellow',
  error: 'red',
} as const satisfies Record<LogLevel, Parameters<typeof styleText>[0]>;

export class StatusLine implements Talk {
  readonly #io: CliIo;
  readonly #level: LogLevel;
  #line = '';
  #isShown = false;

  constructor(io: CliIo, level: LogLevel) {
    this.#io = io;
    this.#level = level;
  }

  event(event: EngineEvent): void {
    const level = eventLevel(event);
    if (isTold(level, this.#level)) this.notice(level, eventText(event));
  }

  progress(progress: Progress): void {
    if (!isTold('info', this.#level)) return;
    this.#line = statusText(progress);
    this.#draw();
  }

  notice(level: LogLevel, message: string): void {
    if (!isTold(level, this.#level)) return;
    this.#erase();
    this.#io.err(`${this.#styled(level, message)}\n`);
    this.#draw();
  }

  failure(error: unknown): void {
    this.close();
    const text = formatError(error, { isDebug: this.#level === 'debug' });
    this.#io.err(`${this.#styled('error', 'millrace:')} ${text}\n`);
  }

  beforeData(): void {
    if (this.#io.isOutTerminal) this.#erase();
  }

  close(): void {
    this.#erase();
    this.#line = '';
  }

  #draw(): void {
    if (this.#line === '') return;
    const width = Math.max(this.#io.columns() - 1, 20);
    this.#io.err(`${ERASE_LINE}${this.#styled('debug', this.#line.slice(0, width))}`);
    this.#isShown = true;
  }

  #erase(): void {
    if (this.#isShown) this.#io.err(ERASE_LINE);
    this.#isShown = false;
  }

  #styled(level: LogLevel, text: string): string {
    // What sources and clients send can be part of a message: it must not steer the terminal.
    const plain = stripVTControlCharacters(text);
    return this.#io.hasColor && level !== 'info' ? styleText(STYLES[level], plain) : plain;
  }
}

/** `12 records/s · 42 batches · delay 3 + 18 ms · 2 blocks queued, 1 MB on disk · sync p99 1 ms` */
export function statusText(progress: Progress): string {
  const { recordsPerSecond, batchCount, unfinishedBatches, queuedBlocks, bytesOnDisk } = progress;
  const { heldReceivers } = progress;
  const { schedulingDelayMs, processingMs, syncMsP99 } = progress;
  const waiting = unfinishedBatches > 1 ? ` (${unfinishedBatches} waiting)` : '';
  const parts = [
    `${recordsPerSecond.toLocaleString('en-US')} records/s`,
    `${counted(batchCount, 'batch', 'batches')} done${waiting}`,
  ];
  if (schedulingDelayMs !== undefined && processingMs !== undefined) {
    parts.push(`delay ${Math.round(schedulingDelayMs)} + ${Math.round(processingMs)} ms`);
  }
  const onDisk = bytesOnDisk > 0 ? `, ${Math.ceil(bytesOnDisk / 1e6)} MB on disk` : '';
  parts.push(`${counted(queuedBlocks, 'block')} queued${onDisk}`);
  if (heldReceivers > 0) parts.push(`${counted(heldReceivers, 'receiver')} held: disk full`);
  if (syncMsP99 !== undefined) parts.push(`sync p99 ${syncMsP99.toFixed(1)} ms`);
  return parts.join(' · ');
}
