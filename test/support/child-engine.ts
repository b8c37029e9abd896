/** One engine in a process of its own (test/crash/engine-child.mjs), and what it said until it
 * ended.
 *
 * The process is real and so is its end: `kill` sends SIGKILL. Whoever starts engines ends all of
 * them with `endAll`, also when a test failed half-way. @module */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { CrashPlan } from '../../src/core/crash-point.ts';
import type { EngineEvent } from '../../src/core/events.ts';
import type { PipelineOptions } from '../../src/core/options-types.ts';
import type { EngineTotals } from '../../src/driver/engine.ts';

const CHILD = fileURLToPath(new URL('../crash/engine-child.mjs', import.meta.url));
/** No wait of a test takes longer, on however slow a machine. */
const WAIT_LIMIT_MS = 300_000;
const ASK_MS = 5;

/** Which thread dies where. */
export interface CrashPlans {
  readonly driver?: CrashPlan;
  readonly receivers?: CrashPlan;
  readonly tasks?: CrashPlan;
}

/** Which calls of the driver's disk fail (test/crash/failing-disk.mjs). */
export interface DiskFailure {
  /** Part of the paths that are meant. */
  readonly folder: string;
  readonly call: 'sync' | 'write';
  /** Calls that still succeed. */
  readonly after: number;
  /** `short`: a part is written, and the count says so. */
  readonly as: 'EIO' | 'ENOSPC' | 'short';
}

export interface ChildArguments {
  readonly pipeline: string;
  readonly checkpointDir: string | false;
  readonly options: Partial<PipelineOptions>;
  readonly crash: CrashPlans;
  readonly failing?: DiskFailure;
}

/** What the child prints. */
export type ChildEvent =
  | EngineEvent
  | { readonly type: 'ready' }
  | { readonly type: 'printed'; readonly line: string }
  | { readonly type: 'finished'; readonly totals: EngineTotals }
  | { readonly type: 'failed'; readonly code: string; readonly message: string };

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const running = new Set<ChildEngine>();

/** Kills every engine that still runs. */
export async function endAll(): Promise<void> {
  await Promise.all([...running].map((engine) => engine.kill()));
}

export class ChildEngine {
  /** Everything that was said so far. */
  readonly events: ChildEvent[] = [];
  /** Resolves when the process is gone and its last line has been read. */
  readonly exited: Promise<ChildExit>;
  readonly #process: ChildProcess;
  readonly #watchers = new Set<() => void>();
  #complaints = '';
  #exit: ChildExit | undefined;

  /** @param prefix command that starts the engine, such as strace and its options. */
  constructor(args: ChildArguments, prefix: readonly string[] = []) {
    const [command, ...rest] = [...prefix, process.execPath, CHILD, JSON.stringify(args)];
    this.#process = spawn(command, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.exited = this.#follow();
    running.add(this);
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  /** How it ended, if it has. */
  get exit(): ChildExit | undefined {
    return this.#exit;
  }

  /** Resolves with the first event, past or to come, for which `test` holds.
   * @throws when the process ends without it. */
  async waitFor(what: string, test: (event: ChildEvent) => boolean): Promise<ChildEvent> {
    let seen = 0;
    for (;;) {
      for (; seen < this.events.length; seen += 1) {
        const event = this.events[seen];
        if (event !== undefined && test(event)) return event;
      }
      if (this.#exit !== undefined) throw new Error(`${what} never came: ${this.describe()}`);
      await this.#news(what);
    }
  }

  /** Resolves when `test` holds, of whatever else the engine does: it is asked again and again.
   * @throws when the process ends before. */
  async until(what: string, test: () => boolean): Promise<void> {
    const deadline = performance.now() + WAIT_LIMIT_MS;
    while (!test()) {
      if (this.#exit !== undefined) throw new Error(`${what} never came: ${this.describe()}`);
      if (performance.now() > deadline) throw new Error(`${what}: too late: ${this.describe()}`);
      await sleep(ASK_MS);
    }
  }

  /** Resolves when receivers accept. */
  async ready(): Promise<void> {
    await this.waitFor('ready', ({ type }) => type === 'ready');
  }

  /** Waits for its end. @throws when it lives on and on. */
  async ended(): Promise<ChildExit> {
    const limit = new AbortController();
    const late = sleep(WAIT_LIMIT_MS, undefined, { signal: limit.signal, ref: false });
    try {
      const exit = await Promise.race([this.exited, late]);
      if (exit !== undefined) return exit;
    } finally {
      limit.abort();
    }
    throw new Error(`still alive after ${WAIT_LIMIT_MS} ms: ${this.describe()}`);
  }

  /** Resolves when a SIGSTOP has taken effect. */
  async stopped(): Promise<void> {
    // The state comes behind the name, which stands in parentheses and may hold anything.
    const isStopped = (): boolean => /\) T /.test(readFileSync(`/proc/${this.pid}/stat`, 'utf8'));
    await this.until('standing still', isStopped);
  }

  /** Asks for a graceful stop. Whoever is about to end by itself just does. */
  askToStop(): void {
    this.#process.stdin?.end();
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** Kills the process, if it still lives, and waits for its end. */
  async kill(): Promise<ChildExit> {
    this.signal('SIGKILL');
    return this.exited;
  }

  /** What a failed test wants to know. */
  describe(): string {
    const last = this.events.slice(-8).map((event) => JSON.stringify(event));
    return [`exit ${JSON.stringify(this.#exit)}`, ...last, this.#complaints].join('\n  ');
  }

  async #follow(): Promise<ChildExit> {
    const { stdin, stdout, stderr } = this.#process;
    if (!stdin || !stdout || !stderr) throw new Error('the child has no pipes');
    stdin.on('error', () => undefined); // asked to stop when it was gone
    stderr.setEncoding('utf8').on('data', (text: string) => (this.#complaints += text));
    createInterface({ input: stdout }).on('line', (line) => this.#hear(line));
    const [code, signal] = (await once(this.#process, 'close')) as [
      number | null,
      NodeJS.Signals | null,
    ];
    this.#exit = { code, signal };
    running.delete(this);
    this.#wake();
    return this.#exit;
  }

  #hear(line: string): void {
    // A killed process may leave half a line, and pipelines may print what they like.
    if (!line.startsWith('{') || !line.endsWith('}')) return;
    this.events.push(JSON.parse(line) as ChildEvent);
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#watchers) wake();
  }

  #news(what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = (): void => {
        this.#watchers.delete(wake);
        reject(new Error(`${what} did not come in ${WAIT_LIMIT_MS} ms: ${this.describe()}`));
      };
      const timer = setTimeout(late, WAIT_LIMIT_MS);
      const wake = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(wake);
        resolve();
      };
      this.#watchers.add(wake);
    });
  }
}
