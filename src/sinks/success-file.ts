/** `_SUCCESS`, the file that says whose output a directory is and that it is whole.
 *
 *      {"logId":"…","outputId":"saveAsTextFiles-0","batchTimeMs":1700000000000,"records":[10,12]}
 *
 * One line of JSON; `records` counts the records of part-00000, part-00001 …. It is written before
 * the directory gets its final name, so that a final directory without it is not ours. @module */
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { SinkBatch } from '../dstream/sink.ts';

export const SUCCESS_NAME = '_SUCCESS';
/** Bounds what a foreign file of that name makes us read: 100,000 parts fit. */
const SUCCESS_BYTES_MAX = 1024 * 1024;

export interface Success extends Pick<SinkBatch, 'logId' | 'outputId' | 'batchTimeMs'> {
  /** Records per part, in part order. */
  readonly records: readonly number[];
}

/** Writes `_SUCCESS` into the directory; its content is durable when this resolves. */
export async function writeSuccess(directory: string, success: Success): Promise<void> {
  const { logId, outputId, batchTimeMs, records } = success;
  const file = await open(join(directory, SUCCESS_NAME), 'w');
  try {
    await file.writeFile(`${JSON.stringify({ logId, outputId, batchTimeMs, records })}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** What a directory says of itself; numbers as they were found. */
export interface FoundSuccess {
  readonly logId: string;
  readonly outputId: string;
  readonly batchTimeMs: number;
}

/** Whose output a directory is. `unmarked`: it has no `_SUCCESS`, or one that is not ours. */
export async function readSuccess(
  directory: string,
): Promise<FoundSuccess | 'unmarked' | 'absent'> {
  if (!(await exists(directory))) return 'absent';
  const path = join(directory, SUCCESS_NAME);
  if (!(await exists(path))) return 'unmarked';
  const file = await open(path, 'r');
  try {
    if ((await file.stat()).size > SUCCESS_BYTES_MAX) return 'unmarked';
    return parseSuccess(await file.readFile('utf8')) ?? 'unmarked';
  } finally {
    await file.close();
  }
}

function parseSuccess(text: string): FoundSuccess | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // Spark's and Hadoop's _SUCCESS files are empty: a marker, but not ours
  }
  if (typeof value !== 'object' || value === null) return undefined;
  if (!('logId' in value) || typeof value.logId !== 'string') return undefined;
  if (!('outputId' in value) || typeof value.outputId !== 'string') return undefined;
  if (!('batchTimeMs' in value) || typeof value.batchTimeMs !== 'number') return undefined;
  return { logId: value.logId, outputId: value.outputId, batchTimeMs: value.batchTimeMs };
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw error;
  }
}
