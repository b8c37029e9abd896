/** The `State` that a `mapWithState` function gets: one object for all calls of a task, begun and
 * ended around each. Its errors are those of Spark's StateImpl.
 * @module */
import type { State } from '../dstream/state-spec.ts';
import { stateMisuse } from '../dstream/state-spec.ts';

/** What is known of the state of a key in a task. */
export interface Cell {
  exists: boolean;
  value: unknown;
  /** The value is another one than before. */
  isChanged: boolean;
}

export class TouchedState implements State<unknown> {
  #cell: Cell | undefined;
  #isTimingOut = false;
  #isRemoved = false;

  /** Engine only: the next call is about this key. */
  begin(cell: Cell): void {
    this.#cell = cell;
    this.#isTimingOut = false;
    this.#isRemoved = false;
  }

  /** Engine only: the next call is the last one for this key. */
  beginTimeout(cell: Cell): void {
    this.begin(cell);
    this.#isTimingOut = true;
  }

  /** Engine only: the call is over, and whoever kept the object has nothing in hand. */
  end(): void {
    this.#cell = undefined;
  }

  exists(): boolean {
    return this.#inCall().exists;
  }

  get(): unknown {
    const { exists, value } = this.#inCall();
    if (exists) return value;
    throw stateMisuse('the key has no state: look at exists() first, or take getOption()');
  }

  getOption(): unknown {
    return this.#inCall().value;
  }

  update(state: unknown): void {
    const cell = this.#inCall();
    if (this.#isRemoved)
      throw stateMisuse('the state cannot be updated: it was removed in this call');
    if (this.#isTimingOut)
      throw stateMisuse(
        'the state cannot be updated: it is timing out, look at isTimingOut() first',
      );
    cell.exists = true;
    cell.value = state;
    cell.isChanged = true;
  }

  remove(): void {
    const cell = this.#inCall();
    if (this.#isTimingOut)
      throw stateMisuse('the state cannot be removed: it is timing out, and goes after this call');
    if (this.#isRemoved) {
      throw stateMisuse('the state cannot be removed: it was removed in this call');
    }
    this.#isRemoved = true;
    cell.exists = false;
    cell.value = undefined;
    cell.isChanged = true;
  }

  isTimingOut(): boolean {
    this.#inCall();
    return this.#isTimingOut;
  }

  #inCall(): Cell {
    if (this.#cell !== undefined) return this.#cell;
    throw stateMisuse('the state of a key can be used only in the call that it was given to');
  }
}
