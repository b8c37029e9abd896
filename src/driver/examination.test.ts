/** What an examination refuses, what it says of it, and that it only reads: all of it runs on a
 * disk that nobody can change. @module */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LINES, blockOf, shareOf } from '../../test/support/block-samples.ts';
import { FaultyReads } from '../../test/support/faulty-reads.ts';
import { FrozenDisk } from '../../test/support/frozen-disk.ts';
import { HOME, HomeHistory, RECEIVER_LOG } from '../../test/support/home-history.ts';
import type { HomeRun } from '../../test/support/home-history.ts';
import { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import { EventBus } from '../core/events.ts';
import { MillraceError } from '../core/errors.ts';
import type { BatchTimeMs } from '../core/ids.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import type { Disk } from '../wal/disk.ts';
import { segmentName } from '../wal/segment-name.ts';
import { examineDirectory } from './examination.ts';
import type { Examination, ExaminationInput } from './examination.ts';
import { encodeEvent } from './tracker-events.ts';

const PAGE = 4096;
const DRIVER_LOG = 'driver-log';

function pathOf(log: string, seq = 1): string {
  return join(HOME, log, segmentName(seq));
}

/** What the process left, as a disk that cannot be changed. */
async function frozen(history: HomeHistory): Promise<FrozenDisk> {
  const disk = new FrozenDisk();
  for (const [path, content] of await history.files())
    disk.put(path, Buffer.from(content, 'latin1'));
  return disk;
}

async function examine(
  disk: Disk,
  logId?: string,
  hooks: Partial<ExaminationInput> = {},
): Promise<Examination> {
  const store = await CheckpointStore.open({ disk, directory: join(HOME, 'checkpoints'), keep: 2 });
  return examineDirectory({
    disk,
    directory: HOME,
    ...(logId === undefined ? {} : { manifest: { logId, pipelineName: 'p', epoch: 1 } }),
    store,
    codec: msgpackCodec,
    events: new EventBus(),
    sourceIdsMax: 100,
    ...hooks,
  });
}

async function refusalOf(disk: Disk, logId?: string): Promise<MillraceError> {
  const failure = await examine(disk, logId).catch((error: unknown) => error);
  if (failure instanceof MillraceError) return failure;
  throw new Error('nothing was refused', { cause: failure });
}

function flip(disk: FrozenDisk, path: string, offsetBytes: number): void {
  const bytes = disk.contentOf(path);
  bytes[offsetBytes] = (bytes[offsetBytes] ?? 0) ^ 0x40;
}

/** A run that ends with `blocks` registered ones; each covers ten positions. */
async function registered(blocks: number): Promise<{ history: HomeHistory; run: HomeRun }> {
  const history = new HomeHistory();
  const run = await history.start();
  for (let n = 0; n < blocks; n += 1) {
    const follows = n === 0 ? null : 10 * n;
    await run.register({ positions: [{ partition: 'p', follows, last: 10 * n + 10 }] });
  }
  await run.idle();
  history.kill();
  return { history, run };
}

it('a directory that is not there holds nothing', async () => {
  const { checkpoint, orphans, receiverLogs } = await examine(new FrozenDisk());
  expect({ checkpoint, orphans, receiverLogs }).toEqual({
    checkpoint: undefined,
    orphans: [],
    receiverLogs: [],
  });
});

describe('a damaged log', () => {
  it('is refused with file, bytes, LSNs, blocks and source positions', async () => {
    const { history, run } = await registered(4);
    const disk = await frozen(history);
    const [, block] = run.tracker.state.queues.get(LINES) ?? [];
    const { offsetBytes = 0, lsn = 0 } = block?.position ?? {};
    flip(disk, pathOf(RECEIVER_LOG), offsetBytes + 50);
    const { code, exitCode, message, details } = await refusalOf(disk);
    expect({ code, exitCode }).toEqual({ code: 'WAL_CORRUPT', exitCode: 2 });
    expect(details).toMatchObject({
      path: pathOf(RECEIVER_LOG),
      fromBytes: offsetBytes,
      firstMissingLsn: lsn,
      lastMissingLsn: lsn,
      blocks: 'lines/0/1.1/1',
      positions: "'p' after 10 to 20",
      blockCount: 1,
      recordCount: 1,
      problemCount: 1,
    });
    expect(details['toBytes']).toBeGreaterThan(offsetBytes);
    expect(message).toMatch(
      /block lines\/0\/1\.1\/1 \(record \d+\), 1 records: .*'p' after 10 to 20/,
    );
  });

  it('names the first blocks and counts all when a file is bad as a whole', async () => {
    const { history } = await registered(12);
    const disk = await frozen(history);
    flip(disk, pathOf(RECEIVER_LOG), 70);
    const { details: some } = await refusalOf(disk);
    expect(some).toMatchObject({ fromBytes: 0, toBytes: PAGE, firstMissingLsn: 1, blockCount: 8 });
    flip(disk, pathOf(RECEIVER_LOG, 2), 70);
    const { message, details } = await refusalOf(disk);
    expect(details).toMatchObject({ blockCount: 12, recordCount: 12 });
    expect(message).toMatch(/header of the log segment .* is damaged/);
    expect(message).toMatch(/'p' from the start to 10/);
    expect(message).toMatch(/block lines\/0\/1\.1\/9 .*, and 2 more/);
    expect(message).not.toMatch(/1\.1\/10/);
  });

  it('says nothing of blocks when none is known to lie there', async () => {
    const history = new HomeHistory();
    const run = await history.start();
    await run.tracker.allocate(shareOf(1_000, [await run.register()]));
    await run.tracker.clean(1_000 as never);
    await run.idle();
    history.kill();
    const disk = await frozen(history);
    flip(disk, pathOf(RECEIVER_LOG), PAGE + 50);
    expect((await refusalOf(disk)).details).not.toHaveProperty('blocks');
  });

  it('of the driver is told together with that of a receiver', async () => {
    const { history } = await registered(2);
    const disk = await frozen(history);
    flip(disk, pathOf(DRIVER_LOG), PAGE + 50);
    flip(disk, pathOf(RECEIVER_LOG), PAGE + 50);
    const { message, details } = await refusalOf(disk);
    expect(details).toMatchObject({ path: pathOf(DRIVER_LOG), problemCount: 2 });
    expect(message).toContain(pathOf(RECEIVER_LOG));
  });

  it.each([DRIVER_LOG, RECEIVER_LOG])('is a %s that the device cannot read', async (log) => {
    const { history } = await registered(2);
    const disk = await frozen(history);
    for (const fromBytes of [0, PAGE]) {
      const order = { path: pathOf(log), fromBytes, errno: 'EIO' } as const;
      const failure = await refusalOf(new FaultyReads(disk, order));
      expect(failure).toMatchObject({ code: 'WAL_CORRUPT', exitCode: 2 });
      expect(failure.details).toMatchObject({ path: pathOf(log), fromBytes, errno: 'EIO' });
      expect(failure.message).toMatch(/cannot be read: the device says EIO/);
    }
  });
});

describe('a log that is sound by itself', () => {
  it('and has lost its first segments is refused while batches need them', async () => {
    const { history } = await registered(2);
    const run = await history.start();
    await run.register();
    await run.idle();
    history.kill();
    const disk = await frozen(history);
    disk.remove(pathOf(RECEIVER_LOG));
    const { message, details } = await refusalOf(disk);
    expect(message).toMatch(/is sound from record \d+ to \d+, does not have blocks/);
    expect(details).toMatchObject({ blockCount: 2, blocks: 'lines/0/1.1/0, lines/0/1.1/1' });
  });

  it('is good without them once their batches are done', async () => {
    const { history } = await registered(2);
    const run = await history.start();
    const share = shareOf(1_000, run.tracker.state.queues.get(LINES) ?? []);
    await run.tracker.allocate(share);
    for (const batch of run.tracker.state.batches.values()) batch.isDone = true;
    await run.checkpoint();
    await run.idle();
    history.kill();
    const disk = await frozen(history);
    disk.remove(pathOf(RECEIVER_LOG));
    expect((await examine(disk)).state.batches.size).toBe(1);
  });

  it('and has another block at that place is refused', async () => {
    const history = new HomeHistory();
    const run = await history.start();
    const block = await run.register();
    const { position } = block;
    if (position === undefined) throw new Error('not logged');
    await run.tracker.add({
      ...block,
      blockId: { ...block.blockId, seq: 9 },
      position: { ...position, payloadCrc: position.payloadCrc + 1 },
    });
    history.kill();
    const { details } = await refusalOf(await frozen(history));
    expect(details).toMatchObject({ blocks: 'lines/0/1.1/9', directory: join(HOME, RECEIVER_LOG) });
  });

  it('and is gone is refused with the blocks that are needed of it', async () => {
    const { history, run } = await registered(1);
    await history.disk.removeTree(join(HOME, RECEIVER_LOG));
    const { message, details } = await refusalOf(await frozen(history));
    expect(message).toMatch(/receiver-log-0 is missing, and unfinished batches need it/);
    expect(details).toMatchObject({ blockCount: 1 });
    expect(run.tracker.state.queues.get(LINES)).toHaveLength(1);
  });

  it('and has no segment is one that is being made again, once nothing needs it', async () => {
    const { history } = await registered(2);
    const run = await history.start();
    await run.tracker.allocate(shareOf(1_000, run.tracker.state.queues.get(LINES) ?? []));
    const log = join(HOME, RECEIVER_LOG);
    const makeAgain = async (): Promise<void> => {
      await history.disk.removeTree(log);
      await history.disk.makeDirectory(log);
      await (await history.disk.create(join(log, 'spare-1.tmp'), 'buffered')).close();
    };
    await makeAgain();
    const { message } = await refusalOf(await frozen(history));
    expect(message).toMatch(/has no segment, although records 1 to 2 had been synced/);
    for (const batch of run.tracker.state.batches.values()) batch.isDone = true;
    await run.tracker.clean(1_000 as BatchTimeMs);
    await run.checkpoint();
    await makeAgain();
    expect((await examine(await frozen(history))).receiverLogs[0]?.verdict.kind).toBe('clean');
    const again = await history.start();
    expect((await again.register()).position?.lsn).toBeGreaterThan(2);
  });

  it('belongs to this directory or is refused', async () => {
    const { history } = await registered(1);
    const disk = await frozen(history);
    const { logId = '' } = (await examine(disk)).driverLog.scan;
    expect((await examine(disk, logId)).orphans).toEqual([]);
    const { message, details } = await refusalOf(disk, 'f'.repeat(32));
    expect(message).toMatch(/driver-log belongs to another checkpoint directory/);
    expect(details).toMatchObject({ problemCount: 3, logId });
  });
});

describe('what a tool is shown', () => {
  it('is every payload, and the verdicts also when they refuse the start', async () => {
    const { history } = await registered(2);
    const disk = await frozen(history);
    const seen: string[] = [];
    const judged: string[] = [];
    const hooks: Partial<ExaminationInput> = {
      visit: (log, { lsn }) => void seen.push(`${log} ${lsn}`),
      onJudged: (logs) => logs.forEach(({ verdict }) => judged.push(verdict.kind)),
    };
    await examine(disk, undefined, hooks);
    expect(seen).toEqual([
      'driver-log 1',
      'driver-log 2',
      `${RECEIVER_LOG} 1`,
      `${RECEIVER_LOG} 2`,
    ]);
    flip(disk, pathOf(RECEIVER_LOG), PAGE + 40);
    await expect(examine(disk, undefined, hooks)).rejects.toThrow(/damaged/);
    expect(judged).toEqual(['clean', 'clean', 'clean', 'damaged']);
  });

  it('leaves out blocks that are given up', async () => {
    const { history } = await registered(2);
    await history.disk.removeTree(join(HOME, RECEIVER_LOG));
    const disk = await frozen(history);
    await expect(examine(disk)).rejects.toThrow(/is missing/);
    expect((await examine(disk, undefined, { isGivenUp: () => true })).receiverLogs).toEqual([]);
  });
});

describe('a log that MANIFEST names elsewhere', () => {
  const ELSEWHERE = '/third/receiver-log-0';
  const NAMED = [{ log: RECEIVER_LOG, directory: ELSEWHERE }];

  const examineWith = (disk: Disk, logId: string, quarantined = NAMED): Promise<Examination> =>
    examine(disk, logId, { manifest: { logId, pipelineName: 'p', epoch: 1, quarantined } });

  /** The receiver log is not in the checkpoint directory. */
  async function moved(): Promise<{ disk: FrozenDisk; logId: string }> {
    const { history } = await registered(2);
    const { logId = '' } = (await examine(await frozen(history))).driverLog.scan;
    const disk = new FrozenDisk();
    for (const [path, content] of await history.files()) {
      const place = path.replace(join(HOME, RECEIVER_LOG), ELSEWHERE);
      disk.put(place, Buffer.from(content, 'latin1'));
    }
    return { disk, logId };
  }

  it('is read there, under its name', async () => {
    const { disk, logId } = await moved();
    const { state, receiverLogs } = await examineWith(disk, logId);
    expect(receiverLogs).toMatchObject([{ name: RECEIVER_LOG, directory: ELSEWHERE }]);
    expect(state.queues.get(LINES)).toHaveLength(2);
    flip(disk, join(ELSEWHERE, segmentName(1)), PAGE + 50);
    await expect(examineWith(disk, logId)).rejects.toMatchObject({
      code: 'WAL_CORRUPT',
      details: { path: join(ELSEWHERE, segmentName(1)), blocks: 'lines/0/1.1/0' },
    });
  });

  it('is refused when its directory is not there, whatever it may hold', async () => {
    const { disk, logId } = await moved();
    const away = [...NAMED, { log: 'receiver-log-1.1q', directory: '/fourth/receiver-log-1.1q' }];
    await expect(examineWith(disk, logId, away)).rejects.toMatchObject({
      code: 'WAL_CORRUPT',
      message: expect.stringContaining('/fourth/receiver-log-1.1q is missing') as string,
      details: { directory: '/fourth/receiver-log-1.1q', problemCount: 1 },
    });
  });
});

describe('a record with right checksums', () => {
  const bad: (readonly [what: string, payload: Uint8Array, said: RegExp])[] = [
    ['of an unknown kind', msgpackCodec.pack([1, 9, null]), /malformed kind of event/],
    ['of a wrong arity', msgpackCodec.pack([1, 3, 5, 6]), /malformed event/],
    ['that is no message', Buffer.from([0x93, 1]), /malformed message/],
    [
      'with a byte behind its end',
      Buffer.concat([msgpackCodec.pack([1, 3, 5]), Buffer.from([0])]),
      /malformed message/,
    ],
    [
      'that does not follow from those before it',
      encodeEvent({ type: 'batch-allocated', share: shareOf(9_000, [blockOf(99)]) }, msgpackCodec),
      /not in its queue/,
    ],
  ];

  it.each(bad)('%s in the driver log is refused with its place', async (_, payload, said) => {
    const { history } = await registered(1);
    const run = await history.start();
    const { lsn, offsetBytes } = await run.home.recovered.driverLog.append(payload);
    await run.home.recovered.driverLog.append(payload);
    history.kill();
    const { code, message, details } = await refusalOf(await frozen(history));
    expect(code).toBe('WAL_CORRUPT');
    expect(message).toMatch(said);
    expect(details).toMatchObject({ lsn, fromBytes: offsetBytes, problemCount: 1 });
    expect(details['path']).toMatch(/driver-log.*02\.wal$/);
  });

  it('of a newer format is refused as such, with its place', async () => {
    const { history } = await registered(1);
    const run = await history.start();
    const { lsn } = await run.home.recovered.driverLog.append(msgpackCodec.pack([2, 1, 2, 3]));
    history.kill();
    const { code, details } = await refusalOf(await frozen(history));
    expect({ code, lsn: details['lsn'] }).toEqual({ code: 'FORMAT_UNKNOWN', lsn });
  });

  it('that is no block in a receiver log is refused with its place', async () => {
    const { history } = await registered(1);
    const run = await history.start();
    const { lsn } = await run.log.append(Buffer.from('not a block'));
    history.kill();
    const { code, details } = await refusalOf(await frozen(history));
    expect(code).toBe('WAL_CORRUPT');
    expect(details).toMatchObject({ lsn });
  });
});
