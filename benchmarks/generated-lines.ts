/** The lines of the pipelines that are measured: of one receiver, or of several on threads of their
 * own. Part of each pipeline's bundle. @module */
import type { DStream, PipelineContext } from 'millrace';
import { RECORD_BYTES } from './generator-work.ts';

/** Set by the benchmark that starts the pipeline: how many inputs there are, each with the very
 * same lines from the first on, so that what comes out of them is known. Absent: one. */
export const RECEIVERS_VARIABLE = 'BENCH_RECEIVERS';

export function generatedLines(ssc: PipelineContext): DStream<string> {
  const count = Number(process.env[RECEIVERS_VARIABLE] ?? 1);
  const inputs = Array.from({ length: count }, (_, index) =>
    ssc.generatorStream({ recordBytes: RECORD_BYTES, id: `lines-${index}` }),
  );
  return inputs.reduce((all, input) => all.union(input));
}
