/** The map side of shuffles: sorts the records of a partition into one piece per reduce partition.
 *
 * Operators that combine do so here first, so that a key crosses once per task. Pieces depend on
 * nothing but the records, their order and the partition number: a retry and a replay write the
 * same.
 * @module */
import { present } from '../core/assert.ts';
import type { GraphNode, KindOf } from '../dstream/graph.ts';
import { KeyMap, partitionOfKey } from '../serde/canonical-key.ts';
import type { Codec } from '../serde/codec.ts';
import { PieceWriter } from './shuffle-piece.ts';
import { functionOf, pairOf } from './stage-chain.ts';
import { OperatorFailure, refusePromise } from './stage-failure.ts';
import type { Push } from './task-environment.ts';

/** Where one map task sends its records. */
export interface ShuffleTarget {
  readonly node: GraphNode;
  /** Reduce partitions. */
  readonly partitions: number;
  /** This task's own number among the map partitions. */
  readonly mapPartition: number;
  readonly codec: Codec;
}

export interface ShuffleMap {
  readonly push: Push;
  /** Counts `n` records without looking at them; only where that is enough. */
  pushCount?(n: number): void;
  /** The pieces, one per reduce partition; `undefined` for an empty one. */
  finish(): readonly (Uint8Array | undefined)[];
}

/** A value that is being combined: changed in place, so that the map is looked up once a record. */
export interface Cell {
  value: unknown;
}

export function openShuffleMap(
  target: ShuffleTarget,
  kind: KindOf<'shuffle' | 'state'>,
): ShuffleMap {
  switch (kind) {
    case 'count':
      return counting(target);
    case 'reduce':
      return reducing(target);
    case 'countByValue':
      return countingByValue(target);
    case 'reduceByKey':
    case 'reduceByKeyAndWindow':
      return combining(target, { merge: combinerOf(target.node) });
    case 'combineByKey':
    case 'aggregateByKey':
      return combining(target, {
        create: creatorOf(target.node),
        merge: combinerOf(target.node, 'mergeValue'),
      });
    case 'repartition':
      return dealing(target);
    case 'persist':
      return storing(target);
    default:
      return scattering(target);
  }
}

/** A user's function of two values, with its failures and promises reported.
 * @param name of an operator with several functions. */
export function combinerOf(node: GraphNode, name?: string): (a: unknown, b: unknown) => unknown {
  const { id } = node;
  const f = functionOf<(a: unknown, b: unknown) => unknown>(node, name);
  return (a, b) => {
    let value: unknown;
    try {
      value = f(a, b);
    } catch (error) {
      throw new OperatorFailure(id, error);
    }
    if (typeof value === 'object' && value !== null) refusePromise(id, value);
    return value;
  };
}

/** How a value becomes a combined one. */
function creatorOf(node: GraphNode): (value: unknown) => unknown {
  const { id } = node;
  const f = functionOf<(value: unknown) => unknown>(node, 'create');
  return (value) => {
    let combined: unknown;
    try {
      combined = f(value);
    } catch (error) {
      throw new OperatorFailure(id, error);
    }
    if (typeof combined === 'object' && combined !== null) refusePromise(id, combined);
    return combined;
  };
}

function counting(target: ShuffleTarget): ShuffleMap {
  let count = 0;
  return {
    push() {
      count += 1;
    },
    pushCount(n) {
      count += n;
    },
    finish() {
      const pieces = new Pieces(target);
      if (count > 0) pieces.at(0).add(count);
      return pieces.finish();
    },
  };
}

function reducing(target: ShuffleTarget): ShuffleMap {
  const combine = combinerOf(target.node);
  let cell: Cell | undefined;
  return {
    push(record) {
      if (cell === undefined) cell = { value: record };
      else cell.value = combine(cell.value, record);
    },
    finish() {
      const pieces = new Pieces(target);
      if (cell !== undefined) pieces.at(0).add(cell.value);
      return pieces.finish();
    },
  };
}

function countingByValue(target: ShuffleTarget): ShuffleMap {
  const counts = new KeyMap<{ value: number }>(target.codec);
  return {
    push(record) {
      const cell = counts.get(record);
      if (cell === undefined) counts.set(record, { value: 1 });
      else cell.value += 1;
    },
    finish: () => piecesOf(target, counts),
  };
}

/** @param functions create: absent where a value is a combined one already. */
function combining(
  target: ShuffleTarget,
  functions: {
    readonly create?: (value: unknown) => unknown;
    readonly merge: (combined: unknown, value: unknown) => unknown;
  },
): ShuffleMap {
  const { id } = target.node;
  const { create, merge } = functions;
  const cells = new KeyMap<Cell>(target.codec);
  return {
    push(record) {
      const pair = pairOf(id, record);
      const cell = cells.get(pair[0]);
      if (cell !== undefined) cell.value = merge(cell.value, pair[1]);
      else cells.set(pair[0], { value: create === undefined ? pair[1] : create(pair[1]) });
    },
    finish: () => piecesOf(target, cells),
  };
}

/** Deals records out in turn; each map partition begins one further, so that short ones spread. */
function dealing(target: ShuffleTarget): ShuffleMap {
  const pieces = new Pieces(target);
  let next = target.mapPartition % target.partitions;
  return {
    push(record) {
      pieces.at(next).add(record);
      next = next + 1 === target.partitions ? 0 : next + 1;
    },
    finish: () => pieces.finish(),
  };
}

/** Keeps the records as they are, in one piece. */
function storing(target: ShuffleTarget): ShuffleMap {
  const pieces = new Pieces(target);
  return {
    push: (record) => pieces.at(0).add(record),
    finish: () => pieces.finish(),
  };
}

/** Sends each pair to the partition of its key, as it is. */
function scattering(target: ShuffleTarget): ShuffleMap {
  const { id } = target.node;
  const pieces = new Pieces(target);
  return {
    push(record) {
      const pair = pairOf(id, record);
      pieces.of(pair[0]).addPair(pair[0], pair[1]);
    },
    finish: () => pieces.finish(),
  };
}

function piecesOf(target: ShuffleTarget, cells: KeyMap<Cell>): readonly (Uint8Array | undefined)[] {
  const pieces = new Pieces(target);
  cells.forEach((key, { value }) => pieces.of(key).addPair(key, value));
  return pieces.finish();
}

/** One writer per reduce partition. */
class Pieces {
  readonly #target: ShuffleTarget;
  readonly #writers: readonly PieceWriter[];

  constructor(target: ShuffleTarget) {
    this.#target = target;
    this.#writers = Array.from({ length: target.partitions }, () => new PieceWriter(target.codec));
  }

  at(partition: number): PieceWriter {
    return present(this.#writers[partition], `reduce partition ${partition}`);
  }

  of(key: unknown): PieceWriter {
    const { partitions, codec } = this.#target;
    return this.at(partitionOfKey(key, partitions, codec));
  }

  finish(): readonly (Uint8Array | undefined)[] {
    return this.#writers.map((writer) => writer.finish());
  }
}
