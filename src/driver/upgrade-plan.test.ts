/** What a start and `millrace check` decide, as a table. Which operator is which: operator-places.
 * @module */
import { describe, expect, it } from 'vitest';
import { blockOf, shareOf } from '../../test/support/block-samples.ts';
import { graphOf } from '../../test/support/inline-driver.ts';
import type { BatchTimeMs, Lsn, StreamId } from '../core/ids.ts';
import { resolveOptions } from '../core/options.ts';
import type { ResolvedOptions } from '../core/options.ts';
import type { PipelineOptions } from '../core/options-types.ts';
import type { DStream } from '../dstream/dstream.ts';
import { describeGraph, graphHash } from '../dstream/graph.ts';
import { operatorCodes } from '../dstream/operator-places.ts';
import type { PipelineContext } from '../dstream/pipeline-context.ts';
import type { Sink } from '../dstream/sink.ts';
import type { CheckpointContent } from './checkpoint-content.ts';
import { keptState } from './state-upgrade.ts';
import { applyEvent, emptyTrackerState } from './tracker-state.ts';
import type { TrackerState } from './tracker-state.ts';
import { planUpgrade } from './upgrade-plan.ts';
import type { UpgradePlan } from './upgrade-plan.ts';

type Pairs = DStream<[string, number]>;
type Build = (pairs: Pairs, ssc: PipelineContext) => void;

const add = (values: number[], state = 0): number => values.length + state;
const counted =
  (id: string | undefined, version = 1, canMigrate = false): Build =>
  (pairs) => {
    const more = canMigrate ? { migrate: (old: unknown) => Number(old) } : {};
    const own = id === undefined ? {} : { id };
    pairs.updateStateByKey<string, number, number>(add, { ...own, version, ...more }).print();
  };
const once =
  (within: number, key: (pair: [string, number]) => unknown = ([word]) => word): Build =>
  (pairs) =>
    pairs.dedupeBy(key, { within, id: 'a' }).print();
const nothing: Build = (pairs) => pairs.print();

function graph(build: Build) {
  return graphOf((ssc) => {
    const lines = ssc.socketTextStream('h', 1, { id: 'lines' });
    build(
      lines.mapToPair((line): [string, number] => [line, 1]),
      ssc,
    );
  });
}

interface Given {
  readonly before: Build;
  readonly now: Build;
  readonly keys?:
    | CheckpointContent['stateSnapshot']
    | readonly (readonly [string, number, number?])[];
  readonly drop?: readonly string[];
  readonly state?: TrackerState;
  readonly options?: Partial<PipelineOptions>;
  /** Of the run before. */
  readonly config?: Partial<ResolvedOptions>;
  /** @defaultValue that of the run before */
  readonly codeHash?: string;
}

const CODE_HASH = 'code';
const MODULE = { name: 'p', batchInterval: 1_000 };

function checkpointOf({ before, keys, state, config }: Given): CheckpointContent {
  const { nodes } = graph(before);
  const description = describeGraph({ nodes });
  const pointer = {
    name: 'state-0000000000001000.snapshot',
    batchTimeMs: 1_000 as BatchTimeMs,
    lengthBytes: 1,
    operators: (keys ?? []) as readonly (readonly [string, number, number?])[],
  };
  return {
    pipeline: 'p',
    graph: description,
    codes: operatorCodes(nodes),
    graphHash: graphHash(description),
    codeHash: CODE_HASH,
    config: { ...resolveOptions({ module: MODULE }), ...config },
    appliedLsn: 0 as Lsn,
    receiversEpoch: 1,
    ...(keys === undefined ? {} : { stateSnapshot: pointer }),
    state: state ?? emptyTrackerState(10),
  };
}

function plan(given: Given): UpgradePlan {
  const options = resolveOptions({ module: { ...MODULE, ...given.options } });
  const { nodes } = graph(given.now);
  return planUpgrade(checkpointOf(given), {
    graph: nodes,
    codeHash: given.codeHash ?? CODE_HASH,
    options,
    ...(given.drop === undefined ? {} : { dropState: given.drop }),
  });
}

const PLACED = 'updateStateByKey-0';

function sinkTo(table: string): Sink<[string, number]> {
  return {
    target: `table ${table}`,
    guarantee: 'exactly-once',
    prepare: () => Promise.resolve('needed'),
    openPartition: () => Promise.reject(new Error('nothing is written')),
    commit: () => Promise.resolve(),
  };
}

