/** Runs catchers in a copy of the project: holds the process that has vitest, starts it when it is
 * needed, and ends it when a run comes to nothing. @module */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Catcher } from './breaks/break.ts';

const PROCESS = fileURLToPath(new URL('catcher-process.ts', import.meta.url));
const SAID_CHARS_MAX = 2_000;

/** What catcher-process.ts is told. */
export interface CatcherOrder {
  readonly project: Catcher['project'];
  readonly files: readonly string[];
  /** Part of the tests' full names; absent: all. */
  readonly test?: string;
  /** Of each test that has none of its own; absent: the project's. */
  readonly testLimitMs?: number;
  /** Files whose content is another one since the last order. */
  readonly changed: readonly string[];
}

export interface TestOutcome {
  readonly file: string;
  readonly fullName: string;
  readonly isPassed: boolean;
}

export interface CatcherReport {
  /** Of tests that ran to their end; none when the run came to nothing. */
  readonly outcomes: readonly TestOutcome[];
  /** What went wrong outside of tests. */
  readonly errors: readonly string[];
  /** Those of the order's changed files that the tests loaded, as vitest sees it. */
  readonly loaded: readonly string[];
}

export class CatcherRunner {
  readonly #directory: string;
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | undefined;
  #said = '';

  constructor(directory: string, env: NodeJS.ProcessEnv) {
    this.#directory = directory;
    this.#env = env;
  }

  /** One run, which ends after `limitMs` at the latest. Never two at once. */
  async run(order: CatcherOrder, limitMs: number): Promise<CatcherReport> {
    this.#child ??= this.#start();
    const child = this.#child;
    const report = await this.#answer(child, order, limitMs);
    if (report.outcomes.length > 0) return report;
    // Nothing ran. Whatever the reason is, the next run has nothing to do with it.
    const said = [...report.errors, this.#said.slice(-SAID_CHARS_MAX)].join('\n');
    this.close();
    return { ...report, errors: [said] };
  }

  close(): void {
    if (this.#child === undefined) return;
    endGroup(this.#child);
    this.#child = undefined;
  }

  #start(): ChildProcess {
    const child = fork(PROCESS, [], {
      cwd: this.#directory,
      env: this.#env,
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true, // with a group of its own, whose tests end with it
    });
    this.#said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#said = (this.#said + text).slice(-2 * SAID_CHARS_MAX);
      });
    }
    return child;
  }

  async #answer(child: ChildProcess, order: CatcherOrder, limitMs: number): Promise<CatcherReport> {
    return new Promise((resolve) => {
      const end = (report: CatcherReport): void => {
        clearTimeout(timer);
        child.off('message', hear).off('exit', exit);
        resolve(report);
      };
      const fail = (error: string): void => end({ outcomes: [], errors: [error], loaded: [] });
      const exit = (code: number | null): void => fail(`vitest ended with ${code}`);
      const hear = (message: unknown): void => {
        if (isReport(message)) end(message);
      };
      const timer = setTimeout(() => fail(`no end after ${limitMs / 1_000} s`), limitMs);
      child.on('message', hear).on('exit', exit);
      child.send(order);
    });
  }
}

/** Loaders of modules send messages of their own. */
function isReport(message: unknown): message is CatcherReport {
  return typeof message === 'object' && message !== null && 'outcomes' in message;
}

function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // it has ended by itself
  }
}
