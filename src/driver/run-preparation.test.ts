/** @module */
import { expect, it } from 'vitest';
import { StreamingContext } from './stream-context.ts';

const open = StreamingContext.getOrCreate.bind(StreamingContext) as (
  ...given: unknown[]
) => Promise<unknown>;

it.each([
  ['a function, as Spark takes it', () => undefined],
  ['a definition', { name: 'a' }],
  ['nothing', undefined],
  ['no path', ''],
])('a context refuses %s for a module', async (_what, module) => {
  await expect(open(false, module)).rejects.toMatchObject({
    code: 'OPTIONS_INVALID',
    message: expect.stringMatching(/^getOrCreate\(\): its second argument must be the file/),
  });
});

it('a context refuses wrong options of its run, all at once', async () => {
  const options = { batches: '3', printLine: 1, onEvent: {}, dropState: 'sums' };
  await expect(open(false, 'none.ts', options)).rejects.toMatchObject({
    code: 'OPTIONS_INVALID',
    message: expect.stringMatching(
      /batches must be an integer from 1.*printLine must be.*onEvent must be.*dropState must be/,
    ),
  });
  await expect(open(false, 'none.ts', { batches: 0 })).rejects.toThrow(/batches must be/);
});
