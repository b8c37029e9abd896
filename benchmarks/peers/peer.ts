/** What a peer is: somebody else's system, built from a package registry at a pinned version, that
 * does the same work on the same records in a process of its own. Types only. @module */

/** `records`: appends of 100 bytes, at most 10,000 unacknowledged. `blocks`: of 1 MiB, at most 8.
 * The others are the pipelines of the same name. */
export const WORKLOADS = ['records', 'blocks', 'count', 'filter-count', 'word-count'] as const;
export type Workload = (typeof WORKLOADS)[number];

/** What an acknowledgement (of a log) or a receive (of a stream) is worth. */
export interface Guarantee {
  /** What takes nothing away that was acknowledged or received. `if read again`: the source has to
   * have it still. */
  readonly survives: 'a power cut' | 'a kill' | 'if read again' | 'nothing';
  /** Which calls make it so. */
  readonly how: string;
}

/** Programs that are not part of this project. */
export type ToolName = 'go' | 'java' | 'maven' | 'python3';

/** How long one sample is. */
export interface SampleLength {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** What a peer gets to know about one sample. */
export interface PeerTask extends SampleLength {
  readonly workload: Workload;
  /** Empty, on the disk in question. */
  readonly directory: string;
  /** File with the 1,024 lines that both sides cycle through, one a line. */
  readonly lines: string;
}

export interface Peer {
  /** With its version, as shown. */
  readonly name: string;
  readonly workloads: readonly Workload[];
  readonly tools: readonly ToolName[];
  readonly guarantee: Guarantee;
  /** Which level of our log runs beside it. */
  readonly beside: 'sync' | 'off';
  /** Where there is nothing to build: none. */
  readonly recipe?: Recipe;
  /** @param folder what the recipe left. @returns program and arguments. */
  command(folder: string, task: PeerTask): readonly [string, ...string[]];
}

/** How a peer comes out of its sources; several peers may share one. */
export interface Recipe {
  /** Names its folder in the cache. */
  readonly name: string;
  /** Files that it is made of, relative to this folder: when one changes, it is built anew. */
  readonly sources: readonly string[];
  /** Leaves everything in `folder`, which is empty. Packages go to `cache` or where the tool keeps
   * its own. @param run runs a program to its end, in this folder. */
  build(places: { readonly folder: string; readonly cache: string }, run: RunTool): Promise<void>;
}

/** @throws when the program ends with another exit code than 0, with what it said. */
export type RunTool = (program: string, ...args: readonly string[]) => Promise<void>;
