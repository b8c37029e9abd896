/** `millrace check`: what a start of a pipeline on a directory would do, before a deploy. Writes
 * nothing. @module */
import { resolve } from 'node:path';
import { requireFit } from '../../driver/graph-fit.ts';
import { isSliding, roleOf } from '../../dstream/graph.ts';
import type { GraphNode } from '../../dstream/graph.ts';
import { nodeDisk } from '../../wal/node-disk.ts';
import { checkLines, labelled } from '../check/check-text.ts';
import { loadForTool } from '../check/loaded-pipeline.ts';
import type { LoadedForTool, PipelineCall } from '../check/loaded-pipeline.ts';
import { checkUpgrade, isMismatch } from '../check/upgrade-check.ts';
import type { UpgradeCheck } from '../check/upgrade-check.ts';
import type { CliIo } from '../io.ts';
import { readOnlyDisk } from '../wal/read-only-disk.ts';
import { openTarget, wrong } from '../wal/target.ts';
import type { WalTarget } from '../wal/target.ts';

export interface CheckCall extends PipelineCall {
  readonly isJson: boolean;
}

const REFUSED = 1;
const RUNNING =
  'an engine is running here: what waits or is unfinished now may be done by the time it stops';

/** @returns 0 the start goes on, 1 it is refused.
 * @throws {MillraceError} what has the exit code of its class. */
export async function check(io: CliIo, call: CheckCall): Promise<number> {
  const loaded = await loadForTool(call);
  const { checkpointDir } = call.flags;
  if (typeof checkpointDir === 'string') return checkDirectory(io, call, { loaded, checkpointDir });
  requireFit(loaded.graph, loaded.options);
  const notes = graphNotes(loaded.graph.nodes);
  if (call.isJson) printJson(io, loaded, { directory: null, exitCode: 0, problems: [], notes });
  else {
    const hint = 'give --checkpoint DIR to compare it with what is there';
    const lines = [pipelineLine(loaded), ...notes.map((note) => labelled('note', note))];
    io.out(`${[...lines, `The graph is sound; ${hint}.`].join('\n')}\n`);
  }
  return 0;
}

async function checkDirectory(
  io: CliIo,
  { flags, isJson }: CheckCall,
  { loaded, checkpointDir }: { readonly loaded: LoadedForTool; readonly checkpointDir: string },
): Promise<number> {
  const disk = readOnlyDisk(nodeDisk);
  const target = await openTarget(disk, checkpointDir);
  if (target.kind === 'log') {
    throw wrong(`${checkpointDir} is one log: give the checkpoint directory that it lies in`);
  }
  const { dropState } = flags;
  const found = await verdictOn({ ...loaded, disk, target, dropState });
  const exitCode = found.problems.length === 0 ? 0 : REFUSED;
  const notes = [
    ...(target.isRunning ? [RUNNING] : []),
    ...found.notes,
    ...graphNotes(loaded.graph.nodes),
  ];
  const { isRunning } = target;
  const directory = resolve(checkpointDir);
  if (isJson) printJson(io, loaded, { directory, isRunning, exitCode, ...found, notes });
  else {
    const lines = [
      pipelineLine(loaded),
      placeLine(target, found),
      ...checkLines({ ...found, notes }),
    ];
    io.out(`${[...lines, conclusion(found)].join('\n')}\n`);
  }
  return exitCode;
}

/** Another pipeline's directory is a reason to refuse like the others. */
async function verdictOn(input: Parameters<typeof checkUpgrade>[0]): Promise<UpgradeCheck> {
  try {
    return await checkUpgrade(input);
  } catch (error) {
    if (!isMismatch(error)) throw error;
    const nothing = { inputs: [], operators: [], states: [], options: [], notes: [] };
    const problems = [error.message];
    return { ...nothing, problems, lastBatchMs: 0, unfinishedBatches: 0, isStateRead: false };
  }
}

function pipelineLine({ options, graph }: LoadedForTool): string {
  const { nodes, inputs, outputs } = graph;
  const counts = `${nodes.length} operators, inputs: ${inputs.length}, outputs: ${outputs.length}`;
  return labelled('pipeline', `${options.name}: ${counts}`);
}

function placeLine({ directory }: WalTarget, found: UpgradeCheck): string {
  const { lastBatchMs, unfinishedBatches } = found;
  const batch = lastBatchMs === 0 ? 'no batch yet' : `last batch ${lastBatchMs}`;
  return labelled('checkpoint', `${directory}: ${batch}, unfinished: ${unfinishedBatches}`);
}

/** Ids that a later version of the pipeline may give to another operator. */
function graphNotes(nodes: readonly GraphNode[]): readonly string[] {
  return statefulWithoutId(nodes).map(
    (id) =>
      `${id} keeps state and has no id of its own: give it one, such as { id: '${id}' }, which ` +
      'keeps its state whatever stands around it',
  );
}

/** Not windows with an inverse function: they begin anew with each change, whatever their id. */
function statefulWithoutId(nodes: readonly GraphNode[]): readonly string[] {
  return nodes.flatMap(({ id, kind, isPlaced }) =>
    isPlaced === true && roleOf(kind) === 'state' && !isSliding(kind) ? [id] : [],
  );
}

function conclusion({ problems, isStateRead }: UpgradeCheck): string {
  if (problems.length > 0) return 'Refused: a start would change nothing and end with 64.';
  const read = isStateRead ? ' Its state was read, as a start reads it.' : '';
  return `Accepted: a start goes on from here.${read}`;
}

function printJson(
  io: CliIo,
  { options, graph }: LoadedForTool,
  found: Readonly<Record<string, unknown>> & { readonly exitCode: number },
): void {
  const verdict = found.exitCode === 0 ? 'accepted' : 'refused';
  const place = { format: 'millrace-check', version: 1, pipeline: options.name, verdict };
  const withoutId = statefulWithoutId(graph.nodes);
  io.out(`${JSON.stringify({ ...place, ...found, statefulWithoutId: withoutId })}\n`);
}
