/** Logs of others: they make records durable and acknowledge them, as src/wal/ does.
 *
 * Guarantees are those of the settings used here; that the calls are made was seen with strace, no
 * power was cut. @module */
import { join } from 'node:path';
import type { Guarantee, Peer, PeerTask, Recipe, Workload } from './peer.ts';
import { FOLDER } from './places.ts';

export interface LogLoad {
  readonly recordBytes: number;
  /** Records not yet acknowledged, at most. */
  readonly outstanding: number;
}

/** The same for our log and for each peer. */
export const LOG_LOADS: Readonly<Partial<Record<Workload, LogLoad>>> = {
  records: { recordBytes: 100, outstanding: 10_000 },
  blocks: { recordBytes: 2 ** 20, outstanding: 8 },
};

const LOG_WORKLOADS: readonly Workload[] = ['records', 'blocks'];

/** One program for all logs that are Go modules: go/go.mod pins them, go/go.sum their contents. */
const GO: Recipe = {
  name: 'go',
  sources: ['go/'],
  build: ({ folder }, run) =>
    run('go', 'build', '-C', 'go', '-buildvcs=false', '-o', join(folder, 'peer'), '.'),
};

function goPeer(name: string, system: string, guarantee: Guarantee): Peer {
  return {
    name,
    workloads: LOG_WORKLOADS,
    tools: ['go'],
    guarantee,
    beside: 'sync',
    recipe: GO,
    command(folder, task) {
      const { recordBytes, outstanding } = logLoad(task);
      const flags = {
        system,
        dir: task.directory,
        lines: task.lines,
        'record-bytes': recordBytes,
        outstanding,
        'warm-up-ms': task.warmUpMs,
        'measure-ms': task.measureMs,
      };
      const given = Object.entries(flags).flatMap(([flag, value]) => [`-${flag}`, String(value)]);
      return [join(folder, 'peer'), ...given];
    },
  };
}

const SQLITE: Peer = {
  name: 'SQLite WAL, FULL',
  workloads: LOG_WORKLOADS,
  tools: ['python3'],
  guarantee: { survives: 'a power cut', how: 'fdatasync a transaction, and for each checkpoint' },
  beside: 'sync',
  command(_folder, task) {
    const { recordBytes, outstanding } = logLoad(task);
    const numbers = [recordBytes, outstanding, task.warmUpMs, task.measureMs].map(String);
    const program = join(FOLDER, 'sqlite/append.py');
    return ['python3', program, task.directory, task.lines, ...numbers];
  },
};

export const LOG_PEERS: readonly Peer[] = [
  goPeer('tidwall/wal 1.2.1', 'tidwall', {
    survives: 'a power cut',
    how: 'fsync a group; no CRCs, and the folder of a new segment is not synced',
  }),
  goPeer('etcd wal 3.7.3', 'etcd', {
    survives: 'a power cut',
    how: 'fdatasync a group, a CRC a record',
  }),
  SQLITE,
  goPeer('plain file', 'file', {
    survives: 'a power cut',
    how: 'fdatasync a group, a CRC a record; no product, but the least that a log does',
  }),
];

function logLoad({ workload }: PeerTask): LogLoad {
  const load = LOG_LOADS[workload];
  if (load === undefined) throw new Error(`${workload} is nothing that a log does`);
  return load;
}
