/** Recovery, examination and all that they rest on, over a simulated disk: what a directory holds
 * after a crash, and what comes of it. @module */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LINES, queued, shareOf, sourceId, viewOf } from '../../test/support/block-samples.ts';
import { HOME, HomeHistory, RECEIVER_LOG } from '../../test/support/home-history.ts';
import type { HomeRun } from '../../test/support/home-history.ts';
import type { CrashModel } from '../../test/support/memory-disk.ts';
import { seededRandom } from '../core/random.ts';
import type { BatchTimeMs, Lsn } from '../core/ids.ts';
import { scanLog } from '../wal/log-scan.ts';
import { lowestNeededLsns } from './cleaning.ts';
import type { TrackerState } from './tracker-state.ts';

const MODELS: CrashModel[] = ['journal', 'posix', 'keep-all', 'drop-all'];
const SEGMENT_HEADER_BYTES = 4096;

function stateOf(run: HomeRun): TrackerState {
  return run.tracker.state;
}

const corrupt = (message: string) =>
  expect.objectContaining({
    code: 'WAL_CORRUPT',
    message: expect.stringContaining(message) as string,
  }) as Error;

/** The only segment of a log of a history that has run once. */
async function segmentOf(history: HomeHistory, log: string): Promise<string> {
  const names = (await history.disk.list(join(HOME, log))) ?? [];
  const [name] = names.filter((each) => each.endsWith('.wal'));
  if (name === undefined) throw new Error(`no segment among ${names.join(', ')}`);
  return join(HOME, log, name);
}

describe('a fresh directory', () => {
  it('has nothing to recover, and is durable before anything is received', async () => {
    const history = new HomeHistory();
    const run = await history.start();
    const { examination, recovered, epoch } = run.home;
    expect(examination.checkpoint).toBeUndefined();
    expect(epoch).toBe(1);
    expect(recovered).toMatchObject({ appliedLsn: 0, adoptedCount: 0, droppedCount: 0 });
    expect(recovered.nextLsn.size).toBe(0);
    history.powerCut('drop-all');
    const again = await history.start();
    expect(again.home.epoch).toBe(2);
    expect(again.home.examination.checkpoint).toMatchObject({ receiversEpoch: 1 });
  });

  it.each(MODELS)(
    'whose first start was cut off at any call is fresh again (%s)',
    async (model) => {
      for (let call = 1; call < 60; call += 1) {
        const history = new HomeHistory();
        history.disk.failCall('any', call, 'crash');
        await Promise.race([history.start(), history.disk.untilCrash()]);
        history.disk.crash(seededRandom(call), model);
        const run = await history.start();
        expect(queued(stateOf(run))).toEqual([]);
      }
    },
  );

  it('whose first start ended before its checkpoint, in order, is fresh again', async () => {
    const history = new HomeHistory();
    const { recovered } = await history.recover();
    await recovered.driverLog.close();
    history.kill();
    expect(queued(stateOf(await history.start()))).toEqual([]);
  });
});

describe('registered blocks', () => {
  it.each(MODELS)('come back from a power cut, in order and byte for byte (%s)', async (model) => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const history = new HomeHistory();
      const run = await history.start();
      const position = (follows: number | null, last: number) => ({
        positions: [{ partition: '', follows, last }],
        sourceIds: [sourceId(`k${last}`)],
        isBuffered: false,
      });
      const before = [
        await run.register(position(null, 5)),
        await run.register(),
        await run.register(position(5, 9)),
      ];
      history.powerCut(model, seed);
      const again = await history.start();
      expect(again.tracker.state.queues.get(LINES)).toEqual(before);
      for (const block of before) expect(await again.isReadable(block)).toBe(true);
      expect(again.tracker.positionsOf(LINES)).toEqual({ '': 9 });
      expect(again.tracker.knownSourceId(LINES, 'k5')).toBeDefined();
      expect(again.home.recovered.droppedCount).toBe(0);
      const next = await again.register();
      expect(next.position?.lsn).toBeGreaterThan(before[2]?.position?.lsn ?? Infinity);
    }
  });

  it('come back from run after run', async () => {
    const history = new HomeHistory();
    for (let runs = 1; runs <= 4; runs += 1) {
      const run = await history.start();
      expect(queued(stateOf(run))).toHaveLength(2 * (runs - 1));
      for (const block of stateOf(run).queues.get(LINES) ?? []) {
        expect(await run.isReadable(block)).toBe(true);
      }
      await run.register();
      await run.register();
      if (runs % 2 === 0) await run.checkpoint();
      history.powerCut('journal', runs);
    }
  });

  it('come back from an orderly end too', async () => {
    const history = new HomeHistory();
    const run = await history.start();
    const block = await run.register();
    await run.close();
    history.kill();
    expect(stateOf(await history.start()).queues.get(LINES)).toEqual([block]);
  });
});

