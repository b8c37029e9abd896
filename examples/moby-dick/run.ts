/** `npm start`: a real book through a word count whose engine is killed again and again, and then
 * the question whether every word arrived, once.
 *
 *   clients ──POST, 50 lines, Idempotency-Key──► millrace run pipeline.ts ──► out/words-<batch>/
 *      └─ each until answered 200                 └─ kill -9 at random moments, and a new start
 *
 * Exit code 0 only when nothing was lost or invented and the engine was killed as often as planned.
 * @module */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readBook } from './book.ts';
import type { Book } from './book.ts';
import { sendBook, SendTotals } from './clients.ts';
import { EngineProcess } from './engine-process.ts';
import { killTimes, readOptions } from './run-options.ts';
import type { RunOptions } from './run-options.ts';
import { Screen, verdictTable } from './screen.ts';
import { compare, readDelivered } from './verdict.ts';

const CLIENTS = 4;
/** How fast the book is sent: slow enough that the run takes its time, also on a small machine. */
const POSTS_PER_SECOND = 40;
const KILLS_MIN = 3;
/** A run that takes this much longer than planned is stuck. */
const OVERTIME_MS = 120_000;
const PIPELINE = fileURLToPath(new URL('./pipeline.ts', import.meta.url));
const MILLRACE = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (typeof options === 'number') return options;
  const directory = mkdtempSync(join(tmpdir(), 'millrace-moby-dick-'));
  const logPath = join(directory, 'engine.log');
  const screen = new Screen(process.stdout);
  let isPassed = false;
  try {
    isPassed = await proveIt(options, { directory, logPath, screen });
  } catch (error) {
    screen.say(`failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (isPassed && !options.isKeeping) rmSync(directory, { recursive: true, force: true });
  else screen.say(`Kept for a look: ${directory}\nWhat the engine said: ${logPath}`);
  return isPassed ? 0 : 1;
}

interface Place {
  readonly directory: string;
  readonly logPath: string;
  readonly screen: Screen;
}

/** @returns true when every word arrived, once, through all kills. */
async function proveIt(options: RunOptions, place: Place): Promise<boolean> {
  const { directory, logPath, screen } = place;
  const book = readBook();
  const repetitions = Math.max(
    1,
    Math.round((options.seconds * POSTS_PER_SECOND) / book.posts.length),
  );
  const { port, pipeline } = await placePipeline(directory);
  const totals = new SendTotals();
  const over = new AbortController();
  const args = [MILLRACE, 'run', pipeline, '--checkpoint', 'checkpoint', '--wal', 'sync'];
  const engine = new EngineProcess({ args, directory, logPath }, (error) => over.abort(error));
  const limit = setTimeout(
    () => over.abort(new Error('the run is stuck')),
    options.seconds * 1_000 + OVERTIME_MS,
  );
  screen.say(
    `Moby-Dick, ${book.lineCount} lines, ${repetitions} times, in requests of 50 lines from ` +
      `${CLIENTS} clients to port ${port}.\nThe engine is killed ${options.kills} times on the ` +
      `way; seed ${options.seed}.`,
  );
  const onInterrupt = (): void => over.abort(new Error('interrupted'));
  process.once('SIGINT', onInterrupt).once('SIGTERM', onInterrupt);
  const startedMs = performance.now();
  const ticks = setInterval(() => screen.status({ totals, facts: engine.facts, startedMs }), 1_000);
  try {
    engine.start();
    const kills = killOnTheWay(engine, options, over.signal);
    const paceMs = 1_000 / POSTS_PER_SECOND;
    const plan = { port, clients: CLIENTS, posts: book.posts, repetitions, paceMs };
    const { signal } = over;
    await unlessOver(signal, Promise.all([sendBook({ ...plan, signal }, totals), kills]));
    const sendingMs = performance.now() - startedMs;
    screen.say('Everything is acknowledged; stopping the engine gracefully.');
    await unlessOver(signal, engine.stop());
    return judge({ book, repetitions, totals, sendingMs }, engine, place);
  } finally {
    clearInterval(ticks);
    clearTimeout(limit);
    process.off('SIGINT', onInterrupt).off('SIGTERM', onInterrupt);
    screen.endStatus();
    over.abort(new Error('the run has ended'));
    await engine.close();
  }
}

interface Sent {
  readonly book: Book;
  readonly repetitions: number;
  readonly totals: SendTotals;
  readonly sendingMs: number;
}

function judge(sent: Sent, engine: EngineProcess, { directory, screen }: Place): boolean {
  const { book, repetitions, totals } = sent;
  const delivered = readDelivered(join(directory, 'out'));
  const words = compare(book.wordCounts, repetitions, delivered.wordCounts);
  const isEqual =
    words.wordsLost === 0 && words.wordsTooMany === 0 && delivered.lineCount === totals.linesSent;
  const isPassed = isEqual && engine.facts.kills >= KILLS_MIN;
  screen.say(verdictTable({ ...sent, delivered, words, facts: engine.facts }));
  for (const difference of words.differences) screen.say(`  ${difference}`);
  if (isEqual && !isPassed) screen.say(`Only ${engine.facts.kills} kills: that proves little.`);
  screen.say(isPassed ? 'Passed: nothing was lost, nothing was counted twice.' : 'Failed.');
  return isPassed;
}

async function killOnTheWay(
  engine: EngineProcess,
  { kills, seconds, seed }: RunOptions,
  signal: AbortSignal,
): Promise<void> {
  const startedMs = performance.now();
  for (const atMs of killTimes({ kills, withinMs: seconds * 1_000, seed })) {
    const waitMs = startedMs + atMs - performance.now();
    await sleep(Math.max(waitMs, 0), undefined, { signal });
    await engine.kill();
    signal.throwIfAborted(); // or an engine would be left behind
    engine.start();
  }
}

/** The work's outcome, unless the run ends for another reason before. */
function unlessOver<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, (error: Error) => {
      reject(signal.aborted ? (signal.reason as Error) : error);
    });
  });
}

/** The pipeline as it is, or, where its port is taken, a copy with another. */
async function placePipeline(directory: string): Promise<{ port: number; pipeline: string }> {
  const text = readFileSync(PIPELINE, 'utf8');
  const wanted = Number(/port: (\d+)/.exec(text)?.[1]);
  if ((await freePort(wanted)) !== undefined) return { port: wanted, pipeline: PIPELINE };
  const port = (await freePort(0)) ?? 0;
  const pipeline = join(directory, 'pipeline.ts');
  writeFileSync(pipeline, text.replace(/port: \d+/, `port: ${port}`));
  return { port, pipeline };
}

/** @returns the port, or `undefined` when it is taken; 0 asks for any. */
function freePort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      const got = typeof address === 'object' && address !== null ? address.port : port;
      server.close(() => resolve(got));
    });
  });
}

process.exitCode = await main();
