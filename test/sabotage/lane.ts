/** A copy of the project that may be broken, one place at a time. @module */
import { spawn } from 'node:child_process';
import {
  cpSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Break, Catcher } from './breaks/break.ts';
import { CatcherRunner } from './catcher-runner.ts';
import type { CatcherOrder, CatcherReport } from './catcher-runner.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const CONFIGS = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'vitest.config.ts'];
const COPIED = ['src', 'test', 'benchmarks', 'scripts', 'docs', ...CONFIGS];
/** Of one run of a catcher, sound or broken. */
const LIMIT_MS = 900_000;
/** Of one test in a broken copy: it may be caught by waiting for ever, and that has to end. Unit
 * tests take milliseconds. */
const BROKEN_UNIT_TEST_LIMIT_MS = 20_000;
const BROKEN_TEST_LIMIT_MS = 120_000;
/** Of the runs that a simulation does in CI. */
const SIMULATED_SHARE = '0.1';
/** Their tests take what is tested from dist/. */
const BUILT: ReadonlySet<string> = new Set(['crash', 'faults', 'integration']);

export interface Outcome {
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
  /** Name of a test that failed, or why nothing can be said. */
  readonly detail: string;
}

export class Lane {
  readonly #directory = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-sabotage-')));
  // A break that a simulation notices, it notices soon: the rest of its runs prove nothing.
  readonly #env = { ...process.env, MILLRACE_RUNS: SIMULATED_SHARE };
  readonly #runner = new CatcherRunner(this.#directory, this.#env);
  /** Files that were written since vitest was last told. */
  readonly #changed = new Set<string>();
  /** What is in dist/ was made of the files as they are. */
  #isBuilt = false;

  constructor() {
    for (const path of COPIED) {
      cpSync(join(ROOT, path), join(this.#directory, path), { recursive: true });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(this.#directory, 'node_modules'));
  }

  async try(each: Break): Promise<Outcome> {
    const started = performance.now();
    const catcher = describeCatcher(each.caughtBy);
    const outcome = (result: Outcome['result'], detail: string): Outcome => {
      const seconds = (performance.now() - started) / 1_000;
      return { name: each.name, violates: each.violates, catcher, result, seconds, detail };
    };
    const sound = readFileSync(join(this.#directory, each.file), 'utf8');
    const places = sound.split(each.find).length - 1;
    if (places !== 1) return outcome('NOT FOUND', `${places} such places in ${each.file}`);
    const broken = sound.replace(each.find, () => each.replace);
    this.#write(each.file, broken);
    try {
      const report = await this.#runBroken(each.caughtBy);
      const { failed, detail } = countsOf(report, each.caughtBy);
      if (failed > 0) return outcome(...judgeFailure(each, report, detail));
      return outcome(detail === '' ? 'SURVIVED' : 'NO RESULT', detail);
    } finally {
      this.#write(each.file, sound);
    }
  }

  /** Runs catchers of one project on what is not broken.
   * @returns a sentence for each that does not pass, or of which nothing ran. */
  async check(catchers: readonly Catcher[]): Promise<string[]> {
    const [first] = catchers;
    const isOne = catchers.length === 1;
    const report = await this.#run(catchers, isOne && first !== undefined ? testOf(first) : {});
    return catchers.flatMap((catcher) => {
      const { passed, failed, detail } = countsOf(report, catcher);
      if (failed === 0 && passed > 0) return [];
      return [`${describeCatcher(catcher)} fails on the unbroken project: ${detail}`];
    });
  }

  close(): void {
    this.#runner.close();
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 3 });
  }

  #write(path: string, content: string): void {
    writeFileSync(join(this.#directory, path), content);
    this.#changed.add(path);
    this.#isBuilt = false;
  }

  async #runBroken(catcher: Catcher): Promise<CatcherReport> {
    const isUnit = catcher.project === 'unit';
    const testLimitMs = isUnit ? BROKEN_UNIT_TEST_LIMIT_MS : BROKEN_TEST_LIMIT_MS;
    return this.#run([catcher], { testLimitMs, ...testOf(catcher) });
  }

  async #run(
    catchers: readonly Catcher[],
    options: Pick<CatcherOrder, 'test' | 'testLimitMs'>,
  ): Promise<CatcherReport> {
    const project = catchers[0]?.project ?? 'unit';
    if (BUILT.has(project) && !this.#isBuilt) {
      const build = await this.#build();
      this.#isBuilt = build.code === 0;
      if (!this.#isBuilt) {
        return { outcomes: [], errors: [`no build: ${build.said}`], loaded: [] };
      }
    }
    const files = [...new Set(catchers.map(({ file }) => file))];
    const changed = [...this.#changed];
    this.#changed.clear();
    return this.#runner.run({ project, files, changed, ...options }, LIMIT_MS);
  }

  async #build(): Promise<{ code: number | null; said: string }> {
    const child = spawn(process.execPath, ['scripts/build.mjs'], {
      cwd: this.#directory,
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

/** A test that failed without the broken file failed for something else, such as the break before. */
function judgeFailure(
  { file, caughtBy }: Break,
  { loaded }: CatcherReport,
  detail: string,
): [Outcome['result'], string] {
  if (BUILT.has(caughtBy.project) || loaded.includes(file)) return ['caught', detail];
  return ['NO RESULT', `a test failed that never loaded ${file}: ${detail}`];
}

/** What a report says of one catcher. */
function countsOf(report: CatcherReport, { file, test = '' }: Catcher): TestCounts {
  const ran = report.outcomes.filter(
    (each) => each.file.endsWith(file) && each.fullName.match(test) !== null,
  );
  const failures = ran.filter(({ isPassed }) => !isPassed);
  // The first failure ends a run, whoever it belongs to.
  const others = report.outcomes.filter(({ isPassed }) => !isPassed);
  const why = [...report.errors, ...others.map((each) => `${each.file} fails: ${each.fullName}`)];
  const said = `no test ran: ${why.join('\n')}`;
  const detail = ran.length === 0 ? said : failures[0]?.fullName;
  return { passed: ran.length - failures.length, failed: failures.length, detail: detail ?? '' };
}

function testOf({ test }: Catcher): Pick<CatcherOrder, 'test'> {
  return test === undefined ? {} : { test };
}

export function describeCatcher({ project, file, test }: Catcher): string {
  return `${project}: ${file}${test === undefined ? '' : ` -t '${test}'`}`;
}
