/** `millrace wal` on a log with holes: everything that is whole behind them is given out, all
 * places are named, and what is printed as the command of a repair does repair. Needs a built
 * dist/. @module */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeManifest } from '../../src/checkpoint/manifest.ts';
import { nodeDisk } from '../../src/wal/node-disk.ts';
import { CommandPlace } from '../support/command.ts';
import type { CommandEnd } from '../support/command.ts';
import { HOME, HomeHistory, HomeRun } from '../support/home-history.ts';

const { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync } = fs;
const { truncateSync, writeFileSync } = fs;

const LOG = 'receiver-log-0';
const BLOCKS = 6;
const RECORD_HEADER_BYTES = 32;

interface Line {
  readonly log: string;
  readonly lsn: number;
  readonly segment: string;
  readonly offset: number;
  readonly length: number;
}

let place: CommandPlace;
let directory: string;
/** Of the whole log. */
let records: readonly Line[];

const wal = (...args: string[]): Promise<CommandEnd> => place.run('wal', ...args);

function linesOf({ out }: CommandEnd): readonly Line[] {
  const lines = out.split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Line);
}

const lsnsOf = (end: CommandEnd): readonly number[] => linesOf(end).map(({ lsn }) => lsn);

beforeEach(async () => {
  place = new CommandPlace();
  directory = join(place.directory, 'checkpoint');
  const history = new HomeHistory();
  const run = new HomeRun(await history.recover(), 'sync');
  await run.begin();
  for (let n = 0; n < BLOCKS; n += 1) await run.register();
  await run.idle();
  for (const name of ['', 'driver-log', 'checkpoints', LOG]) {
    mkdirSync(join(directory, name), { recursive: true });
    for (const file of (await history.disk.list(join(HOME, name))) ?? []) {
      if (!/\.(wal|ckpt)$/.test(file)) continue;
      const bytes = history.disk.contentOf(join(HOME, name, file));
      writeFileSync(join(directory, name, file), bytes);
    }
  }
  const { logId } = run.home;
  await writeManifest({ disk: nodeDisk, directory }, { logId, pipelineName: 'p', epoch: 1 });
  records = linesOf(await wal('export', directory, '--log', LOG));
});
afterEach(() => place.close());

/** Turns one bit of a record's payload over. */
function harm(...lsns: number[]): void {
  for (const { lsn, segment, offset } of records) {
    if (!lsns.includes(lsn)) continue;
    const path = join(directory, LOG, segment);
    const bytes = readFileSync(path);
    const at = offset + RECORD_HEADER_BYTES + 1;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(path, bytes);
  }
}

const all = (): readonly number[] => records.map(({ lsn }) => lsn);
const without = (...gone: number[]): readonly number[] =>
  all().filter((lsn) => !gone.includes(lsn));

