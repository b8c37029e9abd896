/** Everything that a run says beside its data: what a person at a terminal sees, or JSON lines.
 *
 * The interface; its two forms are status-line.ts for a terminal and json-lines.ts for everything
 * else. Neither decides anything; both read the same events and the same progress.
 * @module */
import type { EngineEvent } from '../core/events.ts';
import type { Progress } from './progress.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Talk {
  event(event: EngineEvent): void;
  /** How the run is doing, once a second. */
  progress(progress: Progress): void;
  /** Something that the command itself has to say. */
  notice(level: LogLevel, message: string): void;
  /** What ended the run. */
  failure(error: unknown): void;
  /** Call before data goes to standard output: a terminal may show both. */
  beforeData(): void;
  close(): void;
}

/** True when something of `level` is to be told at all. */
export function isTold(level: LogLevel, least: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(least);
}
