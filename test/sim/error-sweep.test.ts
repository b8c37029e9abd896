/** Every disk call of a workload fails in turn, once and for good, in every way a disk has.
 *
 * After each failure: the error says so with the right exit class, nothing is acknowledged after a
 * failed sync, and a new process on the disk of then, whose cache may show what the device never
 * got, finds all that was acknowledged; so does another one after a power cut. @module */
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/core/random.ts';
import type { FaultOrder } from '../../src/testing/fault-plan.ts';
import { toError } from '../../src/core/errors.ts';
import { SimDisk } from '../../src/testing/sim-disk.ts';
import { checkExitClass, sweepErrors } from '../support/error-sweep.ts';
import { HomeHistory } from '../support/home-history.ts';
import { HomePromises, playHome } from '../support/home-promises.ts';
import { check, scaled, scaledTimeoutMs, seedNote, simSeed } from '../support/sim-runs.ts';
import { STUCK, orStuck } from '../support/stuck-work.ts';
import { WalHistory } from '../support/wal-history.ts';

/** @returns what `work` threw. */
async function failureOf(work: Promise<unknown>): Promise<Error | undefined> {
  return work.then(() => undefined, toError);
}

/** Groups, slots, rolls, truncation, silence, an orderly end and a second life. */
async function playLog(history: WalHistory, seed: number): Promise<void> {
  const random = seededRandom(seed);
  await history.recover();
  for (let round = 0; round < 6; round += 1) {
    history.append(8 + Math.floor(random.next() * 6_000));
    history.appendSlot(8 + Math.floor(random.next() * 6_000));
    history.append(8 + Math.floor(random.next() * 600));
    await history.settle();
    if (round === 2) await history.idle();
    if (round % 2 === 1) await history.truncate(random.next());
    if (round === 3) await history.reopen();
  }
  await history.reopen();
}

describe(`any disk call that fails (${seedNote})`, () => {
  it('costs the log nothing that it acknowledged', { timeout: scaledTimeoutMs() }, async () => {
    let runs = 0;
    for (let round = 0; runs < scaled(3_000); round += 1) {
      const seed = simSeed + round;
      runs += await sweepErrors({ seed, variantsPerCall: 16 }, async (disk, order) => {
        const durability = 'sync';
        const history = new WalHistory({ durability, seed, disk });
        disk.order(order);
        const failure = await failureOf(playLog(history, seed));
        if (failure !== undefined) checkExitClass(failure, disk);
        await history.kill();
        history.append(100);
        await history.settle();
        await history.powerCut('drop-all');
      });
    }
  });

  it('of a recovery costs the log nothing either', { timeout: scaledTimeoutMs() }, async () => {
    let runs = 0;
    for (let round = 0; runs < scaled(500); round += 1) {
      const seed = simSeed + round;
      runs += await sweepErrors({ seed, variantsPerCall: 16 }, async (disk, order) => {
        const isWitnessed = false; // so that the recovery has to carry the last group over
        const history = new WalHistory({ durability: 'sync', seed, disk, isWitnessed });
        await history.recover();
        for (let record = 0; record < 4; record += 1) history.append(2_000 + (seed % 3_000));
        await history.settle();
        history.die();
        disk.order(order);
        const failure = await failureOf(history.recover());
        if (failure !== undefined) checkExitClass(failure, disk);
        await history.kill();
        await history.powerCut('drop-all');
      });
    }
  });

  it('costs a checkpoint directory nothing either', { timeout: scaledTimeoutMs() }, async () => {
    let runs = 0;
    for (let round = 0; runs < scaled(500); round += 1) {
      const seed = simSeed + round;
      runs += await sweepErrors({ seed, variantsPerCall: 4 }, (disk, order) =>
        tryHome(disk, order, seed),
      );
    }
  });
});

async function tryHome(disk: SimDisk, order: FaultOrder, seed: number): Promise<void> {
  const history = new HomeHistory('sync', disk);
  const promises = new HomePromises();
  disk.order(order);
  const lived = orStuck(liveTwice(history, promises), disk);
  const failure = await failureOf(lived);
  // A log that has no room waits for it, and is killed meanwhile.
  const isStuck = failure === undefined && (await lived) === STUCK;
  check(!isStuck || order.effect !== 'EIO', 'nothing happens, and not for want of room');
  if (failure !== undefined) checkExitClass(failure, disk);
  history.kill();
  if (seed % 2 === 0) disk.dropCaches();
  const second = await history.start();
  await promises.check(second);
  await promises.register(second);
  history.powerCut('drop-all');
  await promises.check(await history.start());
}

async function liveTwice(history: HomeHistory, promises: HomePromises): Promise<void> {
  const run = await history.start();
  await playHome(run, promises);
  await run.close();
  await promises.register(await history.start());
}

describe('reads that lie', () => {
  it.each(['EIO', 'flip', 'misdirect'] as const)(
    'never give back another record, nor less without saying so (%s)',
    async (effect) => {
      for (let k = 1; ; k += 1) {
        const history = new WalHistory({ durability: 'sync', seed: simSeed + k });
        await history.recover();
        for (let round = 0; round < 8; round += 1) {
          history.append(3_000);
          await history.settle();
        }
        history.disk.kill();
        history.disk.failCall('read', k, effect);
        const failure = await failureOf(history.recover());
        if (history.disk.struckCalls.length === 0) break;
        // A lie above the last witnessed record could not be told from a torn write; here the
        // model's witnesses know of all of them.
        if (failure !== undefined) check(isRefusal(failure), failure.message);
        await history.kill();
      }
    },
  );

  it('do not pass for a short log when a sync told its failure too late', async () => {
    let refused = 0;
    for (let k = 1; k <= 40; k += 1) {
      const disk = new SimDisk({ seed: k });
      const history = new WalHistory({ durability: 'sync', seed: k, disk });
      await history.recover();
      disk.failCall('sync', 1 + (k % 12), 'late');
      for (let round = 0; round < 8; round += 1) {
        history.append(5_000);
        if ((await failureOf(history.settle())) !== undefined) break;
      }
      const failure = await failureOf(history.powerCut('drop-all'));
      if (failure === undefined) continue; // by chance the device had got it all the same
      expect(failure.message).toMatch(/had been synced and cannot|damaged/);
      refused += 1;
    }
    expect(refused).toBeGreaterThan(5);
  });
});

/** The disk says no, or the log says that something is damaged. */
function isRefusal(failure: Error): boolean {
  return /EIO|damaged|had been synced|changed after|header/.test(failure.message);
}
