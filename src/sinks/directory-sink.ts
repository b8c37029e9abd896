/** One directory per batch: `saveAsTextFiles`, `saveAsJsonFiles`. Exactly one copy after replays.
 *
 *      out/.counts-1700000000000.1a2b3c4d.tmp/      while the batch runs
 *          part-00000.attempt-0   part-00001.attempt-0   part-00001.attempt-1
 *      out/counts-1700000000000/                    renamed when whole (`.suffix` follows the time)
 *          part-00000   part-00001   _SUCCESS
 *
 * The commit point is ONE rename. What is under the temporary name is worth nothing: the next
 * `prepare` throws it away and the batch runs again. What is under the final name is whole, and
 * says in `_SUCCESS` which log and output made it; output of another log is never taken for ours
 * and never overwritten. The eight digits stand for (log, output), so that two pipelines with one
 * prefix cannot write into each other's temporary directory before one of them is refused.
 *
 * Order of a commit: parts are synced when their writers close → rename winners, remove losers →
 * `_SUCCESS`, fsync → fsync of the directory → rename → fsync of its parent.
 * Opens its own files with node:fs. Mirrors Hadoop's FileOutputCommitter, with one rename a batch.
 * @module */
import { createHash } from 'node:crypto';
import { access, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { reached } from '../core/crash-point.ts';
import { MillraceError, toError } from '../core/errors.ts';
import { NO_LOG_ID } from '../dstream/sink.ts';
import type { PartitionWriter, Sink, SinkBatch } from '../dstream/sink.ts';
import { makeDirectoryDurable, syncDirectory } from './durable-directory.ts';
import { partName, PartWriter } from './part-writer.ts';
import type { PartToken } from './part-writer.ts';
import { readSuccess, SUCCESS_NAME, writeSuccess } from './success-file.ts';

export interface DirectorySinkOptions {
  /** `out/counts`: batches become `out/counts-<batchTimeMs>`. Relative to the working directory. */
  readonly prefix: string;
  /** Follows the batch time after a dot. */
  readonly suffix?: string;
  /** One record as text, without the final newline: `formatText` or `formatJson`. */
  readonly format: (record: unknown) => string;
}

interface BatchPaths {
  readonly parent: string;
  readonly final: string;
  readonly temporary: string;
}

export class DirectorySink implements Sink<unknown> {
  readonly guarantee = 'exactly-once';
  readonly target: string;
  readonly reason: string =
    'a batch becomes visible by one rename; one that runs again finds that it is there';
  readonly #base: string;
  readonly #ending: string;
  readonly #format: (record: unknown) => string;

  /** @throws {MillraceError} OPTIONS_INVALID for a prefix or suffix that makes no file name. */
  constructor(options: DirectorySinkOptions) {
    const { prefix, suffix = '' } = options;
    const name = basename(prefix);
    if (name === '' || name === '.' || name === '..' || prefix.endsWith('/')) {
      throw new MillraceError(
        'OPTIONS_INVALID',
        `the output prefix ${JSON.stringify(prefix)} has no file name: give one such as out/counts`,
      );
    }
    if (/[/\\]/.test(suffix)) {
      throw new MillraceError(
        'OPTIONS_INVALID',
        `the output suffix ${JSON.stringify(suffix)} is part of a file name: leave / and \\ out`,
      );
    }
    this.#base = resolve(prefix);
    this.#ending = suffix === '' ? '' : `.${suffix}`;
    this.#format = options.format;
    this.target = `directories ${prefix}-<batch time>${this.#ending}`;
  }

  /** Makes an empty temporary directory, or says that the batch is whole and durable already.
   * @throws {MillraceError} SINK_CONFLICT, OUTPUT_FAILED. */
  async prepare(batch: SinkBatch): Promise<'needed' | 'already-committed'> {
    const paths = this.#paths(batch);
    return this.#attempt('prepared', paths, async () => {
      const isCommitted = await isOursOrAbsent(paths.final, batch);
      if (isCommitted && batch.logId === NO_LOG_ID) {
        throw conflict(paths.final, 'is output of another run without a checkpoint directory');
      }
      await rm(paths.temporary, { recursive: true, force: true });
      if (isCommitted) {
        // The crash may have come between the rename and this sync: only now it is a promise.
        await syncDirectory(paths.parent);
        return 'already-committed';
      }
      await makeDirectoryDurable(paths.parent);
      await mkdir(paths.temporary);
      return 'needed';
    });
  }

  /** @throws {MillraceError} OUTPUT_FAILED. */
  openPartition(
    batch: SinkBatch,
    partition: number,
    attempt: number,
  ): Promise<PartitionWriter<unknown>> {
    const directory = this.#paths(batch).temporary;
    try {
      const options = { directory, partition, attempt, format: this.#format };
      return Promise.resolve(new PartWriter(options));
    } catch (error) {
      return Promise.reject(toError(error));
    }
  }

  /** Publishes the batch. May be called again with the same tokens after it failed.
   * @throws {MillraceError} SINK_CONFLICT, OUTPUT_FAILED. */
  async commit(batch: SinkBatch, tokens: readonly unknown[]): Promise<void> {
    const paths = this.#paths(batch);
    const parts = tokens.map((token, partition) => partToken(token, partition));
    await this.#attempt('committed', paths, async () => {
      if (await isOursOrAbsent(paths.final, batch)) return syncDirectory(paths.parent);
      await nameWinners(paths.temporary, parts);
      await removeOthers(paths.temporary, parts.length);
      const records = parts.map((part) => part.records);
      await writeSuccess(paths.temporary, { ...batch, records });
      await syncDirectory(paths.temporary);
      reached('R6.before');
      await rename(paths.temporary, paths.final);
      await syncDirectory(paths.parent);
      reached('R6.after');
    });
  }

  #paths(batch: SinkBatch): BatchPaths {
    const name = `${basename(this.#base)}-${batch.batchTimeMs}${this.#ending}`;
    const parent = dirname(this.#base);
    const owner = createHash('sha256').update(`${batch.logId}\n${batch.outputId}`).digest('hex');
    return {
      parent,
      final: join(parent, name),
      temporary: join(parent, `.${name}.${owner.slice(0, 8)}.tmp`),
    };
  }

  async #attempt<R>(what: string, paths: BatchPaths, step: () => Promise<R>): Promise<R> {
    try {
      return await step();
    } catch (error) {
      if (error instanceof MillraceError) throw error;
      const cause = toError(error);
      throw new MillraceError(
        'OUTPUT_FAILED',
        `the output directory ${paths.final} cannot be ${what} (${cause.message}): make room in ` +
          `${paths.parent}, or make it writable; the batch runs again at the next start`,
        { cause, details: { path: paths.final } },
      );
    }
  }
}

