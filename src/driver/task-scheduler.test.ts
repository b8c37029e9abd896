/** @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { settle } from '../../test/support/receiver-side.ts';
import { MillraceError } from '../core/errors.ts';
import { EventBus } from '../core/events.ts';
import type { BatchTimeMs, StreamId } from '../core/ids.ts';
import type { TaskResult, TaskSpec } from '../dstream/task-spec.ts';
import type { TaskPool } from './executor-pool.ts';
import { TaskScheduler } from './task-scheduler.ts';

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
  scheduler = new TaskScheduler({ pool, events, maxTaskFailures: 3 });
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
