/** All keyed state of a run: the one writer of every partition of every stateful operator.
 *
 * Tasks of a batch read what `leaves` and `updates` hand out and answer with deltas; when all tasks
 * of the operator have succeeded, `apply` takes the deltas over, once for each batch. So the state
 * is always that after a batch, whatever tasks were tried again. Knows no files
 * (state-snapshots.ts) and no tasks (state-stage.ts). @module */
import { partitionOfKey } from '../serde/canonical-key.ts';
import { assert, present } from '../core/assert.ts';
import type { BatchTimeMs } from '../core/ids.ts';
import type { Graph, GraphNode } from '../dstream/graph.ts';
import { stateVersionOf } from '../dstream/state-spec.ts';
import type { Codec } from '../serde/codec.ts';
import { ChunkPool } from '../state/chunk-pool.ts';
import { DeltaWriter } from '../state/delta-writer.ts';
import { hashBytes, KeyEncoder } from '../state/key-encoder.ts';
import type {
  FrozenState,
  SnapshotHead,
  SnapshotOperator,
  TakeEntries,
} from '../state/snapshot-file.ts';
import { ENTRY_HEADER_BYTES, EntryCursor, NO_ADDRESS } from '../state/state-entry.ts';
import { StatePartition } from '../state/state-partition.ts';
import type { StateHandle } from '../state/state-reader.ts';
import { StateValues } from '../state/state-value.ts';
import { StateMigration } from './state-migration.ts';

export interface KeyedStateOptions {
  readonly graph: Graph;
  readonly codec: Codec;
  /** For operators that do not name a number themselves. */
  readonly partitions: number;
  /** Of the hashes of keys; unknown to whoever chooses keys. */
  readonly seed: number;
}

/** What one task of a stateful operator gets. */
export interface StateUpdate {
  readonly store: StateHandle;
  readonly due: Uint32Array;
}

interface Operator {
  readonly node: GraphNode;
  readonly seed: number;
  readonly timeoutMs: number | undefined;
  readonly partitions: readonly StatePartition[];
  /** The batch after which the state is so; `undefined`: before the first. */
  throughMs: number | undefined;
  /** Its initial state is in it. */
  hasBegun: boolean;
  /** It came from a snapshot, and no batch has run since. */
  isRestored: boolean;
  /** Bytes of deltas since the last `freeze`. */
  changedBytes: number;
}

export class KeyedState {
  readonly #options: KeyedStateOptions;
  readonly #pool = new ChunkPool();
  readonly #operators = new Map<string, Operator>();

  constructor(options: KeyedStateOptions) {
    this.#options = options;
    for (const node of options.graph.stateful) {
      this.#operators.set(node.id, this.#emptyOperator(node, options.seed));
    }
  }

  /** False for a pipeline without stateful operators. */
  get isUsed(): boolean {
    return this.#operators.size > 0;
  }

  get keyCount(): number {
    return this.#sum(({ keyCount }) => keyCount);
  }

  /** Of entries; with index and garbage the memory is more (docs/decisions/0012-keyed-state.md). */
  get liveBytes(): number {
    return this.#sum(({ liveBytes }) => liveBytes);
  }

  /** Of shared memory that was taken for keyed state. */
  get heldBytes(): number {
    return this.#pool.heldBytes;
  }

  /** Bytes that batches have changed since the last `freeze`. */
  get changedBytes(): number {
    let sum = 0;
    for (const { changedBytes } of this.#operators.values()) sum += changedBytes;
    return sum;
  }

  /** How often each operator wants a snapshot, in ms; `undefined`: as it seems best. */
  get snapshotIntervalsMs(): readonly (number | undefined)[] {
    return [...this.#operators.values()].map(({ node }) => {
      const { checkpointMs } = node.options;
      return typeof checkpointMs === 'number' ? checkpointMs : undefined;
    });
  }

  /** Whether the operator is a stateful one. */
  has(operatorId: string): boolean {
    return this.#operators.has(operatorId);
  }

  /** How many hash partitions the operator has in this run. */
  partitionsOf(operatorId: string): number {
    return this.#at(operatorId).partitions.length;
  }

  /** The batch after which the state is as it is; `undefined`: before the first. */
  throughMsOf(operatorId: string): number | undefined {
    return this.#at(operatorId).throughMs;
  }

