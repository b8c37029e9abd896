/** Runs all rounds over all cells, the disk alone before and after, and makes the report.
 *
 * Owns its directory, which is inside the measured one: made first, removed last, whatever happens.
 * One engine at a time, each in a process and a directory of its own. @module */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { threadEntry } from '../../core/thread-entry.ts';
import type { BenchArguments } from './bench-arguments.ts';
import type { BenchProgress } from './bench-progress.ts';
import { reportOf } from './bench-report.ts';
import type { BenchReport } from './bench-report.ts';
import { memoryOf } from './bench-room.ts';
import { cellText } from './cell.ts';
import type { Cell } from './cell.ts';
import type { CellTask } from './cell-protocol.ts';
import type { CellSample } from './cell-sample.ts';
import { measureDiskLimit } from './disk-limit.ts';
import type { DiskLimit, DiskProbe } from './disk-limit.ts';
import { loadAverage, readEnvironment } from './environment.ts';
import type { Environment } from './environment.ts';
import { pipelineText } from './pipeline-text.ts';
import { inRound } from './rounds.ts';
import { halfMsOf, probesMs, sampleMs } from './run-plan.ts';

/** What a run needs of the world; tests hand in others. */
export interface BenchWorld {
  readonly clock: Clock;
  readonly sample: (task: CellTask, signal: AbortSignal) => Promise<CellSample>;
  readonly probe: (directory: string, probe: DiskProbe) => Promise<DiskLimit>;
  readonly environment: (directory: string) => Promise<Environment>;
  readonly load: () => number;
}

export const REAL_WORLD: Omit<BenchWorld, 'clock' | 'sample'> = {
  probe: measureDiskLimit,
  environment: readEnvironment,
  load: loadAverage,
};

export interface BenchRunInput extends Pick<BenchArguments, 'cells' | 'batchIntervalMs' | 'plan'> {
  /** Absolute. */
  readonly directory: string;
  /** Made and removed here. */
  readonly scratch: string;
  readonly progress: BenchProgress;
  /** Ends the run; what was measured so far is given up. */
  readonly signal: AbortSignal;
  readonly world: BenchWorld;
}

/** @throws {MillraceError} what has failed in a sample; the signal's reason. */
export async function runBench(input: BenchRunInput): Promise<BenchReport> {
  const { directory, scratch, plan, signal, world, progress, batchIntervalMs } = input;
  const { isSmoke } = plan;
  // Found by the bundler before any other: what it writes lies here.
  mkdirSync(join(scratch, 'node_modules'), { recursive: true });
  const environment = await world.environment(scratch);
  const probe = async (text: string): Promise<DiskLimit> => {
    progress.begin({ text, expectedMs: probesMs(plan) / 2 });
    return world.probe(scratch, { isSmoke, signal });
  };
  const before = await probe('the disk alone');
  const samples = await new Rounds(input).run();
  const after = await probe('the disk alone, again');
  return reportOf({
    directory,
    environment,
    loadAtEnd: world.load(),
    disk: [before, after],
    isSmoke,
    secondsPerSample: plan.fullMs / 1_000,
    batchIntervalMs,
    wantedRepetitions: plan.repetitions,
    samples,
    order: input.cells,
  });
}

class Rounds {
  readonly #input: BenchRunInput;
  readonly #samples: Map<string, CellSample[]>;
  #count = 0;

  constructor(input: BenchRunInput) {
    this.#input = input;
    this.#samples = new Map(input.cells.map((cell) => [cellText(cell), []]));
  }

  async run(): Promise<ReadonlyMap<string, readonly CellSample[]>> {
    const { cells, plan, world } = this.#input;
    const startedMs = world.clock.monotonicMs();
    let longestMs = 0;
    for (let round = 0; round < plan.repetitions; round += 1) {
      const beganMs = world.clock.monotonicMs();
      const usedMs = beganMs - startedMs + probesMs(plan);
      // The first round is what a report needs at least.
      if (round > 0 && usedMs + longestMs > (plan.budgetMs ?? Infinity)) break;
      for (const cell of inRound(cells, round)) await this.#take(cell);
      longestMs = Math.max(longestMs, world.clock.monotonicMs() - beganMs);
    }
    return this.#samples;
  }

  async #take(cell: Cell): Promise<void> {
    const { cells, plan, progress, scratch, signal, world } = this.#input;
    this.#count += 1;
    const total = cells.length * plan.repetitions;
    const text = `${this.#count} of ${total}: ${cellText(cell)}`;
    progress.begin({ text, expectedMs: sampleMs(cell, plan) });
    const directory = join(scratch, 'sample');
    mkdirSync(directory);
    try {
      const sample = await world.sample(this.#taskOf(cell, directory), signal);
      this.#samples.get(cellText(cell))?.push(sample);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }

  #taskOf(cell: Cell, directory: string): CellTask {
    const { batchIntervalMs, plan } = this.#input;
    const { receivers, recordBytes } = cell;
    const receiverUrl = threadEntry('./load-receiver.ts', import.meta.url).href;
    const pipeline = join(directory, 'bench.mjs');
    writeFileSync(pipeline, pipelineText({ receiverUrl, receivers, recordBytes }));
    return {
      cell,
      pipeline,
      checkpointDir: join(directory, 'home'),
      batchIntervalMs,
      warmUpMs: plan.warmUpMs,
      fullMs: plan.fullMs,
      halfMs: halfMsOf(cell, plan),
      memoryBytes: memoryOf(plan),
    };
  }
}
