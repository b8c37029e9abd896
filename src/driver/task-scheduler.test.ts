/** @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { settle } from '../../test/support/receiver-side.ts';
import { MillraceError } from '../core/errors.ts';
import { EventBus } from '../core/events.ts';
import type { BatchTimeMs, StreamId } from '../core/ids.ts';
import type { TaskResult, TaskSpec } from '../dstream/task-spec.ts';
import type { TaskPool } from './executor-pool.ts';
import { TaskScheduler } from './task-scheduler.ts';
import type { LeafHolder } from './task-scheduler.ts';

/** A pool whose tasks end when, and as, the test says. */
class HandPool implements TaskPool {
  readonly specs: TaskSpec[] = [];
  readonly #running: { resolve: (result: TaskResult) => void; reject: (error: Error) => void }[] =
    [];

  run(spec: TaskSpec): Promise<TaskResult> {
    this.specs.push(spec);
    return new Promise((resolve, reject) => this.#running.push({ resolve, reject }));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** The `start`-th attempt of all succeeds; its value says which one it was. */
  async succeed(start: number): Promise<void> {
    const value = { kind: 'count', recordCount: start } as const;
    this.#running[start]?.resolve({ ok: true, value, inputRecordCount: 0 });
    await settle();
  }

  async fail(start: number, code?: string): Promise<void> {
    const name = 'Error';
    const error = { name, message: `attempt ${start}`, ...(code === undefined ? {} : { code }) };
    this.#running[start]?.resolve({ ok: false, error });
    await settle();
  }

  async die(start: number): Promise<void> {
    this.#running[start]?.reject(new MillraceError('EXECUTOR_DIED', `thread of ${start}`));
    await settle();
  }
}

let pool: HandPool;
let failures: string[];
let scheduler: TaskScheduler;

beforeEach(() => {
  pool = new HandPool();
  failures = [];
  const events = new EventBus();
  events.subscribe((event) => {
    if (event.type === 'task-failed') failures.push(`${event.attempt}: ${event.error}`);
  });
  scheduler = new TaskScheduler({ pool, events, maxTaskFailures: 3, threads: 8 });
});

function stage(tasks: number): Omit<TaskSpec, 'attempt'>[] {
  return Array.from({ length: tasks }, (_, partition) => ({
    batchTimeMs: 1_000 as BatchTimeMs,
    outputId: 'print-0',
    partition,
    leaf: { kind: 'blocks', streamId: 's' as StreamId, blocks: [] },
    via: [],
    action: { kind: 'count' },
  }));
}

/** What the stage has come to. */
function watch(tasks: number): { value?: unknown; error?: unknown } {
  const seen: { value?: unknown; error?: unknown } = {};
  scheduler.runStage(stage(tasks)).then(
    (values) => (seen.value = values.map((value) => 'recordCount' in value && value.recordCount)),
    (error: unknown) => (seen.error = error),
  );
  return seen;
}

const attempts = () => pool.specs.map(({ partition, attempt }) => [partition, attempt]);

describe('threads', () => {
  const places: string[] = [];
  const holder: LeafHolder = {
    hold: (leaf) => {
      places.push('hold');
      return leaf;
    },
    release: () => void places.push('release'),
  };

  beforeEach(() => {
    places.length = 0;
    const events = new EventBus();
    scheduler = new TaskScheduler({ pool, events, maxTaskFailures: 2, threads: 2 });
  });

  it('get a task each; the others wait, and hold nothing', async () => {
    const running = scheduler.runStage(stage(5), holder);
    await settle();
    expect([pool.specs.length, places]).toEqual([2, ['hold', 'hold']]);
    await pool.succeed(1);
    expect([pool.specs.length, places]).toEqual([3, ['hold', 'hold', 'release', 'hold']]);
    for (const start of [0, 2, 3, 4]) await pool.succeed(start);
    await running;
    expect(places.filter((each) => each === 'release')).toHaveLength(5);
  });

  it('give what they held back when a task fails or its thread dies, and go on', async () => {
    const running = scheduler.runStage(stage(2), holder);
    await settle();
    await pool.fail(0);
    await pool.die(1);
    for (const start of [2, 3]) await pool.succeed(start);
    await running;
    expect(places.filter((each) => each === 'hold')).toHaveLength(4);
    expect(places.filter((each) => each === 'release')).toHaveLength(4);
  });
});

describe('a stage', () => {
  it('gives its values in the order of the tasks, however they end', async () => {
    const seen = watch(3);
    for (const start of [2, 0, 1]) {
      expect(seen.value).toBeUndefined();
      await pool.succeed(start);
    }
    expect(seen.value).toEqual([0, 1, 2]);
  });

  it('without tasks is done', async () => {
    expect(await scheduler.runStage([])).toEqual([]);
  });

  it('tries a failed task again, under a number of its own', async () => {
    const seen = watch(2);
    await pool.fail(1);
    await pool.succeed(0);
    await pool.die(2);
    await pool.succeed(3);
    expect(attempts()).toEqual([
      [0, 0],
      [1, 0],
      [1, 1],
      [1, 2],
    ]);
    expect(failures).toEqual(['0: attempt 1', '1: thread of 2']);
    expect(seen.value).toEqual([0, 3]);
  });

  it('fails when a task has failed on each try, and only when the others have ended', async () => {
    const seen = watch(2);
    for (const start of [0, 2, 3]) await pool.fail(start);
    expect(pool.specs).toHaveLength(4);
    expect(seen.error).toBeUndefined();
    await pool.succeed(1);
    expect(seen.error).toMatchObject({
      code: 'TASK_FAILED',
      message: 'batch 1000, output print-0, partition 0 failed on each of 3 tries: attempt 3',
      details: { batchTimeMs: 1_000, outputId: 'print-0', partition: 0 },
      cause: { message: 'attempt 3' },
    });
    expect(failures).toHaveLength(3);
  });

  it.each(['WAL_CORRUPT', 'FORMAT_UNKNOWN', 'PIPELINE_MISMATCH', 'SINK_CONFLICT'])(
    'does not try again what ends in %s, and keeps that code',
    async (code) => {
      const seen = watch(1);
      await pool.fail(0, code);
      expect(pool.specs).toHaveLength(1);
      expect(seen.error).toMatchObject({ code, message: 'attempt 0' });
    },
  );

  it('tries again what ends in another code', async () => {
    watch(1);
    await pool.fail(0, 'DISK_FAILED');
    expect(pool.specs).toHaveLength(2);
  });
});
