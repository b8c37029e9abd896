/** A user's pipeline as it is measured: its own operators, between inputs that may be lines of a
 * file and outputs that drop what they get. Imported by every thread of the engine.
 *
 *     input of text with receivers   → receivers of lines, as many     (with --lines)
 *     print                          → itself; nobody sees its lines
 *     any other output               → a sink that counts and drops    (without --with-outputs)
 *
 * The user's sinks and functions of outputs are never called then, not even opened; what lies
 * before them is computed, partition by partition, as they would get it. Of its options those that
 * name a further directory are left out. @module */
import { channel } from 'node:diagnostics_channel';
import { MillraceError } from '../../core/errors.ts';
import type { PipelineOptions } from '../../core/options-types.ts';
import { roleOf } from '../../dstream/graph.ts';
import type { GraphNode } from '../../dstream/graph.ts';
import { inputOptions } from '../../dstream/input-options.ts';
import { loadDefinition } from '../../dstream/load-pipeline.ts';
import type { PipelineDefinition } from '../../dstream/pipeline.ts';
import type { PartitionWriter, Sink, SinkBatch } from '../../dstream/sink.ts';
import { LinesReceiver } from './lines-receiver.ts';
import { DROPPED_CHANNEL } from './tune-protocol.ts';
import type { Dropped, Replacements } from './tune-protocol.ts';

export interface MeasuredModule extends Replacements {
  /** Of the bundled pipeline. */
  readonly moduleUrl: string;
  readonly shownAs: string;
}

/** The module that every thread imports in place of the pipeline's own. It imports by variables, so
 * that nothing becomes part of its bundle: packages are found from where the pipeline lies.
 * @param selfUrl of this very file. */
export function measuredModuleText(selfUrl: string, module: MeasuredModule): string {
  return `const self = ${JSON.stringify(selfUrl)};
const { measuredPipeline } = await import(self);
export default await measuredPipeline(${JSON.stringify(module)});
`;
}

/** @throws {MillraceError} as `loadDefinition`. */
export async function measuredPipeline(module: MeasuredModule): Promise<PipelineDefinition> {
  const definition = await loadDefinition(module.moduleUrl, module.shownAs);
  return Object.freeze({
    ...definition,
    options: withoutOtherPlaces(definition.options),
    revise: (nodes: readonly GraphNode[]) => replaced(nodes, module),
  });
}

/** A sample writes nothing outside of its directory: it has no second copy, and a log of it that
 * fails goes on nowhere. */
function withoutOtherPlaces(options: PipelineOptions): PipelineOptions {
  const { mirrorDir: _mirrorDir, onWalFailure: _onWalFailure, ...others } = options;
  const { quarantineDir: _quarantineDir, ...kept } = others;
  return kept;
}

/** @throws {MillraceError} OPTIONS_INVALID naming every input that lines cannot stand in for. */
export function replaced(nodes: readonly GraphNode[], by: Replacements): readonly GraphNode[] {
  if (by.linesFile !== undefined) refuseOtherInputs(nodes);
  return nodes.map((node) => {
    const role = roleOf(node.kind);
    if (role === 'input' && by.linesFile !== undefined) return linesInput(node, by.linesFile, by);
    return role === 'output' && by.dropsOutputs ? droppingOutput(node) : node;
  });
}

const TEXT_SOURCES: ReadonlySet<string> = new Set(['http', 'socket', 'generator']);

/** Whether lines can stand in for all inputs. */
export function takesLines(nodes: readonly GraphNode[]): boolean {
  return otherInputs(nodes).length === 0;
}

function otherInputs(nodes: readonly GraphNode[]): readonly GraphNode[] {
  return nodes.filter((node) => {
    if (roleOf(node.kind) !== 'input') return false;
    const { source } = inputOptions(node);
    return !TEXT_SOURCES.has(source) && source !== 'queue';
  });
}

function refuseOtherInputs(nodes: readonly GraphNode[]): void {
  const others = otherInputs(nodes);
  if (others.length === 0) return;
  throw new MillraceError(
    'OPTIONS_INVALID',
    `--lines can stand in for httpTextStream, socketTextStream and generatorStream, not for ` +
      `${others.map(({ id }) => id).join(', ')}: leave --lines out and let the source be at hand`,
  );
}

function linesInput(node: GraphNode, path: string, { linesLevel }: Replacements): GraphNode {
  const options = inputOptions(node);
  if (!TEXT_SOURCES.has(options.source)) return node; // a queue has its records with it
  const own = 'storageLevel' in options ? options.storageLevel : undefined;
  const level = own ?? linesLevel;
  return {
    ...node,
    kind: 'receiverStream',
    options: {
      source: 'custom',
      receivers: options.receivers,
      ...(level === undefined ? {} : { storageLevel: level }),
    },
    fn: () => new LinesReceiver(path),
  };
}

function droppingOutput(node: GraphNode): GraphNode {
  if (node.kind === 'print') return node;
  const { id, parents, isPlaced } = node;
  const sink = new DroppingSink();
  const { target, guarantee } = sink;
  const placed = isPlaced === undefined ? {} : { isPlaced };
  return { id, kind: 'to', parents, options: { target, guarantee }, sink, ...placed };
}

/** Keeps a count of each partition, until the batch is told. */
class DroppingSink implements Sink<unknown> {
  readonly target = 'nothing: records are counted and dropped';
  readonly guarantee = 'at-least-once';

  prepare(): Promise<'needed'> {
    return Promise.resolve('needed');
  }

  openPartition(): Promise<PartitionWriter<unknown>> {
    let recordCount = 0;
    return Promise.resolve({
      write: () => {
        recordCount += 1;
      },
      close: () => Promise.resolve(recordCount),
      abort: () => Promise.resolve(),
    });
  }

  commit(_batch: SinkBatch, tokens: readonly unknown[]): Promise<void> {
    const recordCount = tokens.reduce<number>((sum, count) => sum + Number(count), 0);
    channel(DROPPED_CHANNEL).publish({ recordCount } satisfies Dropped);
    return Promise.resolve();
  }
}
