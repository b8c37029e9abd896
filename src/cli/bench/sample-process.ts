/** Takes one sample in a process of its own, which is gone when this returns. Knows nothing of what
 * is measured: a task goes in, an answer comes out. @module */
import { fork } from 'node:child_process';
import { systemClock } from '../../core/clock.ts';
import { MillraceError } from '../../core/errors.ts';
import { fromWireError } from '../../serde/wire-error.ts';
import type { SampleAnswer, SampleMessage } from './sample-entry.ts';

const SAID_BYTES_MAX = 4_000;

/** What whoever wants a sample has to do with its process meanwhile. */
export interface SampleRun {
  /** Ends the process, and rejects with its reason. */
  readonly signal: AbortSignal;
  /** Told what the process has to say to the user before its answer. */
  readonly onNotice?: (text: string) => void;
}

export interface SampleProcess extends SampleRun {
  /** A module that calls `answerTask`. */
  readonly entry: URL;
  /** Plain data. */
  readonly task: object;
  /** For what its engine keeps beside its log; absent: the system's. */
  readonly temporaryDirectory?: string;
  /** The process is waited for no longer than this. */
  readonly limitMs: number;
}

/** @throws {MillraceError} what ended the engine. */
export async function sampleIn<S>({
  entry,
  task,
  temporaryDirectory,
  limitMs,
  signal,
  onNotice,
}: SampleProcess): Promise<S> {
  signal.throwIfAborted();
  const child = fork(entry, [], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // Killed, it removes nothing.
    env: { ...process.env, ...(temporaryDirectory && { TMPDIR: temporaryDirectory }) },
  });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-SAID_BYTES_MAX);
  });
  let answer: SampleAnswer<S> | undefined;
  let startFailure: Error | undefined;
  const kill = (): void => void child.kill('SIGKILL');
  const onExit = (): void => kill(); // of this process, should it end in another way
  const limit = systemClock.after(limitMs, kill);
  signal.addEventListener('abort', kill, { once: true });
  process.prependOnceListener('exit', onExit); // before anyone removes its files
  try {
    await new Promise<void>((resolve) => {
      child.on('message', (given) => {
        const message = given as SampleMessage<S>;
        if (message.kind === 'notice') return onNotice?.(message.text);
        answer = message;
        kill(); // nothing in it is wanted any more
      });
      child.once('error', (error) => {
        startFailure = error;
        resolve();
      });
      child.once('close', () => resolve());
      child.send(task, (error) => {
        if (error !== null) startFailure ??= error;
      });
    });
  } finally {
    limit.cancel();
    signal.removeEventListener('abort', kill);
    process.off('exit', onExit);
  }
  signal.throwIfAborted();
  if (answer?.kind === 'measured') return answer.sample;
  if (answer?.kind === 'failed') throw fromWireError(answer.error);
  const cause = startFailure === undefined ? {} : { cause: startFailure };
  const how = child.signalCode ?? `exit code ${child.exitCode}`;
  const last = said.trim() === '' ? '' : `\n${said.trim()}`;
  throw new MillraceError(
    'EXECUTOR_DIED',
    `the process of a sample has ended without an answer (${how})${last}`,
    cause,
  );
}
