/** Talk for programs: one JSON object per line on standard error, through pino.
 *
 *      {"level":"info","time":…,"pid":7,"event":"engine-started","pipeline":"count",…}
 *      {"level":"info","time":…,"pid":7,"event":"progress","recordsPerSecond":…}
 *
 * `event` is the engine event's type, or `progress`, `notice`, `failure`; its other fields are
 * those of the event. Written synchronously: the last line of a dying process is there to read.
 * @module */
import { pino } from 'pino';
import type { Logger } from 'pino';
import type { EngineEvent } from '../core/events.ts';
import { errorFields, formatError } from './error-report.ts';
import { eventLevel, eventText } from './event-text.ts';
import type { Progress } from './progress.ts';
import { statusText } from './status-line.ts';
import { isTold } from './talk.ts';
import type { LogLevel, Talk } from './talk.ts';

const STDERR_FD = 2;

export class JsonLines implements Talk {
  readonly #logger: Logger;
  readonly #level: LogLevel;

  /** @param destination where lines go. @defaultValue standard error */
  static open(level: LogLevel, destination?: { write(line: string): void }): JsonLines {
    const options = {
      level,
      base: { pid: process.pid },
      formatters: { level: (label: string) => ({ level: label }) },
    };
    const target = destination ?? pino.destination({ fd: STDERR_FD, sync: true });
    return new JsonLines(pino(options, target), level);
  }

  private constructor(logger: Logger, level: LogLevel) {
    this.#logger = logger;
    this.#level = level;
  }

  event(event: EngineEvent): void {
    const level = eventLevel(event);
    if (!isTold(level, this.#level)) return; // five a batch that nobody reads need no words
    const { type, ...fields } = event;
    this.#logger[level]({ event: type, ...fields }, eventText(event));
  }

  progress(progress: Progress): void {
    this.#logger.info({ event: 'progress', ...progress }, statusText(progress));
  }

  notice(level: LogLevel, message: string): void {
    this.#logger[level]({ event: 'notice' }, message);
  }

  failure(error: unknown): void {
    const text = formatError(error, { isDebug: this.#level === 'debug' });
    this.#logger.fatal({ event: 'failure', ...errorFields(error) }, text);
  }

  beforeData(): void {
    // Data and talk never share a line here.
  }

  close(): void {
    this.#logger.flush();
  }
}
