/** One vitest for the copy of the project in which it is started, for as many runs as it is told.
 *
 * Starting vitest takes longer than most catchers. What stays between two runs is what vitest has
 * made of files that did not change; each test file still runs in a process of its own. Results
 * are taken from the events of a run, never from what vitest remembers of earlier ones.
 * @module */
import { join } from 'node:path';
import { createVitest } from 'vitest/node';
import type { Reporter, TestCase, TestModule, TestProject, Vitest } from 'vitest/node';
import type { CatcherOrder, CatcherReport, TestOutcome } from './catcher-runner.ts';

class RunReporter implements Reporter {
  outcomes: TestOutcome[] = [];
  /** What went wrong outside of tests. */
  errors: string[] = [];

  onTestCaseResult(test: TestCase): void {
    const { state } = test.result();
    if (state !== 'passed' && state !== 'failed') return;
    const names: string[] = [];
    for (let part: TestCase | TestCase['parent'] = test; part.type !== 'module';) {
      names.unshift(part.name);
      part = part.parent;
    }
    this.outcomes.push({
      file: test.module.moduleId,
      fullName: names.join(' '),
      isPassed: state === 'passed',
    });
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly { message: string }[]): void {
    const all = [...modules.flatMap((module) => module.errors()), ...errors];
    this.errors.push(...all.map(({ message }) => message));
  }
}

/** True when vitest has read `file` since it was told that it changed. */
function isLoaded({ vite }: TestProject, file: string): boolean {
  return Object.values(vite.environments).some(({ moduleGraph }) =>
    [...(moduleGraph.getModulesByFile(file) ?? [])].some(
      ({ transformResult }) => transformResult !== null,
    ),
  );
}

async function run(vitest: Vitest, order: CatcherOrder): Promise<CatcherReport> {
  const project = vitest.projects.find(({ name }) => name === order.project);
  if (project === undefined) throw new Error(`there is no project '${order.project}'`);
  reporter.outcomes = [];
  reporter.errors = [];
  for (const path of order.changed) vitest.invalidateFile(join(vitest.config.root, path));
  if (order.test === undefined) vitest.resetGlobalTestNamePattern();
  else vitest.setGlobalTestNamePattern(order.test);
  const ordinaryLimitMs = project.config.testTimeout;
  project.config.testTimeout = order.testLimitMs ?? ordinaryLimitMs;
  try {
    const files = order.files.map((file) => join(vitest.config.root, file));
    await vitest.runTestSpecifications(files.map((file) => project.createSpecification(file)));
  } finally {
    project.config.testTimeout = ordinaryLimitMs;
  }
  return {
    outcomes: reporter.outcomes,
    errors: reporter.errors,
    loaded: order.changed.filter((path) => isLoaded(project, join(vitest.config.root, path))),
  };
}

const reporter = new RunReporter();

async function start(): Promise<Vitest> {
  const options = { root: process.cwd(), watch: false, bail: 1, reporters: [reporter] };
  const vitest = await createVitest('test', options);
  await vitest.standalone();
  return vitest;
}

const starting = start();
// Whoever started this process is gone: nobody wants to know any more.
process.on('disconnect', () => process.exit());
process.on('message', (order: CatcherOrder) => {
  void starting
    .then((vitest) => run(vitest, order))
    .catch((error: unknown) => ({ outcomes: [], errors: [String(error)], loaded: [] }))
    .then((report: CatcherReport) => process.send?.(report));
});
