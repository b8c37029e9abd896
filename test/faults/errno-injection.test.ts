/** The kernel says no: more than a hundred starts of a real engine in each of which system calls on
 * its log, its checkpoints or anything else fail with a real errno, or take less than they were given.
 *
 * Clients post all the time and remember what was acknowledged. The engine may end with 74, or go on
 * where nothing was promised; it must end with 74 when a log's own write or sync failed. Each start
 * recovers what the one before it left. At the end of a chain everything acknowledged is in the
 * output exactly once. `MILLRACE_SEED` replays the choice of faults. @module */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, expect, it } from 'vitest';
import type { Random } from '../../src/core/random.ts';
import type { ChildEngine } from '../support/child-engine.ts';
import { HttpTrial } from '../support/http-trial.ts';
import { randomOf, SEED } from '../support/kill-plan.ts';
import { hasLostItsTracer, readTrace, requireStrace, straceCommand } from '../support/strace.ts';
import type { Injection, TracedCall } from '../support/strace.ts';

const CHAINS = 8;
/** Starts of a chain in which something failed, and how many it may take. */
const FIRED_A_CHAIN = 13;
const STARTS_MAX = 26;
/** Acknowledged requests after which a start that does not fail is stopped. */
const POSTS_MAX = 24;
/** A log has fewer files in one chain. */
const SEGMENTS_MAX = 200;
/** How long a start may take that fails nowhere and acknowledges little. */
const LIMIT_MS = 60_000;

/** Where calls fail. `paths` are below the checkpoint directory; none: wherever. */
interface Place {
  readonly name: string;
  readonly paths: readonly string[];
  readonly calls: readonly string[];
}

const hex = (seq: number): string => seq.toString(16).padStart(16, '0');
const numbers = Array.from({ length: SEGMENTS_MAX }, (_, index) => index + 1);
/** One or the other, depending on how many pieces a group has. */
const WRITE = 'pwrite64,pwritev';
const LOG_CALLS = ['fdatasync', 'fsync', WRITE, 'openat', 'rename', 'unlink'];

function logPaths(name: string): string[] {
  const spares = numbers.slice(0, 20).map((number) => `spare-${number}.tmp`);
  return [
    name,
    ...numbers.map((seq) => `${name}/${hex(seq)}.wal`),
    ...spares.map((spare) => `${name}/${spare}`),
  ];
}

const CHECKPOINTS = numbers.flatMap((seq) => {
  const path = `checkpoints/checkpoint-${hex(seq)}.ckpt`;
  return [path, `${path}.tmp`];
});

function segmentPaths(log: string): string[] {
  return numbers.map((seq) => `${log}/${hex(seq)}.wal`);
}

const SEGMENT_CALLS = ['fdatasync', WRITE];
const PLACES: readonly Place[] = [
  { name: 'driver segments', paths: segmentPaths('driver-log'), calls: SEGMENT_CALLS },
  { name: 'receiver segments', paths: segmentPaths('receiver-log-0'), calls: SEGMENT_CALLS },
  { name: 'driver log', paths: logPaths('driver-log'), calls: [...LOG_CALLS, 'pread64'] },
  { name: 'receiver log', paths: logPaths('receiver-log-0'), calls: LOG_CALLS },
  {
    name: 'checkpoints',
    paths: ['checkpoints', ...CHECKPOINTS],
    calls: ['fsync', WRITE, 'openat', 'rename', 'unlink'],
  },
  {
    name: 'manifest and lock',
    paths: ['', 'MANIFEST', 'MANIFEST.tmp', 'LOCK'],
    calls: ['fsync', WRITE, 'openat', 'rename', 'ftruncate', 'pread64'],
  },
  {
    name: 'anything',
    paths: [],
    calls: ['fdatasync', 'fsync', WRITE, 'rename', 'mkdir'],
  },
];

/** A count short of what was asked for. Others would be a lie about bytes that were never written:
 * libuv believes them and writes the rest. */
const NOTHING_TAKEN = 'retval=0';
/** Every group has them. */
const FREQUENT = new Set(['fdatasync', WRITE]);
/** Once or twice in a start. */
const RARE = new Set(['ftruncate', 'mkdir', 'pread64']);
const ERRNOS = ['EIO', 'ENOSPC', 'EDQUOT'];
const WRITES = new Set(WRITE.split(','));
/** Of one run whose tracer gives up. */
const TURNS_MAX = 5;
/** Arguments of a call on an open log segment, as strace prints them. */
const LOG_SEGMENT = /^\d+<[^>]*\/[0-9a-f]{16}\.wal>/;

interface Fault extends Injection {
  readonly place: Place;
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random.next() * from.length)] as T;
}

function randomFault(random: Random): Fault {
  const place = pick(random, PLACES);
  const call = pick(random, place.calls);
  const isShort = call === WRITE && random.next() < 0.4;
  const effect = isShort ? NOTHING_TAKEN : `error=${pick(random, ERRNOS)}`;
  // Early calls come in recovery, later ones under load: both often.
  const kMax = FREQUENT.has(call) ? 12 : RARE.has(call) ? 2 : 5;
  const k = 1 + Math.floor(kMax * random.next() ** 2);
  return { place, call, effect, when: random.next() < 0.5 ? `${k}` : `${k}+` };
}

const trials: HttpTrial[] = [];
afterEach(async () => {
  await Promise.all(trials.splice(0).map((trial) => trial.close()));
});
beforeAll(requireStrace);

