/** Breaks copies of the project, one place at a time, and runs the test that has to notice.
 *
 *   npm run test:sabotage [-- words of a name]
 *
 * First every catcher runs on an unbroken copy and has to pass; then each break has to make a test
 * fail: an assertion, not a file that does not load. Ends with 1 when one survives, or when the
 * place that it breaks is not there any more. The project itself is never touched. How a break is
 * judged: lane.ts; why one vitest for all of a lane's breaks may be trusted: catcher-process.ts and
 * test/tidy/sabotage.test.ts. @module */
import { BREAKS } from './breaks.ts';
import type { Break, Catcher } from './breaks/break.ts';
import { describeCatcher, Lane } from './lane.ts';
import type { Outcome } from './lane.ts';

/** Copies that are worked on at the same time. */
const LANES = 2;

/** Those that take longest come first, so that all lanes end at about the same time. */
const LONGEST_FIRST: readonly Catcher['project'][] = [
  'crash',
  'faults',
  'integration',
  'sim',
  'unit',
];

function longestFirst(one: Catcher, other: Catcher): number {
  return LONGEST_FIRST.indexOf(one.project) - LONGEST_FIRST.indexOf(other.project);
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
  const runs = others.toSorted(longestFirst).map((each) => [each]);
  // Unit tests take less time than starting their processes: all of them in one go.
  if (units.length > 0) runs.push(units);
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
  const chosen = BREAKS.filter(({ name }) => words.every((word) => name.includes(word))).toSorted(
    (one, other) => longestFirst(one.caughtBy, other.caughtBy),
  );
  const lanes = Array.from({ length: LANES }, () => new Lane());
  try {
    const problems = await checkSound(lanes, chosen);
    for (const problem of problems) print(problem);
    if (problems.length > 0) return 1;
    const seconds = (performance.now() / 1_000).toFixed(0);
    print(`after ${seconds} s: all catchers pass on the unbroken project`);
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
