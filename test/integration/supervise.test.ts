/** `millrace run --supervise`: real processes, killed and stopped. Needs a built dist/.
 * @module */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CommandPlace } from '../support/command.ts';
import type { CommandProcess } from '../support/command.ts';

const ENDLESS = 'ssc.generatorStream({ recordsPerSecond: 200 }).count().print();';

let place: CommandPlace;

beforeEach(() => {
  place = new CommandPlace();
});

afterEach(() => place.close());

/** Process id of the engine's `count`th life. */
async function enginePid(command: CommandProcess, count: number): Promise<number> {
  const { pid } = await command.line('engine-started', count);
  expect(pid).not.toBe(command.child.pid);
  return Number(pid);
}

it('starts a killed engine again, and stops it when it is told to', async () => {
  place.pipeline('endless', ENDLESS);
  const command = place.start('run', 'endless.ts', '--supervise');
  const first = await enginePid(command, 1);
  process.kill(first, 'SIGKILL');
  const second = await enginePid(command, 2);
  expect(second).not.toBe(first);
  expect(await command.line('engine-started', 2)).toMatchObject({ epoch: 2 });
  expect(command.lines('notice')).toMatchObject([
    { msg: 'the engine was killed by signal 9; it starts again in 500 ms' },
  ]);
  command.child.kill('SIGTERM');
  const { code, err } = await command.ended;
  expect(code).toBe(0);
  expect(err).toContain('SIGTERM received: stopping gracefully');
});

it('gives up on an engine that never completes a batch, with its exit code', async () => {
  place.pipeline(
    'hopeless',
    `ssc.generatorStream({ recordsPerSecond: 200 }).foreachBatch(async () => {
    throw new Error('no database');
  });`,
  );
  const command = place.start('run', 'hopeless.ts', '--supervise');
  const { code } = await command.ended;
  expect(code).toBe(1);
  expect(command.lines('failure')).toHaveLength(5);
  expect(command.lines('notice').at(-1)).toMatchObject({
    level: 'error',
    msg: 'the engine ended with exit code 1; 5 starts in a row completed no batch',
  });
});

it('does not try again what cannot get better', async () => {
  place.pipeline('idle', '');
  const { code, err } = await place.run('run', 'idle.ts', '--supervise');
  expect(code).toBe(64);
  expect(err).toContain('wrong use stays wrong');
});

it('kills the engine at the second signal', async () => {
  place.pipeline(
    'stuck',
    `ssc.generatorStream({ recordsPerSecond: 200 }).foreachBatch(async () => {
    await new Promise(() => {}); // never
  });`,
  );
  const command = place.start('run', 'stuck.ts', '--supervise', '--log-level', 'debug');
  await command.line('batch-submitted');
  command.child.kill('SIGINT');
  await command.line('notice');
  command.child.kill('SIGINT');
  expect((await command.ended).code).toBe(137);
});

it('leaves no engine behind when the supervisor is killed', async () => {
  place.pipeline('endless', ENDLESS);
  const command = place.start('run', 'endless.ts', '--supervise');
  await enginePid(command, 1);
  command.child.kill('SIGKILL');
  // Ended only when the engine, which has the same standard error, is gone too.
  const { signal, err } = await command.ended;
  expect(signal).toBe('SIGKILL');
  expect(err).toContain('the supervisor is gone: stopping gracefully');
});
