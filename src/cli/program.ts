/** The command line as commander sees it: commands, arguments, flags, help. Runs nothing itself.
 * @module */
import { Command, CommanderError } from 'commander';
import type { CliIo } from './io.ts';
import { addRunFlags } from './run-flags.ts';
import { addToolCommands } from './tool-commands.ts';
import type { ToolCall } from './tool-commands.ts';

/** What `millrace run` was called with. */
export interface RunCall {
  /** Arguments that no flag took, in order. */
  readonly operands: readonly string[];
  /** By attribute name. */
  readonly given: Readonly<Record<string, unknown>>;
}

export interface ProgramOptions {
  readonly io: CliIo;
  readonly version: string;
  readonly run: (call: RunCall) => Promise<void>;
  readonly runTool: (call: ToolCall) => Promise<void>;
}

export const WRONG_USE_EXIT_CODE = 64;

const RUN_HELP = `
A duration is a number of milliseconds or text with a unit: 200ms, 1s, 2m. Bytes: 67108864, 64MiB.
A flag wins over the pipeline's own options. Data of print() goes to standard output, everything
else to standard error: a status line at a terminal, JSON lines otherwise.

SIGINT and SIGTERM stop gracefully: what was received is processed first. A second one ends the
process at once.

Examples:
  $ millrace run wordcount.ts
  $ millrace run wordcount.ts --batch-interval 500ms --checkpoint /var/lib/wordcount
  $ millrace run wordcount.ts --supervise --log-level warn
  $ millrace run wordcount.ts --no-checkpoint --batches 10`;

const EXIT_CODES_HELP = `
Exit codes:
  0    stopped as asked, or all inputs have ended
  1    the pipeline failed: its code, a source, an output
  2    acknowledged data on disk is damaged; nothing was changed
  64   wrong use: a flag, an option, or the pipeline module
  74   the disk failed; nothing that it did not keep was acknowledged
  75   another process runs on the same checkpoint directory
  130  a second SIGINT; 143: a second SIGTERM`;

export function createProgram({ io, version, run, runTool }: ProgramOptions): Command {
  const program = new Command('millrace')
    .description('Stream processing on one host that loses no record it has acknowledged.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help on a command')
    .exitOverride()
    .configureOutput({
      writeOut: io.out,
      writeErr: io.err,
      outputError: (message, write) => write(message.replace(/^error: /, 'millrace: ')),
    })
    .addHelpText('after', EXIT_CODES_HELP);
  const command = program
    .command('run')
    .summary('run a pipeline')
    .description('Run a pipeline module (.ts, .js, .mjs; no build step) until it is stopped.')
    .usage('PIPELINE [flags]')
    .argument('[PIPELINE]', 'module that exports definePipeline(…) as its default')
    .helpOption('-h, --help', 'print help')
    // Unknown ones are told together with all other problems, not one by one.
    .allowUnknownOption()
    .allowExcessArguments()
    .addHelpText('after', `${RUN_HELP}\n${EXIT_CODES_HELP}`);
  addRunFlags(command);
  command.action(() => run({ operands: command.args, given: command.opts() }));
  addToolCommands(program, runTool);
  return program;
}

/** Exit code of what commander throws to end the process: help and version are no errors. */
export function exitCodeOfCommander(error: unknown): number | undefined {
  if (!(error instanceof CommanderError)) return undefined;
  return error.exitCode === 0 ? 0 : WRONG_USE_EXIT_CODE;
}
