/** When keys may expire: for each batch time, hashes of keys that were touched then.
 *
 * Lazy: a key has one timer, from its first touch. When it is due and the key was touched since, it
 * moves to that touch, so a touch costs nothing here and a key is looked at once per idle time at
 * most. A timer is a hash, no address, so entries may move. Of keys with equal hashes each has at
 * least one timer at or before its last touch. Timers of removed keys are left, and found to be of
 * nobody; when they are more than the living ones, all are made anew by the owner.
 * @module */

const LEFT_OVER_MIN = 1024;

export class ExpiryTimers {
  readonly #byTime = new Map<number, HashList>();
  #count = 0;

  /** A key is there from now on. */
  add(hash: number, touchedMs: number): void {
    let list = this.#byTime.get(touchedMs);
    if (list === undefined) {
      list = new HashList();
      this.#byTime.set(touchedMs, list);
    }
    list.add(hash);
    this.#count += 1;
  }

  /** True when most timers are of keys that are gone. */
  isCrowded(keyCount: number): boolean {
    return this.#count > 2 * keyCount + LEFT_OVER_MIN;
  }

  clear(): void {
    this.#byTime.clear();
    this.#count = 0;
  }

  /** Hashes with a timer before `thresholdMs`, ascending, each once. They stay until `take`. */
  due(thresholdMs: number): Uint32Array {
    const lists = [...this.#byTime].flatMap(([time, list]) =>
      time < thresholdMs ? [list.hashes] : [],
    );
    const sorted = new Uint32Array(lists.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const hashes of lists) {
      sorted.set(hashes, at);
      at += hashes.length;
    }
    sorted.sort();
    let count = 0;
    for (const hash of sorted) {
      if (count > 0 && sorted[count - 1] === hash) continue;
      sorted[count] = hash;
      count += 1;
    }
    return sorted.slice(0, count);
  }

  /** Removes what `due` gives. */
  take(thresholdMs: number): void {
    for (const [time, list] of this.#byTime) {
      if (time >= thresholdMs) continue;
      this.#count -= list.hashes.length;
      this.#byTime.delete(time);
    }
  }
}

class HashList {
  #hashes = new Uint32Array(16);
  #length = 0;

  get hashes(): Uint32Array {
    return this.#hashes.subarray(0, this.#length);
  }

  add(hash: number): void {
    if (this.#length === this.#hashes.length) {
      const grown = new Uint32Array(2 * this.#length);
      grown.set(this.#hashes);
      this.#hashes = grown;
    }
    this.#hashes[this.#length] = hash;
    this.#length += 1;
  }
}
