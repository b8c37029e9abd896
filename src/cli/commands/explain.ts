/** `millrace explain`: the graph of a pipeline with the guarantee of each edge. Runs nothing of it.
 * @module */
import { requireFit } from '../../driver/graph-fit.ts';
import { outputGuarantee } from '../../sinks/sink-factory.ts';
import { sourceGuarantee } from '../../sources/receiver-factory.ts';
import { loadForTool } from '../check/loaded-pipeline.ts';
import type { PipelineCall } from '../check/loaded-pipeline.ts';
import { explainGraph } from '../explain/explanation.ts';
import { explanationLines, mermaidLines } from '../explain/explanation-text.ts';
import type { CliIo } from '../io.ts';

export interface ExplainCall extends PipelineCall {
  readonly form: 'text' | 'mermaid' | 'json';
}

/** @returns 0. @throws {MillraceError} of class usage. */
export async function explain(io: CliIo, call: ExplainCall): Promise<number> {
  const { graph, options } = await loadForTool(call);
  requireFit(graph, options);
  const sources = await Promise.all(
    graph.inputs.map(async (node) => [node.id, await sourceGuarantee(node)] as const),
  );
  const explanation = explainGraph({
    graph,
    options,
    sources: new Map(sources),
    outputs: new Map(graph.outputs.map((node) => [node.id, outputGuarantee(node)])),
  });
  const { name, durability, checkpointDir } = options;
  switch (call.form) {
    case 'json': {
      const place = { format: 'millrace-explain', version: 1, pipeline: name };
      io.out(`${JSON.stringify({ ...place, durability, checkpointDir, ...explanation })}\n`);
      return 0;
    }
    case 'mermaid':
      io.out(`${mermaidLines(explanation).join('\n')}\n`);
      return 0;
    case 'text': {
      const place = checkpointDir === false ? 'no checkpoint directory' : checkpointDir;
      const lines = [`${name}: log ${durability}, ${place}`, '', ...explanationLines(explanation)];
      io.out(`${lines.join('\n')}\n`);
      return 0;
    }
    default:
      return call.form satisfies never;
  }
}