describe('an allocated batch', () => {
  it('comes back with exactly its share; what came later is still queued', async () => {
    const history = new HomeHistory();
    const run = await history.start();
    const [first, second] = [await run.register(), await run.register()];
    const share = shareOf(1_000, [first]);
    await run.tracker.allocate(share);
    history.powerCut('drop-all');
    const again = await history.start();
    expect(stateOf(again).batches.get(1_000 as BatchTimeMs)?.share).toEqual(share);
    expect(stateOf(again).queues.get(LINES)).toEqual([second]);
    expect(stateOf(again).lastAllocatedMs).toBe(1_000);
  });

  it('that was cleaned does not come back', async () => {
    const history = new HomeHistory();
    const run = await history.start();
    await run.tracker.allocate(shareOf(1_000, [await run.register()]));
    await run.tracker.clean(1_000 as BatchTimeMs);
    history.powerCut('drop-all');
    const again = await history.start();
    expect(stateOf(again).batches.size).toBe(0);
    expect(queued(stateOf(again))).toEqual([]);
  });

  it('keeps the outputs that the checkpoint says are finished', async () => {
    const history = new HomeHistory();
    const run = await history.start();
    await run.tracker.allocate(shareOf(1_000, []));
    stateOf(run)
      .batches.get(1_000 as BatchTimeMs)
      ?.finishedOutputs.add('print-0');
    await run.checkpoint();
    history.powerCut('drop-all');
    const [batch] = stateOf(await history.start()).batches.values();
    expect(batch?.finishedOutputs).toEqual(new Set(['print-0']));
    expect(batch?.isDone).toBe(false);
  });
});

