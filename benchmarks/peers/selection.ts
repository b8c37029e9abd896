/** Which peers take part, and why the others do not. @module */
import type { Peer, Recipe, ToolName, Workload } from './peer.ts';
import type { Skipped } from './report.ts';

export interface Wishes {
  readonly workloads: readonly Workload[];
  /** Parts of peers' names; none: all of them. */
  readonly only: readonly string[];
}

export interface Machine {
  /** Why what needs the tool cannot run; `undefined`: it can. */
  missing(tool: ToolName): string | undefined;
  /** Whether it could be used without building anything. */
  isBuilt(recipe: Recipe): boolean;
  /** Nothing may be built, and nothing fetched. */
  readonly isBuiltOnly: boolean;
}

export interface Selection {
  readonly peers: readonly Peer[];
  /** Wanted, but not here. */
  readonly skipped: readonly Skipped[];
}

/** @throws when the wishes name a peer that does not exist. */
export function selectPeers(
  all: readonly Peer[],
  { workloads, only }: Wishes,
  machine: Machine,
): Selection {
  for (const part of only) {
    if (!all.some(({ name }) => isNamed(name, part))) throw new Error(`there is no peer ${part}`);
  }
  const wanted = all.filter(
    (peer) =>
      peer.workloads.some((workload) => workloads.includes(workload)) &&
      (only.length === 0 || only.some((part) => isNamed(peer.name, part))),
  );
  const skipped = wanted.flatMap((peer): Skipped[] => {
    const reason = reasonToSkip(peer, machine);
    return reason === undefined ? [] : [{ name: peer.name, reason }];
  });
  const absent = new Set(skipped.map(({ name }) => name));
  return { peers: wanted.filter(({ name }) => !absent.has(name)), skipped };
}

function reasonToSkip({ tools, recipe }: Peer, machine: Machine): string | undefined {
  for (const tool of tools) {
    const reason = machine.missing(tool);
    if (reason !== undefined) return reason;
  }
  if (!machine.isBuiltOnly || recipe === undefined || machine.isBuilt(recipe)) return undefined;
  return 'is not built yet: npm run bench:peers -- --build';
}

function isNamed(name: string, part: string): boolean {
  return name.toLowerCase().includes(part.toLowerCase());
}