describe('export', () => {
  it('goes on behind each hole, says it, and ends with 2', async () => {
    harm(2, 4);
    const end = await wal('export', directory, '--log', LOG);
    expect(lsnsOf(end)).toEqual(without(2, 4));
    expect(end.err).toMatch(/record 2 cannot be read .*readable again from record 3/);
    expect(end.err).toMatch(/record 4 cannot be read .*readable again from record 5/);
    expect(end.code).toBe(2);
    const listed = await wal('inspect', '--records', '--json', directory, '--log', LOG);
    expect([listed.code, lsnsOf(listed)]).toEqual([2, without(2, 4)]);
  });

  it('of a range ends with 2 only when the hole is in it', async () => {
    harm(2);
    const behind = await wal('export', directory, '--log', LOG, '--lsn', '3..');
    expect([behind.code, behind.err, lsnsOf(behind)]).toEqual([
      0,
      '',
      all().filter((lsn) => lsn > 2),
    ]);
    expect((await wal('export', directory, '--log', LOG, '--lsn', '1..1')).code).toBe(0);
    expect((await wal('export', directory, '--log', LOG, '--lsn', '1..2')).code).toBe(2);
  });

  it('takes records that follow each other as one hole', async () => {
    harm(2, 3);
    const { err, code } = await wal('export', directory, '--log', LOG);
    expect([code, err]).toEqual([2, expect.stringContaining('records 2 to 3 cannot be read')]);
  });

  it('asks the driver log what became of an end that is not whole', async () => {
    const tornLsn = records.at(-1)?.lsn ?? 0;
    harm(tornLsn); // a watermark, which nothing needs
    const torn = await wal('export', directory, '--log', LOG);
    expect([torn.code, lsnsOf(torn)]).toEqual([0, without(tornLsn)]);
    expect((await wal('verify', directory)).code).toBe(1);
    const block = records.findLast(({ lsn, length }) => lsn < tornLsn && length > 8);
    const lastLsn = block?.lsn ?? 0;
    harm(lastLsn);
    const path = join(directory, LOG, block?.segment ?? '');
    const bytes = readFileSync(path);
    bytes.fill(0, (block?.offset ?? 0) + RECORD_HEADER_BYTES + (block?.length ?? 0));
    writeFileSync(path, bytes);
    const end = await wal('export', directory, '--log', LOG);
    expect([end.code, lsnsOf(end)]).toEqual([2, all().filter((lsn) => lsn < lastLsn)]);
    expect(end.err).toContain(`records from ${lastLsn} on cannot be read`);
    expect((await wal('verify', directory)).code).toBe(2);
  });

  it('writes no file into what it reads', async () => {
    symlinkSync(directory, join(place.directory, 'link'));
    for (const to of [directory, join(directory, LOG), join(place.directory, 'link')]) {
      const { code, err } = await wal('export', directory, '--output', join(to, 'x'));
      expect([code, err]).toEqual([64, expect.stringContaining('--output')]);
      expect(existsSync(join(to, 'x'))).toBe(false);
    }
    const log = join(directory, LOG);
    expect((await wal('export', log, '--output', join(directory, 'x'))).code).toBe(64);
    const beside = await wal('export', log, '--output', join(place.directory, 'x'));
    expect(beside.code).toBe(0);
  });

  it('says that there is no such input', async () => {
    const { code, err } = await wal('export', directory, '--stream', 'nope');
    expect([code, err]).toEqual([0, expect.stringMatching(/input nope .*blocks of lines/)]);
  });
});

describe('inspect', () => {
  it('says where records cannot be read', async () => {
    expect((await wal('inspect', directory)).out).not.toContain('wal verify');
    harm(2);
    const { code, out } = await wal('inspect', directory);
    expect([code, out]).toEqual([0, expect.stringContaining('record 2 cannot be read')]);
    const { logs } = JSON.parse((await wal('inspect', '--json', directory)).out) as {
      logs: { name: string; holes: object[]; lastLsn: number }[];
    };
    const found = logs.find(({ name }) => name === LOG);
    expect(found?.holes).toMatchObject([{ firstLsn: 2, lastLsn: 2 }]);
    expect(found?.lastLsn).toBe(records.at(-1)?.lsn);
  });

  it('refuses what only chooses records', async () => {
    for (const option of [
      ['--log', LOG],
      ['--lsn', '1'],
    ]) {
      const { code, err } = await wal('inspect', directory, ...option);
      expect([code, err]).toEqual([64, expect.stringContaining('--records')]);
    }
  });
});

