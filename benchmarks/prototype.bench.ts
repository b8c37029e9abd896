/** Question: what does the engine add to the barest program that does the same with a record?
 *
 * The engine at batches and blocks of 200 ms beside prototype-program.ts, which has threads,
 * shared memory, CRCs and a synced file, and nothing that makes it safe or usable. Read as: the
 * ratio to the prototype OF THE SAME RUN; what is missing to 1 is what batches, tracker,
 * checkpoints and bounds cost. Counts of both are checked.
 * @module */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { defineBenchmark } from './benchmark.ts';
import type { Conditions, Sample } from './benchmark.ts';
import { expectedSums } from './generator-check.ts';
import { pipelineThroughput } from './pipeline-throughput.bench.ts';
import type { PrototypeAnswer, PrototypeTask } from './prototype-program.ts';

const PROGRAM = fileURLToPath(new URL('prototype-program.ts', import.meta.url));
const SETTING = {
  batchInterval: '200ms',
  blockInterval: '200ms',
  memory: '512MiB',
  receivers: 1, // as the prototype has
};
const WARM_UP_MS = 2_000;
/** Beside what is measured, for whatever a busy machine takes to start and to end. */
const EXTRA_MS = 60_000;

export const prototype = defineBenchmark({
  name: 'prototype',
  question: 'What does the engine add to the barest program that does the same with a record?',
  axes: {
    pipeline: ['filter-count', 'word-count'],
    wal: ['off', 'sync'],
    program: ['engine', 'prototype'],
  },
  // The engine alone has its own smoke points.
  smokeAxes: { pipeline: ['filter-count', 'word-count'], wal: ['sync'], program: ['prototype'] },
  seconds: 8,
  metrics: {
    recordsPerSecond: { unit: 'M records/s', digits: 2, divisor: 1e6 },
    cpuNsPerRecord: { unit: 'ns CPU/record', digits: 0 },
  },
  baseline: {
    metric: 'recordsPerSecond',
    of: (point) => (point.program === 'prototype' ? undefined : { ...point, program: 'prototype' }),
  },
  measure({ pipeline, wal, program }, conditions) {
    return program === 'engine'
      ? pipelineThroughput.measure({ pipeline, wal, ...SETTING }, conditions)
      : measurePrototype({ pipeline, isSynced: wal === 'sync' }, conditions);
  },
});

async function measurePrototype(
  work: Pick<PrototypeTask, 'pipeline' | 'isSynced'>,
  { directory, seconds, isSmoke }: Conditions,
): Promise<Sample> {
  const script = join(directory, 'prototype.mjs'); // Node loads no TypeScript on threads
  const bundle = { bundle: true, format: 'esm', platform: 'node', target: 'node20' } as const;
  await build({ entryPoints: [PROGRAM], outfile: script, ...bundle });
  const task: PrototypeTask = {
    ...work,
    file: join(directory, 'log'),
    warmUpMs: isSmoke ? 100 : WARM_UP_MS,
    measureMs: isSmoke ? 200 : seconds * 1_000,
  };
  const timeout = task.warmUpMs + task.measureMs + EXTRA_MS;
  const args = [script, JSON.stringify(task)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout });
  const answer = JSON.parse(stdout) as PrototypeAnswer;
  const expected = expectedSums(work.pipeline, answer.records);
  for (const [name, sum] of Object.entries(expected)) {
    if (answer.sums[name] === sum) continue;
    throw new Error(`${answer.sums[name]} ${name}, but ${sum} were made`);
  }
  const { recordsPerSecond, cpuNsPerRecord } = answer;
  return { recordsPerSecond, cpuNsPerRecord };
}
