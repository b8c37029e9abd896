/** One workload on this machine: each peer and ours in turn, and the disk alone before and after.
 *
 * Owns the scratch directory: each sample gets an empty one, and none is left. @module */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { measureDiskLimit } from '../../src/cli/bench/disk-limit.ts';
import { loadAverage, readEnvironment } from '../../src/cli/bench/environment.ts';
import { makeLines } from '../../src/sources/generator-lines.ts';
import { RECORD_BYTES } from '../generator-work.ts';
import { machineCpuMs, ownCpuMs } from '../process-cost.ts';
import { checkAnswer } from './answer-check.ts';
import { LOG_LOADS } from './log-peers.ts';
import { measurePairs } from './pairs.ts';
import type { Contestant } from './pairs.ts';
import type { Peer, PeerTask, SampleLength, Workload } from './peer.ts';
import { runPeer } from './peer-process.ts';
import type { PeersResult } from './report.ts';

export interface SessionOptions extends SampleLength {
  readonly workload: Workload;
  readonly repetitions: number;
  readonly isSmoke: boolean;
  /** Made anew; the caller removes it. */
  readonly scratch: string;
  /** Where the peer was built. */
  readonly folderOf: (peer: Peer) => string;
  /** The other side of a pair. @param fresh an empty directory, at each call. */
  readonly ours: (peer: Peer, fresh: () => string) => Contestant;
  readonly onSample: (text: string) => void;
}

export async function measureWorkload(
  peers: readonly Peer[],
  options: SessionOptions,
): Promise<PeersResult> {
  const { workload, repetitions, isSmoke, scratch, warmUpMs, measureMs } = options;
  const fresh = (): string => emptied(join(scratch, 'sample'));
  const lines = join(emptied(scratch), 'lines.txt');
  writeFileSync(lines, `${makeLines(1, RECORD_BYTES).join('\n')}\n`);
  const environment = await readEnvironment(scratch);
  const disk = [await measureDiskLimit(scratch, { isSmoke })];
  const pairs = peers.map((peer) => ({
    peer: watched(
      contestant(peer, options.folderOf(peer), () => {
        return { workload, warmUpMs, measureMs, directory: fresh(), lines };
      }),
    ),
    ours: watched(options.ours(peer, fresh)),
  }));
  const measured = await measurePairs(pairs, {
    repetitions,
    onSample: (text) => options.onSample(`${workload} ${text}`),
  });
  fresh(); // the last sample's files would be written back while the disk is measured
  disk.push(await measureDiskLimit(scratch, { isSmoke }));
  return {
    benchmark: `peers-${workload}`,
    workload,
    environment,
    disk,
    loadAtEnd: loadAverage(),
    repetitions,
    sample: { warmUpMs, measureMs },
    recordBytes: LOG_LOADS[workload]?.recordBytes ?? RECORD_BYTES,
    pairs: measured,
  };
}

function contestant(peer: Peer, folder: string, nextTask: () => PeerTask): Contestant {
  return {
    name: peer.name,
    guarantee: peer.guarantee,
    async measure() {
      const task = nextTask();
      const answer = await runPeer(peer.command(folder, task), task);
      checkAnswer(task.workload, answer);
      return { recordsPerSecond: answer.records / answer.seconds };
    },
  };
}

/** Adds how many cores others used, from a sample's start to its end: what a quiet machine is told
 * by. Nothing where this cannot be known. */
function watched(contestant: Contestant): Contestant {
  return {
    ...contestant,
    async measure() {
      const [startedMs, machineMs, ownMs] = [performance.now(), machineCpuMs(), ownCpuMs()];
      const sample = await contestant.measure();
      const passedMs = performance.now() - startedMs;
      const othersMs = difference(machineMs, machineCpuMs()) - difference(ownMs, ownCpuMs());
      if (Number.isNaN(othersMs)) return sample;
      return { ...sample, otherCores: Math.max(0, othersMs / passedMs) };
    },
  };
}

function difference(before: number | undefined, after: number | undefined): number {
  return before === undefined || after === undefined ? Number.NaN : after - before;
}

function emptied(directory: string): string {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  return directory;
}
