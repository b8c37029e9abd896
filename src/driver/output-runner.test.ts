/** @module */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { InlineBatches } from '../../test/support/inline-batches.ts';
import { settle } from '../../test/support/receiver-side.ts';
import type { Sink } from '../dstream/sink.ts';

let spillDirectory: string;
let steps: string[];

beforeEach(() => {
  spillDirectory = mkdtempSync(join(tmpdir(), 'output-runner-'));
  steps = [];
});

afterEach(() => {
  rmSync(spillDirectory, { recursive: true });
});

function batchesTo(sink: Sink<string>): InlineBatches {
  return new InlineBatches((ssc) => ssc.queueStream([['a']]).to(sink), { spillDirectory });
}

/** Keeps nothing. */
function sinkOf(commit: () => Promise<void>): Sink<string> {
  return {
    target: 'nowhere',
    guarantee: 'at-least-once',
    prepare: () => Promise.resolve('needed'),
    openPartition: () =>
      Promise.resolve({
        write: () => {},
        close: () => Promise.resolve(1),
        abort: () => Promise.resolve(),
      }),
    commit: () => {
      steps.push('commit');
      return commit();
    },
  };
}

it('a sink that a stop is ahead of is not asked to commit, and not waited for', async () => {
  const batches = batchesTo(sinkOf(() => new Promise(() => {})));
  let stopped: Promise<void> | undefined;
  batches.pool.before = () => {
    stopped ??= batches.scheduler.stop().then(() => void steps.push('stopped'));
    return Promise.resolve();
  };
  const running = batches.run(1_000, 0).catch((error: unknown) => steps.push(String(error)));
  await settle();
  expect(steps).toContain('stopped');
  expect(steps).not.toContain('commit');
  await Promise.all([running, stopped]);
});

it('a sink on the driver is inside an output, as long as it is asked', async () => {
  const inside: boolean[] = [];
  const batches = batchesTo(
    sinkOf(async () => {
      await Promise.resolve();
      inside.push(batches.scheduler.isInOutput);
    }),
  );
  await batches.run(1_000, 0);
  expect([inside, batches.scheduler.isInOutput]).toEqual([[true], false]);
  await batches.scheduler.stop();
});
