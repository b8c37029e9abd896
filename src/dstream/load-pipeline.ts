/** Imports a bundled pipeline module and builds its graph: the same in the driver and in every
 * executor, so that operator ids mean the same everywhere. @module */
import { MillraceError } from '../core/errors.ts';
import { buildGraph, isPipelineDefinition } from './pipeline.ts';
import type { PipelineDefinition } from './pipeline.ts';
import type { Graph } from './graph.ts';

export interface LoadedPipeline {
  readonly definition: PipelineDefinition;
  readonly graph: Graph;
}

/** @param moduleUrl of the bundle.
 * @param shownAs how messages name the pipeline's own file.
 * @throws {MillraceError} PIPELINE_INVALID when the module throws, exports no pipeline, or its
 * graph
 *   is wrong; the stack of the cause names the file and line. */
export async function loadPipeline(moduleUrl: string, shownAs: string): Promise<LoadedPipeline> {
  const definition = await loadDefinition(moduleUrl, shownAs);
  return { definition, graph: buildGraph(definition) };
}

/** The same without the graph. @throws {MillraceError} PIPELINE_INVALID. */
export async function loadDefinition(
  moduleUrl: string,
  shownAs: string,
): Promise<PipelineDefinition> {
  let exported: { readonly default?: unknown };
  try {
    exported = (await import(moduleUrl)) as { readonly default?: unknown };
  } catch (cause) {
    if (cause instanceof MillraceError && cause.class === 'usage') throw cause;
    throw new MillraceError('PIPELINE_INVALID', `${shownAs} threw while it was imported`, {
      cause,
    });
  }
  const definition = unwrapped(exported.default);
  if (!isPipelineDefinition(definition)) {
    throw new MillraceError(
      'PIPELINE_INVALID',
      `${shownAs} has no pipeline as its default export; write ` +
        "`export default definePipeline({ name: '…' }, (ssc) => { … })`",
    );
  }
  return definition;
}

/** TypeScript that was compiled to CommonJS has its default export one level deeper. */
function unwrapped(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || isPipelineDefinition(value)) return value;
  return '__esModule' in value && 'default' in value ? value.default : value;
}