describe('a durable block that was not registered', () => {
  it('is adopted when its source will not send it again', async () => {
    const history = new HomeHistory();
    const run = await history.start();
    const registered = await run.register();
    const [orphan, other] = [await run.receive(), await run.receive()];
    history.powerCut('drop-all');
    const again = await history.start();
    expect(again.home.recovered).toMatchObject({ adoptedCount: 2, droppedCount: 0 });
    expect(queued(stateOf(again))).toEqual(['lines/0/1.1/0', 'lines/0/1.1/1', 'lines/0/1.1/2']);
    for (const block of stateOf(again).queues.get(LINES) ?? []) {
      expect(await again.isReadable(block)).toBe(true);
    }
    for (const block of [registered, orphan, other]) expect(block.isBuffered).toBe(true);
  });

  it('is dropped when its source sends it again, and that can happen', async () => {
    const history = new HomeHistory();
    const run = await history.start();
    const wish = {
      positions: [{ partition: '', follows: null, last: 5 }],
      sourceIds: [sourceId('k')],
      isBuffered: false,
    };
    await run.receive(wish);
    history.powerCut('drop-all');
    const again = await history.start();
    expect(again.home.recovered).toMatchObject({ adoptedCount: 0, droppedCount: 1 });
    expect(again.tracker.positionsOf(LINES)).toEqual({});
    await again.register(wish);
    history.powerCut('drop-all');
    const last = await history.start();
    expect(queued(stateOf(last))).toEqual(['lines/0/2.1/0']);
    expect(last.home.recovered.droppedCount).toBe(0);
  });

  it('is adopted once: after the next crash it is an ordinary block', async () => {
    const history = new HomeHistory();
    const run = await history.start();
    await run.receive();
    history.powerCut('keep-all');
    await history.recover();
    history.powerCut('drop-all'); // before the checkpoint of the second run
    const again = await history.start();
    expect(queued(stateOf(again))).toEqual(['lines/0/1.1/0']);
    expect(again.home.recovered.adoptedCount).toBe(0);
    const [block] = stateOf(again).queues.get(LINES) ?? [];
    expect(block !== undefined && (await again.isReadable(block))).toBe(true);
  });

  it('is left when the driver knows better, and never asked about again', async () => {
    const history = new HomeHistory();
    const run = await history.start();
    await run.register({ sourceIds: [sourceId('k')] });
    await run.receive({ sourceIds: [sourceId('k')] });
    history.kill();
    const again = await history.start();
    expect(queued(stateOf(again))).toHaveLength(1);
    const isWarning = (message: string): boolean => message.includes('key k came before');
    const warnings = (): number =>
      history.events.filter((event) => event.type === 'warning' && isWarning(event.message)).length;
    expect(warnings()).toBe(1);
    history.kill();
    const last = await history.start();
    expect(last.home.recovered).toMatchObject({ adoptedCount: 0, droppedCount: 1 });
    expect(queued(stateOf(last))).toHaveLength(1);
    expect(warnings()).toBe(1);
  });

  it('is read where it was written again, so that its old place can be given up', async () => {
    const history = new HomeHistory();
    const run = await history.start();
    const registered = await run.register();
    await run.receive();
    history.kill();
    const again = await history.start();
    await again.tracker.allocate(shareOf(1_000, [registered]));
    await again.tracker.clean(1_000 as BatchTimeMs);
    const lowest = lowestNeededLsns(stateOf(again)).get(RECEIVER_LOG) as Lsn;
    expect(await again.log.truncateBefore(lowest)).toBe(1);
    const [adopted] = stateOf(again).queues.get(LINES) ?? [];
    expect(adopted?.blockId.seq).toBe(1);
    expect(adopted !== undefined && (await again.isReadable(adopted))).toBe(true);
  });

  it('leaves the blocks before it where the driver log says they are (flush)', async () => {
    const history = new HomeHistory('flush');
    const run = await history.start();
    await run.register();
    await run.receive();
    history.kill();
    const again = await history.start();
    expect(queued(stateOf(again))).toHaveLength(2);
    const lowest = lowestNeededLsns(stateOf(again)).get(RECEIVER_LOG) as Lsn;
    await again.log.truncateBefore(lowest);
    for (const block of stateOf(again).queues.get(LINES) ?? []) {
      expect(await again.isReadable(block)).toBe(true);
    }
  });
});

it('at the flush level the death of the process loses nothing', async () => {
  const history = new HomeHistory('flush');
  const first = await history.start();
  const blocks = [await first.register(), await first.register(), await first.receive()];
  history.kill();
  const second = await history.start();
  blocks.push(await second.register(), await second.receive());
  history.kill();
  const third = await history.start();
  const known = stateOf(third).queues.get(LINES) ?? [];
  expect(known.map(({ blockId }) => blockId)).toEqual(blocks.map(({ blockId }) => blockId));
  for (const block of known) expect(await third.isReadable(block)).toBe(true);
});

describe('events that nobody witnessed', () => {
  it('are durable before anything acts on them', async () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const history = new HomeHistory();
      const run = await history.start();
      await run.tracker.allocate(shareOf(1_000, [await run.register()]));
      // Its source would not send it again, and the mirror does not witness it.
      const last = await run.register({ isBuffered: false, sourceIds: [sourceId('k')] });
      history.kill(); // the page cache shows all of it
      await history.recover();
      history.powerCut('drop-all', seed);
      const again = stateOf(await history.start());
      expect([...again.batches.keys()]).toEqual([1_000]);
      expect(again.queues.get(LINES)?.map(({ blockId }) => blockId)).toEqual([last.blockId]);
    }
  });
});

