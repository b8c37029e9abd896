/** Which memory is needed last: the order in which runs of extents are given up. Pure.
 *
 * Batches take blocks in the order in which they were registered, and run in that order; so what
 * was registered last is needed last. A run of extents is needed as early as the oldest block in
 * it. Before all others go runs whose blocks have been read and will not be read again, which is so
 * when the pipeline has one output (a task that has to be tried again reads them from disk), and
 * blocks of batches that are done, which only windows may want once more. For
 * reads in a known order this is Belady's choice; least recently used would give up what is needed
 * next.
 *
 * Only the extent as a whole gives memory back, so a run counts only when everything in it may go:
 * no task reads from it, the executor that wrote it has left it, and no block in it has to stay.
 * @module */

/** A block in memory, as far as this choice goes. */
export interface Candidate {
  /** Rises with every registered block. */
  readonly arrival: number;
  /** Tasks that read it now. */
  readonly pins: number;
  readonly wasRead: boolean;
  /** Its batch has run. */
  readonly isDone: boolean;
  /** Of its storage level: it may leave memory. */
  readonly mayLeave: boolean;
}

/** Neighbouring extents that are freed together. */
export interface Run<C extends Candidate> {
  readonly extentIndex: number;
  readonly blocks: readonly C[];
  /** In the arena's table: more than there are blocks while an executor writes into the run. */
  readonly references: number;
}

/** @param isReadOnce blocks that were read are not read again.
 * @returns the runs that may be given up, the least needed first. */
export function evictionOrder<C extends Candidate>(
  runs: Iterable<Run<C>>,
  isReadOnce: boolean,
): readonly Run<C>[] {
  const ranked: { readonly run: Run<C>; readonly rank: number }[] = [];
  for (const run of runs) if (mayGo(run)) ranked.push({ run, rank: rankOf(run, isReadOnce) });
  ranked.sort((a, b) => (a.rank === b.rank ? 0 : b.rank - a.rank)); // two may be infinite
  return ranked.map(({ run }) => run);
}

function mayGo({ blocks, references }: Run<Candidate>): boolean {
  return references === blocks.length && blocks.every((each) => each.mayLeave && each.pins === 0);
}

function rankOf({ blocks }: Run<Candidate>, isReadOnce: boolean): number {
  const needed = blocks.filter(({ isDone, wasRead }) => !isDone && !(isReadOnce && wasRead));
  return needed.reduce((oldest, { arrival }) => Math.min(oldest, arrival), Infinity);
}
