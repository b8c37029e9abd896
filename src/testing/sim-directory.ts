/** One directory of the simulated disk: names as they are, and as a power cut would find them.
 *
 *     current ◄── changes, in order ── durable        sync: the changes become durable
 *
 * Knows no paths. @module */
import { SimInode } from './sim-inode.ts';

export type SimEntry = SimInode | SimDirectory;

/** One call that changed names in one directory; its parts survive together or not at all. */
export interface NameChange {
  /** Rises over the whole disk: the order in which a journal would have them. */
  readonly seq: number;
  readonly remove?: string;
  readonly add?: readonly [name: string, entry: SimEntry];
}

export class SimDirectory {
  #current = new Map<string, SimEntry>();
  #durable = new Map<string, SimEntry>();
  #changes: NameChange[] = [];

  get current(): ReadonlyMap<string, SimEntry> {
    return this.#current;
  }

  /** Changes that are not synced, oldest first. */
  get changes(): readonly NameChange[] {
    return this.#changes;
  }

  change(change: NameChange): void {
    this.#changes.push(change);
    apply(this.#current, change);
  }

  /** Adds an entry that a power cut leaves in place. */
  addDurably(name: string, entry: SimEntry): void {
    this.#current.set(name, entry);
    this.#durable.set(name, entry);
  }

  sync(): void {
    for (const change of this.#changes) apply(this.#durable, change);
    this.#changes = [];
  }

  /** @param kept changes of the whole disk that are on the device. */
  crash(kept: ReadonlySet<NameChange>): void {
    for (const change of this.#changes) if (kept.has(change)) apply(this.#durable, change);
    this.#changes = [];
    this.#current = new Map(this.#durable);
  }

  /** Everything that is in it now, or would be after some power cut. */
  reachable(): Set<SimEntry> {
    const entries = new Set([...this.#durable.values(), ...this.#current.values()]);
    for (const { add } of this.#changes) if (add !== undefined) entries.add(add[1]);
    return entries;
  }

  /** A tree of its own with equal content. @param copies of entries that were met already. */
  fork(copies: Map<SimEntry, SimEntry> = new Map()): SimDirectory {
    const copy = new SimDirectory();
    copies.set(this, copy);
    const copyOf = (entry: SimEntry): SimEntry => {
      const known = copies.get(entry);
      if (known !== undefined) return known;
      const made = entry instanceof SimInode ? entry.fork() : entry.fork(copies);
      copies.set(entry, made);
      return made;
    };
    for (const [name, entry] of this.#current) copy.#current.set(name, copyOf(entry));
    for (const [name, entry] of this.#durable) copy.#durable.set(name, copyOf(entry));
    copy.#changes = this.#changes.map(({ add, ...rest }) =>
      add === undefined ? rest : { ...rest, add: [add[0], copyOf(add[1])] },
    );
    return copy;
  }
}

function apply(names: Map<string, SimEntry>, { remove, add }: NameChange): void {
  if (remove !== undefined) names.delete(remove);
  if (add !== undefined) names.set(add[0], add[1]);
}