describe('damage', () => {
  /** A run with registered blocks whose events are witnessed, killed. */
  async function witnessedRun(): Promise<HomeHistory> {
    const history = new HomeHistory();
    const run = await history.start();
    for (let block = 0; block < 3; block += 1) await run.register();
    await run.idle();
    history.kill();
    return history;
  }

  it('of a registered block refuses the start, and nothing is changed', async () => {
    const history = await witnessedRun();
    const path = await segmentOf(history, RECEIVER_LOG);
    history.damage(path, SEGMENT_HEADER_BYTES + 50);
    const before = await history.files();
    await expect(history.recover()).rejects.toThrow(corrupt('acknowledged data is damaged'));
    await expect(history.recover()).rejects.toThrow(corrupt(path));
    expect(await history.files()).toEqual(before);
  });

  it('of a witnessed event refuses the start, and nothing is changed', async () => {
    const history = await witnessedRun();
    const path = await segmentOf(history, 'driver-log');
    history.damage(path, SEGMENT_HEADER_BYTES + 50);
    const before = await history.files();
    await expect(history.recover()).rejects.toThrow(corrupt(path));
    expect(await history.files()).toEqual(before);
  });

  it('is a driver log that ends before what a receiver log has witnessed', async () => {
    const history = await witnessedRun();
    const path = await segmentOf(history, 'driver-log');
    const bytes = history.disk.contentOf(path).slice();
    bytes.fill(0, SEGMENT_HEADER_BYTES); // as if nothing had ever been written
    history.disk.overwrite(path, bytes);
    await expect(history.recover()).rejects.toThrow(corrupt(path));
  });

  it('of two logs is told at once', async () => {
    const history = await witnessedRun();
    for (const log of [RECEIVER_LOG, 'driver-log']) {
      history.damage(await segmentOf(history, log), SEGMENT_HEADER_BYTES + 50);
    }
    await expect(history.recover()).rejects.toThrow(corrupt('driver-log'));
    await expect(history.recover()).rejects.toThrow(corrupt(RECEIVER_LOG));
  });

  it.each([RECEIVER_LOG, 'driver-log'])('is a %s that is gone', async (log) => {
    const history = await witnessedRun();
    const run = await history.start();
    await run.checkpoint();
    history.kill();
    await history.disk.removeTree(join(HOME, log));
    await expect(history.recover()).rejects.toThrow(corrupt(log));
  });

  it('is not what a crash tore: that is kept aside, and the rest goes on', async () => {
    const history = new HomeHistory();
    const run = await history.start();
    const registered = await run.register();
    const torn = await run.receive({ isBuffered: false });
    history.kill();
    history.damage(await segmentOf(history, RECEIVER_LOG), (torn.position?.offsetBytes ?? 0) + 60);
    const again = await history.start();
    expect(stateOf(again).queues.get(LINES)).toEqual([registered]);
    expect(again.home.recovered.tornTails).toHaveLength(1);
    expect(await history.disk.list(join(HOME, RECEIVER_LOG))).toContainEqual(
      expect.stringContaining('.torn'),
    );
    await again.register();
    history.kill();
    expect((await history.start()).home.recovered.tornTails).toEqual([]);
  });
});

