/** That what is logged is what was meant: each event comes back from its bytes as it was, and a
 * replay of random histories gives the state that live running had. MILLRACE_SEED replays a run.
 * @module */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchOf, blockOf, shareOf, viewOf } from '../../test/support/block-samples.ts';
import type { BlockInfo } from '../blocks/block-ref.ts';
import type { BatchTimeMs, Lsn, StreamId } from '../core/ids.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { decodeCheckpoint, encodeCheckpoint } from './checkpoint-content.ts';
import { decodeEvent, encodeEvent } from './tracker-events.ts';
import { applyEvent, emptyTrackerState } from './tracker-state.ts';
import type { InputShare, TrackerEvent, TrackerState } from './tracker-state.ts';

const seed = Number(process.env['MILLRACE_SEED'] ?? 20_260_102);

const text = fc.string({ unit: 'binary', maxLength: 12 });
const count = fc.nat(1_000_000_000);
const positionValue = fc.oneof(fc.integer(), fc.maxSafeNat(), text);
const blockFields = fc.record({
  recordCount: count,
  codec: fc.constantFrom('ascii', 'utf8', 'msgpack'),
  lengthBytes: count,
  durability: fc.constantFrom('sync', 'flush', 'off'),
  positions: fc.array(
    fc.record({
      partition: text,
      follows: fc.oneof(positionValue, fc.constant(null)),
      last: positionValue,
    }),
    { maxLength: 3 },
  ),
  sourceIds: fc.array(fc.record({ key: text, digest: text, recordCount: count }), { maxLength: 3 }),
  isBuffered: fc.boolean(),
});
const position = fc.record({
  log: fc.constantFrom('receiver-log-0', 'receiver-log-1'),
  lsn: fc.maxSafeNat() as fc.Arbitrary<Lsn>,
  segmentSeq: count,
  offsetBytes: fc.maxSafeNat(),
  payloadBytes: count,
  payloadCrc: fc.nat(0xffff_ffff),
});
const block: fc.Arbitrary<BlockInfo> = fc
  .record({
    fields: blockFields,
    position: fc.option(position, { nil: undefined }),
    seq: fc.maxSafeNat(),
    place: fc.record({ streamId: text, receiverIndex: fc.nat(63), epoch: count, n: count }),
  })
  .map(({ fields, position: at, seq, place }) => ({
    ...blockOf(seq, { ...place, ...fields }),
    ...(at === undefined ? {} : { position: at }),
  }));
const streamId = text as fc.Arbitrary<StreamId>;
const time = fc.double({ min: 0, max: 2e12, noNaN: true });
const file = fc.record({
  path: text,
  sizeBytes: fc.maxSafeNat(),
  mtimeMs: time,
  birthtimeMs: time,
  inode: fc.maxSafeNat(),
});
const input: fc.Arbitrary<InputShare> = fc.oneof(
  fc.record({
    kind: fc.constant('blocks' as const),
    streamId,
    blocks: fc.array(block, { maxLength: 3 }),
    groups: fc.array(fc.array(fc.nat(5), { maxLength: 3 }), { maxLength: 3 }),
  }),
  fc.record({
    kind: fc.constant('files' as const),
    streamId,
    files: fc.array(file, { maxLength: 3 }),
    forgotten: fc.array(text, { maxLength: 3 }),
  }),
  fc.record({
    kind: fc.constant('queue' as const),
    streamId,
    queueIndex: fc.option(count),
    slices: fc.nat(64),
  }),
);
const batchTimeMs = fc.nat(2_000_000_000) as fc.Arbitrary<BatchTimeMs>;
const event: fc.Arbitrary<TrackerEvent> = fc.oneof(
  fc.record({ type: fc.constant('block-added' as const), block }),
  fc.record({
    type: fc.constant('batch-allocated' as const),
    share: fc.record({
      batchTimeMs,
      inputs: fc.array(input, { maxLength: 3 }),
      partitions: fc.nat(4_096),
      codeHash: text,
    }),
  }),
  fc.record({ type: fc.constant('batch-cleaned' as const), throughMs: batchTimeMs }),
);

