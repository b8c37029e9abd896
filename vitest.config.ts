/** The test suites, one vitest project each; package.json names the commands that run them.
 *
 * unit, sim and tidy need no build; integration, crash and faults start real processes from dist/.
 * Types (test/types) are checked by `npm run typecheck`, not here.
 * @module */
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

const MINUTE_MS = 60_000;

/** Files at a time. */
const WORKERS = 2;

interface SuiteOptions {
  /** Ends what would wait for ever; an ordinary test on a machine several times slower must stay
   * far below it. */
  readonly timeoutMs: number;
  /** Its files start processes, and come after the suites that do not: two files at a time leave
   * them room, for they also wait; a whole machine of simulations would not. */
  readonly startsProcesses?: true;
  /** For Node, in the processes of its tests. */
  readonly execArgv?: string[];
}

/** One suite. */
function suite(name: string, include: string[], options: SuiteOptions) {
  return {
    extends: true as const,
    test: {
      name,
      include,
      // What is tested from dist/ is loaded by Node itself, as its threads load it.
      server: { deps: { external: [/\/dist\//] } },
      testTimeout: options.timeoutMs,
      hookTimeout: options.timeoutMs,
      maxWorkers: WORKERS,
      execArgv: options.execArgv ?? [],
      sequence: { groupOrder: options.startsProcesses === true ? 1 : 0 },
    },
  };
}

/** Files of src/wal/ that only bind the log to the operating system or to a thread. Their tests run
 * in processes and threads of their own, from dist/, where this run cannot count branches:
 * test/integration/disk-thread.test.ts and test/faults/errno-injection.test.ts (each call that
 * fails, through strace); what is made of their answers is src/wal/node-disk.ts, which counts. */
const BINDING = 'disk-thread,disk-thread-main,disk-thread-protocol,system-calls';

export default defineConfig({
  test: {
    pool: 'forks', // a crash of a test's process cannot take vitest down
    maxWorkers: WORKERS,
    sequence: { sequencer: LongestFirst },
    globalSetup: './test/support/temporary-place.ts',
    reporters: ['default', './test/plain-reporter.ts'],
    coverage: {
      // Every branch of the log, and of what decides at a start whether it may be trusted.
      provider: 'v8',
      include: ['src/wal/**/*.ts', 'src/driver/examination*.ts', 'src/driver/recovery.ts'],
      exclude: ['**/*.test.ts', `src/wal/{${BINDING}}.ts`],
      reporter: ['text'],
      thresholds: { branches: 100 },
    },
    projects: [
      suite('unit', ['{src,benchmarks}/**/*.test.ts', 'test/spark/**/*.test.ts'], {
        timeoutMs: 2 * MINUTE_MS,
      }),
      suite('sim', ['test/sim/**/*.test.ts', 'test/scenarios/**/*.test.ts'], {
        timeoutMs: 15 * MINUTE_MS,
        // Each run makes a world of small things and drops it. With 16 MiB of young memory, as Node
        // has it, 300 engine histories took 23.0 s of CPU; with 64 MiB, 20.3 s. Threads that help
        // the collector take time from the file beside: without them, and with old memory that is
        // looked through later, seven pairs of such runs took 9 % less CPU (19 % less to 2 % more).
        execArgv: [
          '--max-semi-space-size=64',
          '--single-threaded-gc',
          '--initial-old-space-size=512',
        ],
      }),
      suite('tidy', ['test/tidy/**/*.test.ts'], { timeoutMs: 5 * MINUTE_MS }),
      suite('integration', ['test/integration/**/*.test.ts'], {
        timeoutMs: 5 * MINUTE_MS,
        startsProcesses: true,
      }),
      suite('faults', ['test/faults/**/*.test.ts'], {
        timeoutMs: 20 * MINUTE_MS,
        startsProcesses: true,
      }),
      suite('crash', ['test/crash/**/*.test.ts'], {
        timeoutMs: 15 * MINUTE_MS,
        startsProcesses: true,
      }),
    ],
  },
});