describe('the mirror of the driver log', () => {
  /** A run whose last event is an allocation, of one block. Nothing came after it. */
  async function allocatedRun(): Promise<HomeHistory> {
    const history = new HomeHistory();
    const run = await history.start();
    await run.tracker.allocate(shareOf(1_000, [await run.register()]));
    return history;
  }

  /** Place of the last record of a log. */
  async function lastRecord(history: HomeHistory, log: string): Promise<[string, number]> {
    let last: [string, number] = ['', 0];
    await scanLog(history.disk, join(HOME, log), ({ path, offsetBytes }) => {
      last = [path, offsetBytes];
    });
    return last;
  }

  it.each(MODELS)(
    'tells a rotten allocation from a torn one, also after a %s cut',
    async (model) => {
      for (const inRecord of [2, 10, 40]) {
        const history = await allocatedRun();
        history.powerCut(model);
        const [path, at] = await lastRecord(history, 'driver-log');
        history.damage(path, at + inRecord);
        const before = await history.files();
        await expect(history.recover()).rejects.toThrow(corrupt(path));
        expect(await history.files()).toEqual(before);
      }
    },
  );

  it.each(MODELS)('never takes an allocation that was cut off for damage (%s)', async (model) => {
    let cutOff = 0;
    for (let call = 1; call < 12; call += 1) {
      const history = new HomeHistory();
      const run = await history.start();
      const block = await run.register();
      history.disk.failCall('any', call, 'crash');
      const died = history.disk.untilCrash().then(() => 'died');
      const allocated = run.tracker.allocate(shareOf(1_000, [block])).then(() => 'allocated');
      const end = await Promise.race([allocated, died]);
      if (end === 'died') cutOff += 1;
      history.powerCut(model, call);
      const state = stateOf(await history.start());
      if (end === 'allocated') expect([...state.batches.keys()]).toEqual([1_000]);
      expect(queued(state).length + state.batches.size).toBe(1);
    }
    expect(cutOff).toBeGreaterThan(2);
  });

  it('is made again when it is damaged, and the start says so', async () => {
    const history = await allocatedRun();
    history.kill();
    const path = await segmentOf(history, 'driver-log-mirror');
    history.damage(path, 20);
    const run = await history.start();
    expect([...stateOf(run).batches.keys()]).toEqual([1_000]);
    const told = expect.stringContaining(path) as string;
    expect(history.events).toContainEqual({ type: 'warning', message: told });
    await run.tracker.allocate(shareOf(2_000, []));
    history.kill();
    const [log, at] = await lastRecord(history, 'driver-log');
    history.damage(log, at + 40);
    await expect(history.recover()).rejects.toThrow(corrupt(log));
  });

  it('that is damaged beside a torn driver log refuses the start', async () => {
    const history = await allocatedRun();
    history.kill();
    const mirror = await segmentOf(history, 'driver-log-mirror');
    history.damage(mirror, 20);
    const [path, at] = await lastRecord(history, 'driver-log');
    history.damage(path, at + 40);
    await expect(history.recover()).rejects.toThrow(corrupt(mirror));
    await expect(history.recover()).rejects.toThrow(corrupt(path));
  });

  it('is no condition: a directory without one has a new one after the start', async () => {
    const history = await allocatedRun();
    history.kill();
    await history.disk.removeTree(join(HOME, 'driver-log-mirror'));
    const run = await history.start();
    expect([...stateOf(run).batches.keys()]).toEqual([1_000]);
    expect(await segmentOf(history, 'driver-log-mirror')).toContain('.wal');
  });

  it('is not needed for a cleaning: one that rots is done again', async () => {
    const history = await allocatedRun();
    const run = await history.start();
    const batch = stateOf(run).batches.get(1_000 as BatchTimeMs);
    if (batch !== undefined) batch.isDone = true;
    await run.checkpoint();
    await run.checkpoint();
    await run.tracker.clean(1_000 as BatchTimeMs);
    history.kill();
    const [path, at] = await lastRecord(history, 'driver-log');
    history.damage(path, at + 34);
    const state = stateOf(await history.start());
    expect([...state.batches.values()].map(({ isDone }) => isDone)).toEqual([true]);
    expect(queued(state)).toEqual([]);
  });
});

