/** That a block holds exactly what was taken, in order. MILLRACE_SEED replays a run. @module */
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { StreamId } from '../core/ids.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { BlockArena } from './block-arena.ts';
import {
  SLOT_ALIGN_BYTES,
  SLOT_HEADER_BYTES,
  binOfPayload,
  readBlockMeta,
} from './block-layout.ts';
import type { BlockMeta } from './block-layout.ts';
import { recordsOfBin } from './block-records.ts';
import { BlockWriter } from './block-writer.ts';
import type { AppendOutcome, CutBlock } from './block-writer.ts';

const seed = Number(process.env['MILLRACE_SEED'] ?? 20_260_104);
const KIB = 1024;
const EXTENT = 64 * KIB;
/** 12 extents for receivers; one call may take 3 of them. */
const ARENA_BYTES = 16 * EXTENT;

let arena: BlockArena;
let writer: BlockWriter;
let nextSeq: number;

beforeEach(() => {
  arena = BlockArena.create(ARENA_BYTES);
  writer = new BlockWriter(arena, msgpackCodec, 1);
  nextSeq = 0;
});

function cut(): CutBlock & BlockMeta {
  const blockId = {
    streamId: 's' as StreamId,
    receiverIndex: 0,
    incarnation: { epoch: 1, n: 1 },
    seq: nextSeq,
  };
  nextSeq += 1;
  return writer.cut({ blockId, positions: [], sourceIds: [], isBuffered: true });
}

/** Records of a block, read from memory as a task does; the payload must say the same. */
function recordsOf(block: CutBlock & BlockMeta): unknown[] {
  const { offsetBytes, lengthBytes } = block.bytes;
  const bin = arena.bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
  const { slot, payloadBytes, bytes: _bytes, ...meta } = block;
  const payload = slot.subarray(SLOT_HEADER_BYTES, SLOT_HEADER_BYTES + payloadBytes);
  expect(Buffer.compare(binOfPayload(payload), bin)).toBe(0);
  expect(readBlockMeta(payload, msgpackCodec)).toEqual({ ...meta, binBytes: lengthBytes });
  const found: unknown[] = [];
  recordsOfBin(bin, block, msgpackCodec).forEach((record) => found.push(record));
  return found;
}

/** What `append` and `appendAll` must leave as it was when they take nothing. */
function contentOf(other: BlockWriter): readonly [number, number] {
  return [other.recordCount, other.dataBytes];
}

function taken(outcome: AppendOutcome): void {
  expect(outcome).toBe('taken');
}

describe('the encoding of a block', () => {
  it.each<[BlockMeta['codec'], unknown[]]>([
    ['ascii', ['a line\nof two', '', 'plain', '\0\x7f']],
    ['utf8', ['plain', 'é', '日本', '𝄞 clef', '']],
    ['msgpack', [1, 'text', { a: [1, null] }, undefined, 2n ** 60n]],
  ])('is %s', (codec, records) => {
    for (const record of records) taken(writer.append(record));
    const one = cut();
    expect(one.codec).toBe(codec);
    expect(one.recordCount).toBe(records.length);
    expect(recordsOf(one)).toEqual(records);
    taken(writer.appendAll(records, 0));
    expect(recordsOf(cut())).toEqual(records);
  });

  it('is decided anew for each text block', () => {
    taken(writer.append('é'));
    expect(cut().codec).toBe('utf8');
    taken(writer.append('e'));
    expect(cut().codec).toBe('ascii');
  });

  it('changes to messages for good, between two blocks', () => {
    taken(writer.append('a'));
    expect(writer.append(1)).toBe('cut');
    expect(recordsOf(cut())).toEqual(['a']);
    taken(writer.append(1));
    taken(writer.append('b'));
    expect(recordsOf(cut())).toEqual([1, 'b']);
    taken(writer.append('c'));
    const last = cut();
    expect(last.codec).toBe('msgpack');
    expect(recordsOf(last)).toEqual(['c']);
  });

  it('is messages when one record of a call is no text', () => {
    taken(writer.appendAll(['a', 'b', 3], 0));
    expect(cut().codec).toBe('msgpack');
  });

  it('is the same on the fast path for large calls as on the slow one', () => {
    const fast = Array.from({ length: 9 }, (_, i) => `record ${i}`.repeat(i));
    const mixed = fast.with(4, 'größer');
    for (const texts of [fast, mixed]) {
      taken(writer.appendAll(texts, 0));
      const joined = cut();
      for (const text of texts) taken(writer.append(text));
      const single = cut();
      expect(single.codec).toBe(joined.codec);
      expect(recordsOf(joined)).toEqual(texts);
      expect(recordsOf(single)).toEqual(texts);
      expect(single.bytes.lengthBytes).toBe(joined.bytes.lengthBytes);
    }
  });

  it('joins no halves of different records to one character', () => {
    const halves = ['\ud834', '\udd1e', ...Array<string>(8).fill('x')];
    expect(() => writer.appendAll(halves, 0)).toThrow('lone surrogate');
    expect(contentOf(writer)).toEqual([0, 0]);
  });
});

