/** `millrace wal repair`: makes a new home out of one that has a torn tail, or that an operator
 * accepts to lose records of. The original is only read. @module */
import { join } from 'node:path';
import { CheckpointStore } from '../../checkpoint/checkpoint-store.ts';
import { readManifest } from '../../checkpoint/manifest.ts';
import type { Manifest } from '../../checkpoint/manifest.ts';
import { systemClock } from '../../core/clock.ts';
import { MillraceError } from '../../core/errors.ts';
import { EventBus } from '../../core/events.ts';
import type { Lsn } from '../../core/ids.ts';
import { resolveOptions } from '../../core/options.ts';
import { examineDirectory } from '../../driver/examination.ts';
import { recoverDirectory } from '../../driver/recovery.ts';
import type { RecoveryInput } from '../../driver/recovery.ts';
import { msgpackCodec } from '../../serde/msgpack-codec.ts';
import { recogniseFileSystem } from '../../wal/file-system.ts';
import { nodeDisk } from '../../wal/node-disk.ts';
import { WriteAheadLog } from '../../wal/write-ahead-log.ts';
import type { CliIo } from '../io.ts';
import { dropRanges, lossName } from '../wal/drop-range.ts';
import type { DropRange, LossManifest } from '../wal/drop-range.ts';
import { withHomeCopy } from '../wal/home-copy.ts';
import { wrong } from '../wal/target.ts';
import type { WalTarget } from '../wal/target.ts';
import { openForTool } from '../wal/tool.ts';
import { verifyTarget } from '../wal/verification.ts';
import { chooseLogs } from './wal-export.ts';

export interface RepairCall {
  readonly directory: string;
  readonly output: string;
  readonly isTorn: boolean;
  /** None with `isTorn`. */
  readonly drops: readonly DropRange[];
  readonly isLossAccepted: boolean;
  readonly isJson: boolean;
}

interface Repaired {
  readonly kept: readonly string[];
  readonly losses: readonly LossManifest[];
}

/** @returns 0 when the new home is one that a start goes on with. */
export async function walRepair(io: CliIo, call: RepairCall): Promise<number> {
  checkCall(call);
  const { target, disk, bar } = await openForTool(io, 'copy', call.directory);
  try {
    requireRepairable(target, call);
    const manifest = await readManifest({ disk, directory: target.directory });
    if (manifest === undefined) throw withoutManifest(target);
    if (call.isTorn && !(await isTorn(target))) {
      throw wrong(`nothing is torn in ${target.directory}: it needs no repair; no copy was made`);
    }
    let done: Repaired = { kept: [], losses: [] };
    const onBytes = bar.advance.bind(bar);
    const copy = { target, manifest, to: call.output, onBytes };
    await withHomeCopy(copy, async (directory, copied) => {
      done = await repairCopy(directory, copied, call.drops);
    });
    bar.close();
    tell(io, call, done);
    if (target.elsewhere.size > 0) io.err(`millrace: ${OTHER_QUARANTINE}\n`);
    return 0;
  } finally {
    bar.close();
  }
}

const OTHER_QUARANTINE =
  'the copy has the logs that lay elsewhere in it: start it with another --quarantine than the ' +
  'original, whose logs there it would remove';

function checkCall({ isTorn: torn, drops, isLossAccepted }: RepairCall): void {
  if (torn === drops.length > 0) throw wrong('give either --torn or --drop-range');
  if (torn || isLossAccepted) return;
  throw wrong('--drop-range loses acknowledged records: say so with --accept-data-loss');
}

function requireRepairable(target: WalTarget, { drops }: RepairCall): void {
  const { directory, kind, isRunning } = target;
  if (kind === 'log') throw wrong(`${directory} is one log: give the checkpoint directory`);
  for (const { log } of drops) chooseLogs(target, log);
  if (!isRunning) return;
  throw new MillraceError(
    'DIRECTORY_LOCKED',
    `an engine is running in ${directory}: stop it, then repair`,
  );
}

function withoutManifest({ directory }: WalTarget): MillraceError {
  const message = `${directory} has no MANIFEST, which names its log: restore it from a backup`;
  return new MillraceError('CHECKPOINT_CORRUPT', message);
}

