/** Everything that is wrong with one call, in one message: flags that do not exist, values out of
 * range, and what the module itself has wrong.
 *
 * Only asked when something is wrong already: it loads the module again to look for more.
 * @module */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MillraceError, toError } from '../core/errors.ts';
import { findOptionProblems } from '../core/options.ts';
import type { PipelineOptions } from '../core/options-types.ts';
import { bundlePipeline } from '../driver/pipeline-bundle.ts';
import { loadPipeline } from '../dstream/load-pipeline.ts';
import { isPipelineDefinition } from '../dstream/pipeline.ts';
import { problemsError } from './problem-list.ts';
import type { RunFlags } from './run-flags.ts';

/** @param pipeline path; `undefined` when it is not clear which argument names it.
 * @param known problems that were found before. */
export async function wrongUse(
  flags: RunFlags,
  {
    pipeline,
    known,
  }: { readonly pipeline?: string | undefined; readonly known: readonly string[] },
): Promise<MillraceError> {
  const problems = [...known, ...flags.problems];
  const module = pipeline === undefined ? UNKNOWN_MODULE : await examine(pipeline);
  const given = { ...flags.options, ...directoryOf(flags) };
  problems.push(...findOptionProblems({ flags: given, module: module.options }));
  const { cause } = module;
  if (cause !== undefined) problems.push(toError(cause).message);
  if (problems.length === 1 && cause instanceof MillraceError) return cause;
  return problemsError(problems, cause instanceof Error ? cause : undefined);
}

interface Examined {
  readonly options: PipelineOptions;
  /** What is wrong with the module. */
  readonly cause?: unknown;
}

/** So that flags can be checked without the module; its name is never shown. */
const UNKNOWN_MODULE: Examined = { options: { name: 'pipeline' } };

async function examine(pipeline: string): Promise<Examined> {
  try {
    const file = pathToFileURL(resolve(pipeline));
    const { moduleUrl } = await bundlePipeline(file);
    const options = await optionsOf(moduleUrl);
    try {
      await loadPipeline(moduleUrl, resolve(pipeline));
      return { options };
    } catch (cause) {
      return { options, cause };
    }
  } catch (cause) {
    return { ...UNKNOWN_MODULE, cause };
  }
}

/** A module may have sound options and a graph that cannot be built. */
async function optionsOf(moduleUrl: string): Promise<PipelineOptions> {
  try {
    const exported = (await import(moduleUrl)) as { readonly default?: unknown };
    const definition = exported.default;
    return isPipelineDefinition(definition) ? definition.options : UNKNOWN_MODULE.options;
  } catch {
    return UNKNOWN_MODULE.options; // loading it again tells why
  }
}

function directoryOf({ checkpointDir }: RunFlags): { readonly checkpointDir?: string | false } {
  return checkpointDir === undefined ? {} : { checkpointDir };
}
