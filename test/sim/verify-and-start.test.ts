/** `millrace wal verify` says of a harmed checkpoint directory what a start then does with it. On a
 * real disk, with what a simulated one kept of a run; nothing of it is a process. @module */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTarget } from '../../src/cli/wal/target.ts';
import { readOnlyDisk } from '../../src/cli/wal/read-only-disk.ts';
import { verifyTarget } from '../../src/cli/wal/verification.ts';
import type { Outcome } from '../../src/cli/wal/verification.ts';
import { MillraceError } from '../../src/core/errors.ts';
import { EventBus } from '../../src/core/events.ts';
import { resolveOptions } from '../../src/core/options.ts';
import { seededRandom } from '../../src/core/random.ts';
import type { Random } from '../../src/core/random.ts';
import { openHome } from '../../src/driver/home-directory.ts';
import { msgpackCodec } from '../../src/serde/msgpack-codec.ts';
import { SimDisk } from '../../src/testing/sim-disk.ts';
import { nodeDisk } from '../../src/wal/node-disk.ts';
import { RECORD_HEADER_BYTES } from '../../src/wal/record-header.ts';
import { segmentName } from '../../src/wal/segment-name.ts';
import { HOME, HomeHistory, RECEIVER_LOG } from '../support/home-history.ts';
import { HomePromises, playHome } from '../support/home-promises.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { scaled, scaledTimeoutMs, seedNote, simSeed } from '../support/sim-runs.ts';

const ROUNDS = 4;
const HARMS = 16;

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-verify-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

type Files = ReadonlyMap<string, Buffer>;

interface CutOff {
  readonly files: Files;
  /** A byte of the last receiver record, which nothing witnesses. */
  readonly last: { readonly path: string; readonly at: number };
}

/** A directory whose second run a power cut has ended. */
async function cutOff(seed: number): Promise<CutOff> {
  const history = new HomeHistory('sync', new SimDisk({ seed }));
  await playHome(await history.start(), new HomePromises());
  history.kill();
  const run = await history.start();
  await playHome(run, new HomePromises());
  const { position } = await run.receive();
  if (position === undefined) throw new Error('the log is off');
  history.powerCut(seed % 2 === 0 ? 'posix' : 'keep-all', seed);
  const files = [...(await history.files())];
  const path = join(HOME, RECEIVER_LOG, segmentName(position.segmentSeq));
  return {
    files: new Map(files.map(([name, content]) => [name, Buffer.from(content, 'latin1')])),
    last: { path, at: position.offsetBytes + RECORD_HEADER_BYTES },
  };
}

/** One byte of it changed: as a write leaves it that was interrupted. */
function torn({ files, last }: CutOff): Files {
  const changed = Buffer.from(files.get(last.path) ?? Buffer.alloc(0));
  changed[last.at] = (changed[last.at] ?? 0) ^ 1;
  return new Map([...files, [last.path, changed]]);
}

/** One file changed; seldom gone or cut off. */
function harmed(files: Files, random: Random): Files {
  const below = (limit: number): number => Math.floor(random.next() * limit);
  const [path = '', sound = Buffer.alloc(0)] = [...files][below(files.size)] ?? [];
  const bytes = Buffer.from(sound);
  const usedBytes = bytes.findLastIndex((byte) => byte !== 0) + 1;
  const at = below(usedBytes);
  const harm = below(10);
  if (harm === 0) return new Map([...files].filter(([name]) => name !== path));
  if (harm === 1) return new Map([...files, [path, bytes.subarray(0, at)]]);
  if (harm < 5) bytes.subarray(at - (at % 512), at - (at % 512) + 512).fill(0);
  // Near the end it is often a record that nothing witnesses.
  else if (harm < 8) bytes[Math.max(0, usedBytes - 1 - below(64))] = below(256);
  else bytes[at] = below(256);
  return new Map([...files, [path, bytes]]);
}

function put(directory: string, files: Files): void {
  for (const [path, bytes] of files) {
    const target = join(directory, path.slice(HOME.length));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, bytes);
  }
}

async function verified(directory: string): Promise<Outcome> {
  const disk = readOnlyDisk(nodeDisk);
  const target = await openTarget(disk, directory);
  const found = await verifyTarget({ disk, target, codec: msgpackCodec, isDeep: false });
  return found.verdict;
}

/** What `millrace run` does there, up to its first write of its own. */
async function started(directory: string): Promise<Outcome> {
  const events = new EventBus();
  let tornTails: readonly string[] = [];
  events.subscribe((event) => {
    if (event.type === 'engine-recovered') ({ tornTails } = event);
  });
  const segments = { receiverSegmentBytes: 65_536, driverSegmentBytes: 65_536 };
  const options = resolveOptions({ module: { name: 'p', ...segments } });
  const place = { disk: nodeDisk, clock: new ManualClock(), codec: msgpackCodec, events };
  const accepted = { accept: () => options, onPoison: () => undefined };
  try {
    const home = await openHome({ ...place, directory, options, ...accepted });
    await home.driverLog.close();
    await home.lock.release();
    return tornTails.length > 0 ? 'torn' : 'clean';
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    const isDamage = error.code === 'WAL_CORRUPT' || error.code === 'CHECKPOINT_CORRUPT';
    if (!isDamage) throw error;
    return 'damaged';
  }
}

describe(`verify and a start (${seedNote})`, () => {
  it('come to the same verdict', { timeout: scaledTimeoutMs() }, async () => {
    const random = seededRandom(simSeed);
    const counts: Partial<Record<Outcome, number>> = {};
    for (let round = 0; round < scaled(ROUNDS); round += 1) {
      const left = await cutOff(simSeed + round);
      for (let harm = 0; harm < HARMS; harm += 1) {
        const directory = join(root, `${round}-${harm}`);
        put(directory, harm === 0 ? torn(left) : harmed(left.files, random));
        const verdict = await verified(directory);
        if (harm === 0) expect(verdict).toBe('torn');
        expect(await started(directory), `round ${round}, harm ${harm}`).toBe(verdict);
        counts[verdict] = (counts[verdict] ?? 0) + 1;
        rmSync(directory, { recursive: true });
      }
    }
    expect(Object.keys(counts).toSorted()).toEqual(['clean', 'damaged', 'torn']);
  });
});
