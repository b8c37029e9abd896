/** The built command as a process of a test: what it prints, how it ends. Needs a built dist/.
 * @module */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** One line of standard error. */
export type TalkLine = Readonly<Record<string, unknown>>;

export interface CommandEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

export class CommandProcess {
  readonly child: ChildProcess;
  /** Resolves when the process has ended and nobody holds its output any more. */
  readonly ended: Promise<CommandEnd>;
  readonly #lines: TalkLine[] = [];
  #waiting: (() => void)[] = [];

  constructor(args: readonly string[], directory: string) {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (line.startsWith('{')) this.#lines.push(JSON.parse(line) as TalkLine);
      this.#wake();
    });
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        resolve({ code, signal, out, err });
        this.#wake();
      });
    });
  }

  /** Lines of `event` so far. */
  lines(event: string): TalkLine[] {
    return this.#lines.filter((line) => line['event'] === event);
  }

  /** Resolves with the `count`th line of `event`. @throws when the process ends before. */
  async line(event: string, count = 1): Promise<TalkLine> {
    let end: CommandEnd | undefined;
    void this.ended.then((given) => (end = given));
    for (;;) {
      const line = this.lines(event)[count - 1];
      if (line !== undefined) return line;
      if (end !== undefined) throw new Error(`ended without ${event}: ${JSON.stringify(end)}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** Until standard error has `text` in it, from now on. @throws when the process ends before. */
export function untilSaid({ child, ended }: CommandProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes(text)) resolve();
    });
    void ended.then((end) => reject(new Error(`it ended: ${JSON.stringify(end)}`)));
  });
}

/** A directory with pipelines in it, and the processes that run there. */
export class CommandPlace {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'millrace-command-'));
  readonly #processes: CommandProcess[] = [];

  /** Writes a pipeline module; `body` is what the function of `definePipeline` does with `ssc`. */
  pipeline(name: string, body: string): void {
    // Whatever the temporary directory of this machine is on.
    const options = `{ name: '${name}', batchInterval: '100ms', allowNetworkFileSystem: true }`;
    const text = `import { definePipeline } from 'millrace';

export default definePipeline(${options}, (ssc) => {
  ${body}
});
`;
    writeFileSync(join(this.directory, `${name}.ts`), text);
  }

  start(...args: readonly string[]): CommandProcess {
    const command = new CommandProcess(args, this.directory);
    this.#processes.push(command);
    return command;
  }

  /** Runs to the end. */
  run(...args: readonly string[]): Promise<CommandEnd> {
    return this.start(...args).ended;
  }

  /** Ends what still runs and removes the directory. */
  async close(): Promise<void> {
    for (const { child } of this.#processes) child.kill('SIGKILL');
    await Promise.all(this.#processes.map(({ ended }) => ended));
    rmSync(this.directory, { recursive: true, force: true });
  }
}
