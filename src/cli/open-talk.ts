/** Chooses the form in which a run talks, and loads only that one. @module */
import type { CliIo } from './io.ts';
import type { LogLevel, Talk } from './talk.ts';

export interface TalkOptions {
  readonly level: LogLevel;
  /** JSON lines, also at a terminal. */
  readonly isJson: boolean;
}

/** The form that fits standard error. */
export async function openTalk(io: CliIo, options: TalkOptions): Promise<Talk> {
  if (io.isErrTerminal && !options.isJson) {
    const { StatusLine } = await import('./status-line.ts');
    return new StatusLine(io, options.level);
  }
  const { JsonLines } = await import('./json-lines.ts');
  return JsonLines.open(options.level);
}
