/** What the calls of the kit take that run a whole pipeline: the pipeline itself, and records by
 * the ids of its inputs.
 * @module */
import { MillraceError } from '../../core/errors.ts';
import type { Graph, OperatorKind } from '../../dstream/graph.ts';
import type { OptionCheck } from '../../dstream/option-check.ts';
import { isPipelineDefinition } from '../../dstream/pipeline.ts';
import type { PipelineDefinition } from '../../dstream/pipeline.ts';
import type { BatchRecords } from './inline-inputs.ts';
import { checkBatches } from './kit-options.ts';

/** A definition, a module that has one as its default export, or the promise of `import()`. */
export type PipelineModule =
  | PipelineDefinition
  | { readonly default: PipelineDefinition }
  | PromiseLike<PipelineDefinition | { readonly default: PipelineDefinition }>;

/** Outputs whose functions or sinks a test may have called. */
const CALLABLE: ReadonlySet<OperatorKind> = new Set(['foreachBatch', 'foreachPartition', 'to']);

/** @param call how messages name the call, with the name of its option for records.
 * @throws {MillraceError} PIPELINE_INVALID when that is no pipeline. */
export function definitionOf(
  given: unknown,
  { call, option }: { readonly call: string; readonly option: string },
): PipelineDefinition {
  let value = given;
  // A module, and one that was compiled to CommonJS, whose default export lies one level deeper.
  for (let depth = 0; depth < 2 && !isPipelineDefinition(value); depth += 1) {
    value = (Object(value) as { readonly default?: unknown }).default;
  }
  if (isPipelineDefinition(value)) return value;
  throw new MillraceError(
    'PIPELINE_INVALID',
    `${call}: give what definePipeline returned, or a module with that as its default export: ` +
      `${call}(import('./pipeline.ts'), { ${option} })`,
  );
}

/** @param option the name of the option.
 * @returns the batches of each input that is listed. */
export function checkInputs(
  check: OptionCheck,
  graph: Graph,
  { option, given }: { readonly option: string; readonly given: unknown },
): ReadonlyMap<string, BatchRecords> {
  const ids = graph.inputs.map(({ id }) => id);
  const isObject = given === undefined || (typeof given === 'object' && given !== null);
  check.require(isObject, `${option} must be an object with the ids of inputs as its keys`);
  const entries = Object.entries(isObject ? (given ?? {}) : {});
  for (const [id] of entries) {
    check.require(
      ids.includes(id),
      `the pipeline has no input ${JSON.stringify(id)}; its inputs are ${ids.join(', ')}`,
    );
  }
  return new Map(
    entries.map(([id, batches]) => [id, checkBatches(check, `${option}.${id}`, batches)]),
  );
}

export function checkCalled(
  check: OptionCheck,
  graph: Graph,
  given: unknown = [],
): ReadonlySet<string> {
  const callable = graph.outputs.flatMap(({ id, kind }) => (CALLABLE.has(kind) ? [id] : []));
  const ids: readonly unknown[] = Array.isArray(given) ? given : [given];
  for (const id of ids) {
    check.require(
      (callable as readonly unknown[]).includes(id),
      `call names ${JSON.stringify(id)}, but only foreachBatch, foreachPartition and to ` +
        `can be called (${callable.join(', ') || 'there are none'})`,
    );
  }
  return new Set(ids as readonly string[]);
}
