/** @module */
import { describe, expect, it } from 'vitest';
import { graphOf } from '../../test/support/inline-driver.ts';
import { resolveOptions } from '../core/options.ts';
import type { PipelineOptions } from '../core/options-types.ts';
import type { PipelineContext } from '../dstream/pipeline-context.ts';
import { requireFit } from './graph-fit.ts';

function fit(build: (ssc: PipelineContext) => void, options: Partial<PipelineOptions>): void {
  const module = { name: 'p', batchInterval: 1_000, ...options };
  requireFit(graphOf(build), resolveOptions({ module }));
}

describe('a graph and its options', () => {
  const receivers =
    (count: number) =>
    (ssc: PipelineContext): void =>
      ssc.generatorStream({ receivers: count }).print();

  it('fit when the memory has two extents for each receiver', () => {
    expect(() => fit(receivers(24), { memory: '16MiB' })).not.toThrow();
    expect(() => fit(receivers(25), { memory: '16MiB' })).toThrow(
      /memory of .* is too little for 25 receivers/,
    );
  });

  it('do not when batches run at the same time and one needs the other', () => {
    expect(() =>
      fit(
        (ssc) =>
          ssc
            .queueStream([[1]])
            .window('2s')
            .print(),
        { concurrentBatches: 2 },
      ),
    ).toThrow(/concurrentBatches is 2 and must be 1 in a pipeline with windows/);
  });
});
