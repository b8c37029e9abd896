/** What every task of keyed state does with its partition: looks up keys, writes down what becomes
 * of them, and finds those whose time is over.
 *
 * Reads the state as it was after the batch before; all changes go into a delta, which the driver
 * takes over when each task of the operator has succeeded. What the operators make of it is in
 * state-update.ts and state-dedupe.ts. @module */
import type { GraphNode } from '../dstream/graph.ts';
import type { StateUpdateAction, TaskSpec, TaskValue } from '../dstream/task-spec.ts';
import { DeltaWriter } from '../state/delta-writer.ts';
import type { DeltaBytes } from '../state/delta-writer.ts';
import { NO_ADDRESS } from '../state/state-entry.ts';
import { StateReader } from '../state/state-reader.ts';
import { StateValues } from '../state/state-value.ts';
import { TouchedKeys } from '../state/touched-keys.ts';
import type { PieceWriter } from './shuffle-piece.ts';
import type { TaskEnvironment } from './task-environment.ts';
import type { Cell } from './touched-state.ts';

interface Work {
  readonly action: StateUpdateAction;
  readonly spec: TaskSpec;
  readonly env: TaskEnvironment;
}

/** The value of a key that is only remembered. */
const NO_VALUE: DeltaBytes = { bytes: new Uint8Array(), lengthBytes: 0 };

export class StateTask {
  readonly node: GraphNode;
  readonly env: TaskEnvironment;
  readonly reader: StateReader;
  readonly touched: TouchedKeys;
  /** Keys end some time after they were touched. */
  readonly isTimed: boolean;
  readonly #due: Uint32Array;
  /** What was touched before this batch time has ended. */
  readonly #endsBeforeMs: number;
  readonly #values: StateValues;
  readonly #delta: DeltaWriter;

  constructor(node: GraphNode, { action, spec, env }: Work) {
    const { timeoutMs } = node.options;
    this.node = node;
    this.env = env;
    this.reader = new StateReader(action.store);
    this.touched = new TouchedKeys(this.reader, env.codec);
    this.isTimed = typeof timeoutMs === 'number';
    this.#due = action.due;
    this.#endsBeforeMs = typeof timeoutMs === 'number' ? spec.batchTimeMs - timeoutMs : -Infinity;
    this.#values = new StateValues(env.codec);
    this.#delta = new DeltaWriter(spec.batchTimeMs);
  }

  /** The state before this batch of a key that was touched. */
  load(keyNumber: number): Cell {
    return this.loadAt(this.touched.addressOf(keyNumber));
  }

  loadAt(address: number): Cell {
    if (address === NO_ADDRESS) return { exists: false, value: undefined, isChanged: false };
    const value = this.reader.readValue(address, this.#values);
    return { exists: true, value, isChanged: false };
  }

  /** Writes down what has become of a key that was touched. @param isTimed an untouched value has
   * to be written too, for the time of its touch. */
  save(keyNumber: number, { exists, value, isChanged }: Cell, isTimed: boolean): void {
    const place = this.touched.placeOf(keyNumber);
    const { replaces: address } = place;
    if (exists ? !isChanged && !isTimed : address === NO_ADDRESS) return;
    if (!exists) return this.#delta.remove(place);
    if (!isChanged) return this.#delta.put(place, bytesOf(this.reader.valueOf(address)));
    this.#values.encode(value);
    this.#delta.put(place, this.#values);
  }

  /** Whether the time of a key that was touched in an earlier batch is not over yet. */
  isRunning(keyNumber: number): boolean {
    const address = this.touched.addressOf(keyNumber);
    return address !== NO_ADDRESS && this.reader.touchedMs(address) >= this.#endsBeforeMs;
  }

  /** Writes down that a key is there from this batch on, without a value. */
  remember(keyNumber: number): void {
    this.#delta.put(this.touched.placeOf(keyNumber), NO_VALUE);
  }

  /** Writes down that the keys are gone whose time is over, each once. @param visit is called with
   * the entry of each before it goes. */
  expire(visit: (address: number) => void): void {
    for (const hash of this.#due) {
      for (const address of this.reader.withHash(hash)) {
        if (this.reader.touchedMs(address) >= this.#endsBeforeMs) continue;
        if (this.touched.has(hash, address)) continue; // its new records come before its end
        visit(address);
        const key = bytesOf(this.reader.keyOf(address));
        this.#delta.remove({ ...key, hash, replaces: address });
      }
    }
  }

  finish(output: PieceWriter | undefined): TaskValue {
    const { env } = this;
    const delta = this.#delta.finish();
    const piece = output?.finish();
    return {
      kind: 'state-update',
      delta: delta === undefined ? null : env.writeShared(delta),
      output: piece === undefined ? null : env.writeShared(piece),
    };
  }
}

function bytesOf(bytes: Uint8Array): DeltaBytes {
  return { bytes, lengthBytes: bytes.byteLength };
}