describe('checkpoints', () => {
  it('that are all gone refuse the start', async () => {
    const history = new HomeHistory();
    const run = await history.start();
    await run.register();
    history.kill();
    await history.disk.removeTree(join(HOME, 'checkpoints'));
    await expect(history.recover()).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
  });

  it('of which the newest is damaged: the older one and the log give the same', async () => {
    const history = new HomeHistory();
    const run = await history.start();
    await run.register();
    await run.checkpoint();
    await run.tracker.allocate(shareOf(1_000, stateOf(run).queues.get(LINES) ?? []));
    await run.register();
    await run.checkpoint();
    const before = structuredClone(viewOf(stateOf(run)));
    history.kill();
    const names = (await history.disk.list(join(HOME, 'checkpoints'))) ?? [];
    history.damage(join(HOME, 'checkpoints', names.at(-1) ?? ''), 60);
    const again = await history.start();
    expect(viewOf(stateOf(again))).toEqual(before);
    expect(history.events).toContainEqual(expect.objectContaining({ type: 'checkpoint-skipped' }));
  });

  it('older than what the driver log still has refuse the start', async () => {
    const history = new HomeHistory();
    const run = await history.start();
    const old = await history.files();
    const newest = [...old.keys()].filter((path) => path.endsWith('.ckpt')).at(-1) ?? '';
    await run.register();
    await run.checkpoint();
    await run.close();
    history.kill();
    const again = await history.start();
    // Everything up to here is in the kept checkpoints, so the log may forget it.
    await again.checkpoint();
    await again.home.recovered.driverLog.truncateBefore((again.tracker.appliedLsn + 1) as Lsn);
    history.kill();
    // A hand puts back a checkpoint of long ago, and takes the others away.
    for (const path of (await history.files()).keys()) {
      if (path.endsWith('.ckpt')) await history.disk.unlink(path);
    }
    const file = await history.disk.create(newest, 'buffered');
    await file.write([Buffer.from(old.get(newest) ?? '', 'latin1')], 0);
    await expect(history.recover()).rejects.toMatchObject({ code: 'WAL_CORRUPT' });
  });
});

describe('a recovery that is interrupted', () => {
  /** Registered, allocated, finished, orphaned: something of everything. */
  async function eventfulRun(): Promise<HomeHistory> {
    const history = new HomeHistory();
    const run = await history.start();
    await run.tracker.allocate(shareOf(1_000, [await run.register()]));
    await run.checkpoint();
    await run.register({ isBuffered: false, sourceIds: [sourceId('k')] });
    await run.receive();
    await run.receive({ isBuffered: false, sourceIds: [sourceId('j')] });
    await run.receive();
    history.kill();
    return history;
  }

  /** What must not depend on how often a recovery was tried: all but places in files. */
  function outcome(state: TrackerState): unknown {
    return {
      queued: queued(state),
      batches: [...state.batches].map(([time, { share }]) => [time, share.inputs.length]),
      positions: state.positions,
      keys: ['k', 'j'].map((key) => state.sourceIds.get(LINES)?.get(key)),
      receivers: state.receivers,
    };
  }

  it.each(['journal', 'posix', 'drop-all'] as const)(
    'anywhere, and run again, gives the same (%s)',
    async (model) => {
      const whole = await eventfulRun();
      const expected = outcome(stateOf(await whole.start()));
      let interrupted = 0;
      for (let call = 1; call < 200; call += 1) {
        const history = await eventfulRun();
        history.disk.failCall('any', call, 'crash');
        const died = history.disk.untilCrash().then(() => 'died' as const);
        const first = await Promise.race([history.start(), died]);
        if (first !== 'died') break;
        interrupted += 1;
        history.disk.crash(seededRandom(call), model);
        const run = await history.start();
        expect(outcome(stateOf(run))).toEqual(expected);
        for (const block of stateOf(run).queues.get(LINES) ?? []) {
          expect(await run.isReadable(block)).toBe(true);
        }
      }
      expect(interrupted).toBeGreaterThan(30);
    },
  );
});
