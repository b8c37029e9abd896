/** Random streams with windows, and what they have to hold, worked out the slow and obvious way: at
 * each batch time from the whole history, anew.
 *
 * All records are pairs of a short key and letters. Whatever combines letters sorts them, so that
 * results do not depend on an order that shuffles leave open, but on how often each record is there.
 * What takes letters away again fails when they are not there.
 * @module */
import type { Random } from '../../src/core/random.ts';
import type { DStream } from '../../src/dstream/dstream.ts';

export type Pair = readonly [key: string, letters: string];
type Pairs = DStream<readonly [string, string]>;

const WINDOWED = [
  'window',
  'countByWindow',
  'countByValueAndWindow',
  'reduceByWindow',
  'groupByKeyAndWindow',
  'reduceByKeyAndWindow',
] as const;
/** They keep a value from window to window, so no window is over them. */
const INVERSE = ['inverseReduce', 'inverseReduceByKey', 'filteredReduceByKey'] as const;
const PAIRED = [
  'union',
  'join',
  'leftOuterJoin',
  'rightOuterJoin',
  'fullOuterJoin',
  'cogroup',
] as const;
const NARROW = ['filter', 'persist', 'mapPartitions'] as const;

/** A stream, described. Times are in batch intervals. */
export type Spec =
  | { readonly op: 'input'; readonly name: string }
  | { readonly op: (typeof NARROW)[number]; readonly from: Spec }
  | {
      readonly op: (typeof WINDOWED)[number] | (typeof INVERSE)[number];
      readonly from: Spec;
      readonly length: number;
      readonly slide: number;
    }
  | { readonly op: (typeof PAIRED)[number]; readonly left: Spec; readonly right: Spec };

const INPUTS = ['a', 'b'] as const;

function oneOf<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random.next() * items.length)] as T;
}

const upTo = (random: Random, max: number): number => 1 + Math.floor(random.next() * max);

interface Shape {
  readonly depth: number;
  readonly slide: number;
  /** No window is over it. @defaultValue true */
  readonly isTop?: boolean;
}

/** A random stream whose slide is `slide`. */
export function randomSpec(random: Random, { depth, slide, isTop = true }: Shape): Spec {
  const input: Spec = { op: 'input', name: oneOf(random, INPUTS) };
  const below = { depth: depth - 1, slide, isTop };
  if (depth === 0) {
    return slide === 1 ? input : widened(random, input, { slide, parentSlide: 1, isTop });
  }
  const kind = random.next();
  if (kind < 0.15) {
    return { op: oneOf(random, NARROW), from: randomSpec(random, below) };
  }
  if (kind < 0.4) {
    const [left, right] = [below, below].map((each) => randomSpec(random, each));
    return { op: oneOf(random, PAIRED), left: left as Spec, right: right as Spec };
  }
  const divisors = [1, 2, 3].filter((each) => slide % each === 0);
  const parentSlide = oneOf(random, divisors);
  const from = randomSpec(random, { depth: depth - 1, slide: parentSlide, isTop: false });
  return widened(random, from, { slide, parentSlide, isTop });
}

function widened(
  random: Random,
  from: Spec,
  {
    slide,
    parentSlide,
    isTop,
  }: { readonly slide: number; readonly parentSlide: number; readonly isTop: boolean },
): Spec {
  const length = parentSlide * upTo(random, 4);
  const op = isTop && random.next() < 0.35 ? oneOf(random, INVERSE) : oneOf(random, WINDOWED);
  return { op, from, length, slide };
}

const merge = (a: string, b: string): string => (a + b).split('').toSorted().join('');
const mergeAll = (parts: readonly string[]): string => parts.reduce(merge, '');

/** @throws when a letter of `left` is not in `all`. */
function without(all: string, left: string): string {
  let rest = all;
  for (const letter of left) {
    if (!rest.includes(letter)) throw new Error(`${left} leaves ${all}`);
    rest = rest.replace(letter, '');
  }
  return rest;
}

