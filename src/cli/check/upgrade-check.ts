/** What a start on a directory would make of it, found out without starting: the code of the start
 * (driver/examination.ts, driver/upgrade-plan.ts, driver/state-parts.ts) over a disk that cannot be
 * written. Beside a running engine more than one look may be needed (live-looks.ts). @module */
import { join } from 'node:path';
import { CheckpointStore } from '../../checkpoint/checkpoint-store.ts';
import { readManifest } from '../../checkpoint/manifest.ts';
import { MillraceError } from '../../core/errors.ts';
import { EventBus } from '../../core/events.ts';
import { resolveOptions } from '../../core/options.ts';
import type { CheckpointContent } from '../../driver/checkpoint-content.ts';
import { examineDirectory } from '../../driver/examination.ts';
import { requireFit } from '../../driver/graph-fit.ts';
import { refuseLostManifest, refuseOtherPipeline } from '../../driver/home-directory.ts';
import { recoverState } from '../../driver/state-parts.ts';
import { keptState } from '../../driver/state-upgrade.ts';
import { planUpgrade } from '../../driver/upgrade-plan.ts';
import type { UpgradePlan } from '../../driver/upgrade-plan.ts';
import { msgpackCodec } from '../../serde/msgpack-codec.ts';
import type { Disk } from '../../wal/disk.ts';
import { fingerprint } from '../wal/target.ts';
import type { WalTarget } from '../wal/target.ts';
import { lookUntilSure } from './live-looks.ts';
import type { LoadedForTool } from './loaded-pipeline.ts';

export interface UpgradeCheck extends UpgradePlan {
  /** The latest batch that was allocated; 0: none. */
  readonly lastBatchMs: number;
  readonly unfinishedBatches: number;
  /** State was read back, and migrated where that was due. */
  readonly isStateRead: boolean;
}

export interface UpgradeCheckInput extends LoadedForTool {
  readonly disk: Disk;
  readonly target: WalTarget;
  readonly dropState: readonly string[];
}

/** @throws {MillraceError} what a start would say of damage; MIGRATION_FAILED; CHECKPOINT_MISMATCH
 *   when the directory is another pipeline's; DIRECTORY_LOCKED: an engine writes too fast. */
export function checkUpgrade(input: UpgradeCheckInput): Promise<UpgradeCheck> {
  const { target } = input;
  return lookUntilSure({
    directory: target.directory,
    isRunning: target.isRunning,
    stamp: () => fingerprint(target),
    look: () => lookAt(input),
  });
}

async function lookAt(input: UpgradeCheckInput): Promise<UpgradeCheck> {
  const { disk, target, options } = input;
  const { directory } = target;
  const manifest = await readManifest({ disk, directory });
  refuseOtherPipeline(directory, options, manifest);
  const warnings: string[] = [];
  const examination = await examineDirectory({
    disk,
    directory,
    ...(manifest === undefined ? {} : { manifest }),
    store: await CheckpointStore.open({ disk, directory: join(directory, 'checkpoints') }),
    codec: msgpackCodec,
    events: busTo(warnings),
    sourceIdsMax: options.idempotencyKeysMax,
  });
  if (manifest === undefined) refuseLostManifest(directory, examination);
  const { checkpoint, state } = examination;
  const plan = planOf(checkpoint, input);
  const isStateRead = plan.problems.length === 0 && (await readState(checkpoint, plan, input));
  return {
    ...plan,
    notes: [...warnings, ...plan.notes],
    lastBatchMs: state.lastAllocatedMs,
    unfinishedBatches: [...state.batches.values()].filter(({ isDone }) => !isDone).length,
    isStateRead,
  };
}

/** Of a first start that was interrupted before its checkpoint. */
const NOTHING: UpgradePlan = {
  inputs: [],
  operators: [],
  states: [],
  options: [],
  problems: [],
  notes: ['there is no checkpoint yet: a start begins anew'],
};

/** The options of a start count, some of which are the checkpoint's. */
function planOf(
  checkpoint: CheckpointContent | undefined,
  { graph, codeHash, sources, options: ownOptions, dropState }: UpgradeCheckInput,
): UpgradePlan {
  if (checkpoint === undefined) {
    requireFit(graph, ownOptions);
    return NOTHING;
  }
  const options = resolveOptions({ ...sources, checkpoint: checkpoint.config });
  requireFit(graph, options);
  return planUpgrade(checkpoint, { graph: graph.nodes, codeHash, options, dropState });
}

/** A start reads the file also when it takes nothing of it over.
 * @returns whether it does. @throws as a start would. */
async function readState(
  checkpoint: CheckpointContent | undefined,
  { states }: UpgradePlan,
  { disk, target, graph, options }: UpgradeCheckInput,
): Promise<boolean> {
  const pointer = keptState(checkpoint?.stateSnapshot, states);
  if (pointer === undefined) return false;
  const { executors: partitions } = options;
  const { directory } = target;
  const state = await recoverState(graph, pointer, { disk, directory, partitions });
  state.close();
  return pointer.operators.length > 0;
}

function busTo(warnings: string[]): EventBus {
  const events = new EventBus();
  events.subscribe((event) => {
    if (event.type === 'warning') warnings.push(event.message);
    if (event.type !== 'checkpoint-skipped') return;
    warnings.push(`${event.path} is damaged and would be passed over: ${event.reason}`);
  });
  return events;
}

/** What has no directory to be compared with. */
export function isMismatch(error: unknown): error is MillraceError {
  return error instanceof MillraceError && error.code === 'CHECKPOINT_MISMATCH';
}