describe('verify and repair', () => {
  interface Verified {
    readonly problems: readonly string[];
    readonly repair?: string;
    readonly logs: readonly { readonly name: string; readonly holes?: readonly object[] }[];
  }

  const verified = async (): Promise<Verified> =>
    JSON.parse((await wal('verify', '--json', directory)).out) as Verified;

  /** The command that verify prints, run. */
  async function repairAsPrinted(): Promise<CommandEnd> {
    const { repair = '' } = await verified();
    const [, ...words] = repair.replace('NEW', 'new').split(' ');
    return place.run(...words);
  }

  it('name every place, and the command that gives them up', async () => {
    harm(2, 4);
    const { logs, problems, repair } = await verified();
    expect(logs.find(({ name }) => name === LOG)?.holes).toMatchObject([
      { firstLsn: 2, lastLsn: 2 },
      { firstLsn: 4, lastLsn: 4 },
    ]);
    expect(problems).toEqual([expect.stringContaining('record 2 had been synced')]);
    expect(repair).toContain(`--drop-range ${LOG}:4..4`);
    const { out } = await wal('verify', directory);
    expect(out).toContain(`millrace wal repair --drop-range ${LOG}:2..2 --drop-range`);
    expect((await repairAsPrinted()).code).toBe(0);
    expect((await wal('verify', '--deep', 'new')).code).toBe(0);
    const losses = readdirSync(join(place.directory, 'new')).filter((name) =>
      name.startsWith('loss'),
    );
    expect(losses.toSorted()).toEqual([`loss-${LOG}-2-2.json`, `loss-${LOG}-4-4.json`]);
  });

  it('speak of the original when more is damaged than was dropped', async () => {
    harm(2, 4);
    const drop = ['--accept-data-loss', '--output', 'new', '--drop-range', `${LOG}:2..2`];
    const { code, err } = await wal('repair', directory, ...drop);
    expect([code, err]).toEqual([2, expect.stringContaining(join(directory, LOG))]);
    expect(err).not.toContain(join(place.directory, 'new'));
  });

  it('take ranges in any order, and those that meet as one', async () => {
    harm(2, 3, 5);
    const drops = [5, 3, 2].flatMap((lsn) => ['--drop-range', `${LOG}:${lsn}..${lsn}`]);
    const rest = ['--accept-data-loss', '--output', 'new', '--json'];
    const { code, out } = await wal('repair', directory, ...drops, ...rest);
    expect(code).toBe(0);
    const { losses, loss } = JSON.parse(out) as { losses: object[]; loss: object };
    expect(losses).toMatchObject([
      { firstLsn: 2, lastLsn: 3 },
      { firstLsn: 5, lastLsn: 5 },
    ]);
    expect(loss).toEqual(losses[0]);
    expect((await wal('verify', 'new')).code).toBe(0);
  });

  it('do not claim records that a file cut off in its unused end may never have had', async () => {
    const last = records.at(-1);
    const end = (last?.offset ?? 0) + RECORD_HEADER_BYTES + (last?.length ?? 0);
    truncateSync(join(directory, LOG, last?.segment ?? ''), Math.ceil(end / 4096) * 4096);
    const { code, out } = await wal('verify', directory);
    expect([code, out]).toEqual([2, expect.stringContaining('may never have existed')]);
    expect((await repairAsPrinted()).code).toBe(0);
    expect((await wal('verify', 'new')).code).toBe(0);
    const found = lsnsOf(await wal('export', 'new', '--log', LOG));
    expect(found).toEqual([...all(), (last?.lsn ?? 0) + 1]);
  });

  it('are told by a start that refuses, for what it has read', async () => {
    place.pipeline('p', 'ssc.queueStream([[1]]).print();');
    harm(2);
    const { code, err } = await place.run('run', 'p.ts', '--checkpoint', directory);
    expect([code, err]).toEqual([2, expect.stringContaining('record 2 had been synced')]);
    const rest = `--accept-data-loss --output NEW ${directory}`;
    expect(err).toContain(`millrace wal repair --drop-range ${LOG}:2..2 ${rest}`);
  });

  it('print no command for what cannot be ordered', async () => {
    rmSync(join(directory, LOG), { recursive: true });
    const { repair } = await verified();
    expect(repair).toBeUndefined();
  });

  it('refuse --torn where nothing is torn, and ranges without a log', async () => {
    const torn = await wal('repair', '--torn', '--output', 'new', directory);
    expect([torn.code, torn.err]).toEqual([64, expect.stringContaining('nothing is torn')]);
    const drop = await wal('repair', '--drop-range', 'foo', '--output', 'new', directory);
    expect([drop.code, drop.err]).toEqual([64, expect.stringContaining('receiver-log-0:17..19')]);
  });
});