function throughBytes(original: TrackerEvent): TrackerEvent {
  return decodeEvent(encodeEvent(original, msgpackCodec), msgpackCodec);
}

describe('an event', () => {
  it('comes back from its bytes as it was', () => {
    const property = fc.property(event, (original) => {
      expect(throughBytes(original)).toEqual(original);
    });
    fc.assert(property, { seed, numRuns: 300 });
  });
});

/** What an engine may do next. Numbers choose among what is possible at that moment. */
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('add'), pick: fc.nat(5), fields: blockFields }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart'), pick: fc.nat(5) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('allocate'), pick: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clean'), pick: fc.nat(9) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Plays an engine: two inputs of three receivers, each in its life. */
class History {
  readonly events: TrackerEvent[] = [];
  readonly state: TrackerState = emptyTrackerState(8);
  readonly #lives = new Map<number, { n: number; seq: number }>();
  #nextLife = 1;
  #lsn = 0;

  play(next: Step): void {
    switch (next.do) {
      case 'add':
        return this.#add(next.pick, next.fields);
      case 'restart':
        this.#lives.delete(next.pick);
        return;
      case 'allocate':
        return this.#allocate(next.pick);
      default:
        return this.#clean(next.pick);
    }
  }

  #add(receiver: number, fields: Partial<BlockInfo>): void {
    const life = this.#lives.get(receiver) ?? { n: this.#nextLife++, seq: 0 };
    this.#lives.set(receiver, { ...life, seq: life.seq + 1 });
    this.#lsn += 1;
    const receiverIndex = receiver % 3;
    const streamOf = receiver < 3 ? 'a' : 'b';
    const place = { streamId: streamOf, receiverIndex, n: life.n, lsn: this.#lsn };
    this.#log({ type: 'block-added', block: blockOf(life.seq, { ...fields, ...place }) });
  }

  #allocate(blocksMax: number): void {
    const inputs = ['a', 'b'].map((name): InputShare => {
      const id = name as StreamId;
      // As a real share: without keys, and perhaps not the whole queue.
      const queue = (this.state.queues.get(id) ?? []).slice(0, blocksMax);
      const blocks = queue.map((each) => ({ ...each, sourceIds: [] }));
      return { kind: 'blocks', streamId: id, blocks, groups: [] };
    });
    const share = batchOf(this.state.lastAllocatedMs + 1_000, inputs);
    this.#log({ type: 'batch-allocated', share });
  }

  #clean(batches: number): void {
    const throughMs = Math.min(1_000 * batches, this.state.lastAllocatedMs) as BatchTimeMs;
    this.#log({ type: 'batch-cleaned', throughMs });
  }

  #log(next: TrackerEvent): void {
    this.events.push(next);
    applyEvent(this.state, next);
  }
}

function historyOf(steps: readonly Step[]): History {
  const history = new History();
  for (const each of steps) history.play(each);
  return history;
}

/** The state, as a checkpoint gives it back. */
function throughCheckpoint(state: TrackerState): TrackerState {
  const content = {
    pipeline: 'p',
    graph: [],
    graphHash: '',
    codeHash: '',
    config: {},
    appliedLsn: 0 as Lsn,
    receiversEpoch: 1,
    state,
  };
  return decodeCheckpoint(encodeCheckpoint(content, msgpackCodec), msgpackCodec, 8).state;
}

describe('a replay', () => {
  const steps = fc.array(step, { maxLength: 60 });

  it('gives the state that live running had', () => {
    const property = fc.property(steps, (script) => {
      const { events, state } = historyOf(script);
      const replayed = emptyTrackerState(8);
      for (const each of events) applyEvent(replayed, throughBytes(each));
      expect(viewOf(replayed)).toEqual(viewOf(state));
    });
    fc.assert(property, { seed, numRuns: 200 });
  });

  it('over a checkpoint gives the same, also when it begins before the checkpoint', () => {
    const script = fc.record({ steps, taken: fc.nat(60), from: fc.nat(60) });
    const property = fc.property(script, ({ steps: all, taken, from }) => {
      const { events, state } = historyOf(all);
      const early = emptyTrackerState(8);
      for (const each of events.slice(0, taken)) applyEvent(early, each);
      const replayed = throughCheckpoint(early);
      expect(viewOf(replayed)).toEqual(viewOf(early));
      const begin = Math.max(0, Math.min(from, taken));
      for (const each of events.slice(begin)) applyEvent(replayed, throughBytes(each));
      expect(viewOf(replayed)).toEqual(viewOf(state));
    });
    fc.assert(property, { seed, numRuns: 200 });
  });
});