describe('a cut block', () => {
  it('lies in whole pages that no other block has', () => {
    const blocks = ['one', 'two', 'three'].map((text) => {
      taken(writer.append(text));
      return cut();
    });
    for (const { slot } of blocks) {
      expect(slot.byteOffset % SLOT_ALIGN_BYTES).toBe(0);
      expect(slot.byteLength).toBe(SLOT_ALIGN_BYTES);
    }
    expect(new Set(blocks.map(({ slot }) => slot.byteOffset)).size).toBe(3);
    expect(blocks.map(recordsOf)).toEqual([['one'], ['two'], ['three']]);
  });

  it('keeps its extent until it is dropped', () => {
    taken(writer.append('a'));
    const block = cut();
    writer.close();
    expect(arena.usedExtents('receivers')).toBe(1);
    arena.drop(block.bytes.extentIndex);
    expect(arena.usedExtents('receivers')).toBe(0);
  });

  it('is never empty', () => {
    expect(() => cut()).toThrow('an empty block');
    expect(writer.dataBytes).toBe(0);
  });

  it('has its records also in memory that was used before', () => {
    arena.bytes.fill(0xff);
    taken(writer.append('abcde'));
    const block = cut();
    expect(recordsOf(block)).toEqual(['abcde']);
    const { offsetBytes } = block.bytes;
    // What aligns the end table is on disk too: zeros, and not what was there before.
    expect([...arena.bytes.subarray(offsetBytes + 5, offsetBytes + 8)]).toEqual([0, 0, 0]);
  });
});

