/** Takes one sample in a process of its own, which is gone when this returns. @module */
import { fork } from 'node:child_process';
import { systemClock } from '../../core/clock.ts';
import { MillraceError } from '../../core/errors.ts';
import { threadEntry } from '../../core/thread-entry.ts';
import { fromWireError } from '../../serde/wire-error.ts';
import type { CellAnswer, CellTask } from './cell-protocol.ts';
import type { CellSample } from './cell-sample.ts';

/** Beyond what the sample should take: the process waits for nothing longer than this. */
const PATIENCE_MS = 300_000;
const SAID_BYTES_MAX = 4_000;

/** @param signal ends the process, and rejects with its reason.
 * @throws {MillraceError} what ended the engine. */
export async function sampleInProcess(task: CellTask, signal: AbortSignal): Promise<CellSample> {
  signal.throwIfAborted();
  const child = fork(threadEntry('./cell-main.ts', import.meta.url), [], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-SAID_BYTES_MAX);
  });
  let answer: CellAnswer | undefined;
  let startFailure: Error | undefined;
  const kill = (): void => void child.kill('SIGKILL');
  const onExit = (): void => kill(); // of this process, should it end in another way
  const limitMs = task.warmUpMs + task.fullMs + task.halfMs + PATIENCE_MS;
  const limit = systemClock.after(limitMs, kill);
  signal.addEventListener('abort', kill, { once: true });
  process.prependOnceListener('exit', onExit); // before anyone removes its files
  try {
    await new Promise<void>((resolve) => {
      child.once('message', (message) => {
        answer = message as CellAnswer;
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
