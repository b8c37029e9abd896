/** Waiting for a cell of shared memory to change, injected: threads wait by `Atomics.waitAsync`,
 * whose limit is a real timer; a simulation lets its own clock decide.
 * @module */

export interface SharedWaits {
  /** Resolves when somebody notifies the cell, or after `limitMs`; at once when it does not hold
   * `seen` any more. */
  wait(
    cells: Int32Array,
    index: number,
    until: { readonly seen: number; readonly limitMs: number },
  ): Promise<void>;
  notify(cells: Int32Array, index: number): void;
}

/** Between threads of this process. */
export const atomicWaits: SharedWaits = {
  async wait(cells, index, { seen, limitMs }) {
    const wait = Atomics.waitAsync(cells, index, seen, limitMs);
    if (wait.async) await wait.value;
  },
  notify(cells, index) {
    Atomics.notify(cells, index);
  },
};
