/** What happened in a simulation: the last events in words, and a number that stands for all of
 * them. Two runs of one seed must come to the same number.
 * @module */

const KEPT = 400;

export class SimTrace {
  readonly #last: (readonly [atMs: number, label: string])[] = [];
  #hash = 0;

  add(atMs: number, label: string): void {
    this.#hash = (Math.imul(this.#hash ^ hashOf(label), 0x0100_0193) + atMs) | 0;
    this.#last.push([atMs, label]);
    if (this.#last.length > 2 * KEPT) this.#last.splice(0, KEPT);
  }

  /** Of all events, in order. */
  get hash(): number {
    return this.#hash >>> 0;
  }

  /** The last events, oldest first. */
  last(count: number = KEPT): string {
    return this.#last
      .slice(-count)
      .map(([atMs, label]) => `${String(atMs).padStart(6)} ${label}`)
      .join('\n');
  }
}

function hashOf(text: string): number {
  let hash = 0x811c_9dc5 | 0;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x0100_0193);
  }
  return hash;
}
