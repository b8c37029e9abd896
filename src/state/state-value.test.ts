/** Values of keyed state against the codec. @module */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { scaled, seedNote, simSeed } from '../../test/support/sim-runs.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { StateValues } from './state-value.ts';

const seed = simSeed;
const edges = [0, -0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 32, NaN, 0.5];
const number = fc.oneof(
  fc.constantFrom(...edges, ...edges.map((edge) => -edge), Infinity, -Infinity),
  fc.integer(),
  fc.double(),
  fc.maxSafeInteger(),
);
const value = fc.oneof(
  number,
  fc.string({ maxLength: 200 }),
  fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
  fc.boolean(),
  fc.constant(null),
  fc.uint8Array({ maxLength: 150 }),
  fc.record({ count: number, last: fc.string(), tags: fc.array(fc.string()) }),
);

it(`has the messages of the codec, and reads them (${seedNote})`, () => {
  const values = new StateValues(msgpackCodec);
  const property = fc.property(fc.array(value, { maxLength: 8 }), (written) => {
    const messages = written.map((each) => {
      values.encode(each);
      return Buffer.from(values.bytes.subarray(0, values.lengthBytes));
    });
    expect(messages).toEqual(written.map((each) => Buffer.from(msgpackCodec.pack(each))));
    const bytes = Buffer.from(Buffer.concat(messages)); // no message begins where memory does
    const memory = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset) };
    let at = 0;
    const read = messages.map(({ byteLength }) => {
      at += byteLength;
      return values.decode(memory, at - byteLength, byteLength);
    });
    bytes.fill(0); // what was read is nobody's view
    expect(read).toEqual(messages.map((message) => msgpackCodec.unpack(message)));
  });
  fc.assert(property, { seed, numRuns: scaled(2_000), examples: [[edges]] });
});
