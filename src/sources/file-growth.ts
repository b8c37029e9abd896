/** Notices files of a directory that go on growing after they were taken into a batch.
 *
 * A file is taken once, whole, as it was when it was first seen; what is appended later is not
 * read. That is a mistake of whoever writes in place instead of moving complete files in, and it
 * must not pass in silence. Sizes are kept for this run only. @module */
import type { FileShare } from '../dstream/task-spec.ts';
import { fileIdentity } from './text-files.ts';

export class FileGrowth {
  readonly #warn: (message: string) => void;
  readonly #sizes = new Map<string, number>();

  /** @param warn told once for each growth that is noticed. */
  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  /** @param candidates what the directory lists now. @param seen identities taken before. */
  check(candidates: readonly FileShare[], seen: ReadonlySet<string>): void {
    const present = new Set<string>();
    for (const share of candidates) {
      const identity = fileIdentity(share);
      present.add(identity);
      const before = this.#sizes.get(identity);
      this.#sizes.set(identity, share.sizeBytes);
      if (before === undefined || before === share.sizeBytes || !seen.has(identity)) continue;
      this.#warn(
        `${share.path} went from ${before} to ${share.sizeBytes} bytes after it was taken: the ` +
          'change is NOT read. Write files elsewhere on the same file system and move them in',
      );
    }
    for (const identity of this.#sizes.keys()) {
      if (!present.has(identity)) this.#sizes.delete(identity);
    }
  }
}