describe('a malformed payload', () => {
  const good = encodeEvent({ type: 'block-added', block: blockOf(0, { lsn: 1 }) }, msgpackCodec);
  const tuple = (msgpackCodec.unpack(good) as unknown[])[2] as unknown[];
  /** A sound event in which one field of the block is another. */
  const withField = (index: number, value: unknown): unknown => {
    return [1, 1, tuple.with(index, value)];
  };
  const share = encodeEvent(
    { type: 'batch-allocated', share: shareOf(1, [blockOf(0)]) },
    msgpackCodec,
  );
  const [, , shareTuple] = msgpackCodec.unpack(share) as [number, number, unknown[]];
  const withInput = (given: unknown): unknown => [1, 2, shareTuple.with(1, [given])];

  it.each<[string, unknown]>([
    ['no array', 7],
    ['nothing', []],
    ['too few elements', [1, 1]],
    ['too many elements', [1, 1, tuple, 0]],
    ['an unknown kind', [1, 4, tuple]],
    ['a block that is no array', [1, 1, 'block']],
    ['a block that is too short', [1, 1, tuple.slice(1)]],
    ['a stream id that is no text', withField(0, 1)],
    ['a sequence number that is no integer', withField(4, 1.5)],
    ['a negative record count', withField(5, -1)],
    ['an unknown codec', withField(6, 'latin1')],
    ['a negative length', withField(7, -1)],
    ['an unknown durability', withField(8, 'maybe')],
    ['a log position that is too short', withField(9, ['log', 1])],
    ['positions that are no array', withField(10, null)],
    ['a position range that is no tuple', withField(10, [5])],
    ['a position range without its partition', withField(10, [[1, null, 2]])],
    ['a position that is neither text nor number', withField(10, [['p', null, {}]])],
    ['source ids that are no array', withField(11, 'x')],
    ['a source id that is too short', withField(11, [['key', 'digest']])],
    ['a flag that is none', withField(12, 1)],
    ['an allocation without inputs', [1, 2, shareTuple.with(1, null)]],
    ['an input of an unknown kind', withInput(['kafka', 's', [], []])],
    ['blocks that are no array', withInput(['blocks', 's', 7, []])],
    ['groups that are no array', withInput(['blocks', 's', [], 7])],
    ['a group of texts', withInput(['blocks', 's', [], [['0']]])],
    ['files that are no array', withInput(['files', 's', 7, []])],
    ['a file without a time', withInput(['files', 's', [['p', 1, null, 1, 1]], []])],
    ['forgotten files that are numbers', withInput(['files', 's', [], [1]])],
    ['a queue index that is text', withInput(['queue', 's', '1', 2])],
    ['a cleaned time that is text', [1, 3, '1000']],
  ])('with %s is damage', (_name, value) => {
    const bytes = msgpackCodec.pack(value);
    expect(() => decodeEvent(bytes, msgpackCodec)).toThrow(
      expect.objectContaining({ code: 'WAL_CORRUPT' }),
    );
  });

  it.each([
    ['cut short', good.subarray(0, good.length - 1)],
    ['with a byte behind it', Buffer.concat([good, Buffer.of(0)])],
    ['empty', new Uint8Array(0)],
  ])('%s is damage', (_name, bytes) => {
    expect(() => decodeEvent(bytes, msgpackCodec)).toThrow(
      expect.objectContaining({ code: 'WAL_CORRUPT' }),
    );
  });

  it.each([
    ['of three elements', [2, 1, tuple]],
    ['of another length', [2, 1, tuple, 'new', 'fields']],
  ])('of a newer schema, %s, is not damage', (_name, value) => {
    expect(() => decodeEvent(msgpackCodec.pack(value), msgpackCodec)).toThrow(
      expect.objectContaining({ code: 'FORMAT_UNKNOWN' }),
    );
  });
});
