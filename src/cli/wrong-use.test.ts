/** @module */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readRunFlags } from './run-flags.ts';
import { wrongUse } from './wrong-use.ts';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

function moduleOf(name: string, text: string): string {
  const path = join(directory, `${name}.mjs`);
  writeFileSync(path, `import { definePipeline } from 'millrace';\n${text}`);
  return path;
}

it('tells problems of flags, of the module and of its graph at once', async () => {
  const pipeline = moduleOf(
    'wrong',
    "export default definePipeline({ name: 'wrong', memory: 1, executors: 0 }, () => {});\n",
  );
  const flags = readRunFlags({ executors: 'two', batches: '0' });
  const error = await wrongUse(flags, { pipeline, known: ['there is no flag --wat'] });
  expect(error).toMatchObject({ code: 'OPTIONS_INVALID', details: { problemCount: 5 } });
  for (const part of ['--wat', "--batches is '0'", "(--executors) is 'two'", 'memory is 1']) {
    expect(error.message).toContain(part);
  }
  expect(error.message).toContain('no output operation');
});

it('keeps the one error that there is', async () => {
  const pipeline = moduleOf('throws', "throw new Error('not today');\n");
  const error = await wrongUse(readRunFlags({}), { pipeline, known: [] });
  expect(error).toMatchObject({ code: 'PIPELINE_INVALID', cause: { message: 'not today' } });
});

it('checks flags also where no module is named', async () => {
  const error = await wrongUse(readRunFlags({ memory: '1' }), { known: ['PIPELINE is missing'] });
  expect(error.message).toMatch(/^2 things are wrong:\n {2}- PIPELINE is missing\n {2}- memory/);
});
