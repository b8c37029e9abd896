/** @module */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HOME, HomeHistory } from '../../test/support/home-history.ts';
import type { BatchTimeMs, Lsn } from '../core/ids.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { segmentName } from '../wal/segment-name.ts';
import { dropCommand } from './examination-damage.ts';
import { encodeEvent } from './tracker-events.ts';

it('the command that gives records up is fit for a shell, whatever the directory is called', () => {
  const ranges = [
    { log: 'receiver-log-0', firstLsn: 101 as Lsn, lastLsn: 101 as Lsn },
    { log: 'receiver-log-1', firstLsn: 7 as Lsn, lastLsn: 9 as Lsn },
  ];
  expect(dropCommand(ranges, '/data/run')).toBe(
    'millrace wal repair --drop-range receiver-log-0:101..101 --drop-range receiver-log-1:7..9 ' +
      '--accept-data-loss --output NEW /data/run',
  );
  expect(dropCommand([], "/it's here")).toContain(String.raw` '/it'\''s here'`);
});

describe('a damaged driver log', () => {
  /** A checkpoint between two events, and the place of either. */
  async function between(): Promise<{ history: HomeHistory; path: string; at: [number, number] }> {
    const history = new HomeHistory();
    const run = await history.start();
    const { driverLog } = run.home.recovered;
    const event = encodeEvent({ type: 'batch-cleaned', throughMs: 0 as BatchTimeMs }, msgpackCodec);
    const before = await driverLog.append(event);
    await run.register();
    await run.checkpoint();
    const after = await driverLog.append(event);
    await run.register();
    await run.idle();
    history.kill();
    const path = join(HOME, 'driver-log', segmentName(before.segmentSeq));
    return { history, path, at: [before.offsetBytes, after.offsetBytes] };
  }

  it.each([
    ['a record that a checkpoint has', 0, true],
    ['a record that only the log has', 1, false],
  ] as const)('offers to give up %s, or not', async (_, index, isOffered) => {
    const { history, path, at } = await between();
    history.damage(path, at[index] + 33);
    const refusal: unknown = await history.recover().catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'WAL_CORRUPT' });
    expect(String(refusal).includes('millrace wal repair --drop-range driver-log:')).toBe(
      isOffered,
    );
  });

  it('offers nothing for a file that is bad as a whole', async () => {
    const { history, path } = await between();
    history.damage(path, 70);
    const refusal: unknown = await history.recover().catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'WAL_CORRUPT' });
    expect(String(refusal)).not.toContain('--drop-range');
  });
});
