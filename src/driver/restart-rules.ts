/** May this pipeline go on from this checkpoint? Asked before anything is written; decided in
 * upgrade-plan.ts. @module */
import { MillraceError } from '../core/errors.ts';
import type { CheckpointContent } from './checkpoint-content.ts';
import { planUpgrade } from './upgrade-plan.ts';
import type { UpgradePlan, UpgradeTarget } from './upgrade-plan.ts';

export interface RestartFacts extends UpgradeTarget {
  readonly directory: string;
  /** Told of changes that are allowed and still worth knowing. */
  readonly warn: (message: string) => void;
}

/** @throws {MillraceError} CHECKPOINT_MISMATCH with all reasons. */
export function acceptCheckpoint(
  checkpoint: CheckpointContent,
  { directory, warn, ...target }: RestartFacts,
): UpgradePlan {
  const plan = planUpgrade(checkpoint, target);
  if (plan.problems.length > 0) throw refusal(directory, plan.problems);
  for (const note of plan.notes) warn(note);
  return plan;
}

function refusal(directory: string, problems: readonly string[]): MillraceError {
  return new MillraceError(
    'CHECKPOINT_MISMATCH',
    `the checkpoint in ${directory} does not fit this pipeline; nothing was changed:\n  ` +
      `${problems.join('\n  ')}\nStart the old version to finish its batches, or use another ` +
      'checkpoint directory.',
  );
}
