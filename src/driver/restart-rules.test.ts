/** @module */
import { describe, expect, it } from 'vitest';
import { LINES, blockOf, shareOf } from '../../test/support/block-samples.ts';
import { graphOf } from '../../test/support/inline-driver.ts';
import type { MillraceError } from '../core/errors.ts';
import type { BatchTimeMs, Lsn } from '../core/ids.ts';
import { resolveOptions } from '../core/options.ts';
import type { ResolvedOptions } from '../core/options.ts';
import { describeGraph } from '../dstream/graph.ts';
import type { NodeDescription } from '../dstream/graph.ts';
import type { CheckpointContent } from './checkpoint-content.ts';
import { acceptCheckpoint } from './restart-rules.ts';
import { applyEvent, emptyTrackerState } from './tracker-state.ts';
import type { TrackerState } from './tracker-state.ts';

const options = resolveOptions({ module: { name: 'p', batchInterval: 1_000 } });
const graph = describeGraph(
  graphOf((ssc) =>
    ssc
      .socketTextStream('h', 1, { id: LINES })
      .map((line) => line)
      .print(),
  ),
);
const otherGraph = describeGraph(graphOf((ssc) => ssc.socketTextStream('h', 1).print()));

function checkpoint(
  state: TrackerState = emptyTrackerState(10),
  config: Partial<ResolvedOptions> = {},
): CheckpointContent {
  return {
    pipeline: 'p',
    graph,
    graphHash: '',
    codeHash: '',
    config: { ...options, ...config },
    appliedLsn: 0 as Lsn,
    receiversEpoch: 1,
    state,
  };
}

const counted = (id: string): readonly NodeDescription[] =>
  describeGraph(
    graphOf((ssc) =>
      ssc
        .socketTextStream('h', 1, { id: LINES })
        .keyBy((line) => line)
        .mapWithState(() => 1, { id })
        .print(),
    ),
  );

/** @returns the warnings. @throws the refusal. */
function accept(content: CheckpointContent, now: readonly NodeDescription[] = graph): string[] {
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  acceptCheckpoint(content, { directory: '/home', options, graph: now, codeHash: '', warn });
  return warnings;
}

function refusal(content: CheckpointContent, now?: readonly NodeDescription[]): string {
  try {
    accept(content, now);
  } catch (error) {
    expect(error).toMatchObject({ code: 'CHECKPOINT_MISMATCH' });
    return (error as MillraceError).message;
  }
  throw new Error('it was accepted');
}

function withBlock(): TrackerState {
  const state = emptyTrackerState(10);
  applyEvent(state, { type: 'block-added', block: blockOf(0) });
  return state;
}

function withBatch(isDone: boolean): TrackerState {
  const state = withBlock();
  applyEvent(state, { type: 'batch-allocated', share: shareOf(1_000, [blockOf(0)]) });
  const batch = state.batches.get(1_000 as BatchTimeMs);
  if (batch !== undefined) batch.isDone = isDone;
  return state;
}

describe('a checkpoint', () => {
  it('of the same pipeline is accepted without a word', () => {
    expect(accept(checkpoint(withBatch(false)))).toEqual([]);
  });

  it('is refused when an option that must stay has changed', () => {
    const message = refusal(checkpoint(undefined, { batchIntervalMs: 2_000 }));
    expect(message).toContain('option batchInterval must stay 2000, and is 1000');
    expect(message).toContain('/home');
  });

  it('may differ in other options', () => {
    const config = { executors: 99, memoryBytes: 1, durability: 'off', checkpointDir: '/else' };
    expect(accept(checkpoint(undefined, config as Partial<ResolvedOptions>))).toEqual([]);
  });

  it('of an older version, which did not have the option, is accepted', () => {
    const content = checkpoint();
    const { batchIntervalMs: _, ...config } = content.config as unknown as ResolvedOptions;
    expect(accept({ ...content, config: { ...config } })).toEqual([]);
  });

  it('is refused when blocks wait for an input that is gone', () => {
    expect(refusal(checkpoint(withBlock()), otherGraph)).toContain(
      'input lines is gone, and 1 block of it waits for a batch',
    );
  });

  it('is refused when an unfinished batch needs an input that is gone', () => {
    expect(refusal(checkpoint(withBatch(false)), otherGraph)).toContain(
      'input lines is gone; batch 1000 needs it',
    );
  });

  it('of a changed graph is accepted when nothing needs what is gone, and that is said', () => {
    expect(accept(checkpoint(withBatch(true)), otherGraph)).toEqual([
      expect.stringContaining('operator lines is in the checkpoint but not in the module'),
    ]);
  });

  it('is refused with all reasons at once', () => {
    const message = refusal(checkpoint(withBlock(), { batchIntervalMs: 2_000 }), otherGraph);
    expect(message).toContain('option batchInterval must');
    expect(message).toContain('input lines');
  });
});

describe('keyed state', () => {
  const stateSnapshot = {
    name: 'state-0000000000001000.snapshot',
    batchTimeMs: 1_000 as BatchTimeMs,
    lengthBytes: 10,
    operators: [['mine', 3] as const],
  };

  it('is never dropped in silence: its operator must be there', () => {
    const content = { ...checkpoint(), graph: counted('mine'), stateSnapshot };
    expect(refusal(content, counted('other'))).toContain(
      'stateful operator mine is gone, and the state of 3 keys belongs to it',
    );
    expect(accept(content, counted('mine'))).toEqual([]);
  });

  it('may go when there is none', () => {
    const operators = [['mine', 0] as const];
    const content = { ...checkpoint(), graph: counted('mine') };
    const empty = { ...content, stateSnapshot: { ...stateSnapshot, operators } };
    expect(accept(empty, counted('other'))).toHaveLength(1);
    expect(accept(content, counted('other'))).toHaveLength(1);
  });

  it('is also what batches have made that no snapshot has', () => {
    const state = emptyTrackerState(10);
    applyEvent(state, { type: 'batch-allocated', share: shareOf(1_000, []) });
    const content = { ...checkpoint(state), graph: counted('mine') };
    expect(refusal(content, counted('other'))).toContain('mine is gone, and it has state');
  });
});
