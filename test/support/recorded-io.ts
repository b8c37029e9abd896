/** What the command line talks to, recorded: 80 columns without color. @module */
import type { CliIo } from '../../src/cli/io.ts';

/** Write by write, so far. */
export interface Said {
  readonly out: string[];
  readonly err: string[];
}

/** @param isErrTerminal of standard error; standard output is none. */
export function recordedIo(isErrTerminal = false): { readonly io: CliIo; readonly said: Said } {
  const said: Said = { out: [], err: [] };
  const io = {
    out: (text: string) => void said.out.push(text),
    err: (text: string) => void said.err.push(text),
    isOutTerminal: false,
    isErrTerminal,
    hasColor: false,
    columns: () => 80,
  };
  return { io, said };
}