  /** True until the first batch that runs on what a snapshot had. */
  isRestored(operatorId: string): boolean {
    return this.#at(operatorId).isRestored;
  }

  /** Gives the state up, as if no batch had run: for one that is made anew. */
  beginAnew(operatorId: string): void {
    const { node, partitions, changedBytes } = this.#at(operatorId);
    const anew = this.#emptyOperator(node, this.#options.seed);
    // What is given up has changed too: the last snapshot is not one of this state.
    anew.changedBytes = partitions.reduce((sum, { liveBytes }) => sum + liveBytes, changedBytes);
    for (const partition of partitions) partition.close();
    this.#operators.set(operatorId, anew);
  }

  /** The partitions as they are, for tasks that read them. */
  handlesOf(operatorId: string): readonly StateHandle[] {
    return this.#at(operatorId).partitions.map((partition) => partition.handle);
  }

  /** For the tasks of a batch, in the order of partitions. The first batch finds the initial state.
   * Nothing changes until `apply`. */
  updates(operatorId: string, batchTimeMs: BatchTimeMs): readonly StateUpdate[] {
    const operator = this.#at(operatorId);
    assert(
      operator.throughMs === undefined || operator.throughMs < batchTimeMs,
      `batch ${batchTimeMs} would change the state of ${operatorId} again`,
    );
    if (!operator.hasBegun) this.#addInitial(operator, batchTimeMs);
    operator.hasBegun = true;
    const threshold = thresholdOf(operator, batchTimeMs);
    return operator.partitions.map((partition) => ({
      store: partition.handle,
      due: partition.due(threshold),
    }));
  }

  /** Takes over what the tasks of a batch have changed. Exactly once, when all have succeeded.
   * @param deltas in the order of partitions; left alone. */
  apply(
    operatorId: string,
    batchTimeMs: BatchTimeMs,
    deltas: readonly { readonly delta: Uint8Array | null; readonly due: Uint32Array }[],
  ): void {
    const operator = this.#at(operatorId);
    const threshold = thresholdOf(operator, batchTimeMs);
    for (const [index, { delta, due }] of deltas.entries()) {
      const partition = present(operator.partitions[index], `partition ${index} of ${operatorId}`);
      if (delta !== null) {
        partition.apply(delta);
        operator.changedBytes += delta.byteLength;
      }
      partition.settle(due, threshold);
    }
    operator.throughMs = batchTimeMs;
    operator.isRestored = false;
  }

