/** `millrace run` in a process of its own: what users run is what is measured.
 *
 * Each sample starts a fresh one from dist/. What it does is read off its JSON lines (standard
 * error) and its output; what it costs off /proc, from outside, so that measuring costs it nothing.
 * @module */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
/** Longest wait for anything that the engine is expected to say. */
const ANSWER_LIMIT_MS = 60_000;
const POLL_MS = 50;

/** A line of `millrace run --json`: an engine event, and when it was told. */
export interface EventLine {
  readonly event: string;
  /** Wall time in milliseconds. */
  readonly time: number;
  readonly [field: string]: unknown;
}

/** One batch that has been completed. */
export interface CompletedBatch {
  /** Wall time in milliseconds. */
  readonly atMs: number;
  readonly recordCount: number;
}

export interface EngineProcessOptions {
  /** File name of the pipeline, in this folder. */
  readonly pipeline: string;
  readonly flags: readonly string[];
  /** What it tells. @defaultValue `debug`: every event */
  readonly logLevel?: 'info' | 'debug';
  /** Read by the pipeline. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory. */
  readonly directory: string;
}

export class EngineProcess {
  readonly startedMs: number;
  readonly lines: EventLine[] = [];
  /** Lines of standard output. */
  readonly output: string[] = [];
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | null>;
  readonly #unreadable: string[] = [];
  #hasEnded = false;

  constructor(options: EngineProcessOptions) {
    const { pipeline, flags, env, directory, logLevel = 'debug' } = options;
    if (!existsSync(cli)) throw new Error('there is no dist/: npm run build');
    const talk = ['--json', '--log-level', logLevel];
    this.startedMs = Date.now();
    this.#child = spawn(process.execPath, [cli, 'run', join(here, pipeline), ...talk, ...flags], {
      cwd: directory,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error('the engine has no pipes');
    createInterface(stdout).on('line', (line) => this.output.push(line));
    createInterface(stderr).on('line', (line) => this.#hear(line));
    // `close`, not `exit`: by then every line has been read.
    this.#exited = new Promise((resolve) => {
      this.#child.once('close', (code) => {
        this.#hasEnded = true;
        resolve(code);
      });
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the engine could not be started');
    return this.#child.pid;
  }

  /** In the order of their completion. */
  get batches(): CompletedBatch[] {
    return this.lines
      .filter(({ event }) => event === 'batch-completed')
      .map(({ time, recordCount }) => ({ atMs: time, recordCount: Number(recordCount) }));
  }

  /** All records in completed batches so far. */
  get recordCount(): number {
    return this.batches.reduce((sum, batch) => sum + batch.recordCount, 0);
  }

  /** The first line with this event that is `meant`; waits for it. @throws when the engine ends
   * before. */
  async line(event: string, meant = (_line: EventLine): boolean => true): Promise<EventLine> {
    const limitMs = Date.now() + ANSWER_LIMIT_MS;
    for (;;) {
      const found = this.lines.find((line) => line.event === event && meant(line));
      if (found !== undefined) return found;
      if (this.#hasEnded || Date.now() > limitMs) throw this.#failure(`never said ${event}`);
      await delay(1);
    }
  }

  /** Batches that `print` has written, at any log level. */
  get printedCount(): number {
    return this.output.filter((line) => line.startsWith('Time: ')).length;
  }

  /** Waits until so many batches were completed. @throws when the engine ends before. */
  async completed(batchCount: number): Promise<void> {
    await this.#until(() => this.batches.length >= batchCount, `completed ${batchCount} batches`);
  }

  /** Waits until `print` has written so many batches. @throws when the engine ends before. */
  async printed(batchCount: number): Promise<void> {
    await this.#until(() => this.printedCount >= batchCount, `printed ${batchCount} batches`);
  }

  /** Ends it gracefully: every record that it has taken has been counted when this resolves. */
  async stop(): Promise<void> {
    this.#child.kill('SIGINT');
    await this.ended();
  }

  /** Waits until one has ended that ends by itself (`--batches`): a signal on its way out would
   * kill it. @throws when it did not end well. */
  async ended(): Promise<void> {
    const limitMs = Date.now() + ANSWER_LIMIT_MS;
    while (!this.#hasEnded) {
      if (Date.now() > limitMs) throw this.#failure('has not ended');
      await delay(POLL_MS);
    }
    const code = await this.#exited;
    if (code !== 0) throw this.#failure(`ended with exit code ${code}`);
  }

  /** Ends it by SIGKILL. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  async #until(isSo: () => boolean, what: string): Promise<void> {
    const limitMs = Date.now() + ANSWER_LIMIT_MS;
    while (!isSo()) {
      if (this.#hasEnded || Date.now() > limitMs) throw this.#failure(`never ${what}`);
      await delay(POLL_MS);
    }
  }

  #hear(line: string): void {
    try {
      this.lines.push(JSON.parse(line) as EventLine);
    } catch {
      this.#unreadable.push(line); // Node's own words, told when something fails
    }
  }

  #failure(what: string): Error {
    const last = this.lines.slice(-5).map((line) => JSON.stringify(line));
    return new Error([`the engine ${what}`, ...last, ...this.#unreadable].join('\n'));
  }
}

/** Runs `use` on a fresh engine, which is gone when it returns, also when it throws. */
export async function withEngine<T>(
  options: EngineProcessOptions,
  use: (engine: EngineProcess) => Promise<T>,
): Promise<T> {
  const engine = new EngineProcess(options);
  try {
    return await use(engine);
  } finally {
    await engine.kill();
  }
}
