/** Ways to harm the bytes of a log, each small enough to be printed and done again alone.
 * @module */
import type { Random } from '../../src/core/random.ts';
import type { LogImage } from './log-image.ts';

/** Offsets count through all files of the log, oldest first. */
export type Harm =
  | { readonly kind: 'bit'; readonly at: number; readonly bit: number }
  | { readonly kind: 'byte'; readonly at: number; readonly value: number }
  | { readonly kind: 'bytes'; readonly changes: readonly (readonly [at: number, value: number])[] }
  /** The file ends there. `rest`: later files are gone too. */
  | { readonly kind: 'cut'; readonly at: number; readonly isRestGone: boolean }
  /** A whole sector. Its new bytes: zeros, those of `other` (which gets these in a swap), or what
   * this place had in an earlier life of the file. */
  | {
      readonly kind: 'zero' | 'older' | 'swap' | 'duplicate';
      readonly at: number;
      readonly length: number;
      readonly other: number;
    }
  /** From here to the end of the log the place has what it had before. */
  | { readonly kind: 'unwritten'; readonly at: number; readonly isOlder: boolean };

/** A range of the image that may differ from the sound one. */
export type Range = readonly [from: number, to: number];

/** Changes `bytes` as `harm` says. @returns where. A cut changes no bytes. */
export function inflict(harm: Harm, bytes: Uint8Array, sound: LogImage): readonly Range[] {
  switch (harm.kind) {
    case 'bit':
      bytes[harm.at] = (sound.bytes[harm.at] ?? 0) ^ (1 << harm.bit);
      return [[harm.at, harm.at + 1]];
    case 'byte':
      bytes[harm.at] = harm.value;
      return [[harm.at, harm.at + 1]];
    case 'bytes':
      for (const [at, value] of harm.changes) bytes[at] = value;
      return harm.changes.map(([at]) => [at, at + 1]);
    case 'cut':
      return [];
    case 'unwritten':
      if (harm.isOlder) bytes.set(sound.older.subarray(harm.at), harm.at);
      else bytes.fill(0, harm.at);
      return [[harm.at, bytes.byteLength]];
    default:
      return inflictSector(harm, bytes, sound);
  }
}

function inflictSector(
  { kind, at, length, other }: Extract<Harm, { kind: 'zero' | 'older' | 'swap' | 'duplicate' }>,
  bytes: Uint8Array,
  sound: LogImage,
): readonly Range[] {
  const here: Range = [at, at + length];
  const there: Range = [other, other + length];
  if (kind === 'zero') bytes.fill(0, ...here);
  if (kind === 'older') bytes.set(sound.older.subarray(...here), at);
  if (kind === 'zero' || kind === 'older') return [here];
  bytes.set(sound.bytes.subarray(...there), at);
  if (kind === 'duplicate') return [here];
  bytes.set(sound.bytes.subarray(...here), other);
  return [here, there];
}

export function heal(ranges: readonly Range[], bytes: Uint8Array, sound: LogImage): void {
  for (const [from, to] of ranges) bytes.set(sound.bytes.subarray(from, to), from);
}

export function* bitFlips({ bytes }: LogImage): Generator<Harm> {
  for (let at = 0; at < bytes.byteLength; at += 1) {
    for (let bit = 0; bit < 8; bit += 1) yield { kind: 'bit', at, bit };
  }
}

/** Zero, ones or a random other value, in turn: every bit of the byte is flipped alone as well. */
export function* byteChanges({ bytes }: LogImage, random: Random): Generator<Harm> {
  for (let at = 0; at < bytes.byteLength; at += 1) {
    const value = [0, 0xff, randomInt(random, 256)][at % 3] ?? 0;
    yield { kind: 'byte', at, value };
  }
}

export function* cuts({ bytes }: LogImage): Generator<Harm> {
  for (let at = 0; at < bytes.byteLength; at += 1) {
    yield { kind: 'cut', at, isRestGone: false };
    yield { kind: 'cut', at, isRestGone: true };
  }
}

export function* pairs({ bytes }: LogImage, random: Random, count: number): Generator<Harm> {
  const change = (): [number, number] => [
    randomInt(random, bytes.byteLength),
    randomInt(random, 256),
  ];
  for (let n = 0; n < count; n += 1) yield { kind: 'bytes', changes: [change(), change()] };
}

/** Every sector of this length lost, in every other one's place, and as it once was. */
export function* sectors({ bytes }: LogImage, length: number): Generator<Harm> {
  for (let at = 0; at < bytes.byteLength; at += length) {
    yield { kind: 'zero', at, length, other: at };
    yield { kind: 'older', at, length, other: at };
    for (let other = 0; other < bytes.byteLength; other += length) {
      if (other > at) yield { kind: 'swap', at, length, other };
      if (other !== at) yield { kind: 'duplicate', at, length, other };
    }
  }
}

/** Writes of the log's last group that stopped after every byte. */
export function* tornWrites({ bytes, records }: LogImage): Generator<Harm> {
  const last = records.at(-1);
  const firstUnsynced = records.find(({ lsn }) => lsn > (last?.durableLsn ?? 0));
  for (let at = firstUnsynced?.from ?? 0; at < bytes.byteLength; at += 1) {
    yield { kind: 'unwritten', at, isOlder: false };
    yield { kind: 'unwritten', at, isOlder: true };
  }
}

function randomInt(random: Random, below: number): number {
  return Math.floor(random.next() * below);
}
