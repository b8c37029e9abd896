/** Reads what `saveAsTextFiles` left after all runs of a pipeline have ended, and checks its form:
 * every batch directory whole, each batch once, nothing unfinished. @module */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect } from 'vitest';
import type { CrashSite } from './crash-site.ts';

export interface BatchOutput {
  readonly batchTimeMs: number;
  /** Of all parts, in part order. */
  readonly lines: readonly string[];
}

/** @returns the batches by rising time. */
export function readBatches(prefix: string): BatchOutput[] {
  const parent = dirname(prefix);
  const pattern = new RegExp(`^${basename(prefix)}-(\\d+)$`);
  const batches = readdirSync(parent).map((name) => {
    const [, time] = pattern.exec(name) ?? [];
    expect(time, `${name} is no finished batch directory`).toBeDefined();
    return { batchTimeMs: Number(time), lines: readBatch(join(parent, name), Number(time)) };
  });
  batches.sort((a, b) => a.batchTimeMs - b.batchTimeMs);
  const times = batches.map(({ batchTimeMs }) => batchTimeMs);
  expect(new Set(times).size, 'two directories of one batch').toBe(times.length);
  return batches;
}

/** All lines of all batches. */
export function readLines(prefix: string): string[] {
  return readBatches(prefix).flatMap(({ lines }) => lines);
}

function readBatch(directory: string, batchTimeMs: number): string[] {
  const success = JSON.parse(readFileSync(join(directory, '_SUCCESS'), 'utf8')) as {
    batchTimeMs: number;
    records: number[];
  };
  expect(success.batchTimeMs, directory).toBe(batchTimeMs);
  const parts = success.records.map((_, part) => `part-${String(part).padStart(5, '0')}`);
  expect(readdirSync(directory).toSorted(), directory).toEqual(['_SUCCESS', ...parts]);
  const contents = parts.map((part) => linesOf(readFileSync(join(directory, part), 'utf8')));
  const counts = contents.map(({ length }) => length);
  expect(counts, `${directory}: lines of each part`).toEqual(success.records);
  return contents.flat();
}

function linesOf(text: string): string[] {
  if (text === '') return [];
  expect(text.endsWith('\n'), 'a part ends in the middle of a line').toBe(true);
  return text.slice(0, -1).split('\n');
}

/** Asserts that no batch was ever given another share (I5): each start that submitted it counted the
 * same records, and so many lines are in its directory. Only for outputs of one line a record. */
export function checkShares(site: CrashSite): void {
  const lines = new Map(readBatches(site.outputPrefix).map((each) => [each.batchTimeMs, each]));
  for (const engine of site.engines) {
    for (const event of engine.events) {
      if (event.type !== 'batch-submitted') continue;
      const found = lines.get(event.batchTimeMs)?.lines.length;
      expect(found, `lines of batch ${event.batchTimeMs}`).toBe(event.recordCount);
    }
  }
}
