/** Where an export goes: standard output or a new file, one chunk at a time, never faster than the
 * other end takes it. @module */
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { MillraceError, toError } from '../../core/errors.ts';
import { wrong } from './target.ts';

export interface ExportSink {
  /** Resolves when there is room for more. @returns false when nobody reads any more. */
  write(chunk: string | Uint8Array): Promise<boolean>;
  /** What was written is on the device, where it is a file. */
  close(): Promise<void>;
}

export function standardOutput(): ExportSink {
  const { stdout } = process;
  let isOpen = true;
  const closed = new Promise<void>((resolve) => {
    const end = (): void => {
      isOpen = false;
      resolve();
    };
    stdout.once('error', end).once('close', end);
  });
  return {
    async write(chunk) {
      if (isOpen && !stdout.write(chunk)) await Promise.race([once(stdout, 'drain'), closed]);
      return isOpen;
    },
    close: () => Promise.resolve(),
  };
}

/** @throws {MillraceError} OPTIONS_INVALID when it exists; DISK_FAILED. */
export async function newFile(path: string): Promise<ExportSink> {
  const file = await open(path, 'wx').catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === 'EEXIST') throw wrong(`${path} exists: give --output a new name`);
    throw failed(path, thrown);
  });
  return {
    async write(chunk) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      await file.writeFile(bytes).catch((thrown: unknown) => {
        throw failed(path, thrown);
      });
      return true;
    },
    async close() {
      try {
        await file.sync();
      } finally {
        await file.close();
      }
    },
  };
}

function failed(path: string, thrown: unknown): MillraceError {
  return new MillraceError('DISK_FAILED', `${path} cannot be written: ${toError(thrown).message}`, {
    cause: thrown,
  });
}
