/** The directory of one measurement: inside the measured one, gone when the run is, whatever ends
 * it. While it is held, the process's signals belong to the run. @module */
import { mkdtempSync, rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemClock } from '../../core/clock.ts';
import { MillraceError, toError } from '../../core/errors.ts';
import type { CliIo } from '../io.ts';
import { BenchProgress } from './bench-progress.ts';

/** What a run in a scratch directory has. */
export interface ScratchRun {
  readonly scratch: string;
  /** Aborted by a signal to the process, with an `Interrupted`. */
  readonly signal: AbortSignal;
  readonly progress: BenchProgress;
}

export interface ScratchPlace {
  readonly directory: string;
  /** The directories of all runs of this command begin with it. */
  readonly prefix: string;
  /** Of the run, for the progress bar. */
  readonly name: string;
  readonly totalMs: number;
}

/** Makes the directory and runs `use` with it; it is gone when this resolves, however that ends.
 * @param place the directory that is measured, and how this command's runs are called in it.
 * @returns the exit code: of `use`, or of the signal that has ended it. */
export async function inScratch(
  io: CliIo,
  place: ScratchPlace,
  use: (run: ScratchRun) => Promise<number>,
): Promise<number> {
  const scratch = makeScratch(place);
  const stop = new AbortController();
  const release = holdProcess(scratch, stop);
  const progress = new BenchProgress(io, systemClock, place);
  try {
    await tellOthers(io, scratch, place.prefix);
    return await use({ scratch, signal: stop.signal, progress });
  } catch (error) {
    if (error instanceof Interrupted) return error.exitCode;
    throw error;
  } finally {
    progress.close();
    removeTree(scratch);
    release();
  }
}

function makeScratch({ directory, prefix }: ScratchPlace): string {
  try {
    return mkdtempSync(join(directory, prefix));
  } catch (cause) {
    const why = toError(cause).message;
    const message = `${directory} cannot be written, name another directory: ${why}`;
    throw new MillraceError('DISK_FAILED', message, { cause, details: { path: directory } });
  }
}

/** What a process that was just killed still does to it may come in between. */
function removeTree(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}

/** Another run beside this one spoils both, and a killed one leaves what it had. */
async function tellOthers(io: CliIo, own: string, prefix: string): Promise<void> {
  const directory = dirname(own);
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    if (!name.startsWith(prefix) || path === own) continue;
    io.err(`${path} belongs to another run: if none is under way, it was killed; remove it\n`);
  }
}

/** A signal has ended the run. */
export class Interrupted extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('interrupted');
    this.exitCode = exitCode;
  }
}

type ScratchSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** With the one of a terminal that was closed, which must leave nothing behind either. */
const SIGNAL_EXIT_CODES: Readonly<Record<ScratchSignal, number>> = {
  SIGINT: 130,
  SIGTERM: 143,
  SIGHUP: 129,
};
const SIGNALS = Object.keys(SIGNAL_EXIT_CODES) as readonly ScratchSignal[];

/** A first signal ends the run in good order, which takes a moment; a second one at once. */
function holdProcess(scratch: string, stop: AbortController): () => void {
  const remove = (): void => removeTree(scratch);
  const onSignal = (name: ScratchSignal): void => {
    const exitCode = SIGNAL_EXIT_CODES[name];
    if (stop.signal.aborted) process.exit(exitCode);
    stop.abort(new Interrupted(exitCode));
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  process.on('exit', remove);
  return () => {
    for (const name of SIGNALS) process.off(name, onSignal);
    process.off('exit', remove);
  };
}
