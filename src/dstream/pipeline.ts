/** A pipeline as a module exports it, and the way from there to a graph.
 *
 * A definition is data and one function: importing the module starts nothing. Driver and executors
 * each build the graph from their own import of the module. The mark is a registered symbol, so
 * that a definition is recognised when the module brought its own copy of this package.
 * @module */
import { MillraceError } from '../core/errors.ts';
import type { PipelineOptions } from '../core/options-types.ts';
import { GraphBuilder } from './graph-builder.ts';
import { Graph } from './graph.ts';
import type { GraphNode } from './graph.ts';
import { checkPlaces } from './place-check.ts';
import { PipelineContext } from './pipeline-context.ts';

const MARK: unique symbol = Symbol.for('millrace.pipeline');

/** Adds inputs, operators and outputs. Called once in every thread; must not be asynchronous. */
export type BuildPipeline = (ssc: PipelineContext) => void;

/** @returns nodes with the same ids, in the same order. */
export type ReviseGraph = (nodes: readonly GraphNode[]) => readonly GraphNode[];

export interface PipelineDefinition {
  readonly [MARK]: true;
  readonly options: PipelineOptions;
  readonly build: BuildPipeline;
  /** Of a measurement, not of users: puts other operators in the place of some, id for id. Runs
   * in every thread, after the pipeline's own graph was checked. */
  readonly revise?: ReviseGraph;
}

/** Defines a pipeline, to be the default export of its module. Starts nothing.
 * @throws {MillraceError} OPTIONS_INVALID when the name cannot be one, PIPELINE_INVALID without a
 *   function. Other options are checked when the pipeline is run. */
export function definePipeline(options: PipelineOptions, build: BuildPipeline): PipelineDefinition {
  const { name } = Object(options) as { readonly name: unknown }; // plain JavaScript may pass none
  if (typeof name !== 'string' || !/^[A-Za-z0-9._-]{1,128}$/.test(name) || /^\.+$/.test(name)) {
    throw new MillraceError(
      'OPTIONS_INVALID',
      `definePipeline: name must be 1 to 128 letters, digits, dots, dashes and underscores ` +
        `and more than dots, not ${JSON.stringify(name)}`,
    );
  }
  if (typeof build !== 'function') {
    throw new MillraceError(
      'PIPELINE_INVALID',
      `pipeline ${name}: definePipeline needs a function that adds inputs and outputs`,
    );
  }
  return Object.freeze({ [MARK]: true as const, options: Object.freeze({ ...options }), build });
}

/** True for what `definePipeline` returned, in this or another copy of the package. */
export function isPipelineDefinition(value: unknown): value is PipelineDefinition {
  return typeof value === 'object' && value !== null && MARK in value;
}

/** Runs the pipeline's function on a fresh graph.
 * @throws {MillraceError} PIPELINE_INVALID: the function threw (`cause`), is asynchronous, made no
 *   output, or uses one port or one output directory twice; OPTIONS_INVALID: an operator or input
 *   was called with wrong options. */
export function buildGraph({ options, build, revise }: PipelineDefinition): Graph {
  const builder = new GraphBuilder(options.name);
  let returned: unknown;
  let graph: Graph;
  try {
    returned = build(new PipelineContext(builder));
  } catch (error) {
    throw buildFailure(options.name, error);
  } finally {
    graph = builder.seal();
  }
  if (isThenable(returned)) {
    // Its rejection has no other owner; that it exists at all is the error that is reported.
    returned.then(undefined, () => undefined);
    throw new MillraceError(
      'PIPELINE_INVALID',
      `pipeline ${options.name}: the function given to definePipeline returned a promise; ` +
        'it must add its operators before it returns',
    );
  }
  if (graph.outputs.length === 0) {
    throw new MillraceError(
      'PIPELINE_INVALID',
      `pipeline ${options.name} has no output operation, so nothing would ever run; ` +
        'add one, such as print() or saveAsTextFiles()',
    );
  }
  checkPlaces(options.name, graph);
  return revise === undefined ? graph : new Graph(revise(graph.nodes));
}

function buildFailure(name: string, error: unknown): MillraceError {
  if (error instanceof MillraceError && error.class === 'usage') return error;
  const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new MillraceError(
    'PIPELINE_INVALID',
    `pipeline ${name}: the function given to definePipeline threw ${reason}`,
    { cause: error },
  );
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    (typeof value === 'object' || typeof value === 'function') &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  );
}
