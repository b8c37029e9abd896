/** What the kernel was asked, in which order, before a source was told that its record is safe:
 *
 *      write of the block → its fdatasync → write of its registration → its fdatasync → 200
 *      a new segment: fdatasync → rename → fsync of the directory → … → 200
 *
 * Read from a trace of a real run; a sync that is left out or comes late is missing there, which no
 * kill of a process could show, because the page cache outlives it. @module */
import { request } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { CrashSite } from '../support/crash-site.ts';
import { freePort } from '../support/http-clients.ts';
import { readTrace, requireStrace, straceCommand } from '../support/strace.ts';
import type { TracedCall } from '../support/strace.ts';

/** Each is a group of its own in both logs, so that segments of 64 KiB are left several times. */
const REQUESTS = 60;
const CALLS = ['openat', 'pwrite64', 'pwritev', 'fdatasync', 'fsync', 'rename', 'write', 'writev'];
/** Segments made while requests come, in both logs together. */
const ROLLS_MIN = 4;

let site: CrashSite | undefined;
beforeAll(requireStrace);
afterEach(async () => {
  await site?.close();
});

function post(port: number, body: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'text/plain' };
    const posting = request({ host: '127.0.0.1', port, method: 'POST', path: '/', headers });
    posting.once('response', (response) => {
      response.resume();
      response.once('close', () => resolve(response.statusCode));
    });
    posting.once('error', reject);
    posting.end(body);
  });
}

/** Runs an engine under strace. @returns the calls of its whole life. */
async function traceRun(place: CrashSite): Promise<TracedCall[]> {
  const port = await freePort();
  place.pipeline(
    `ssc.httpTextStream({ port: ${port} }).saveAsTextFiles(${JSON.stringify(place.outputPrefix)});`,
  );
  const file = join(place.directory, 'trace');
  const engine = place.start({ prefix: straceCommand({ file, calls: CALLS, textBytes: 200 }) });
  await engine.ready();
  for (let n = 0; n < REQUESTS; n += 1) expect(await post(port, marker(n))).toBe(200);
  await place.stop(engine);
  return readTrace(file);
}

const marker = (n: number): string => `record-${n}-of-the-test.`;
const isWrite = ({ name }: TracedCall): boolean => /^p?write(64|v)?$/.test(name);
const isAnswer = (call: TracedCall): boolean => isWrite(call) && call.text.includes('HTTP/1.1 200');
const isDone = ({ text }: TracedCall): boolean => / = 0( |$)/.test(text);
/** The path of a call's file, as strace found it when the call was made. */
const pathOf = ({ text }: TracedCall): string => /^\d+<([^>]*)>/.exec(text)?.[1] ?? '';
const isSegmentOf = (log: string, call: TracedCall): boolean =>
  new RegExp(`/${log}/[0-9a-f]{16}\\.wal$`).test(pathOf(call));

/** The first call from a line on for which `test` holds. */
function after(calls: readonly TracedCall[], line: number, test: (call: TracedCall) => boolean) {
  return calls.filter((call) => call.from > line && test(call)).toSorted((a, b) => a.to - b.to)[0];
}

/** Line where the block of request `n` was durable in `log`, and its registration after it. */
function durableAt(calls: readonly TracedCall[], n: number): number {
  const isBlock = (call: TracedCall): boolean =>
    isWrite(call) && isSegmentOf('receiver-log-0', call) && call.text.includes(marker(n));
  const block = after(calls, -1, isBlock);
  expect(block, `the write of block ${n}`).toBeDefined();
  if (block === undefined) return Infinity;
  const synced = after(calls, block.to, (call) => isSyncOf(call, pathOf(block)));
  const registered = after(
    calls,
    synced?.to ?? Infinity,
    (call) => isWrite(call) && isSegmentOf('driver-log', call),
  );
  const path = registered === undefined ? '' : pathOf(registered);
  return after(calls, registered?.to ?? Infinity, (call) => isSyncOf(call, path))?.to ?? Infinity;
}

const isSyncOf = (call: TracedCall, path: string): boolean =>
  ['fdatasync', 'fsync'].includes(call.name) && pathOf(call) === path && isDone(call);

/** A new segment: which files it was and became, and whether it is durable with its name, and when. */
interface Naming {
  readonly path: string;
  readonly isSyncedBefore: boolean;
  readonly durableFrom: number;
}

function namings(calls: readonly TracedCall[]): Naming[] {
  return calls
    .filter(({ name, text }) => name === 'rename' && /\.wal"\) = 0/.test(text))
    .map((call) => {
      const [, from = '', path = ''] = /"([^"]*)", "([^"]*)"/.exec(call.text) ?? [];
      const directory = path.slice(0, path.lastIndexOf('/'));
      const header = calls.findLast(
        (each) => isWrite(each) && pathOf(each) === from && each.to < call.from,
      );
      const isSyncedBefore = calls.some(
        (each) =>
          isSyncOf(each, from) && each.from > (header?.to ?? Infinity) && each.to < call.from,
      );
      const synced = after(calls, call.to, (each) => isSyncOf(each, directory));
      return { path, isSyncedBefore, durableFrom: synced?.to ?? Infinity };
    });
}

it('syncs block, registration, segment and directory before it acknowledges', async () => {
  site = new CrashSite({
    blockInterval: 5,
    executors: 1,
    memory: '64MiB',
    receiverSegmentBytes: '64KiB',
    driverSegmentBytes: '64KiB',
  });
  const calls = await traceRun(site);
  const answers = calls.filter(isAnswer).toSorted((a, b) => a.from - b.from);
  expect(answers).toHaveLength(REQUESTS);
  for (const [n, answer] of answers.entries()) {
    expect(durableAt(calls, n), `block ${n} and its registration are durable`).toBeLessThan(
      answer.from,
    );
  }
  const made = namings(calls);
  expect(made.length).toBeGreaterThanOrEqual(ROLLS_MIN);
  for (const { path, isSyncedBefore, durableFrom } of made) {
    expect(isSyncedBefore, `${path} was synced before it got its name`).toBe(true);
    // The first record in it that somebody was told about.
    const write = calls.find((call) => isWrite(call) && pathOf(call) === path);
    const told = answers.find(({ from }) => write !== undefined && from > write.to);
    expect(durableFrom, `the name of ${path} is durable`).toBeLessThan(told?.from ?? Infinity);
  }
});
