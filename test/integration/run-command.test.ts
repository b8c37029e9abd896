/** `millrace run` as a user calls it: what goes where, exit codes, signals. Needs a built dist/.
 * @module */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CommandPlace } from '../support/command.ts';

const ENDLESS = 'ssc.generatorStream({ recordsPerSecond: 200 }).print(1);';

let place: CommandPlace;

beforeEach(() => {
  place = new CommandPlace();
});

afterEach(() => place.close());

it('prints data on standard output, and JSON lines on standard error', async () => {
  place.pipeline('finite', 'ssc.generatorStream({ total: 30, recordBytes: 5 }).count().print();');
  const { code, out, err } = await place.run('run', 'finite.ts');
  expect(code).toBe(0);
  const counts = out.split('\n').filter((line) => /^\d+$/.test(line));
  expect(counts.reduce((sum, count) => sum + Number(count), 0)).toBe(30);
  const lines = err.trimEnd().split('\n');
  const events = lines.map((line) => (JSON.parse(line) as { event: string }).event);
  expect(events).toEqual(expect.arrayContaining(['engine-started', 'engine-stopping']));
});

it('stops after so many batches', async () => {
  place.pipeline('endless', ENDLESS);
  const { code, out } = await place.run('run', 'endless.ts', '--batches', '2');
  expect(code).toBe(0);
  expect(out.match(/^Time: /gm)?.length).toBeGreaterThanOrEqual(2);
});

it('stops gracefully at the first signal', async () => {
  place.pipeline('endless', ENDLESS);
  const command = place.start('run', 'endless.ts');
  await command.line('progress');
  command.child.kill('SIGTERM');
  const { code, err } = await command.ended;
  expect(code).toBe(0);
  expect(err).toContain('SIGTERM received: stopping gracefully');
});

it('ends at once at the second signal, and says what that means', async () => {
  place.pipeline(
    'slow',
    `ssc.generatorStream({ recordsPerSecond: 200 }).foreachBatch(async () => {
    await new Promise(() => {}); // never
  });`,
  );
  const command = place.start('run', 'slow.ts', '--log-level', 'debug');
  await command.line('batch-submitted');
  command.child.kill('SIGINT');
  await command.line('notice');
  command.child.kill('SIGINT');
  const { code, err } = await command.ended;
  expect(code).toBe(130);
  expect(err).toContain('stopped at once; nothing acknowledged is lost');
});

it('stops when nobody reads its output any more', async () => {
  place.pipeline('endless', ENDLESS);
  const command = place.start('run', 'endless.ts');
  await command.line('engine-started');
  command.child.stdout?.destroy();
  const { code, err } = await command.ended;
  expect(code).toBe(0);
  expect(err).toContain('standard output was closed');
});

it('refuses wrong use with exit code 64 and one message', async () => {
  place.pipeline('idle', '');
  const { code, out, err } = await place.run(
    'run',
    'idle.ts',
    '--wat',
    '--memory',
    '1',
    '--no-checkpoint',
    '--wal',
    'sync',
  );
  expect({ code, out }).toEqual({ code: 64, out: '' });
  expect(err).toMatch(/^millrace: 4 things are wrong:\n/);
  for (const part of ['--wat', '(--memory) is 1', '--no-checkpoint', 'no output operation']) {
    expect(err).toContain(part);
  }
});

it('refuses a second process on one directory with exit code 75', async () => {
  place.pipeline('endless', ENDLESS);
  await place.start('run', 'endless.ts').line('engine-started');
  const second = await place.run('run', 'endless.ts');
  expect(second.code).toBe(75);
});

it('names the line of the user’s file that threw, and ends with exit code 1', async () => {
  place.pipeline(
    'broken',
    `type Row = { readonly word: string };
  ssc.generatorStream({ recordsPerSecond: 200 }).map(() => (JSON.parse('{}') as Row).word.at(0))
    .print();`,
  );
  const command = place.start('run', 'broken.ts', '--max-task-failures', '2');
  const failure = await command.line('failure');
  expect(failure).toMatchObject({ level: 'fatal', code: 'TASK_FAILED', exitCode: 1 });
  expect(failure['msg']).toMatch(/because of TypeError.*\n.*broken\.ts:5:/);
  expect(command.lines('task-failed')).toHaveLength(2);
  expect((await command.ended).code).toBe(1);
});

it('says at every start without a checkpoint directory that nothing is kept', async () => {
  place.pipeline('finite', 'ssc.generatorStream({ total: 1 }).count().print();');
  const { code, err } = await place.run('run', 'finite.ts', '--no-checkpoint');
  expect(code).toBe(0);
  expect(err).toContain('records do not survive this process');
});

it('prints the version of the package', async () => {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  expect(await place.run('--version')).toMatchObject({ code: 0, out: `${version}\n`, err: '' });
});
