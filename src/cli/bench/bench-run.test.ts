/** @module */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import { recordedIo } from '../../../test/support/recorded-io.ts';
import { LATENCY_BOUNDS_MS } from '../../wal/latency-window.ts';
import { BenchProgress } from './bench-progress.ts';
import { runBench } from './bench-run.ts';
import { cellText, cellsOf } from './cell.ts';
import type { CellTask } from './cell-protocol.ts';
import type { CellSample } from './cell-sample.ts';
import { planRun } from './run-plan.ts';

const CELLS = cellsOf({
  wal: ['off', 'flush', 'sync'],
  receivers: [1],
  blockIntervalsMs: [50],
  recordBytes: [100],
});
const SAMPLE: CellSample = {
  recordsPerSecond: 1,
  cpuNsPerRecord: 1,
  engineCores: 1,
  otherCores: 0,
  receiverBusyShare: 1,
  logBytesPerSecond: 1,
  syncCounts: LATENCY_BOUNDS_MS.map(() => 1),
  ackMs: { count: 1, p50: 1, p90: 1, p99: 1, max: 1 },
  halfHeldShare: 1,
};

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

interface Trial {
  readonly isTerminal?: boolean;
  readonly budgetMs?: number;
  /** Of one sample. */
  readonly tookMs?: number;
  readonly signal?: AbortSignal;
  readonly onSample?: (task: CellTask) => void;
}

async function trial({ isTerminal = false, budgetMs, tookMs = 5_000, ...rest }: Trial) {
  const clock = new ManualClock();
  const order: string[] = [];
  const { io, said } = recordedIo(isTerminal);
  const plan = planRun(CELLS, { isSmoke: false, seconds: 2, repetitions: 3, budgetMs });
  if (typeof plan === 'string') throw new Error(plan);
  const progress = new BenchProgress(io, clock, { name: 'bench', totalMs: plan.expectedMs });
  const { signal = new AbortController().signal } = rest;
  const disk = { mode: 'direct', bytesPerSecond: 1, syncMsP50: 1, syncMsP99: 1 } as const;
  const machine = { cpu: 'c', cores: 2, memoryGiB: 1, kernel: 'k', node: 'n', fileSystem: 'ext4' };
  const run = runBench({
    cells: CELLS,
    batchIntervalMs: 200,
    plan,
    directory: '/d',
    scratch,
    progress,
    signal,
    world: {
      clock,
      sample: (task) => {
        rest.onSample?.(task);
        order.push(task.cell.wal);
        clock.advance(tookMs);
        return Promise.resolve(SAMPLE);
      },
      probe: () => Promise.resolve(disk),
      environment: () => Promise.resolve({ ...machine, load: 0, date: '2026-11-21' }),
      load: () => 1,
    },
  }).finally(() => progress.close());
  const outcome = await run.catch((error: unknown) => error as Error);
  return { outcome, order, err: said.err.join(''), pendingMs: clock.pendingMs };
}

it('goes over all cells, every second one backwards, each in a directory of its own', async () => {
  const seen: string[] = [];
  const { outcome, order } = await trial({
    onSample: ({ checkpointDir, pipeline }) => {
      expect(checkpointDir.startsWith(scratch)).toBe(true);
      expect(pipeline.startsWith(scratch)).toBe(true);
      seen.push(...readdirSync(join(scratch, 'sample')));
    },
  });
  expect(order.join(' ')).toBe('off flush sync sync flush off off flush sync');
  expect(outcome).toMatchObject({ repetitions: 3, wantedRepetitions: 3, loadAtEnd: 1 });
  // Nothing of the sample before was there.
  expect(seen).toEqual(Array.from({ length: 9 }, () => 'bench.mjs'));
  expect(readdirSync(scratch)).not.toContain('sample');
});

it('begins no round that would not end within the budget, and finishes the first', async () => {
  const slow = await trial({ budgetMs: 60_000, tookMs: 10_000 });
  expect(slow.order).toEqual(['off', 'flush', 'sync']);
  expect(slow.outcome).toMatchObject({ repetitions: 1, wantedRepetitions: 3 });
  const slower = await trial({ budgetMs: 60_000, tookMs: 100_000 });
  expect(slower.order).toHaveLength(3);
});

it('ends with the failure of a sample, and keeps nothing of it', async () => {
  const failed = await trial({
    onSample: () => {
      throw new Error('an engine failed');
    },
  });
  expect(failed.outcome).toMatchObject({ message: 'an engine failed' });
  expect(readdirSync(scratch)).not.toContain('sample');
  expect(failed.pendingMs).toEqual([]);
});

it('tells each sample on a line with the time left, and shows a bar at a terminal', async () => {
  const { err } = await trial({ tookMs: 4_000 });
  const lines = err.trim().split('\n');
  expect(lines).toHaveLength(2 + 9);
  expect(lines[1]).toContain(`1 of 9: ${cellText(CELLS[0] ?? fail())}`);
  expect(lines.every((line) => / \((\d+ m )?\d+ s left\)$/.test(line))).toBe(true);
  const terminal = await trial({ isTerminal: true });
  expect(terminal.err).toMatch(/bench █+░+ \d+ % of \d+ s, \d+ s left/);
  expect(terminal.err.endsWith('\r\u001B[K')).toBe(true);
  expect(terminal.pendingMs).toEqual([]);
});

function fail(): never {
  throw new Error('there is no such cell');
}