/** @returns true when the directory is this batch's own and whole, false when there is none.
 * @throws {MillraceError} SINK_CONFLICT for anything else of that name. */
async function isOursOrAbsent(final: string, batch: SinkBatch): Promise<boolean> {
  const found = await readSuccess(final);
  if (found === 'absent') return false;
  if (found === 'unmarked') {
    throw conflict(final, 'exists, but no _SUCCESS file in it says that this pipeline made it');
  }
  if (found.logId !== batch.logId) {
    throw conflict(
      final,
      `is output of another checkpoint directory (log ${found.logId}; this one is ${batch.logId})`,
    );
  }
  if (found.outputId !== batch.outputId) {
    throw conflict(
      final,
      `is output of the operator ${found.outputId} of this pipeline, not of ${batch.outputId}`,
    );
  }
  if (found.batchTimeMs !== batch.batchTimeMs) {
    throw conflict(final, `holds a copy of batch ${found.batchTimeMs}, not this one`);
  }
  return true;
}

function conflict(path: string, what: string): MillraceError {
  return new MillraceError(
    'SINK_CONFLICT',
    `the output directory ${path} ${what}. Nothing was overwritten. Move it away, or give the ` +
      'output another prefix',
    { details: { path } },
  );
}

/** Gives each winner its final name; one that has it already, from a commit that failed, keeps
 * it. */
async function nameWinners(directory: string, parts: readonly PartToken[]): Promise<void> {
  for (const part of parts) {
    const target = join(directory, partName(part.partition));
    const attempt = join(directory, part.fileName);
    if (await isThere(attempt)) await rename(attempt, target);
    const { size } = await stat(target);
    if (size === part.bytes) continue;
    throw new Error(`${target} has ${size} bytes, its writer wrote ${part.bytes}`);
  }
}

/** Removes attempts that lost, and what else a failed try left. */
async function removeOthers(directory: string, partCount: number): Promise<void> {
  const wanted = new Set(Array.from({ length: partCount }, (_, index) => partName(index)));
  for (const name of await readdir(directory)) {
    if (!wanted.has(name) && name !== SUCCESS_NAME) {
      await rm(join(directory, name), { recursive: true });
    }
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false; // whatever the reason, the stat of the final name then tells
  }
}

/** @throws {MillraceError} BROKEN_INVARIANT when a token is not one of `PartWriter.close`. */
function partToken(token: unknown, partition: number): PartToken {
  const isPart =
    typeof token === 'object' &&
    token !== null &&
    'partition' in token &&
    token.partition === partition &&
    'fileName' in token &&
    typeof token.fileName === 'string' &&
    'records' in token &&
    typeof token.records === 'number' &&
    'bytes' in token &&
    typeof token.bytes === 'number';
  if (isPart) return token as PartToken;
  throw new MillraceError(
    'BROKEN_INVARIANT',
    `the token of partition ${partition} did not come from its writer`,
  );
}
