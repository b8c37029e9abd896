/** Payloads whose checksums are right and whose content is not: every bit flipped, every byte
 * changed, cut and lengthened everywhere. They are refused as what they are, or they mean something
 * that millrace could have written; nothing is skipped, and nothing else is thrown. @module */
import { describe, expect, it } from 'vitest';
import { readBlockMeta } from '../../src/blocks/block-layout.ts';
import { MillraceError } from '../../src/core/errors.ts';
import { decodeEvent, encodeEvent } from '../../src/driver/tracker-events.ts';
import { msgpackCodec } from '../../src/serde/msgpack-codec.ts';
import { receiverLogSample, sampleEvents } from '../support/log-samples.ts';

const HEADER_BYTES = 32;

/** The payload is changed in place: use each before taking the next. */
function* changes(sound: Uint8Array): Generator<Buffer> {
  const bytes = Buffer.from(sound);
  for (let at = 0; at < bytes.byteLength; at += 1) {
    const before = bytes[at] ?? 0;
    for (let bit = 0; bit < 8; bit += 1) {
      bytes[at] = before ^ (1 << bit);
      yield bytes;
    }
    for (const value of [0, 0xff]) {
      bytes[at] = value;
      yield bytes;
    }
    bytes[at] = before;
    yield bytes.subarray(0, at);
  }
  for (let value = 0; value < 256; value += 1) yield Buffer.concat([bytes, Buffer.from([value])]);
}

/** What is wrong with how `payload` was taken; `undefined` when it is as it must be. */
function mistakeOf(read: () => void): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    const code = error instanceof MillraceError ? error.code : 'none';
    return code === 'WAL_CORRUPT' || code === 'FORMAT_UNKNOWN' ? undefined : String(error);
  }
}

describe('an event of the driver log', () => {
  it.each(sampleEvents(3).map((event, index) => [`${index}: ${event.type}`, event] as const))(
    '%s',
    (_, event) => {
      const sound = encodeEvent(event, msgpackCodec);
      const mistakes: string[] = [];
      for (const payload of changes(sound)) {
        const mistake = mistakeOf(() => {
          const read = decodeEvent(payload, msgpackCodec);
          const again = encodeEvent(read, msgpackCodec);
          expect(decodeEvent(again, msgpackCodec)).toEqual(read);
        });
        if (mistake !== undefined) mistakes.push(`${payload.toString('hex')}: ${mistake}`);
      }
      expect(mistakes).toEqual([]);
    },
  );

  it('is refused when a byte more or fewer is there than its message has', () => {
    for (const event of sampleEvents(3)) {
      const sound = encodeEvent(event, msgpackCodec);
      const more = Buffer.concat([sound, Buffer.from([0xc0])]);
      for (const payload of [more, sound.subarray(0, -1), Buffer.alloc(0)]) {
        expect(() => decodeEvent(payload, msgpackCodec)).toThrow(/malformed/);
      }
    }
  });
});

it('a block of a receiver log', async () => {
  const { bytes, records } = await receiverLogSample();
  const { from, to } = records.find(({ isPayload }) => isPayload) ?? { from: 0, to: 0 };
  const sound = bytes.subarray(from + HEADER_BYTES, to);
  const mistakes: string[] = [];
  for (const payload of changes(sound)) {
    const mistake = mistakeOf(() => readBlockMeta(payload, msgpackCodec));
    if (mistake !== undefined) mistakes.push(mistake);
  }
  expect(mistakes).toEqual([]);
});
