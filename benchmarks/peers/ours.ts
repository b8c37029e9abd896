/** Ours beside the peers: the samples that `npm run bench` takes. Needs a built dist/. @module */
import type { Benchmark, Conditions, Point } from '../benchmark.ts';
import { pipelineThroughput } from '../pipeline-throughput.bench.ts';
import { walAppend } from '../wal-append.bench.ts';
import { walRecords } from '../wal-records.bench.ts';
import { LOG_LOADS } from './log-peers.ts';
import type { Contestant, PairSample } from './pairs.ts';
import type { Guarantee, Peer, Workload } from './peer.ts';

type Level = Peer['beside'];

const GUARANTEES: Readonly<Record<Level, Guarantee>> = {
  sync: { survives: 'a power cut', how: 'fdatasync a group, a CRC a record' },
  off: { survives: 'nothing', how: 'blocks are in memory only' },
};
const ON_THREAD = { disk: 'thread' };
/** Batches of a second, as the peers' windows and batches; blocks are full long before 200 ms. Half
 * of the memory that the JVMs get: what is received in a second has to fit. A receiver for each
 * core, as Flink's sources. */
const SETTING = { batchInterval: '1s', blockInterval: '200ms', memory: '2GiB', receivers: 2 };
/** Words are bound by the tasks, and a second receiver would take from their cores. */
const WORDS_RECEIVERS = 1;

/** One side of a pair. @param conditions gives a fresh directory for each sample. */
export function ours(workload: Workload, level: Level, conditions: () => Conditions): Contestant {
  const { benchmark, point } = benchmarkOf(workload, level);
  return {
    name: `millrace, log ${level === 'sync' ? 'synced' : 'off'}`,
    guarantee: GUARANTEES[level],
    async measure() {
      return withRecords(await benchmark.measure(point, conditions()), workload);
    },
  };
}

function benchmarkOf(workload: Workload, level: Level): { benchmark: Benchmark; point: Point } {
  const outstanding = LOG_LOADS[workload]?.outstanding ?? 0;
  switch (workload) {
    case 'records':
      return { benchmark: walRecords, point: { outstanding, ...ON_THREAD } };
    case 'blocks': {
      const point = { record: '1MiB-slot', outstanding, ...ON_THREAD, pool: 'idle', copies: 1 };
      return { benchmark: walAppend, point };
    }
    default: {
      const receivers = workload === 'word-count' ? WORDS_RECEIVERS : SETTING.receivers;
      const point = { pipeline: workload, ...SETTING, receivers, wal: level };
      return { benchmark: pipelineThroughput, point };
    }
  }
}

function withRecords(sample: Readonly<Record<string, number>>, workload: Workload): PairSample {
  const recordBytes = LOG_LOADS[workload]?.recordBytes ?? Number.NaN;
  const { recordsPerSecond, bytesPerSecond } = sample;
  const perSecond = recordsPerSecond ?? (bytesPerSecond ?? Number.NaN) / recordBytes;
  return { ...sample, recordsPerSecond: perSecond };
}
