#!/usr/bin/env node
/** The command `millrace`: finds out which command is meant, and loads only that.
 *
 * Exit codes are in program.ts, where help prints them. @module */
import { readFileSync } from 'node:fs';
import { exitCodeOf, formatError } from './error-report.ts';
import { processIo } from './io.ts';
import { createProgram, exitCodeOfCommander } from './program.ts';

let onOutClosed: () => void = () => {};
const io = processIo(() => onOutClosed());

/** @returns the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = createProgram({
    io,
    version: packageVersion(),
    run: async (call) => {
      const { run } = await import('./commands/run.ts');
      exitCode = await run(call, {
        io,
        argv: argv.slice(2),
        whenOutCloses: (callback) => {
          onOutClosed = callback;
        },
      });
    },
    runTool: async (call) => {
      const { runTool } = await import('./run-tool.ts');
      exitCode = await runTool(io, call);
    },
  });
  try {
    await program.parseAsync(argv);
    return exitCode;
  } catch (error) {
    const ofCommander = exitCodeOfCommander(error);
    if (ofCommander !== undefined) return ofCommander;
    io.err(`millrace: ${formatError(error, { isDebug: false })}\n`);
    return exitCodeOf(error);
  }
}

function packageVersion(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { readonly version: string }).version;
}

const code = await main(process.argv);
// A thread or a socket of the pipeline must not keep a process alive whose run is over.
process.stdout.write('', () => process.exit(code));
