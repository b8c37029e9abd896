import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import { recordedIo } from '../../../test/support/recorded-io.ts';
import { sampleOf } from '../../../test/support/tune-reports.ts';
import { MillraceError } from '../../core/errors.ts';
import { BenchProgress } from '../bench/bench-progress.ts';
import { Interrupted } from '../bench/scratch.ts';
import { settingsOf } from './setting.ts';
import type { TuneTask } from './tune-protocol.ts';
import { runTune } from './tune-run.ts';
import type { TuneRun } from './tune-run.ts';

const SAMPLE = sampleOf({ recordsPerSecond: 100_000 });
const AXES = {
  blockIntervalsMs: [50],
  batchIntervalsMs: [200],
  receiverExecutors: [1],
  executors: [1, 2],
};
const TOOK_MS = 4_000;

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'millrace-tune-'));
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

interface Given {
  readonly hasCheckpoint?: boolean;
  readonly onSample?: (task: TuneTask, index: number) => void;
  /** Said by the process of the first sample. */
  readonly notice?: string;
}

async function trial({ hasCheckpoint = true, onSample, notice }: Given = {}) {
  const clock = new ManualClock();
  const { io, said } = recordedIo();
  const settings = settingsOf(AXES);
  const [first] = settings;
  if (first === undefined) throw new Error('there is no setting');
  const tasks: TuneTask[] = [];
  const progress = new BenchProgress(io, clock, { name: 'tune', totalMs: 60_000 });
  const run: Promise<TuneRun> = runTune({
    plan: {
      settings,
      first,
      axes: AXES,
      receivers: 3,
      inputIds: ['lines'],
      isSourceEndless: true,
      takesLines: true,
      replacements: { dropsOutputs: true, linesFile: '/lines' },
      times: { warmUpMs: 1_000, measureMs: 1_500, slideMs: 0, fillMs: 0 },
    },
    budgetMs: 60_000,
    wantedRate: undefined,
    module: { moduleUrl: 'file:///bundle.mjs', shownAs: '/p.ts' },
    hasCheckpoint,
    options: { durability: 'flush' },
    scratch,
    progress,
    signal: new AbortController().signal,
    world: {
      clock,
      sample: (task, { onNotice }) => {
        if (tasks.length === 0 && notice !== undefined) onNotice?.(notice);
        onSample?.(task, tasks.length);
        tasks.push(task);
        clock.advance(TOOK_MS);
        return Promise.resolve(SAMPLE);
      },
    },
  }).finally(() => progress.close());
  const outcome = await run.catch((error: unknown) => error as Error);
  return { outcome, tasks, said: said.err };
}

it('takes each sample in a directory of its own, which is gone before the next', async () => {
  const places = new Set<string>();
  const { tasks } = await trial({
    onSample: ({ checkpointDir }) => {
      expect(readdirSync(join(scratch, 'sample'))).toEqual([]);
      writeFileSync(String(checkpointDir), 'left behind');
      places.add(String(checkpointDir));
    },
  });
  expect(tasks.length).toBeGreaterThan(5);
  expect([...places]).toEqual([join(scratch, 'sample', 'home')]);
  expect(existsSync(join(scratch, 'sample'))).toBe(false);
});

it('keeps nothing on disk where the pipeline keeps nothing', async () => {
  const { tasks } = await trial({ hasCheckpoint: false });
  expect(new Set(tasks.map(({ checkpointDir }) => checkpointDir))).toEqual(new Set([false]));
  // What waits on disk there all the same.
  expect(new Set(tasks.map(({ directory }) => directory))).toEqual(
    new Set([join(scratch, 'sample')]),
  );
});

it('tells each process the setting, the rate, and what stands in for what', async () => {
  const { tasks } = await trial();
  expect(tasks[0]).toMatchObject({
    receivers: 3,
    inputIds: ['lines'],
    hasAckTimes: true,
    options: { durability: 'flush' },
    initialRate: 20_000,
  });
  expect(tasks[1]?.initialRate).toBe(50_000); // half of what the first one showed
  expect(tasks.some(({ wantedRate }) => wantedRate === 90_000)).toBe(true);
  const module = readFileSync(tasks[0]?.pipeline ?? '', 'utf8');
  expect(module).toContain('"dropsOutputs":true,"linesFile":"/lines"');
});

it('hands on what the process of a sample has to say, behind what the sample is', async () => {
  const { said } = await trial({ notice: 'nothing comes' });
  expect(said[0]).toMatch(/^1: batch 200ms/);
  expect(said[1]).toBe('nothing comes\n');
});

it('ends with what was measured so far when a signal comes', async () => {
  const { outcome } = await trial({
    onSample: (_task, index) => {
      if (index === 3) throw new Interrupted(130);
    },
  });
  expect(outcome).toMatchObject({ interrupted: { exitCode: 130 } });
  expect('samples' in outcome && outcome.samples).toHaveLength(3);
  expect(existsSync(join(scratch, 'sample'))).toBe(false);
});

it('ends with what was measured so far when a sample fails, and says which', async () => {
  const error = new MillraceError('RECEIVER_FAILED', 'no record came');
  const { outcome, tasks } = await trial({
    onSample: (_task, index) => {
      if (index === 2) throw error;
    },
  });
  expect(tasks).toHaveLength(2);
  expect(outcome).toMatchObject({ interrupted: undefined, failed: { number: 3, error } });
  expect('samples' in outcome && outcome.samples).toHaveLength(2);
  expect('standings' in outcome && outcome.standings.count).toBe(2);
  expect(existsSync(join(scratch, 'sample'))).toBe(false);
});

it('ends with what a sample has failed with, and leaves no directory of it', async () => {
  const { outcome } = await trial({
    onSample: () => {
      throw new Error('a task threw');
    },
  });
  expect(outcome).toMatchObject({ message: 'a task threw' });
  expect(existsSync(join(scratch, 'sample'))).toBe(false);
});
