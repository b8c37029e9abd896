/** The disk takes no more, in the middle of a run: nothing is acknowledged that is not kept, the
 * process ends with exit code 74, and after the repair everything acknowledged is there.
 *
 * The failure is real for the engine: the kernel refuses every write behind the first 8 KiB of a file
 * (RLIMIT_FSIZE, set from outside with prlimit). Needs a built dist/.
 * @module */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readLines } from '../support/batch-output.ts';
import { CommandPlace } from '../support/command.ts';

/** No batch comes between: what fails is the log that the clients wait for, and they are told. */
const LONG_BATCHES = ['--batch-interval', '60m'];

const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;

let place: CommandPlace;
beforeEach(() => {
  place = new CommandPlace();
});
afterEach(() => place.close());

async function post(address: string, body: string): Promise<number> {
  try {
    const answer = await fetch(address, { method: 'POST', body });
    await answer.text();
    return answer.status;
  } catch {
    return 0; // nobody there: not acknowledged
  }
}

it.skipIf(!hasPrlimit)('answers 503, ends with 74, and has lost nothing', async () => {
  place.pipeline(
    'failing',
    `const lines = ssc.httpTextStream({ port: 0 });
    lines.saveAsTextFiles('out/lines');`,
  );
  const first = place.start('run', 'failing.ts', ...LONG_BATCHES);
  const { address } = (await first.line('receiver-started')) as { readonly address: string };
  const acknowledged: string[] = [];
  const statuses: number[] = [];
  const send = async (record: string): Promise<void> => {
    const status = await post(address, record);
    statuses.push(status);
    if (status === 200) acknowledged.push(record);
  };
  for (let n = 0; n < 5; n += 1) await send(`before ${n}`);
  expect(acknowledged).toHaveLength(5);
  spawnSync('prlimit', ['--pid', String(first.child.pid), '--fsize=8192']);
  await Promise.all(Array.from({ length: 8 }, (_, n) => send(`after ${n}`)));
  const { code, err } = await first.ended;
  expect({ code, statuses }).toMatchObject({ code: 74 });
  expect(acknowledged, 'acknowledged by a log that fails').toHaveLength(5);
  expect(statuses.slice(5)).toContain(503);
  const [failure] = first.lines('failure');
  expect(failure, err).toMatchObject({ code: 'WAL_POISONED', exitCode: 74 });
  expect(failure?.['msg']).toContain(join(place.directory, '.millrace', 'failing'));

  const second = place.start('run', 'failing.ts', ...LONG_BATCHES);
  const again = (await second.line('receiver-started')) as { readonly address: string };
  expect(await post(again.address, 'repaired')).toBe(200);
  second.child.kill('SIGTERM');
  expect((await second.ended).code).toBe(0);
  const lines = readLines(join(place.directory, 'out', 'lines'));
  expect(lines.toSorted()).toEqual([...acknowledged, 'repaired'].toSorted());
});