  /** All state as it is now, which must be that after `batchTimeMs`. Close it. */
  freeze(batchTimeMs: BatchTimeMs, logId: string): FrozenState {
    const operators = [...this.#operators.values()];
    const partitions = operators.map((each) => each.partitions.map((part) => part.freeze()));
    for (const operator of operators) operator.changedBytes = 0;
    return {
      head: {
        batchTimeMs,
        logId,
        operators: operators.map(({ node, seed, partitions: parts }) => ({
          id: node.id,
          seed,
          partitions: parts.length,
          keyCount: parts.reduce((sum, { keyCount }) => sum + keyCount, 0),
          version: stateVersionOf(node),
        })),
      },
      partitions,
      close() {
        for (const frozen of partitions.flat()) frozen.close();
      },
    };
  }

  /** Begins to take over a snapshot; before the first batch. Keys are spread anew where the number
   * of partitions has changed, and states of an earlier version are migrated. Operators that it
   * does not know begin with their initial state.
   * @param ids of the operators to take over: what is left out, and whether that is right, is the
   *   caller's. @throws {MillraceError} MIGRATION_FAILED. */
  restore(head: SnapshotHead, ids: ReadonlySet<string>): TakeEntries {
    const targets = head.operators.map((saved) => {
      const operator = this.#operators.get(saved.id);
      if (operator === undefined || !ids.has(saved.id)) return undefined;
      // Its hashes are in the entries.
      const restored = this.#emptyOperator(operator.node, saved.seed, saved.keyCount);
      for (const partition of operator.partitions) partition.close();
      restored.throughMs = head.batchTimeMs;
      restored.hasBegun = true;
      restored.isRestored = true;
      this.#operators.set(saved.id, restored);
      const isSpread = restored.partitions.length !== saved.partitions;
      return { restored, isSpread, migration: this.#migrationOf(operator.node, saved, head) };
    });
    return (operator, partition, found) => {
      const target = targets[operator];
      if (target === undefined) return;
      const { restored, isSpread, migration } = target;
      const entries = migration === undefined ? found : migration.apply(found);
      // The snapshot is not of this state, also when no key is left: the next one is due soon.
      if (migration !== undefined) restored.changedBytes += found.byteLength;
      if (isSpread) this.#spread(restored, entries);
      else present(restored.partitions[partition], `partition ${partition}`).apply(entries);
    };
  }

  /** No task may read any more. */
  close(): void {
    for (const { partitions } of this.#operators.values()) {
      for (const partition of partitions) partition.close();
    }
    this.#operators.clear();
  }

  #at(operatorId: string): Operator {
    return present(this.#operators.get(operatorId), `the state of ${operatorId}`);
  }

  #sum(of: (partition: StatePartition) => number): number {
    let sum = 0;
    for (const { partitions } of this.#operators.values()) {
      for (const partition of partitions) sum += of(partition);
    }
    return sum;
  }

  #migrationOf(
    node: GraphNode,
    { version }: SnapshotOperator,
    { batchTimeMs }: SnapshotHead,
  ): StateMigration | undefined {
    const known = stateVersionOf(node);
    assert(version <= known, `the state of ${node.id} is of version ${version}, not ${known}`);
    if (version === known) return undefined;
    return new StateMigration(node, { codec: this.#options.codec, version, batchTimeMs });
  }

  /** @param keyCount that are about to come. */
  #emptyOperator(node: GraphNode, seed: number, keyCount = 0): Operator {
    const { partitions: given, timeoutMs } = node.options;
    const count = typeof given === 'number' ? given : this.#options.partitions;
    const hasExpiry = typeof timeoutMs === 'number';
    return {
      node,
      seed,
      timeoutMs: hasExpiry ? timeoutMs : undefined,
      partitions: Array.from(
        { length: count },
        () => new StatePartition(this.#pool, { seed, hasExpiry, keys: keyCount / count }),
      ),
      throughMs: undefined,
      hasBegun: false,
      isRestored: false,
      changedBytes: 0,
    };
  }

  /** As if the keys had been touched in the first batch. Of two pairs with one key the last
   * counts. No older snapshot has them: without a new one they would begin again, later, after a
   * restart. */
  #addInitial(operator: Operator, batchTimeMs: BatchTimeMs): void {
    const { codec } = this.#options;
    const { node, seed, partitions } = operator;
    const values = new Map<string, readonly [unknown, unknown]>();
    const keys = new KeyEncoder(codec, seed);
    for (const pair of node.initialState ?? []) {
      keys.encode(pair[0]);
      const text = Buffer.from(keys.bytes.subarray(0, keys.lengthBytes)).toString('latin1');
      values.set(text, pair);
    }
    const deltas = partitions.map(() => new DeltaWriter(batchTimeMs));
    const encoded = new StateValues(codec);
    for (const [key, value] of values.values()) {
      keys.encode(key);
      encoded.encode(value);
      const { hash, bytes, lengthBytes } = keys;
      const delta = present(deltas[partitionOfKey(key, deltas.length, codec)], 'a partition');
      delta.put({ hash, bytes, lengthBytes, replaces: NO_ADDRESS }, encoded);
    }
    for (const [index, delta] of deltas.entries()) {
      const entries = delta.finish();
      if (entries === undefined) continue;
      partitions[index]?.apply(entries);
      operator.changedBytes += entries.byteLength;
    }
  }

  /** Each entry to the partition that its key has now. */
  #spread({ partitions, seed }: Operator, entries: Uint8Array): void {
    const { codec } = this.#options;
    const cursor = new EntryCursor(entries);
    while (cursor.advance()) {
      const at = cursor.at + ENTRY_HEADER_BYTES;
      const key = entries.subarray(at, at + cursor.keyBytes);
      assert(hashBytes(key, key.byteLength, seed) === cursor.hash, 'an entry with a wrong hash');
      const index = partitionOfKey(codec.unpack(key), partitions.length, codec);
      present(partitions[index], 'a partition').apply(entries.subarray(cursor.at, cursor.next));
    }
  }
}

function thresholdOf({ timeoutMs }: Operator, batchTimeMs: BatchTimeMs): number {
  return timeoutMs === undefined ? -Infinity : batchTimeMs - timeoutMs;
}
