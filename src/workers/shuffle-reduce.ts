/** The reduce side of shuffles: merges the pieces of one reduce partition and pushes the results.
 *
 * Pieces come in the order of the map partitions and are merged in it, never as they arrive, so
 * that a replayed batch gives the same records in the same order.
 * @module */
import { MillraceError } from '../core/errors.ts';
import type { GraphNode, KindOf } from '../dstream/graph.ts';
import { KeyMap } from '../serde/canonical-key.ts';
import type { Codec } from '../serde/codec.ts';
import { readPiece } from './shuffle-piece.ts';
import { combinerOf } from './shuffle-map.ts';
import type { Cell } from './shuffle-map.ts';
import type { Push } from './task-environment.ts';

/** The pieces of one reduce partition: one list for each parent of the operator. */
export interface ShuffleSource {
  readonly node: GraphNode;
  readonly inputs: readonly (readonly Uint8Array[])[];
  readonly codec: Codec;
}

type JoinKind = Extract<KindOf<'shuffle'>, `${string}oin`>;

/** Runs an operator's reduce side. @returns how many records the pieces held. */
export function reduceShuffle(
  source: ShuffleSource,
  kind: KindOf<'shuffle' | 'state'>,
  push: Push,
): number {
  switch (kind) {
    case 'count':
      return sumCounts(source, push);
    case 'reduce':
      return reduceAll(source, push);
    case 'countByValue':
      return mergeByKey(source, (a, b) => (a as number) + (b as number), push);
    case 'reduceByKey':
      return mergeByKey(source, combinerOf(source.node), push);
    case 'combineByKey':
    case 'aggregateByKey':
      return mergeByKey(source, combinerOf(source.node, 'mergeCombiners'), push);
    case 'repartition':
    case 'persist':
      return eachRecord(source, push);
    case 'groupByKey':
      return groupByKey(source, push);
    case 'updateStateByKey':
    case 'mapWithState':
    case 'dedupeBy':
      return eachPair(source, 0, (key, value) => push([key, value]));
    case 'reduceByKeyAndWindow':
      return leaveAndEnter(source, push);
    case 'cogroup':
      return cogroup(source, (key, left, right) => push([key, [left, right]]));
    default:
      return join(source, kind, push);
  }
}

/** One record, also when there is no piece at all. */
function sumCounts(source: ShuffleSource, push: Push): number {
  let sum = 0;
  const records = eachRecord(source, (count) => {
    sum += count as number;
  });
  push(sum);
  return records;
}

function reduceAll(source: ShuffleSource, push: Push): number {
  const combine = combinerOf(source.node);
  let cell: Cell | undefined;
  const records = eachRecord(source, (record) => {
    if (cell === undefined) cell = { value: record };
    else cell.value = combine(cell.value, record);
  });
  if (cell !== undefined) push(cell.value);
  return records;
}

function mergeByKey(
  source: ShuffleSource,
  combine: (a: unknown, b: unknown) => unknown,
  push: Push,
): number {
  const cells = new KeyMap<Cell>(source.codec);
  const records = eachPair(source, 0, (key, value) => {
    const cell = cells.get(key);
    if (cell === undefined) cells.set(key, { value });
    else cell.value = combine(cell.value, value);
  });
  cells.forEach((key, { value }) => push([key, value]));
  return records;
}

function groupByKey(source: ShuffleSource, push: Push): number {
  const groups = new KeyMap<unknown[]>(source.codec);
  const records = eachPair(source, 0, (key, value) => {
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [value]);
    else group.push(value);
  });
  groups.forEach((key, values) => push([key, values]));
  return records;
}

/** Stands for the side that has no value of a key. */
const ABSENT: readonly unknown[] = [undefined];

type Sides = readonly [left: readonly unknown[], right: readonly unknown[]];

/** Which values of a key a join combines. */
const JOINED: Readonly<Record<JoinKind, (...sides: Sides) => Sides>> = {
  join: (left, right) => [left, right],
  leftOuterJoin: (left, right) => [left, orAbsent(right)],
  rightOuterJoin: (left, right) => [orAbsent(left), right],
  fullOuterJoin: (left, right) => [orAbsent(left), orAbsent(right)],
};

function orAbsent(values: readonly unknown[]): readonly unknown[] {
  return values.length === 0 ? ABSENT : values;
}

function join(source: ShuffleSource, kind: JoinKind, push: Push): number {
  const joined = JOINED[kind];
  return cogroup(source, (key, ...sides) => {
    const [left, right] = joined(...sides);
    for (const a of left) for (const b of right) push([key, [a, b]]);
  });
}

/** Of a window that moves: a record for each key that something leaves or enters for, with the
 * values that leave, combined, and those that enter: one or none of each. */
function leaveAndEnter({ node, inputs, codec }: ShuffleSource, push: Push): number {
  const combine = combinerOf(node);
  const changes = new KeyMap<readonly [leaving: unknown[], entering: unknown[]]>(codec);
  let records = 0;
  for (const side of [0, 1] as const) {
    records += eachPair({ node, inputs, codec }, side, (key, value) => {
      let change = changes.get(key);
      if (change === undefined) {
        change = [[], []];
        changes.set(key, change);
      }
      const values = change[side];
      if (values.length === 0) values.push(value);
      else values[0] = combine(values[0], value);
    });
  }
  changes.forEach((key, change) => push([key, change]));
  return records;
}

/** Visits the keys of the left side first, then those that only the right side has. */
function cogroup(source: ShuffleSource, visit: (key: unknown, ...sides: Sides) => void): number {
  const groups = new KeyMap<readonly [left: unknown[], right: unknown[]]>(source.codec);
  const lefts = eachPair(source, 0, (key, value) => {
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [[value], []]);
    else group[0].push(value);
  });
  const rights = eachPair(source, 1, (key, value) => {
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [[], [value]]);
    else group[1].push(value);
  });
  groups.forEach((key, [left, right]) => visit(key, left, right));
  return lefts + rights;
}

function eachRecord({ inputs, codec }: ShuffleSource, visit: Push): number {
  let records = 0;
  for (const piece of inputs[0] ?? []) {
    readPiece(piece, codec, (items) => {
      for (const item of items) visit(item);
      records += items.length;
    });
  }
  return records;
}

function eachPair(
  { inputs, codec, node }: ShuffleSource,
  input: 0 | 1,
  visit: (key: unknown, value: unknown) => void,
): number {
  let records = 0;
  for (const piece of inputs[input] ?? []) {
    readPiece(piece, codec, (items) => {
      if (items.length % 2 !== 0) {
        throw new MillraceError('BROKEN_INVARIANT', `a piece for ${node.id} holds half a pair`);
      }
      for (let i = 0; i < items.length; i += 2) visit(items[i], items[i + 1]);
      records += items.length / 2;
    });
  }
  return records;
}
