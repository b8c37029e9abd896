/** `millrace run --supervise`: a small parent process that starts the engine again when it crashes,
 * as a cluster manager would. Holds no data and no lock; what to do next is restart-policy.ts.
 *
 * The child says over the IPC channel that a batch was completed. When the parent dies, the channel
 * closes and the child stops gracefully, so that no engine is left behind. @module */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Clock, Timer } from '../core/clock.ts';
import { threadEntry } from '../core/thread-entry.ts';
import { nextStep } from './restart-policy.ts';
import type { ChildEnd } from './restart-policy.ts';
import { STOP_SIGNALS } from './stop-request.ts';
import type { Talk } from './talk.ts';

export interface SuperviseOptions {
  readonly talk: Talk;
  readonly clock: Clock;
}

/** Runs until no other start makes sense.
 * @param argv the arguments of this process, `run` and `--supervise` among them.
 * @returns the exit code of the last child. */
export async function supervise(
  argv: readonly string[],
  { talk, clock }: SuperviseOptions,
): Promise<number> {
  const childArgv = argv.map((each) => (each === '--supervise' ? '--supervised' : each));
  const history: ChildEnd[] = [];
  const signals = new SignalsToChild();
  try {
    for (;;) {
      history.push(await runChild(childArgv, clock, signals));
      const step = nextStep(history, signals.isStopping);
      const last = history.at(-1);
      if (step.kind === 'end') {
        if (step.exitCode !== 0) talk.notice('error', `${endText(last)}; ${step.reason}`);
        return step.exitCode;
      }
      talk.notice('warn', `${endText(last)}; it starts again in ${step.delayMs} ms`);
      await signals.sleep(clock, step.delayMs);
      if (signals.isStopping) return last?.exitCode ?? last?.signalExitCode ?? 0;
    }
  } finally {
    signals.close();
    talk.close();
  }
}

async function runChild(
  argv: readonly string[],
  clock: Clock,
  signals: SignalsToChild,
): Promise<ChildEnd> {
  const main = fileURLToPath(threadEntry('./main.ts', import.meta.url));
  const startedMs = clock.monotonicMs();
  const child = spawn(process.execPath, [...process.execArgv, main, ...argv], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  signals.attach(child);
  let hasCompletedBatch = false;
  child.on('message', (message) => {
    if (isBatchCompleted(message)) hasCompletedBatch = true;
  });
  const ended = await new Promise<Pick<ChildEnd, 'exitCode' | 'signalExitCode'>>(
    (resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (exitCode, signal) => {
        const signalExitCode = signal === null ? 0 : 128 + constants.signals[signal];
        resolve({ exitCode, signalExitCode });
      });
    },
  );
  return { ...ended, ranMs: clock.monotonicMs() - startedMs, hasCompletedBatch };
}

function isBatchCompleted(message: unknown): boolean {
  return (
    typeof message === 'object' &&
    message !== null &&
    'type' in message &&
    message.type === 'batch-completed'
  );
}

function endText(end: ChildEnd | undefined): string {
  if (end === undefined) return 'the engine has not run';
  return end.exitCode === null
    ? `the engine was killed by signal ${end.signalExitCode - 128}`
    : `the engine ended with exit code ${end.exitCode}`;
}

/** Passes stop signals on: the first as it is, a second one as the end. */
class SignalsToChild {
  #child: ChildProcess | undefined;
  #isStopping = false;
  #wake: () => void = () => {};
  readonly #onSignal = (name: NodeJS.Signals): void => {
    // In a terminal the child has got it too; being told twice changes nothing for it.
    this.#child?.kill(this.#isStopping ? 'SIGKILL' : name);
    this.#isStopping = true;
    this.#wake();
  };

  constructor() {
    for (const name of STOP_SIGNALS) process.on(name, this.#onSignal);
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  attach(child: ChildProcess): void {
    this.#child = child;
  }

  /** Resolves after `delayMs`, or when a stop is asked for. */
  async sleep(clock: Clock, delayMs: number): Promise<void> {
    let timer: Timer | undefined;
    await new Promise<void>((resolve) => {
      timer = clock.after(delayMs, resolve);
      this.#wake = resolve;
    });
    timer?.cancel();
  }

  close(): void {
    for (const name of STOP_SIGNALS) process.off(name, this.#onSignal);
  }
}
