/** The engine as a process of its own, so that it can be killed: `node dist/cli/main.js run …`.
 *
 * Reads the JSON lines that it writes to standard error and keeps all of them in a file.
 * @module */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { finished } from 'node:stream/promises';

export interface EngineCommand {
  /** Arguments of Node. */
  readonly args: readonly string[];
  readonly directory: string;
  readonly logPath: string;
}

/** What the engine has told about itself, over all its processes. */
export class EngineFacts {
  starts = 0;
  kills = 0;
  batchesOfThisProcess = 0;
  /** From spawning the process until it takes records, of each process that got so far. */
  readonly startMs: number[] = [];
  readonly syncMsP50: number[] = [];
  readonly syncMsP99: number[] = [];
}

export class EngineProcess {
  readonly facts: EngineFacts = new EngineFacts();
  readonly #command: EngineCommand;
  readonly #log: WriteStream;
  readonly #onDied: (error: Error) => void;
  #child: ChildProcess | undefined;
  #exited: Promise<string> = Promise.resolve('never started');
  #isEndExpected = false;

  /** @param onDied it ended, and nobody had wanted that. */
  constructor(command: EngineCommand, onDied: (error: Error) => void) {
    this.#command = command;
    this.#log = createWriteStream(command.logPath);
    this.#onDied = onDied;
  }

  start(): void {
    const { args, directory } = this.#command;
    const startedMs = performance.now();
    this.#isEndExpected = false;
    this.facts.starts += 1;
    this.facts.batchesOfThisProcess = 0;
    const child = spawn(process.execPath, args, {
      cwd: directory,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    createInterface({ input: child.stderr }).on('line', (line) => {
      this.#log.write(`${line}\n`);
      this.#read(line, startedMs);
    });
    this.#exited = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      // `close` comes after the last line of standard error; `exit` may come before it.
      child.once('close', (code, signal) => {
        resolve(signal === null ? `exit code ${code}` : signal);
      });
    });
    void this.#exited.then((end) => {
      if (this.#isEndExpected || child !== this.#child) return;
      this.#onDied(new Error(`the engine ended by itself: ${end}`));
    });
  }

  /** Ends the process as a power cut would. Resolves when it is gone. */
  async kill(): Promise<void> {
    this.#isEndExpected = true;
    this.#child?.kill('SIGKILL');
    const end = await this.#exited;
    if (end !== 'SIGKILL') throw new Error(`the engine ended before it was killed: ${end}`);
    this.facts.kills += 1;
  }

  /** Stops it gracefully. @throws when it does not end with exit code 0. */
  async stop(): Promise<void> {
    this.#isEndExpected = true;
    this.#child?.kill('SIGTERM');
    const end = await this.#exited;
    if (end !== 'exit code 0') throw new Error(`the graceful stop failed: ${end}`);
  }

  /** Lets nothing run on, whatever happened before. */
  async close(): Promise<void> {
    this.#isEndExpected = true;
    this.#child?.kill('SIGKILL');
    await this.#exited;
    this.#log.end();
    await finished(this.#log);
  }

  #read(line: string, startedMs: number): void {
    const told = parsed(line);
    switch (told['event']) {
      case 'engine-started':
        this.facts.startMs.push(performance.now() - startedMs);
        break;
      case 'progress':
        this.facts.batchesOfThisProcess = Number(told['batchCount']);
        if (typeof told['syncMsP50'] === 'number') this.facts.syncMsP50.push(told['syncMsP50']);
        if (typeof told['syncMsP99'] === 'number') this.facts.syncMsP99.push(told['syncMsP99']);
        break;
      default:
    }
  }
}

/** A process that is killed may leave half a line. */
function parsed(line: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(line) as Readonly<Record<string, unknown>>;
  } catch {
    return {};
  }
}
