/** The one binding of `Codec` to msgpackr, and the only file that imports it.
 *
 * What a value comes back as:
 *
 *      null, undefined, booleans, strings, bigint, NaN,   as they are
 *      ±Infinity, Date, Set, Map, RegExp, ArrayBuffer,
 *      DataView, typed arrays, Buffer (as a copy)
 *      −0                                                 0
 *      plain objects, objects without prototype           plain object
 *      class instances                                    plain object: what their toJSON() returns
 *                                                         if they have one, else own fields
 *      subclasses of Array, Set, Map, Error               the base class
 *      Error                                              name, message, cause; no other field
 *      holes of an array                                  undefined
 *      property `__proto__`                               renamed `__proto_`
 *      properties with a symbol as key                    dropped
 *      iterators of arrays, maps, sets                    {}: they look like plain objects
 *
 * Refused: functions, symbols, promises, WeakMap and the like, generators, SharedArrayBuffer, boxed
 * primitives, subclasses of typed arrays, strings with a lone surrogate, cycles, deep nesting.
 *
 * Two ways through `pack`. The fast one is msgpackr alone, with three hooks that cost nothing for
 * values they do not concern: `writeFunction` and `mapAsEmptyObject`, which msgpackr asks only when
 * it meets a function or a Map, and an extension class whose `instanceof` test looks at objects of
 * unusual classes. A hook only raises a flag (throwing through msgpackr costs 20 µs, measured); the
 * message is then thrown away and the value takes the careful way: codec-preparation.ts walks it
 * once, names the path of what cannot be packed, and replaces what msgpackr cannot keep apart.
 *
 * Format: msgpack; objects as maps, without record structures, so that each message can be read
 * alone. A Map is extension 0x4d, one filler byte, then its keys and values as one array: the form
 * that msgpackr itself gives to Set (0x73), Error (0x65) and RegExp (0x78).
 * Measured (msgpackr 2.1.3, Node 20.20): see msgpack-codec.test.ts for the behaviour relied upon.
 * @module */
import { addExtension, Packr } from 'msgpackr';
import { MillraceError, toError } from '../core/errors.ts';
import type { Codec } from './codec.ts';
import { checkStrings, isUnusual, MapEntries, prepare } from './codec-preparation.ts';

/** Extension types 0…127 are free for applications; msgpackr uses 0 and some letters, not `M`. */
const MAP_EXTENSION = 0x4d;
/** Shorter messages are scanned in JavaScript: below this a native call costs more (measured). */
const NATIVE_SCAN_BYTES_MIN = 24;

/** Raised by a hook while the fast packer runs: what it makes is not the whole value. */
let needsCare = false;

/** Claims no object, so that other users of msgpackr, which share its table of classes, notice
 * nothing; but msgpackr asks it first about each object that is not of a plain class. */
class UnusualObject {
  static [Symbol.hasInstance](value: object): boolean {
    if (isUnusual(value)) needsCare = true;
    return false;
  }
}

addExtension({
  Class: MapEntries,
  type: MAP_EXTENSION,
  write: (map: MapEntries) => map.flat,
  read: (flat: unknown) => toMap(flat),
});
addExtension({ Class: UnusualObject, write: (value: unknown) => value });

const options = {
  useRecords: false,
  mapsAsObjects: true,
  moreTypes: true,
  structuredClone: false, // neither written nor, in damaged bytes, read
  copyBuffers: true, // a Buffer that is read must not be a view of memory that is used again
} as const;

const fastPacker = new Packr({ ...options, writeFunction: () => (needsCare = true) });
Object.defineProperty(fastPacker, 'mapAsEmptyObject', { get: () => (needsCare = true) });
/** Also takes objects of more than 65,535 keys, which the fast one refuses. Each toJSON has been
 * asked already. */
const carefulPacker = new Packr({ ...options, variableMapSize: true, useToJSON: false });

/** Values ↔ msgpack messages. Stateless: no message depends on another. */
export const msgpackCodec: Codec = {
  pack(value) {
    const bytes = packFast(value) ?? packCarefully(value);
    if (mayHoldLoneSurrogate(bytes)) checkStrings(value);
    return bytes;
  },
  unpack(bytes) {
    // msgpackr gives a Buffer back only if it reads from one.
    const source = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    try {
      return fastPacker.unpack(source);
    } catch (error) {
      const reason = toError(error).message;
      throw new MillraceError(
        'BROKEN_INVARIANT',
        `${bytes.byteLength} bytes are not exactly one msgpack message: ${reason}`,
        { cause: error, details: { lengthBytes: bytes.byteLength } },
      );
    }
  },
};

/** @returns undefined when the value needs a closer look. */
function packFast(value: unknown): Uint8Array | undefined {
  const outer = needsCare; // a toJSON of the user may come back here while its object is packed
  needsCare = false;
  try {
    const bytes = fastPacker.pack(value);
    return hookWasAsked() ? undefined : bytes;
  } catch {
    // Whatever it was (a symbol, a cycle, a toJSON that throws): `prepare` finds the place.
    return undefined;
  } finally {
    needsCare = outer;
  }
}

/** A function, because the compiler does not see that hooks run inside `pack`. */
function hookWasAsked(): boolean {
  return needsCare;
}

function packCarefully(value: unknown): Uint8Array {
  const prepared = prepare(value);
  try {
    return carefulPacker.pack(prepared);
  } catch (error) {
    const reason = toError(error).message;
    throw new MillraceError('RECORD_UNSUPPORTED', `value cannot be packed: ${reason}`, {
      cause: error,
    });
  }
}

function toMap(flat: unknown): Map<unknown, unknown> {
  if (!Array.isArray(flat) || flat.length % 2 !== 0) throw new Error('a Map without its entries');
  const map = new Map<unknown, unknown>();
  for (let i = 0; i < flat.length; i += 2) map.set(flat[i], flat[i + 1]);
  return map;
}

/** True when the message may hold a string with a lone surrogate. msgpackr writes one of a short
 * string as its three bytes (ED, A0…BF, 80…BF) and one of a long string as U+FFFD (EF BF BD).
 * Numbers can look the same, so that true only means: look at the value itself. */
function mayHoldLoneSurrogate(bytes: Uint8Array): boolean {
  const last = bytes.length - 2; // asked once: the getter would cost more than the loop (measured)
  let from = 0;
  if (last >= NATIVE_SCAN_BYTES_MIN) {
    const ed = bytes.indexOf(0xed);
    const ef = bytes.indexOf(0xef);
    if (ed < 0 && ef < 0) return false;
    from = ed < 0 ? ef : ef < 0 ? ed : Math.min(ed, ef);
  }
  for (let i = from; i < last; i += 1) {
    const first = bytes[i] as number;
    if (first < 0xed || (first !== 0xed && first !== 0xef)) continue;
    const second = bytes[i + 1] as number;
    const third = bytes[i + 2] as number;
    if (first === 0xed && (second & 0xe0) === 0xa0 && (third & 0xc0) === 0x80) return true;
    if (first === 0xef && second === 0xbf && third === 0xbd) return true;
  }
  return false;
}
