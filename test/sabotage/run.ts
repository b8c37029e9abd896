/** Breaks copies of the project, one place at a time, and runs the test that has to notice.
 *
 *   npm run test:sabotage [-- words of a name]
 *
 * First every catcher runs on an unbroken copy and has to pass; then each break has to make a test
 * fail: an assertion, not a file that does not load. Ends with 1 when one survives, or when the
 * place that it breaks is not there any more. The project itself is never touched. @module */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BREAKS } from './breaks.ts';
import type { Break, Catcher } from './breaks/break.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const CONFIGS = ['package.json', 'tsconfig.json', 'tsconfig.build.json'];
const COPIED = ['src', 'test', 'benchmarks', 'scripts', ...CONFIGS];
/** Of one run of a catcher, sound or broken. */
const LIMIT_MS = 900_000;
/** Of one test in a broken copy: it may be caught by waiting for ever, and that has to end. Unit
 * tests take milliseconds. */
const BROKEN_UNIT_TEST_LIMIT_MS = 20_000;
const BROKEN_TEST_LIMIT_MS = 120_000;
/** Of the runs that a simulation does in CI. */
const SIMULATED_SHARE = '0.1';
/** Copies that are worked on at the same time. */
const LANES = 2;

interface Outcome {
  readonly name: string;
  readonly violates: string;
  readonly catcher: string;
  readonly result: 'caught' | 'SURVIVED' | 'NOT FOUND' | 'NO RESULT';
  readonly seconds: number;
  readonly detail: string;
}

interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  /** Names of tests that failed, or why nothing can be said. */
  readonly detail: string;
}

/** What a run of vitest told; no test when it came to nothing. */
interface Report {
  readonly tests: readonly { file: string; status: string; fullName: string }[];
  readonly said: string;
}

/** A copy of the project that may be broken. */
class Lane {
  readonly directory = mkdtempSync(join(tmpdir(), 'millrace-sabotage-'));

  constructor() {
    for (const path of [...COPIED, 'vitest.config.ts']) {
      cpSync(join(ROOT, path), join(this.directory, path), { recursive: true });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(this.directory, 'node_modules'));
  }

  async try(each: Break): Promise<Outcome> {
    const started = performance.now();
    const catcher = describeCatcher(each.caughtBy);
    const outcome = (result: Outcome['result'], detail: string): Outcome => {
      const seconds = (performance.now() - started) / 1_000;
      return { name: each.name, violates: each.violates, catcher, result, seconds, detail };
    };
    const path = join(this.directory, each.file);
    const sound = readFileSync(path, 'utf8');
    const places = sound.split(each.find).length - 1;
    if (places !== 1) return outcome('NOT FOUND', `${places} such places in ${each.file}`);
    writeFileSync(
      path,
      sound.replace(each.find, () => each.replace),
    );
    try {
      const isUnit = each.caughtBy.project === 'unit';
      const limitMs = isUnit ? BROKEN_UNIT_TEST_LIMIT_MS : BROKEN_TEST_LIMIT_MS;
      const { test } = each.caughtBy;
      const only = test === undefined ? [] : ['-t', test];
      const report = await this.#run([each.caughtBy], [`--testTimeout=${limitMs}`, ...only]);
      const { failed, detail } = countsOf(report, each.caughtBy);
      if (failed > 0) return outcome('caught', detail);
      return outcome(detail === '' ? 'SURVIVED' : 'NO RESULT', detail);
    } finally {
      writeFileSync(path, sound);
    }
  }

  /** Runs catchers of one project on what is not broken.
   * @returns a sentence for each that does not pass, or of which nothing ran. */
  async check(catchers: readonly Catcher[]): Promise<string[]> {
    const [first] = catchers;
    const isOne = catchers.length === 1;
    const report = await this.#run(
      catchers,
      isOne && first?.test !== undefined ? ['-t', first.test] : [],
    );
    return catchers.flatMap((catcher) => {
      const { passed, failed, detail } = countsOf(report, catcher);
      if (failed === 0 && passed > 0) return [];
      return [`${describeCatcher(catcher)} fails on the unbroken project: ${detail}`];
    });
  }

  /** @param flags of vitest. */
  async #run(catchers: readonly Catcher[], flags: readonly string[]): Promise<Report> {
    const project = catchers[0]?.project ?? '';
    if (['crash', 'faults', 'integration'].includes(project)) {
      const build = await this.#node(['scripts/build.mjs']);
      if (build.code !== 0) return { tests: [], said: `no build: ${build.said}` };
    }
    const path = join(this.directory, 'report.json');
    rmSync(path, { force: true });
    const { said } = await this.#node([
      join('node_modules', 'vitest', 'vitest.mjs'),
      'run',
      ...new Set(catchers.map(({ file }) => file)),
      `--project=${project}`,
      '--reporter=json',
      `--outputFile=${path}`,
      '--bail=1',
      ...flags,
    ]);
    return readReport(path, said);
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #node(args: readonly string[]): Promise<{ code: number | null; said: string }> {
    const child = spawn(process.execPath, args, {
      cwd: this.directory,
      // A break that a simulation notices, it notices soon: the rest of its runs prove nothing.
      env: { ...process.env, MILLRACE_RUNS: SIMULATED_SHARE },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: LIMIT_MS,
      killSignal: 'SIGKILL',
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (said += text));
    }
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, said: said.slice(-2_000) };
  }
}