describe('when the extent ends', () => {
  const text = 'x'.repeat(10 * KIB);

  it('says cut, takes nothing, and takes the call afterwards', () => {
    let count = 0;
    while (writer.append(text) === 'taken') count += 1;
    expect(count).toBe(6);
    expect(contentOf(writer)).toEqual([6, 60 * KIB]);
    expect(writer.append(text)).toBe('cut');
    expect(recordsOf(cut())).toEqual(Array(6).fill(text));
    taken(writer.append(text));
    expect(recordsOf(cut())).toEqual([text]);
  });

  it('splits no call', () => {
    taken(writer.append('first'));
    const call = Array<string>(7).fill(text);
    expect(writer.appendAll(call, 0)).toBe('cut');
    expect(contentOf(writer)).toEqual([1, 5]);
    expect(recordsOf(cut())).toEqual(['first']);
    taken(writer.appendAll(call, 0));
    expect(recordsOf(cut())).toEqual(call);
  });

  it.each([
    ['texts', ['a'.repeat(100 * KIB), 'é'.repeat(20 * KIB), '']],
    ['many texts', Array<string>(3_000).fill('b'.repeat(50))],
    ['messages', [{ a: 'c'.repeat(150 * KIB) }, 1]],
  ])('gives a large call of %s neighbouring extents', (_name, call) => {
    taken(writer.appendAll(call, 0));
    const block = cut();
    expect(block.recordCount).toBe(call.length);
    expect(recordsOf(block)).toEqual(call);
    expect(block.slot.byteLength).toBeGreaterThan(EXTENT);
    writer.close();
    arena.drop(block.bytes.extentIndex);
    expect(arena.usedExtents('receivers')).toBe(0);
  });

  it('refuses a call that is larger than a block may be, and takes nothing of it', () => {
    taken(writer.append('kept'));
    const call = ['d'.repeat(100 * KIB), 'd'.repeat(100 * KIB)];
    expect(writer.appendAll(call, 0)).toBe('cut');
    cut();
    expect(() => writer.appendAll(call, 0)).toThrow(
      expect.objectContaining({ code: 'RECORD_TOO_LARGE' }),
    );
    expect(contentOf(writer)).toEqual([0, 0]);
    taken(writer.append('next'));
    expect(recordsOf(cut())).toEqual(['next']);
  });

  it('makes no slot longer than the log can take', () => {
    writer.slotBytesMax = 20 * KIB;
    taken(writer.append('y'.repeat(12 * KIB)));
    expect(writer.append('y'.repeat(12 * KIB))).toBe('cut');
    const first = cut();
    expect(first.slot.byteLength).toBeLessThanOrEqual(20 * KIB);
    expect(recordsOf(first)).toEqual(['y'.repeat(12 * KIB)]);
    taken(writer.append('y'.repeat(12 * KIB)));
    expect(recordsOf(cut())).toEqual(['y'.repeat(12 * KIB)]);
    expect(() => writer.append('y'.repeat(20 * KIB))).toThrow(
      expect.objectContaining({
        code: 'RECORD_TOO_LARGE',
        message: expect.stringContaining('receiverSegmentBytes') as string,
      }),
    );
    expect(contentOf(writer)).toEqual([0, 0]);
  });

  it('says full when the arena is, and goes on when there is room', () => {
    const others = Array.from({ length: 12 }, () => arena.acquire('receivers', 9, 1) as number);
    expect(writer.append('a')).toBe('full');
    expect(writer.appendAll(['a'], 0)).toBe('full');
    arena.drop(others[3] as number);
    taken(writer.append('a'));
    expect(writer.appendAll(['e'.repeat(EXTENT)], 0)).toBe('cut');
    const block = cut();
    expect(writer.appendAll(['e'.repeat(EXTENT)], 0)).toBe('full');
    expect(contentOf(writer)).toEqual([0, 0]);
    expect(recordsOf(block)).toEqual(['a']);
  });

  it('has kept room for what the call brings to the trailer', () => {
    const keys = Array.from({ length: 400 }, (_, i) => `key-${i}`.padEnd(80, 'k'));
    let records = 0;
    for (const _key of keys) {
      if (writer.appendAll(['f'.repeat(100)], 150) !== 'taken') break;
      records += 1;
    }
    expect(records).toBeGreaterThan(200);
    expect(records).toBeLessThan(400);
    const sourceIds = keys.slice(0, records).map((key) => ({ key, digest: 'd', recordCount: 1 }));
    const blockId = {
      streamId: 's' as StreamId,
      receiverIndex: 0,
      incarnation: { epoch: 1, n: 1 },
      seq: 0,
    };
    const block = writer.cut({ blockId, positions: [], sourceIds, isBuffered: false });
    expect(recordsOf(block)).toHaveLength(records);
  });
});

