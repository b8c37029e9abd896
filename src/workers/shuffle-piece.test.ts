import { describe, expect, it } from 'vitest';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { PieceWriter, readPiece } from './shuffle-piece.ts';

function messagesOf(piece: Uint8Array): (readonly unknown[])[] {
  const messages: (readonly unknown[])[] = [];
  readPiece(piece, msgpackCodec, (items) => messages.push(items));
  return messages;
}

function written(fill: (writer: PieceWriter) => void): Uint8Array {
  const writer = new PieceWriter(msgpackCodec);
  fill(writer);
  return writer.finish() ?? new Uint8Array();
}

describe('a piece', () => {
  it('is one length and one message when it is small', () => {
    const piece = written((writer) => writer.addPair('k', 1));
    expect([...piece]).toEqual([4, 0, 0, 0, 0x92, 0xa1, 0x6b, 1]);
    expect(messagesOf(piece)).toEqual([['k', 1]]);
  });

  it('is nothing when nothing was added', () => {
    expect(new PieceWriter(msgpackCodec).finish()).toBeUndefined();
  });

  it('keeps the order of 100,000 records, a pair always within one message', () => {
    const messages = messagesOf(
      written((writer) => {
        for (let i = 0; i < 50_000; i += 1) writer.addPair(`k${i}`, i);
      }),
    );
    expect(messages.length).toBeGreaterThan(5);
    expect(messages.every((items) => items.length % 2 === 0)).toBe(true);
    const items = messages.flat();
    expect(items).toHaveLength(100_000);
    expect(items.every((item, i) => item === (i % 2 === 0 ? `k${i / 2}` : (i - 1) / 2))).toBe(true);
  });

  it('has messages of bounded size, whatever the records weigh', () => {
    const long = 'x'.repeat(50_000);
    const messages = messagesOf(
      written((writer) => {
        for (let i = 0; i < 300; i += 1) writer.add(long);
      }),
    );
    expect(messages.flat()).toHaveLength(300);
    const [, ...later] = messages; // the first is cut by count, before sizes are known
    expect(Math.max(...later.map((items) => items.length))).toBeLessThanOrEqual(6);
  });

  it('that is cut short is refused', () => {
    const piece = written((writer) => writer.addPair('k', 1));
    for (let length = 1; length < piece.byteLength; length += 1) {
      expect(() => messagesOf(piece.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'BROKEN_INVARIANT' }),
      );
    }
  });
});
