/** What the command line knows of its process, as one object, so that tests can hand in another.
 *
 * Data goes to standard output, talk to standard error. Only this folder looks at the environment.
 * @module */

export interface CliIo {
  /** Writes data, whole lines with their newline. */
  readonly out: (text: string) => void;
  /** Writes talk. */
  readonly err: (text: string) => void;
  readonly isOutTerminal: boolean;
  readonly isErrTerminal: boolean;
  readonly hasColor: boolean;
  /** Width of the terminal, in characters. */
  readonly columns: () => number;
}

/** @param onOutClosed called once when whoever read standard output is gone: further data is
 *   dropped. The same on standard error is ignored: there is nobody left to tell. */
export function processIo(onOutClosed: () => void): CliIo {
  const { stdout, stderr, env } = process;
  let isOutOpen = true;
  stdout.on('error', () => {
    if (isOutOpen) onOutClosed();
    isOutOpen = false;
  });
  stderr.on('error', () => undefined);
  const isDumb = env['TERM'] === 'dumb';
  return {
    out: (text) => {
      if (isOutOpen) stdout.write(text);
    },
    err: (text) => void stderr.write(text),
    isOutTerminal: Boolean(stdout.isTTY), // undefined where it is none, whatever its type says
    isErrTerminal: Boolean(stderr.isTTY) && !isDumb,
    hasColor: Boolean(stderr.isTTY) && (env['NO_COLOR'] ?? '') === '' && !isDumb,
    columns: () => (stderr.isTTY ? stderr.columns : 80),
  };
}
