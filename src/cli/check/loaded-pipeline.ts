/** A pipeline module with the flags of a call, loaded and checked, for commands that run nothing.
 * @module */
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { MillraceError } from '../../core/errors.ts';
import { resolveOptions } from '../../core/options.ts';
import type { OptionSources, ResolvedOptions } from '../../core/options.ts';
import { bundlePipeline } from '../../driver/pipeline-bundle.ts';
import type { Graph } from '../../dstream/graph.ts';
import { loadPipeline } from '../../dstream/load-pipeline.ts';
import type { RunFlags } from '../run-flags.ts';
import { wrongUse } from '../wrong-use.ts';

export interface PipelineCall {
  /** Path of the module. */
  readonly pipeline: string;
  readonly flags: RunFlags;
}

export interface LoadedForTool {
  readonly graph: Graph;
  /** Of the bundled module. */
  readonly codeHash: string;
  /** What the options come from, but for a checkpoint. */
  readonly sources: OptionSources;
  /** As far as they are known without one, and not compared with the graph. */
  readonly options: ResolvedOptions;
}

/** @throws {MillraceError} of class usage, with all that is wrong with the call. */
export async function loadForTool(call: PipelineCall): Promise<LoadedForTool> {
  const { pipeline, flags } = call;
  if (flags.problems.length > 0) throw await wrongUse(flags, { pipeline, known: [] });
  try {
    return await load(call);
  } catch (error) {
    if (!(error instanceof MillraceError) || error.class !== 'usage') throw error;
    const all = await wrongUse(flags, { pipeline, known: [] });
    throw all.details['problemCount'] === 0 ? error : all;
  }
}

async function load({ pipeline, flags }: PipelineCall): Promise<LoadedForTool> {
  const file = pathToFileURL(resolve(pipeline));
  const bundle = await bundlePipeline(file);
  process.setSourceMapsEnabled(true); // stack traces lead to the user's file
  const { definition, graph } = await loadPipeline(bundle.moduleUrl, fileURLToPath(file));
  const { checkpointDir } = flags;
  const directory = checkpointDir === undefined ? {} : { checkpointDir };
  const sources = { flags: { ...flags.options, ...directory }, module: definition.options };
  return { graph, codeHash: bundle.codeHash, sources, options: resolveOptions(sources) };
}