describe('keyed state', () => {
  it.each<[string, Given, string, RegExp | undefined]>([
    ['goes on with its id', of(counted('a'), counted('a')), 'kept', undefined],
    ['is new', { before: nothing, now: counted('a'), keys: [] }, 'new', undefined],
    [
      'is refused when its operator is gone',
      of(counted('a'), nothing),
      'refused',
      /a is gone, and the state of 3 keys belongs to it\. To give the state up: --drop-state a/,
    ],
    [
      'of one key is told as such',
      { ...of(counted('a'), nothing), keys: [['a', 1, 1]] },
      'refused',
      /the state of 1 key belongs to it/,
    ],
    ['is dropped when that is told', of(counted('a'), nothing, ['a']), 'dropped', undefined],
    [
      'is kept when it fits, whatever is told',
      of(counted('a'), counted('a'), ['a']),
      'kept',
      undefined,
    ],
    ['is migrated', of(counted('a'), counted('a', 2, true)), 'migrated', undefined],
    [
      'is refused without migrate',
      of(counted('a'), counted('a', 2)),
      'refused',
      /of version 1, and the operator has version 2 and no migrate/,
    ],
    [
      'is refused when it is newer than known',
      { ...of(counted('a', 3), counted('a', 2, true)), keys: [['a', 3, 3]] },
      'refused',
      /of version 3, and this pipeline knows up to 2/,
    ],
    [
      'of its version needs no migrate',
      { ...of(counted('a', 2), counted('a', 2)), keys: [['a', 3, 2]] },
      'kept',
      undefined,
    ],
    [
      'goes on when updateStateByKey becomes mapWithState',
      of(counted('a'), (pairs) => pairs.mapWithState(() => 1, { id: 'a' }).print()),
      'kept',
      undefined,
    ],
    [
      'that remembers keys goes on with another span and another key',
      of(
        once(1_000),
        once(2_000, ([, n]) => n),
      ),
      'kept',
      undefined,
    ],
    [
      'that remembers keys is refused when its operator is gone',
      of(once(1_000), nothing),
      'refused',
      /stateful operator a is gone, and the state of 3 keys belongs/,
    ],
    [
      'that remembers keys is no state with values',
      of(counted('a'), once(1_000)),
      'refused',
      /a was updateStateByKey and is dedupeBy, whose state is another thing/,
    ],
    [
      'is refused when somebody else may have its place',
      placed(counted(undefined), (pairs) => {
        pairs.updateStateByKey((values: number[]) => values.length).print();
        pairs.updateStateByKey(add).print();
      }),
      'refused',
      /no id of its own.*write \{ id: 'updateStateByKey-0' \}/,
    ],
    [
      'is refused when the one that had its place has an id of its own now',
      placed(counted(undefined), (pairs) => {
        pairs.updateStateByKey((values: number[]) => values.length).print();
        pairs.updateStateByKey(add, { id: 'counts' }).print();
      }),
      'refused',
      /no id of its own.*write \{ id: 'updateStateByKey-0' \}/,
    ],
    [
      'says who may be the one that had a place',
      placed(counted(undefined), (pairs) => {
        pairs.updateStateByKey((values: number[]) => values.length, { id: 'new' }).print();
        pairs.updateStateByKey(add).print();
      }),
      'refused',
      /is gone.*may be new or updateStateByKey-1 now: write \{ id: 'updateStateByKey-0' \}/,
    ],
  ])('%s', (_name, given, ...[outcome, problem]) => {
    const { states, problems } = plan(given);
    expect(states[0]?.outcome).toBe(outcome);
    if (problem === undefined) expect(problems).toEqual([]);
    else expect(problems).toEqual([expect.stringMatching(problem)]);
  });

  function of(before: Build, now: Build, drop: readonly string[] = []): Given {
    return { before, now, drop, keys: [['a', 3]] };
  }

  function placed(before: Build, now: Build): Given {
    return { before, now, keys: [[PLACED, 3]] };
  }

  it('without keys is nobody’s loss, and stays without its initial state', () => {
    const given = { before: counted('a'), now: nothing, keys: [['a', 0]] as const };
    expect(plan(given)).toMatchObject({ states: [], problems: [] });
    expect(plan({ ...given, now: counted('a') }).states).toMatchObject([{ outcome: 'kept' }]);
  });

  it('without keys in the snapshot may have some of the batches since', () => {
    const state = emptyTrackerState(10);
    applyEvent(state, { type: 'batch-allocated', share: shareOf(2_000, []) });
    const given = { before: counted('a'), keys: [['a', 0]] as const, state };
    const gone = { ...given, now: nothing };
    expect(plan(gone).problems).toEqual([
      expect.stringMatching(/a is gone, and it has state\..*--drop-state a/),
    ]);
    const dropped = plan({ ...gone, drop: ['a'] });
    expect([dropped.problems, dropped.notes[1]]).toEqual([
      [],
      expect.stringContaining('the state of a is dropped, as told'),
    ]);
    // Made again by the operator of now, so its version does not matter.
    const { states, problems } = plan({ ...given, now: counted('a', 2) });
    expect([states[0]?.outcome, problems]).toEqual(['dropped', []]);
  });

  it('that no snapshot has is made again by any version', () => {
    const state = emptyTrackerState(10);
    applyEvent(state, { type: 'batch-allocated', share: shareOf(1_000, []) });
    const { states, problems } = plan({ before: counted('a'), now: counted('a', 2), state });
    expect([states[0]?.outcome, problems]).toEqual(['kept', []]);
    const gone = plan({ before: counted('a'), now: nothing, state });
    expect(gone.problems).toEqual([expect.stringContaining('a is gone, and it has state')]);
  });

  it('of an operator that is younger than the snapshot is in the batches since', () => {
    const state = emptyTrackerState(10);
    applyEvent(state, { type: 'batch-allocated', share: shareOf(2_000, []) });
    const given = { before: counted('a'), now: nothing, keys: [] };
    expect(plan({ ...given, state }).problems).toEqual([
      expect.stringContaining('a is gone, and it has state'),
    ]);
    expect(plan(given).problems).toEqual([]);
  });

  it('that was dropped is in no later checkpoint', () => {
    const given = of(counted('a'), counted('b'), ['a']);
    const pointer = checkpointOf({
      ...given,
      keys: [
        ['a', 3],
        ['c', 4],
      ],
    }).stateSnapshot;
    expect(keptState(pointer, plan(given).states)?.operators).toEqual([]);
    expect(keptState(pointer, [{ id: 'c', outcome: 'migrated' }])?.operators).toEqual([['c', 4]]);
    expect(keptState(undefined, [])).toBeUndefined();
  });

  it('is told what is dropped, and what is named for nothing', () => {
    const { notes } = plan({ ...of(counted('a'), nothing, ['a', 'x']) });
    expect(notes).toContainEqual(expect.stringContaining('the state of a is dropped, as told'));
    expect(notes).toContainEqual('dropState names x, and no state of it is dropped: there is none');
    const { notes: kept } = plan(of(counted('a'), counted('a'), ['a']));
    expect(kept).toEqual(['dropState names a, and no state of it is dropped: it fits']);
  });
});

