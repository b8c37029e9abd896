/** The directory of one measurement: inside the measured one, gone when the run is, whatever ends
 * it. While it is held, the process's signals belong to the run. @module */
import { mkdtempSync, rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MillraceError, toError } from '../../core/errors.ts';
import type { CliIo } from '../io.ts';
import { STOP_SIGNALS } from '../stop-request.ts';

/** @param prefix of the directories of this command's runs. */
export function makeScratch(directory: string, prefix: string): string {
  try {
    return mkdtempSync(join(directory, prefix));
  } catch (cause) {
    const message = `${directory} cannot be written: ${toError(cause).message}`;
    throw new MillraceError('DISK_FAILED', message, { cause, details: { path: directory } });
  }
}

/** What a process that was just killed still does to it may come in between. */
export function removeTree(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}

/** Another run beside this one spoils both, and a killed one leaves what it had. */
export async function tellOthers(io: CliIo, own: string, prefix: string): Promise<void> {
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

/** A first signal ends the run in good order, which takes a moment; a second one at once. */
export function holdProcess(scratch: string, stop: AbortController): () => void {
  const remove = (): void => removeTree(scratch);
  const onSignal = (name: NodeJS.Signals): void => {
    const exitCode = name === 'SIGINT' ? 130 : 143;
    if (stop.signal.aborted) process.exit(exitCode);
    stop.abort(new Interrupted(exitCode));
  };
  for (const name of STOP_SIGNALS) process.on(name, onSignal);
  process.on('exit', remove);
  return () => {
    for (const name of STOP_SIGNALS) process.off(name, onSignal);
    process.off('exit', remove);
  };
}
