/** The examples of docs/operators.md run as they stand there and give what their comments say.
 * There is one for each operator.
 * @module */
import { compileFunction } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { Document } from '../../../test/support/documents.ts';
import type { FencedBlock } from '../../../test/support/documents.ts';
import { DStream, StatefulDStream } from '../../dstream/dstream.ts';
import { definePipeline } from '../../dstream/pipeline.ts';
import { expectBatches } from './expect-batches.ts';
import { runPipeline } from './run-pipeline.ts';
import { testStream, testStream2 } from './test-stream.ts';

const SCOPE = { definePipeline, runPipeline, testStream, testStream2 };
/** Not for authors of pipelines. */
const INTERNAL = new Set(['constructor', 'unionAll', 'transformAll']);

const page = new Document('docs/operators.md');
const examples = page.blocks.filter(({ language }) => language === 'js');

/** Runs a block, which ends with an expression and a comment that says its value.
 * @returns both values. */
async function run({ place, text }: FencedBlock): Promise<readonly [unknown, unknown]> {
  const [, code = '', comments] = /^([\s\S]*;\n)((?:\/\/ .*\n)+)$/.exec(text) ?? [];
  if (comments === undefined) throw new Error(`${place} has no comment that says its value`);
  // The last statement begins at the last line that begins at the margin.
  const at = [...code.matchAll(/^[^\s)}]/gm)].at(-1)?.index ?? 0;
  const body = `return (async () => { ${code.slice(0, at)} return ${code.slice(at)} })();`;
  const value = `return (${comments.replaceAll(/^\/\/ /gm, '')});`;
  const actual: unknown = compileFunction(body, Object.keys(SCOPE))(...Object.values(SCOPE));
  const expected: unknown = compileFunction(value)();
  return [await actual, expected];
}

describe('docs/operators.md', () => {
  it.each(examples.map((block) => [block.place, block] as const))('%s', async (_, block) => {
    const [actual, expected] = await run(block);
    expectBatches(actual as unknown[][], expected as unknown[][]);
  });

  it('has an example for each operator that calls it, and no section of another', () => {
    const operators = [DStream, StatefulDStream]
      .flatMap(({ prototype }) => Object.getOwnPropertyNames(prototype))
      .filter((name) => !INTERNAL.has(name));
    const sections = new Set(page.anchors);
    expect(operators.filter((name) => !sections.has(name.toLowerCase()))).toEqual([]);
    const untold = operators.filter((name) => !examples.some(({ text }) => calls(text, name)));
    expect(untold).toEqual([]);
    const kinds = ['per-record', 'per-stream', 'pairs', 'windows', 'state', 'outputs'];
    const groups = ['operators', ...kinds];
    const known = new Set([...groups, ...operators.map((name) => name.toLowerCase())]);
    expect(page.anchors.filter((anchor) => !known.has(anchor))).toEqual([]);
  });
});

function calls(text: string, operator: string): boolean {
  return new RegExp(`\\.${operator}\\(`).test(text);
}