describe('a window with an inverse function', () => {
  const plus = (a: number, b: number): number => a + b;
  const windowed: Build = (pairs) => {
    pairs.reduceByKeyAndWindow(plus, (a, b) => a - b, '4s', '2s', { id: 'a' }).print();
  };
  const withFilter: Build = (pairs, ssc) =>
    windowed(
      pairs.filter(() => true),
      ssc,
    );
  const keys = [['a', 3] as const];

  it.each<[string, Given, string | undefined]>([
    ['goes on with the same code', { before: windowed, now: windowed }, 'kept'],
    ['begins anew with another', { before: windowed, now: windowed, codeHash: 'x' }, 'rebuilt'],
    ['begins anew in another graph', { before: windowed, now: withFilter }, 'rebuilt'],
    ['may go, with what it holds', { before: windowed, now: nothing }, undefined],
    ['leaves its id to another operator', { before: windowed, now: counted('a') }, 'new'],
  ])('%s', (_name, given, outcome) => {
    const { states, problems } = plan({ ...given, keys });
    expect([states.map((each) => each.outcome), problems]).toEqual([
      outcome === undefined ? [] : [outcome],
      [],
    ]);
    const { stateSnapshot } = checkpointOf({ ...given, keys });
    const kept = keptState(stateSnapshot, states)?.operators;
    expect(kept).toEqual(outcome === 'kept' ? keys : []);
  });

  it('takes no state that was kept for ever, unless that is told', () => {
    const given = { before: counted('a'), now: windowed, keys };
    expect(plan(given).problems).toEqual([
      expect.stringMatching(/a was updateStateByKey and is reduceByKeyAndWindow.*--drop-state a/),
    ]);
    expect(plan({ ...given, drop: ['a'] }).states).toMatchObject([{ outcome: 'dropped' }]);
  });

  it('that no snapshot has is in its batches, and may go too', () => {
    const state = emptyTrackerState(10);
    applyEvent(state, { type: 'batch-allocated', share: shareOf(2_000, []) });
    for (const before of [{ keys: [] }, {}]) {
      const given = { ...before, before: windowed, state };
      expect(plan({ ...given, now: nothing })).toMatchObject({ states: [], problems: [] });
      const { states, problems } = plan({ ...given, now: windowed, codeHash: 'x' });
      expect([states, problems]).toEqual([[{ id: 'a', outcome: 'new', toVersion: 1 }], []]);
    }
  });

  it('is named for nothing by dropState', () => {
    const { notes } = plan({ before: windowed, now: windowed, keys, codeHash: 'x', drop: ['a'] });
    expect(notes).toEqual([
      'dropState names a, and no state of it is dropped: it is made again from the batches in it',
    ]);
  });
});

