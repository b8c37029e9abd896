/** `npm run bench:peers`: builds the peers that can run here, then measures them and ours in turn.
 *
 * The table goes to standard output, progress to standard error, raw numbers with `--keep` to
 * benchmarks/results/. @module */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeResult } from '../report.ts';
import { build, builtFolder, isBuilt } from './build.ts';
import { LOG_PEERS } from './log-peers.ts';
import { ours } from './ours.ts';
import { WORKLOADS } from './peer.ts';
import type { Peer, Workload } from './peer.ts';
import { CACHE, RESULTS } from './places.ts';
import { peersText } from './report.ts';
import type { PeersResult } from './report.ts';
import { selectPeers } from './selection.ts';
import { measureWorkload } from './session.ts';
import { STREAM_PEERS } from './stream-peers.ts';
import { missingReason } from './tools.ts';

const PEERS: readonly Peer[] = [...LOG_PEERS, ...STREAM_PEERS];

const USAGE = `npm run bench:peers -- [options]
  --workload NAME     only this one; can be repeated. There are: ${WORKLOADS.join(', ')}
  --only NAME         only peers with this in their names; can be repeated. There are:
                      ${PEERS.map(({ name }) => name).join(', ')}
  --repetitions N     rounds (default: 3)
  --seconds N         measured seconds of a sample (default: 3 for logs, 8 for streams)
  --dir DIR           where to write logs, in a folder scratch (default: benchmarks/results)
  --cache DIR         where peers are built (default: .cache/peers)
  --build             build only
  --keep              write the raw numbers to benchmarks/results/
  --show              measure nothing: the table of what was kept, of one run or of several
  --smoke             tiny, with what is built already: does it work, are the counts right?`;

interface Choice {
  readonly workloads: readonly Workload[];
  readonly only: readonly string[];
  readonly repetitions: number;
  readonly seconds: number | undefined;
  readonly scratch: string;
  readonly cache: string;
  readonly isBuildOnly: boolean;
  readonly isKept: boolean;
  readonly isShowOnly: boolean;
  readonly isSmoke: boolean;
}

function readArguments(): Choice {
  const { values } = parseArgs({
    options: {
      workload: { type: 'string', multiple: true, default: [...WORKLOADS] },
      only: { type: 'string', multiple: true, default: [] },
      repetitions: { type: 'string', default: '3' },
      seconds: { type: 'string' },
      dir: { type: 'string', default: RESULTS },
      cache: { type: 'string', default: CACHE },
      build: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      show: { type: 'boolean', default: false },
      smoke: { type: 'boolean', default: false },
    },
  });
  return {
    workloads: values.workload.map(knownWorkload),
    only: values.only,
    repetitions: values.smoke ? 1 : positive('repetitions', values.repetitions),
    seconds: values.seconds === undefined ? undefined : positive('seconds', values.seconds),
    scratch: join(values.dir, 'scratch'), // removed in the end, so a folder of its own
    cache: values.cache,
    isBuildOnly: values.build,
    isKept: values.keep,
    isShowOnly: values.show,
    isSmoke: values.smoke,
  };
}

function knownWorkload(name: string): Workload {
  const known = WORKLOADS.find((each) => each === name);
  if (known === undefined) throw new Error(`there is no workload ${name}`);
  return known;
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} ${text} is not a number above 0`);
  return value;
}

/** Of one sample, milliseconds. A JVM needs some seconds until its compiler has seen the loops. */
function sampleLength(workload: Workload, { isSmoke, seconds }: Choice) {
  const isLog = workload === 'records' || workload === 'blocks';
  if (isSmoke) return { warmUpMs: 100, measureMs: isLog ? 200 : 1_000, oursSeconds: 0.2 };
  const oursSeconds = seconds ?? (isLog ? 3 : 8);
  return { warmUpMs: isLog ? 1_500 : 5_000, measureMs: oursSeconds * 1_000, oursSeconds };
}

/** What `--keep` wrote of the wanted workloads. */
function keptResults({ workloads }: Choice): PeersResult[] {
  return workloads
    .map((workload) => join(RESULTS, `peers-${workload}.json`))
    .filter((path) => existsSync(path))
    .map((path) => JSON.parse(readFileSync(path, 'utf8')) as PeersResult);
}

async function main(choice: Choice): Promise<void> {
  const { isSmoke, cache } = choice;
  const { peers, skipped } = selectPeers(PEERS, choice, {
    missing: missingReason,
    isBuilt: (recipe) => isBuilt(recipe, cache),
    isBuiltOnly: isSmoke,
  });
  for (const { recipe, name } of isSmoke ? [] : peers) {
    if (recipe === undefined || isBuilt(recipe, cache)) continue;
    console.error(`building ${name}`);
    await build(recipe, cache);
  }
  const results: PeersResult[] = [];
  try {
    await measureAll(choice, peers, results);
  } finally {
    // What was measured before something failed is told too.
    console.log(peersText(results, skipped, { isSmoke: choice.isSmoke }));
  }
}

/** @param results gets those of each workload when it is done. */
async function measureAll(
  choice: Choice,
  peers: readonly Peer[],
  results: PeersResult[],
): Promise<void> {
  const { isSmoke, cache, scratch, repetitions } = choice;
  for (const workload of choice.isBuildOnly ? [] : choice.workloads) {
    const able = peers.filter(({ workloads }) => workloads.includes(workload));
    if (able.length === 0) continue;
    const { oursSeconds: seconds, ...length } = sampleLength(workload, choice);
    const result = await measureWorkload(able, {
      workload,
      repetitions,
      isSmoke,
      scratch,
      ...length,
      folderOf: ({ recipe }) => (recipe === undefined ? '' : builtFolder(recipe, cache)),
      ours: ({ beside }, fresh) =>
        ours(workload, beside, () => ({ directory: fresh(), seconds, isSmoke })),
      onSample: (text) => console.error(text),
    });
    results.push(result);
    if (choice.isKept && !isSmoke) console.error(`${writeResult(RESULTS, result)} written`);
  }
}

if (process.argv.includes('--help')) console.log(USAGE);
else {
  const choice = readArguments();
  try {
    if (choice.isShowOnly) console.log(peersText(keptResults(choice), [], { isSmoke: false }));
    else await main(choice);
  } finally {
    rmSync(choice.scratch, { recursive: true, force: true });
  }
}