describe('a record that cannot be stored', () => {
  it.each<[string, unknown]>([
    ['a lone surrogate', 'a\ud800b'],
    ['a function', () => 1],
    ['a promise', Promise.resolve(1)],
    ['a lone surrogate within an object', { text: '\udfff' }],
  ])('such as %s is refused alone and in a call, and nothing is taken', (_name, record) => {
    taken(writer.append('before'));
    const call = ['one', 'two', record];
    const tryBoth = (): void => {
      expect(() => writer.append(record)).toThrow(unsupported);
      expect(() => writer.appendAll(call, 0)).toThrow(unsupported);
    };
    if (typeof record === 'string') {
      tryBoth();
      expect(contentOf(writer)).toEqual([1, 6]);
    } else {
      expect(writer.append(record)).toBe('cut');
    }
    expect(recordsOf(cut())).toEqual(['before']);
    tryBoth();
    expect(contentOf(writer)).toEqual([0, 0]);
    taken(writer.append('after'));
    expect(recordsOf(cut())).toEqual(['after']);
  });

  it('is refused behind others that need another extent, and nothing is taken', () => {
    taken(writer.append('before'));
    expect(recordsOf(cut())).toEqual(['before']);
    const call = ['g'.repeat(40 * KIB), 'g'.repeat(40 * KIB), 'a\ud800b'];
    expect(() => writer.appendAll(call, 0)).toThrow(unsupported);
    expect(contentOf(writer)).toEqual([0, 0]);
    taken(writer.append('after'));
    expect(recordsOf(cut())).toEqual(['after']);
  });

  it('leaves no trace of what its trailer would have needed', () => {
    taken(writer.append('before'));
    for (let call = 0; call < 100; call += 1) {
      expect(() => writer.appendAll(['\ud800'], KIB)).toThrow(unsupported);
    }
    taken(writer.append('after'));
    expect(recordsOf(cut())).toEqual(['before', 'after']);
  });

  const unsupported = expect.objectContaining({ code: 'RECORD_UNSUPPORTED' }) as Error;
});

const record = fc.oneof(
  { weight: 6, arbitrary: fc.string({ maxLength: 30 }) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }) },
  { weight: 2, arbitrary: fc.nat(20_000).map((length) => '#'.repeat(length)) },
  { weight: 1, arbitrary: fc.nat(3_000).map((length) => 'ü'.repeat(length)) },
  { weight: 2, arbitrary: fc.constant('lone \ud83d') },
);
const other = fc.oneof(fc.integer(), fc.record({ a: fc.string({ maxLength: 20 }) }));
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('append'), record }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('appendAll'),
      records: fc.array(record, { minLength: 1, maxLength: 24 }),
      trailerBytes: fc.nat(600),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cut') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('free') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('message'), record: other }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Plays a receiver, beside a model: the records taken, in order. */
class Play {
  readonly taken: unknown[] = [];
  readonly blocks: (CutBlock & BlockMeta)[] = [];
  readonly read: unknown[] = [];

  next(step_: Step): void {
    switch (step_.do) {
      case 'append':
        return this.#store([step_.record], () => writer.append(step_.record));
      case 'message':
        return this.#store([step_.record], () => writer.append(step_.record));
      case 'appendAll':
        return this.#store(step_.records, () =>
          writer.appendAll(step_.records, step_.trailerBytes),
        );
      case 'cut':
        return this.#cut();
      default:
        return this.free();
    }
  }

  /** Reads the blocks that were cut so far, and gives up their memory. */
  free(): void {
    for (const block of this.blocks.splice(0)) {
      this.read.push(...recordsOf(block));
      arena.drop(block.bytes.extentIndex);
    }
  }

  finish(): void {
    this.#cut();
    this.free();
    writer.close();
  }

  #cut(): void {
    if (writer.recordCount > 0) this.blocks.push(cut());
  }

  #store(records: readonly unknown[], call: () => AppendOutcome): void {
    for (let tries = 0; tries < 4; tries += 1) {
      const before = contentOf(writer);
      let outcome: AppendOutcome | undefined;
      try {
        outcome = call();
      } catch {
        expect(contentOf(writer)).toEqual(before);
        return;
      }
      if (outcome === 'taken') {
        this.taken.push(...records);
        return;
      }
      expect(contentOf(writer)).toEqual(before);
      if (outcome === 'cut') this.#cut();
      else this.free();
    }
    throw new Error('a call was never taken');
  }
}

it('whatever is appended and cut, the blocks hold what was taken, in order', () => {
  const property = fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
    arena.bytes.fill(0xaa);
    writer = new BlockWriter(arena, msgpackCodec, 1);
    const play = new Play();
    for (const each of steps) play.next(each);
    play.finish();
    expect(play.read).toEqual(play.taken);
    expect(arena.usedExtents('receivers')).toBe(0);
  });
  fc.assert(property, { seed, numRuns: 150 });
});