/** The stream itself. */
export function buildStream(spec: Spec, inputs: ReadonlyMap<string, Pairs>): Pairs {
  if (spec.op === 'input') return inputs.get(spec.name) as Pairs;
  if ('from' in spec) return buildUnary(spec, buildStream(spec.from, inputs));
  const left = buildStream(spec.left, inputs);
  const right = buildStream(spec.right, inputs);
  const both = ([a, b]: readonly [string | undefined, string | undefined]): string =>
    merge(a ?? '-', b ?? '-');
  switch (spec.op) {
    case 'union':
      return left.union(right);
    case 'cogroup':
      return left.cogroup(right).mapValues(([a, b]) => merge(mergeAll(a), `-${mergeAll(b)}`));
    default:
      return left[spec.op](right).mapValues(both);
  }
}

type UnarySpec = Spec & { readonly from: Spec };

function buildUnary(spec: UnarySpec, from: Pairs): Pairs {
  if (!('slide' in spec)) {
    if (spec.op === 'persist') return from.persist();
    if (spec.op === 'filter') return from.filter(([key]) => key !== 'z');
    // One partition at a time, and each window's batches apart: all of a partition becomes one.
    return from.repartition(1).mapPartitions((all) => [summed([...all])]);
  }
  const [length, slide] = [spec.length * 1_000, spec.slide * 1_000];
  switch (spec.op) {
    case 'window':
      return from.window(length, slide);
    case 'countByWindow':
      return from.countByWindow(length, slide).map((n) => ['n', merge('', `${n}`)]);
    case 'countByValueAndWindow':
      return from
        .countByValueAndWindow(length, slide)
        .map(([[key, letters], n]) => [key, merge(letters, `${n}`)]);
    case 'reduceByWindow':
      return from.reduceByWindow(([a, x], [b, y]) => [merge(a, b), merge(x, y)], length, slide);
    case 'groupByKeyAndWindow':
      return from.groupByKeyAndWindow(length, slide).mapValues((all) => mergeAll(all));
    case 'inverseReduce':
      return from.reduceByWindow(
        ([a, x], [b, y]) => [merge(a, b), merge(x, y)],
        ([a, x], [b, y]) => [without(a, b), without(x, y)],
        length,
        slide,
      );
    case 'inverseReduceByKey':
      return from.reduceByKeyAndWindow(merge, without, length, slide);
    case 'filteredReduceByKey':
      return from
        .mapValues((letters) => `${letters}!`) // so that nothing is left only when all have left
        .reduceByKeyAndWindow(merge, without, length, slide, {
          filter: ([, letters]) => letters !== '',
        })
        .mapValues((letters) => letters.replaceAll('!', ''));
    default:
      return from.reduceByKeyAndWindow(merge, length, slide);
  }
}

function summed(all: readonly Pair[]): Pair {
  return ['all', mergeAll(all.map(([key, letters]) => merge(key, letters)))];
}

/** Of one batch. */
export function randomInputs(random: Random): Readonly<Record<string, readonly Pair[]>> {
  return { a: randomRecords(random), b: randomRecords(random) };
}

function randomRecords(random: Random): Pair[] {
  return Array.from({ length: Math.floor(random.next() * 4) }, (): Pair => {
    const key = 'xyz'[Math.floor(random.next() * 3)] as string;
    return [key, 'pqr'[Math.floor(random.next() * 3)] as string];
  });
}

/** Records of each input by batch time; a time without an entry had no batch. */
export type History = ReadonlyMap<number, Readonly<Record<string, readonly Pair[]>>>;

export function slideOf(spec: Spec): number {
  if (spec.op === 'input') return 1;
  if ('slide' in spec) return spec.slide;
  return slideOf('from' in spec ? spec.from : spec.left);
}