/** @throws {MillraceError} WAL_CORRUPT when it is damaged: keeping a tail aside cannot help. */
async function isTorn(target: WalTarget): Promise<boolean> {
  const input = { disk: nodeDisk, target, codec: msgpackCodec, isDeep: false };
  const { verdict, problems, logs } = await verifyTarget(input);
  if (verdict === 'clean' || verdict === 'torn') return verdict === 'torn';
  const bad = logs.filter((log) => log.verdict === 'damaged').map(({ message }) => message);
  throw new MillraceError('WAL_CORRUPT', (problems.length > 0 ? problems : bad).join('\n'));
}

async function repairCopy(
  directory: string,
  manifest: Manifest,
  drops: readonly DropRange[],
): Promise<Repaired> {
  if (drops.length === 0) return keepTails(directory, manifest);
  const input = { disk: nodeDisk, directory, manifest, codec: msgpackCodec };
  return { kept: [], losses: await dropRanges(input, drops) };
}

/** What a start does before it receives anything: recovery, on the copy. */
async function keepTails(directory: string, manifest: Manifest): Promise<Repaired> {
  const [disk, codec, events] = [nodeDisk, msgpackCodec, new EventBus()];
  const store = await CheckpointStore.open({ disk, directory: join(directory, 'checkpoints') });
  const options = resolveOptions({ module: { name: manifest.pipelineName } });
  const place = { disk, directory, store, codec, events };
  const sourceIdsMax = options.idempotencyKeysMax;
  const examination = await examineDirectory({ ...place, manifest, sourceIdsMax });
  const { config = {} } = examination.checkpoint ?? {};
  const bytesOf = (name: 'driverSegmentBytes' | 'receiverSegmentBytes'): number =>
    typeof config[name] === 'number' ? config[name] : options[name];
  const isGrowing = (await recogniseFileSystem(directory)).kind === 'copy-on-write';
  const input = {
    ...place,
    clock: systemClock,
    manifest,
    isGrowing,
    driverSegmentBytes: bytesOf('driverSegmentBytes'),
    receiverSegmentBytes: bytesOf('receiverSegmentBytes'),
    // Its append rejects, which ends the repair.
    onDriverPoison: () => undefined,
    onDriverShortage: () => undefined,
  };
  const { driverLog, tornTails, nextLsn } = await recoverDirectory(input, examination);
  await driverLog.close();
  for (const { name, directory: of, verdict } of examination.receiverLogs) {
    const baseLsn = nextLsn.get(name);
    if (verdict.kind === 'torn' && baseLsn !== undefined) await goOn(input, of, baseLsn);
  }
  return { kept: tornTails, losses: [] };
}

/** Ends a torn receiver log where its next opening would: with a new segment behind the tear. */
async function goOn(input: RecoveryInput, directory: string, baseLsn: Lsn): Promise<void> {
  const { disk, clock, manifest, isGrowing = false, receiverSegmentBytes } = input;
  const { logId, epoch } = manifest;
  const place = { disk, clock, directory, logId, epoch, baseLsn, isGrowing };
  const segmentBytes = receiverSegmentBytes;
  const modes = { mode: 'buffered', durability: 'sync' } as const;
  const log = await WriteAheadLog.open({ ...place, ...modes, segmentBytes });
  await log.close();
}

function tell(
  io: CliIo,
  { directory, output, isJson }: RepairCall,
  { kept, losses }: Repaired,
): void {
  if (isJson) {
    const result = { format: 'millrace-wal-repair', version: 1, directory, output };
    io.out(`${JSON.stringify({ ...result, kept, loss: losses[0] ?? null, losses })}\n`);
    return;
  }
  const lines = [`${output} is a repaired copy; ${directory} was not changed.`];
  for (const path of kept) lines.push(`A torn tail is kept in ${path}.`);
  for (const loss of losses) {
    const { blocks, recordCount, batches } = loss;
    lines.push(
      `Lost: ${blocks.length} blocks with ${recordCount} records that were not processed yet, ` +
        `in ${batches.length} unfinished batches. ${join(output, lossName(loss))} names them.`,
    );
  }
  lines.push(
    `Next: millrace wal verify ${output}`,
    `      millrace run PIPELINE --checkpoint ${output}`,
  );
  io.out(`${lines.join('\n')}\n`);
}