function readReport(path: string, said: string): Report {
  let report: {
    testResults: {
      name: string;
      assertionResults: { status: string; fullName: string }[];
    }[];
  };
  try {
    report = JSON.parse(readFileSync(path, 'utf8')) as typeof report;
  } catch {
    return { tests: [], said: `no report: ${said}` };
  }
  const tests = report.testResults.flatMap(({ name: file, assertionResults }) =>
    assertionResults.map(({ status, fullName }) => ({ file, status, fullName })),
  );
  return { tests, said };
}

/** What a report says of one catcher. */
function countsOf({ tests, said }: Report, { file, test = '' }: Catcher): TestCounts {
  const ran = tests.filter(
    (each) => each.file.endsWith(file) && each.fullName.match(test) !== null,
  );
  const passed = ran.filter(({ status }) => status === 'passed').length;
  const failures = ran.filter(({ status }) => status === 'failed');
  const detail = passed + failures.length === 0 ? `no test ran: ${said}` : failures[0]?.fullName;
  return { passed, failed: failures.length, detail: detail ?? '' };
}

function describeCatcher({ project, file, test }: Catcher): string {
  return `${project}: ${file}${test === undefined ? '' : ` -t '${test}'`}`;
}

/** Each lane takes the next task when it is done with one. @returns in the order of the tasks. */
async function inLanes<T, R>(
  lanes: readonly Lane[],
  tasks: readonly T[],
  work: (lane: Lane, task: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  await Promise.all(
    lanes.map(async (lane) => {
      while (next < tasks.length) {
        const index = next;
        next += 1;
        results[index] = await work(lane, tasks[index] as T);
      }
    }),
  );
  return results;
}

/** @returns what is wrong with the tests before anything is broken. */
async function checkSound(lanes: readonly Lane[], chosen: readonly Break[]): Promise<string[]> {
  const catchers = new Map(chosen.map(({ caughtBy }) => [describeCatcher(caughtBy), caughtBy]));
  const units = [...catchers.values()].filter(({ project }) => project === 'unit');
  const others = [...catchers.values()].filter(({ project }) => project !== 'unit');
  // Unit tests take less time than starting their runner: all of them in one go.
  const runs =
    units.length === 0 ? others.map((each) => [each]) : [units, ...others.map((each) => [each])];
  const problems = await inLanes(lanes, runs, (lane, together) => lane.check(together));
  return problems.flat();
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function printOutcome({ name, violates, catcher, result, seconds, detail }: Outcome): void {
  print(`${result.padEnd(9)} ${seconds.toFixed(1).padStart(5)} s  ${name} (${violates})`);
  print(`                    ${catcher}${detail === '' ? '' : `: ${detail}`}`);
}

async function main(words: readonly string[]): Promise<number> {
  const chosen = BREAKS.filter(({ name }) => words.every((word) => name.includes(word)));
  const lanes = Array.from({ length: LANES }, () => new Lane());
  try {
    const problems = await checkSound(lanes, chosen);
    for (const problem of problems) print(problem);
    if (problems.length > 0) return 1;
    const outcomes = await inLanes(lanes, chosen, async (lane, each) => {
      const outcome = await lane.try(each);
      printOutcome(outcome);
      return outcome;
    });
    const caught = outcomes.filter(({ result }) => result === 'caught').length;
    print(`${caught} of ${chosen.length} breaks caught`);
    return caught === chosen.length && caught > 0 ? 0 : 1;
  } finally {
    for (const lane of lanes) lane.close();
  }
}

process.exitCode = await main(process.argv.slice(2));