describe('operators, inputs and options', () => {
  it('are compared by their ids', () => {
    const { inputs, operators } = plan({
      before: (pairs) => pairs.window('2s', '2s', { id: 'w' }).print(),
      now: (pairs, ssc) => {
        pairs.window('4s', '2s', { id: 'w' }).count({ id: 'n' }).print();
        ssc.queueStream<string>([], { id: 'more' }).foreachBatch(() => {});
      },
    });
    expect(inputs).toEqual([
      {
        id: 'lines',
        kind: 'socketTextStream',
        change: 'same',
        waitingBlocks: 0,
        unfinishedBatches: 0,
      },
      { id: 'more', kind: 'queueStream', change: 'new', waitingBlocks: 0, unfinishedBatches: 0 },
    ]);
    expect(operators.map(({ id, change }) => [id, change])).toEqual([
      ['mapToPair-0', 'same'],
      ['w', 'changed'],
      ['n', 'new'],
      ['print-0', 'changed'],
      ['foreachBatch-0', 'new'],
    ]);
    expect(operators[1]?.detail).toContain('windowMs is 2000 in the checkpoint and 4000');
  });

  it('are told with what waits for them', () => {
    const state = emptyTrackerState(10);
    applyEvent(state, { type: 'block-added', block: blockOf(0) });
    const { streamId } = blockOf(0).blockId;
    const other = (pairs: Pairs, ssc: PipelineContext): void => {
      pairs.print();
      ssc.socketTextStream('h', 2, { id: String(streamId) }).print();
    };
    const isSame = String(streamId) === 'lines';
    const { inputs } = plan({
      before: isSame ? nothing : other,
      now: isSame ? nothing : other,
      state,
    });
    expect(inputs.map(({ waitingBlocks }) => waitingBlocks)).toContain(1);
  });

  it('of a source keep what is known of it, unless another one has the id now', () => {
    const state = emptyTrackerState(10);
    state.seenFiles.set('textFileStream-0' as StreamId, new Set(['f']));
    const files =
      (...names: string[]): Build =>
      (_pairs, ssc) => {
        for (const name of names) ssc.textFileStream(name).print();
      };
    expect(plan({ before: files('a', 'b'), now: files('b', 'a'), state }).problems).toEqual([
      expect.stringMatching(/input textFileStream-0 has no id.*may be textFileStream-1 now/),
    ]);
    expect(plan({ before: files('a'), now: files('c'), state }).problems).toEqual([]);
    const named: Build = (_pairs, ssc) => {
      ssc.textFileStream('b').print();
      ssc.textFileStream('a', { id: 'first' }).print();
    };
    expect(plan({ before: files('a'), now: named, state }).problems).toEqual([
      expect.stringMatching(/input textFileStream-0 has no id.*may be first now/),
    ]);
  });

  it('that have finished a batch must be the same', () => {
    const state = emptyTrackerState(10);
    applyEvent(state, { type: 'batch-allocated', share: shareOf(1_000, []) });
    state.batches.get(1_000 as BatchTimeMs)?.finishedOutputs.add('saveAsTextFiles-0');
    const files =
      (...names: string[]): Build =>
      (pairs) => {
        for (const name of names) pairs.saveAsTextFiles(name);
      };
    expect(plan({ before: files('a', 'b'), now: files('b', 'a'), state }).problems).toEqual([
      expect.stringMatching(/output saveAsTextFiles-0 has no id.*batch 1000 has finished it/),
      expect.stringMatching(/output saveAsTextFiles-1 has no id.*may have finished it/),
    ]);
    expect(plan({ before: files('a', 'b'), now: files('a'), state }).problems).toEqual([]);
  });

  it('whose sinks may have finished a batch must be the same', () => {
    const state = emptyTrackerState(10);
    applyEvent(state, { type: 'batch-allocated', share: shareOf(1_000, []) });
    const before: Build = (pairs) => pairs.to(sinkTo('a'));
    const now: Build = (pairs) => {
      pairs.to(sinkTo('b'));
      pairs.to(sinkTo('a'));
    };
    expect(plan({ before, now, state }).problems).toEqual([
      expect.stringMatching(/output to-0 has no id of its own, batch 1000 may have finished it/),
    ]);
    for (const batch of state.batches.values()) batch.isDone = true;
    expect(plan({ before, now, state }).problems).toEqual([]);
  });

  it.each([
    ['another', { id: 'rows' }],
    ['none', {}],
  ])('with a sink may get an id instead of %s when all batches are done', (_name, own) => {
    const state = emptyTrackerState(10);
    applyEvent(state, { type: 'batch-allocated', share: shareOf(1_000, []) });
    const before: Build = (pairs) => pairs.to(sinkTo('a'), own);
    const now =
      (table: string): Build =>
      (pairs) =>
        pairs.to(sinkTo(table), { id: 'new' });
    expect(plan({ before, now: now('a'), state }).problems).toEqual([
      expect.stringMatching(
        /output (rows|to-0) is gone, batch 1000 may have finished it, and new, which is new/,
      ),
    ]);
    expect(plan({ before, now: now('b'), state }).problems).toEqual([]);
    for (const batch of state.batches.values()) batch.isDone = true;
    expect(plan({ before, now: now('a'), state }).problems).toEqual([]);
  });

  it('without a sink may move as long as no batch has finished them', () => {
    const state = emptyTrackerState(10);
    applyEvent(state, { type: 'batch-allocated', share: shareOf(1_000, []) });
    const before: Build = (pairs) => pairs.print(5);
    const now: Build = (pairs) => {
      pairs.print(7);
      pairs.print(5);
    };
    expect(plan({ before, now, state }).problems).toEqual([]);
  });

  it('that have finished a batch are told apart by their sinks', () => {
    const state = emptyTrackerState(10);
    applyEvent(state, { type: 'batch-allocated', share: shareOf(1_000, []) });
    state.batches.get(1_000 as BatchTimeMs)?.finishedOutputs.add('to-0');
    const tables =
      (...names: string[]): Build =>
      (pairs) => {
        for (const name of names) pairs.to(sinkTo(name));
      };
    expect(plan({ before: tables('a', 'b'), now: tables('b', 'a'), state }).problems).toEqual([
      expect.stringMatching(/output to-0 has no id.*may be to-1 now/),
      expect.stringMatching(/output to-1 has no id.*may be to-0 now/),
    ]);
    expect(plan({ before: tables('a', 'b'), now: tables('a', 'c'), state }).problems).toEqual([]);
  });

  it('are compared by what they say, not by which object they are', () => {
    const pid = { proportional: 1, integral: 0.2, derived: 0, minRate: 100 };
    const given = { before: nothing, now: nothing, config: { backpressure: pid } };
    expect(plan({ ...given, options: { backpressure: true } }).options).toEqual([]);
    expect(plan({ ...given, options: { backpressure: { minRate: 7 } } }).options).toMatchObject([
      { option: 'backpressure', before: pid, now: { ...pid, minRate: 7 }, rule: 'may-change' },
    ]);
  });

  it('follow the rule of each option', () => {
    const { options, problems } = plan({
      before: nothing,
      now: nothing,
      options: { batchInterval: 2_000, memory: '64MiB', gracefulStopTimeout: 1 },
    });
    const byName = new Map(options.map(({ option, rule }) => [option, rule]));
    expect(byName.get('batchInterval')).toBe('must-match');
    expect(byName.get('memory')).toBe('may-change');
    expect(byName.get('gracefulStopTimeout')).toBe('ignored');
    expect(problems).toEqual(['option batchInterval must stay 1000, and is 2000']);
  });

  it('do not tell a directory that is only written in another way', () => {
    const given = { before: nothing, now: nothing, config: { checkpointDir: './.millrace/a' } };
    expect(plan({ ...given, options: { checkpointDir: '.millrace/a' } }).options).toEqual([]);
    expect(plan({ ...given, options: { checkpointDir: 'elsewhere' } }).options).toEqual([
      { option: 'checkpointDir', before: './.millrace/a', now: 'elsewhere', rule: 'ignored' },
    ]);
  });

  it('are told when windows look back at what is gone', () => {
    const state = emptyTrackerState(10);
    state.lastAllocatedMs = 100_000;
    state.cleanedThroughMs = 98_000;
    const window =
      (length: `${number}s`): Build =>
      (pairs) =>
        pairs.window(length).print();
    const given = { before: window('2s'), now: window('9s'), state };
    expect(plan(given).notes).toContainEqual(
      expect.stringContaining(
        'windows look back 8000 ms now, 1000 ms before: records up to batch 98000',
      ),
    );
    state.cleanedThroughMs = 90_000;
    expect(plan(given).notes).toHaveLength(1);
  });
});