/** Runs an engine under the fault. A run without its tracer is another crash, and shows no more. */
async function runFaulty(trial: HttpTrial, fault: Fault, number: number): Promise<TracedCall[]> {
  for (let turn = 1; ; turn += 1) {
    const file = join(trial.site.directory, `trace-${number}-${turn}`);
    const engine = await runTraced(trial, fault, file);
    if (turn < TURNS_MAX && hasLostItsTracer(engine.describe())) continue;
    const injected = readTrace(file).filter(({ isInjected }) => isInjected);
    checkEnd(engine, fault, injected);
    return injected;
  }
}

/** Starts an engine under the fault and lets it end, by itself or because it has done enough. */
async function runTraced(trial: HttpTrial, fault: Fault, file: string): Promise<ChildEngine> {
  const { site } = trial;
  const prefix = straceCommand({
    file,
    calls: [fault.call],
    injections: [fault],
    paths: fault.place.paths.map((path) => join(site.checkpointDir, path)),
  });
  const engine = site.start({ prefix });
  await enough(trial, engine);
  if (engine.exit === undefined) engine.askToStop();
  await engine.ended();
  return engine;
}

/** Until the engine has ended, or has acknowledged so many requests that more would tell nothing. */
async function enough({ clients }: HttpTrial, engine: ChildEngine): Promise<void> {
  const before = clients.answers.get(200) ?? 0;
  const deadline = performance.now() + LIMIT_MS;
  while (engine.exit === undefined && performance.now() < deadline) {
    if ((clients.answers.get(200) ?? 0) >= before + POSTS_MAX) return;
    await sleep(5);
  }
}

function checkEnd(engine: ChildEngine, fault: Fault, injected: readonly TracedCall[]): void {
  const story = `${describe(fault)}: ${injected.map(({ name, text }) => `${name}(${text}`).join('\n')}\n`;
  const { code, signal } = engine.exit ?? { code: null, signal: null };
  const said = story + engine.describe();
  expect(signal, said).toBeNull();
  if (injected.length === 0) return expect(code, said).toBe(0);
  // 1: an output that could not be written; the batch runs again. Only where outputs are meant too.
  const allowed = fault.place.paths.length === 0 ? [0, 1, 74] : [0, 74];
  // 2: what the device does not give back is damage as long as it does not. It changes nothing.
  if (injected.some(isReading)) allowed.push(2);
  expect(allowed, said).toContain(code);
  if (injected.some(isFatal)) expect(code, said).toBe(74);
}

/** A log's own write or sync: whatever it was, nothing may be acknowledged after it. */
function isFatal({ name, text }: TracedCall): boolean {
  return (WRITES.has(name) || name === 'fdatasync') && LOG_SEGMENT.test(text);
}

function isReading({ name, text }: TracedCall): boolean {
  return name === 'pread64' || (name === 'openat' && text.includes('O_RDONLY'));
}

function describe({ place, call, effect, when }: Fault): string {
  return `${place.name}, ${call}:${effect}:when=${when}`;
}

async function runChain(chain: number): Promise<{ starts: number; fired: number; fatal: number }> {
  const random = randomOf(`chain ${chain}`);
  const trial = await HttpTrial.open({ withKeys: true, options: { executors: 1 } });
  trials.push(trial);
  const counts = { starts: 0, fired: 0, fatal: 0 };
  for (let start = 0; counts.fired < FIRED_A_CHAIN && start < STARTS_MAX; start += 1) {
    const injected = await runFaulty(trial, randomFault(random), start);
    counts.starts += 1;
    if (injected.length > 0) counts.fired += 1;
    if (injected.some(isFatal)) counts.fatal += 1;
  }
  await trial.finishAndCheck();
  return counts;
}

it.each([
  ['driver-log', 'fdatasync', 'error=EIO'],
  ['receiver-log-0', 'fdatasync', 'error=EIO'],
  ['driver-log', WRITE, 'retval=0'],
  ['receiver-log-0', WRITE, 'error=ENOSPC'],
  ['receiver-log-0', WRITE, 'retval=0'],
])('ends with 74 after a failed call on a segment: %s, %s:%s', async (log, call, effect) => {
  const trial = await HttpTrial.open({ withKeys: true, options: { executors: 1 } });
  trials.push(trial);
  const place: Place = { name: log, paths: segmentPaths(log), calls: [call] };
  // Some calls later than the start needs: in the middle of the load.
  const injected = await runFaulty(trial, { place, call, effect, when: '3+' }, 0);
  expect(injected.some(isFatal), 'nothing failed').toBe(true);
  await trial.finishAndCheck();
});

it(`outlives ${CHAINS * FIRED_A_CHAIN} runs with failing calls (MILLRACE_SEED=${SEED})`, async () => {
  const sum = { starts: 0, fired: 0, fatal: 0 };
  for (let chain = 0; chain < CHAINS; chain += 2) {
    for (const counts of await Promise.all([runChain(chain), runChain(chain + 1)])) {
      sum.starts += counts.starts;
      sum.fired += counts.fired;
      sum.fatal += counts.fatal;
    }
  }
  // Most faults hit something, and many what matters most.
  expect(sum.fired, JSON.stringify(sum)).toBeGreaterThanOrEqual(100);
  expect(sum.fatal, JSON.stringify(sum)).toBeGreaterThanOrEqual(12);
});
