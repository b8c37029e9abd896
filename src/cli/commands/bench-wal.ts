/** `millrace bench wal`: what the log costs in a directory, from arguments to table, JSON, page.
 *
 * Everything that could be wrong is looked at before anything is written. While it runs, the
 * process's signals belong to it. @module */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { systemClock } from '../../core/clock.ts';
import { MillraceError, toError } from '../../core/errors.ts';
import { recogniseFileSystem } from '../../wal/file-system.ts';
import { nodeDisk } from '../../wal/node-disk.ts';
import { readBenchArguments } from '../bench/bench-arguments.ts';
import type { BenchArguments, BenchCall } from '../bench/bench-arguments.ts';
import { BenchProgress } from '../bench/bench-progress.ts';
import type { BenchReport } from '../bench/bench-report.ts';
import { checkRoom, neededBytes } from '../bench/bench-room.ts';
import { REAL_WORLD, runBench } from '../bench/bench-run.ts';
import { sampleInProcess } from '../bench/cell-process.ts';
import { pageOf } from '../bench/report-page.ts';
import { reportText } from '../bench/report-text.ts';
import type { CliIo } from '../io.ts';
import { problemsError } from '../problem-list.ts';
import { STOP_SIGNALS } from '../stop-request.ts';

/** Directories of runs begin with it. */
export const SCRATCH_PREFIX = '.millrace-bench-';

/** @returns 0; 130 or 143 after a signal.
 * @throws {MillraceError} OPTIONS_INVALID, DISK_FULL, DISK_FAILED, and what ends an engine. */
export async function benchWal(io: CliIo, call: BenchCall): Promise<number> {
  const given = readBenchArguments(call);
  const directory = resolve(given.directory);
  await checkPlaces(given, directory);
  checkRoom(
    directory,
    await nodeDisk.freeBytes?.(directory),
    neededBytes(given.cells, given.plan.isSmoke),
  );
  const scratch = makeScratch(directory);
  const stop = new AbortController();
  const progress = new BenchProgress(io, systemClock, given.plan.expectedMs);
  const release = holdProcess(scratch, stop);
  try {
    await tellOthers(io, directory, scratch);
    const world = { ...REAL_WORLD, clock: systemClock, sample: sampleInProcess };
    const { cells, batchIntervalMs, plan } = given;
    const input = { cells, batchIntervalMs, plan, directory, scratch, progress };
    const report = await runBench({ ...input, signal: stop.signal, world });
    progress.close();
    write(io, given, report);
    return 0;
  } catch (error) {
    if (error instanceof Interrupted) return error.exitCode;
    throw error;
  } finally {
    progress.close();
    removeTree(scratch);
    release();
  }
}

/** The directory, and the places of the files. @throws with all that is wrong with them. */
async function checkPlaces({ json, html }: BenchArguments, directory: string): Promise<void> {
  const problems: string[] = [];
  if (!isDirectory(directory)) problems.push(`there is no directory ${directory}`);
  else {
    const { kind, type } = await recogniseFileSystem(directory);
    if (kind === 'network') {
      problems.push(
        `${directory} is on ${type}, behind a network, where a run refuses to put its log: ` +
          'choose a directory on a local disk',
      );
    }
  }
  for (const [flag, path] of Object.entries({ '--json': json, '--html': html })) {
    if (path === undefined || path === '-') continue;
    const folder = dirname(resolve(path));
    if (!isDirectory(folder)) problems.push(`${flag} ${path}: there is no directory ${folder}`);
    else if (isDirectory(resolve(path))) problems.push(`${flag} ${path} is a directory`);
  }
  if (problems.length > 0) throw problemsError(problems);
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function makeScratch(directory: string): string {
  try {
    return mkdtempSync(join(directory, SCRATCH_PREFIX));
  } catch (cause) {
    const message = `${directory} cannot be written: ${toError(cause).message}`;
    throw new MillraceError('DISK_FAILED', message, { cause, details: { path: directory } });
  }
}

/** What a process that was just killed still does to it may come in between. */
function removeTree(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}

/** Another run beside this one spoils both, and a killed one leaves what it had. */
async function tellOthers(io: CliIo, directory: string, own: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    if (!name.startsWith(SCRATCH_PREFIX) || path === own) continue;
    io.err(`${path} belongs to another run: if none is under way, it was killed; remove it\n`);
  }
}

class Interrupted extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('interrupted');
    this.exitCode = exitCode;
  }
}

/** A first signal ends the run in good order, which takes a moment; a second one at once. */
function holdProcess(scratch: string, stop: AbortController): () => void {
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

function write(io: CliIo, { json, html }: BenchArguments, report: BenchReport): void {
  const text = `${JSON.stringify(report, shortNumber)}\n`;
  io.out(json === '-' ? text : reportText(report));
  try {
    if (json !== undefined && json !== '-') writeFileSync(json, text);
    if (html !== undefined) writeFileSync(html, pageOf(report));
  } catch (cause) {
    const { message } = toError(cause);
    throw new MillraceError('DISK_FAILED', `the report cannot be written: ${message}`, { cause });
  }
}

/** Six digits are more than any clock here is worth. */
function shortNumber(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(6)) : value;
}