/** What the stream holds at a batch time that is a multiple of its slide, in any order. */
export function expectedAt(spec: Spec, time: number, history: History): readonly Pair[] {
  if (spec.op === 'input') return history.get(time)?.[spec.name] ?? [];
  if ('slide' in spec) {
    const held = heldBy(spec, time, history);
    if (spec.op !== 'inverseReduce' && spec.op !== 'inverseReduceByKey') {
      return windowOf(spec.op, held);
    }
    // A key that was ever in a window stays, with nothing.
    const keys = keysOf(
      [...endsUpTo(spec, time, history)].flatMap((end) => heldBy(spec, end, history)),
    );
    if (spec.op === 'inverseReduceByKey') {
      return keys.map((key) => [key, mergeAll(valuesOf(held, key))]);
    }
    return keys.length === 0 ? [] : [windowOf('reduceByWindow', held)[0] ?? ['', '']];
  }
  if ('from' in spec) {
    const all = expectedAt(spec.from, time, history);
    if (spec.op === 'persist') return all;
    return spec.op === 'filter' ? all.filter(([key]) => key !== 'z') : [summed(all)];
  }
  const left = expectedAt(spec.left, time, history);
  return paired(spec.op, left, expectedAt(spec.right, time, history));
}

/** Where windows have ended, also where there was no batch: the next one moves the window. */
function endsUpTo(
  { slide }: { readonly slide: number },
  time: number,
  history: History,
): Set<number> {
  const times = [...history.keys()].filter((each) => each <= time);
  return new Set(times.map((each) => Math.floor(each / slide) * slide));
}

/** The records of the batches that a window looks at. */
function heldBy(
  { from, length }: Spec & { readonly from: Spec; readonly length: number },
  time: number,
  history: History,
): readonly Pair[] {
  return [...history.keys()]
    .filter((each) => each > time - length && each <= time && each % slideOf(from) === 0)
    .flatMap((each) => expectedAt(from, each, history));
}

function windowOf(
  op: (Spec & { readonly slide: number })['op'],
  all: readonly Pair[],
): readonly Pair[] {
  switch (op) {
    case 'window':
      return all;
    case 'countByWindow':
      return [['n', merge('', `${all.length}`)]];
    case 'countByValueAndWindow': {
      const values = [...new Set(all.map((pair) => JSON.stringify(pair)))];
      return values.map((value) => {
        const [key, letters] = JSON.parse(value) as Pair;
        const n = all.filter((pair) => JSON.stringify(pair) === value).length;
        return [key, merge(letters, `${n}`)];
      });
    }
    case 'reduceByWindow':
      if (all.length === 0) return [];
      return [[mergeAll(all.map(([key]) => key)), mergeAll(all.map(([, letters]) => letters))]];
    default:
      return keysOf(all).map((key) => [key, mergeAll(valuesOf(all, key))]);
  }
}

const keysOf = (all: readonly Pair[]): readonly string[] => [...new Set(all.map(([key]) => key))];

function valuesOf(all: readonly Pair[], key: string): readonly string[] {
  return all.flatMap(([each, letters]) => (each === key ? [letters] : []));
}

function paired(
  op: (typeof PAIRED)[number],
  left: readonly Pair[],
  right: readonly Pair[],
): readonly Pair[] {
  if (op === 'union') return [...left, ...right];
  return keysOf([...left, ...right]).flatMap((key): readonly Pair[] => {
    const [a, b] = [valuesOf(left, key), valuesOf(right, key)];
    if (op === 'cogroup') return [[key, merge(mergeAll(a), `-${mergeAll(b)}`)]];
    const keepsLeft = op === 'leftOuterJoin' || op === 'fullOuterJoin';
    const keepsRight = op === 'rightOuterJoin' || op === 'fullOuterJoin';
    const lefts = a.length === 0 && keepsRight ? ['-'] : a;
    const rights = b.length === 0 && keepsLeft ? ['-'] : b;
    return lefts.flatMap((x) => rights.map((y): Pair => [key, merge(x, y)]));
  });
}
