/** `millrace wal` and `millrace doctor` as a user calls them: on sound, torn, damaged and foreign
 * directories, beside a running engine, and with wrong arguments. Needs a built dist/. @module */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeManifest } from '../../src/checkpoint/manifest.ts';
import { nodeDisk } from '../../src/wal/node-disk.ts';
import { CommandPlace } from '../support/command.ts';
import type { CommandEnd } from '../support/command.ts';
import { HOME, HomeHistory, HomeRun } from '../support/home-history.ts';
import { PipelineSite } from '../support/pipeline-site.ts';

const { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, truncateSync } = fs;
const { writeFileSync } = fs;

const FIXTURES = fileURLToPath(new URL('../fixtures/wal-v1/', import.meta.url));
const LOG = 'receiver-log-0';
const FIRST_SEGMENT = '0000000000000001.wal';

let place: CommandPlace;
beforeEach(() => {
  place = new CommandPlace();
});
afterEach(() => place.close());

const wal = (...args: string[]): Promise<CommandEnd> => place.run('wal', ...args);

/** A copy of a golden home that a test may change. */
function home(name: string): string {
  const path = join(place.directory, name);
  cpSync(join(FIXTURES, name), path, { recursive: true });
  return path;
}

function fingerprint(directory: string): string[] {
  return (readdirSync(directory, { recursive: true }) as string[]).toSorted().map((name) => {
    const path = join(directory, name);
    if (!statSync(path).isFile()) return name;
    return `${name} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`;
  });
}

describe('what only reads', () => {
  it('changes nothing, whatever it finds', async () => {
    for (const name of ['torn', 'damaged', 'recycled']) {
      const directory = home(name);
      const before = fingerprint(directory);
      await wal('verify', '--deep', directory);
      await wal('inspect', directory);
      await wal('export', directory);
      expect(fingerprint(directory)).toEqual(before);
    }
  });

  it('takes a single log, and says what it then cannot know', async () => {
    const { code, out } = await wal('verify', join(home('closed'), LOG));
    expect(code).toBe(0);
    expect(out).toContain('one log alone');
  });

  it('names segments, salts, watermarks and checkpoints', async () => {
    const { code, out } = await wal('inspect', '--json', home('recycled'));
    expect(code).toBe(0);
    const found = JSON.parse(out) as { logs: { segments: object[] }[]; checkpoints: object[] };
    expect(found).toMatchObject({ format: 'millrace-wal-inspect', kind: 'home', isRunning: false });
    expect(found.logs.map(({ segments }) => segments.length)).toEqual([3, 4]);
    expect(found.logs[1]).toMatchObject({ firstLsn: 16, lastLsn: 26, peerLsn: 26, isClosed: true });
    expect(found.checkpoints).toHaveLength(2);
    expect(found.checkpoints[1]).toMatchObject({ isSound: true, appliedLsn: 26 });
  });

  it('filters by log, LSN and stream, and writes raw payloads to a file', async () => {
    const directory = home('closed');
    const lines = (end: CommandEnd): number => end.out.split('\n').length - 1;
    expect(lines(await wal('export', directory, '--log', LOG, '--lsn', '2..4'))).toBe(3);
    expect(lines(await wal('export', directory, '--lsn', '9..'))).toBe(1);
    expect(lines(await wal('export', directory, '--stream', 'lines'))).toBe(4);
    expect(lines(await wal('export', directory, '--stream', 'none'))).toBe(0);
    expect(lines(await wal('inspect', '--records', directory, '--lsn', '1'))).toBe(2);
    const file = join(place.directory, 'raw.bin');
    expect((await wal('export', directory, '--raw', '--log', LOG, '--output', file)).code).toBe(0);
    const raw = readFileSync(file);
    expect(raw.readUInt32LE(0)).toBe(45);
    expect(raw[4]).toBe(0x98);
    expect((await wal('export', directory, '--output', file)).code).toBe(64);
  });

  it('decodes every record when it looks deep', async () => {
    const { out } = await wal('verify', '--deep', '--json', home('closed'));
    expect(JSON.parse(out)).toMatchObject({ verdict: 'clean', decodedCount: 9 });
  });
});

describe('wrong use', () => {
  it('of a directory ends with 64 and says what it is', async () => {
    const file = join(place.directory, 'file');
    writeFileSync(file, 'x');
    mkdirSync(join(place.directory, 'empty'));
    mkdirSync(join(place.directory, 'other'));
    writeFileSync(join(place.directory, 'other', 'notes.txt'), 'x');
    const wrong = { nowhere: /no directory/, file: /is a file/, empty: /empty/, other: /neither/ };
    for (const [name, message] of Object.entries(wrong)) {
      const { code, err } = await wal('verify', name);
      expect(code).toBe(64);
      expect(err).toMatch(message);
    }
  });

  it('of flags and arguments ends with 64', async () => {
    const directory = home('closed');
    const calls = [
      ['verify'],
      ['verify', '--wat', directory],
      ['export', directory, '--lsn', '5..2'],
      ['export', directory, '--log', 'receiver-log-9'],
      ['repair', directory],
      ['repair', directory, '--output', 'new'],
      ['repair', directory, '--output', 'new', '--drop-range', `${LOG}:1..1`],
      ['repair', directory, '--output', directory, '--torn', '--drop-range', `${LOG}:1..1`],
      ['wat'],
    ];
    for (const call of calls) {
      const { code, out } = await wal(...call);
      expect([code, out], call.join(' ')).toEqual([64, '']);
    }
  });

  it('of a log that cannot be read ends with 3', async () => {
    const directory = home('closed');
    rmSync(join(directory, LOG, FIRST_SEGMENT));
    mkdirSync(join(directory, LOG, FIRST_SEGMENT));
    const { code, out } = await wal('verify', directory);
    expect([code, out]).toEqual([3, expect.stringContaining(FIRST_SEGMENT)]);
  });
});

describe('repair', () => {
  it('keeps a torn tail aside in a copy, and leaves the original as it is', async () => {
    const directory = home('torn');
    const before = fingerprint(directory);
    const { code, out } = await wal('repair', '--torn', '--output', 'new', directory);
    expect([code, out]).toEqual([0, expect.stringContaining('.torn')]);
    expect(fingerprint(directory)).toEqual(before);
    expect((await wal('verify', 'new')).code).toBe(0);
    const again = await wal('repair', '--torn', '--output', 'new', directory);
    expect([again.code, again.err]).toEqual([64, expect.stringContaining('exists')]);
  });

  it('does not take damage for a torn tail, and makes no copy of it', async () => {
    const { code } = await wal('repair', '--torn', '--output', 'new', home('damaged'));
    expect(code).toBe(2);
    expect(readdirSync(place.directory)).not.toContain('new');
  });

  it('drops a range, names what is lost, and makes a home that is clean', async () => {
    const directory = home('damaged');
    const drop = ['--accept-data-loss', '--output', 'new', '--drop-range'];
    expect((await wal('repair', directory, ...drop, `${LOG}:2..2`)).code).toBe(64);
    const { code } = await wal('repair', directory, ...drop, `${LOG}:1..1`);
    expect(code).toBe(0);
    const loss = readFileSync(join(place.directory, 'new', `loss-${LOG}-1-1.json`), 'utf8');
    expect(JSON.parse(loss)).toMatchObject({
      blocks: [{ block: 'lines/0/1.1/0', lsn: 1, recordCount: 1, batchTimeMs: 1000 }],
      batches: [1000],
    });
    const verified = await wal('verify', '--json', '--deep', 'new');
    expect(JSON.parse(verified.out)).toMatchObject({ verdict: 'clean', problems: [] });
    expect((await wal('verify', directory)).code).toBe(2);
  });

  it('drops driver events only when a checkpoint has them', async () => {
    const drop = ['--accept-data-loss', '--output', 'new', '--drop-range'];
    const { code, err } = await wal('repair', home('closed'), ...drop, 'driver-log:7..7');
    expect([code, err]).toEqual([64, expect.stringContaining('cannot be dropped')]);
    expect((await wal('repair', home('recycled'), ...drop, 'driver-log:20..21')).code).toBe(0);
    expect((await wal('verify', '--deep', 'new')).code).toBe(0);
  });
});

describe('a log that MANIFEST names elsewhere', () => {
  const NAME = 'receiver-log-0.1q';
  let directory: string;
  let elsewhere: string;

  beforeEach(async () => {
    directory = join(place.directory, 'checkpoint');
    elsewhere = join(place.directory, 'quarantine', NAME);
    const history = new HomeHistory();
    const run = new HomeRun({ ...(await history.recover()), logName: NAME }, 'sync');
    await run.begin();
    for (let n = 0; n < 3; n += 1) await run.register();
    await run.idle();
    const { disk } = history;
    for (const name of ['', 'driver-log', 'checkpoints', NAME]) {
      const target = name === NAME ? elsewhere : join(directory, name);
      mkdirSync(target, { recursive: true });
      for (const file of (await disk.list(join(HOME, name))) ?? []) {
        if (!/\.(wal|ckpt)$/.test(file)) continue;
        writeFileSync(join(target, file), disk.contentOf(join(HOME, name, file)));
      }
    }
    const { logId } = run.home;
    const quarantined = [{ log: NAME, directory: elsewhere }];
    const manifest = { logId, pipelineName: 'p', epoch: 1, quarantined };
    await writeManifest({ disk: nodeDisk, directory }, manifest);
  });

  it('is read with the others, and missed when it is gone', async () => {
    const { code, out } = await wal('verify', '--deep', directory);
    expect([code, out]).toEqual([0, expect.stringContaining(`${NAME}: records 1 to`)]);
    expect((await wal('inspect', directory)).out).toContain(`in ${elsewhere}`);
    expect((await wal('export', directory, '--log', NAME, '--lsn', '1')).out).toContain('"block"');
    rmSync(elsewhere, { recursive: true });
    const gone = await wal('verify', directory);
    expect([gone.code, gone.out]).toEqual([2, expect.stringContaining('is its disk mounted?')]);
    expect(gone.out).not.toMatch(new RegExp(`clean +${NAME}`));
  });

  it('is part of a repaired copy, and stays as it is', async () => {
    const path = join(elsewhere, FIRST_SEGMENT);
    const bytes = readFileSync(path);
    bytes[4096 + 44] = (bytes[4096 + 44] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    expect((await wal('verify', directory)).code).toBe(2);
    const before = [fingerprint(directory), fingerprint(elsewhere)];
    const drop = ['--accept-data-loss', '--drop-range', `${NAME}:1..1`];
    expect((await wal('repair', directory, ...drop, '--output', elsewhere)).code).toBe(64);
    const { code, err } = await wal('repair', directory, ...drop, '--output', 'new');
    expect([code, err]).toEqual([0, expect.stringContaining('another --quarantine')]);
    expect([fingerprint(directory), fingerprint(elsewhere)]).toEqual(before);
    rmSync(elsewhere, { recursive: true });
    const verified = await wal('verify', '--json', '--deep', 'new');
    expect(JSON.parse(verified.out)).toMatchObject({ verdict: 'clean', decodedCount: 5 });
  });
});

describe('with an engine', () => {
  let site: PipelineSite;
  beforeEach(() => {
    site = new PipelineSite();
    site.pipeline(
      `const numbers = ssc.receiverStream(() => new Numbers(), { id: 'numbers' });
      numbers.foreachBatch(async () => {
        while (existsSync(directory + '/hold')) await new Promise((go) => setTimeout(go, 10));
      });
      numbers.saveAsTextFiles(directory + '/out/n');`,
      {
        head: `import { existsSync } from 'node:fs';
        class Numbers extends Receiver {
          onStart() { this.run().catch(() => undefined); }
          async run() {
            for (let n = (this.lastPosition[''] ?? 0) + 1; ; n += 1) {
              await this.store([n], { position: n });
            }
          }
          onStop() {}
        }`,
        options: { blockInterval: 5, receiverSegmentBytes: '256KiB', driverSegmentBytes: '64KiB' },
      },
    );
  });
  afterEach(() => site.close());

  it('that is running and recycling, everything that reads works, and says so', async () => {
    const run = await site.start();
    await run.until('batches', () => run.of('batch-completed').length >= 4);
    for (let round = 0; round < 2; round += 1) {
      const verified = await wal('verify', '--json', site.checkpointDir);
      expect([verified.code, verified.err]).toEqual([0, '']);
      expect(verified.out).toContain('an engine is running');
      const { code, out } = await wal('export', site.checkpointDir, '--log', LOG);
      expect(code).toBe(0);
      const lsns = out.split('\n').filter(Boolean);
      const numbers = lsns.map((line) => (JSON.parse(line) as { lsn: number }).lsn);
      expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
      expect((await wal('inspect', site.checkpointDir)).code).toBe(0);
    }
    const repair = await wal('repair', '--torn', '--output', 'new', site.checkpointDir);
    expect(repair.code).toBe(75);
    await run.context.stop();
  });

  it('that is started on a repaired home runs without what was dropped, and tells it', async () => {
    site.write('hold', '');
    const first = await site.start();
    await first.until('batches', () => first.context.totals.unfinishedBatches >= 2);
    await first.context.stop({ graceful: false });
    site.remove('hold');
    const log = join(site.checkpointDir, LOG);
    const names = readdirSync(log).toSorted();
    const segment = join(log, names.find((name) => name.endsWith('.wal')) ?? '');
    const bytes = readFileSync(segment);
    bytes[4096 + 44] = (bytes[4096 + 44] ?? 0) ^ 1;
    writeFileSync(segment, bytes);
    expect((await wal('verify', site.checkpointDir)).code).toBe(2);
    const repaired = site.path('repaired');
    const drop = ['--accept-data-loss', '--drop-range', `${LOG}:1..1`, '--output', repaired];
    expect((await wal('repair', site.checkpointDir, ...drop)).code).toBe(0);
    const loss = JSON.parse(readFileSync(join(repaired, `loss-${LOG}-1-1.json`), 'utf8')) as {
      recordCount: number;
      blocks: { positions: [string, number | null, number][] }[];
    };
    const run = await site.start({ checkpointDir: repaired });
    const batches = run.until('batches', () => run.of('batch-completed').length >= 3);
    batches.catch(() => undefined); // a run that fails is told by its own error
    await Promise.race([batches, run.context.awaitTermination()]);
    await run.context.stop();
    const lost = run.of('blocks-lost').reduce((sum, { recordCount }) => sum + recordCount, 0);
    expect(lost).toBe(loss.recordCount);
    for (const each of run.of('blocks-lost')) expect(each.droppedCount).toBe(each.recordCount);
    const [[, follows, last] = ['', null, 0]] = loss.blocks[0]?.positions ?? [];
    const saved = site.saved('out/n').map(Number);
    const [firstLost, highest] = [(follows ?? 0) + 1, Math.max(...saved)];
    const all = Array.from({ length: highest }, (_, index) => index + 1);
    expect(saved).toEqual(all.filter((n) => n < firstLost || n > last));
  });
});

describe('doctor', () => {
  it('measures, says what the promise is worth, and leaves nothing', async () => {
    const { code, out } = await place.run('doctor', '.', '--seconds', '0.1', '--json');
    expect([0, 1]).toContain(code);
    const found = JSON.parse(out) as { timings: object[]; promise: string; warnings: string[] };
    expect(found.timings).toHaveLength(9);
    expect(found.promise).toContain('survive');
    expect(code).toBe(found.warnings.length === 0 ? 0 : 1);
    expect(readdirSync(place.directory)).toEqual([]);
  });

  it('leaves nothing when it is interrupted', async () => {
    const command = place.start('doctor', '.', '--seconds', '600');
    const isMeasuring = (): boolean =>
      readdirSync(place.directory).some((name) => name.startsWith('.millrace-doctor'));
    while (!isMeasuring() && command.child.exitCode === null) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    command.child.kill('SIGINT');
    expect((await command.ended).code).toBe(130);
    expect(readdirSync(place.directory)).toEqual([]);
  });

  it('refuses what is no directory, and takes one that will be for the one above it', async () => {
    writeFileSync(join(place.directory, 'file'), '');
    expect((await place.run('doctor', 'file')).code).toBe(64);
    expect((await place.run('doctor', 'file/below')).code).toBe(64);
    const to = join('not', 'yet');
    const { code, out } = await place.run('doctor', to, '--seconds', '0.1', '--json');
    expect([0, 1]).toContain(code);
    expect(JSON.parse(out)).toMatchObject({ directory: place.directory });
    expect(readdirSync(place.directory)).toEqual(['file']);
    expect((await place.run('doctor', '.', '--seconds', 'x')).code).toBe(64);
  });
});

it('a log without one of its files is exported behind it, and nothing can be dropped', async () => {
  const directory = home('recycled');
  const path = join(directory, LOG, '0000000000000007.wal'); // records 19 to 21
  const bytes = readFileSync(path);
  for (const isGone of [false, true]) {
    if (isGone) rmSync(path);
    else writeFileSync(path, Buffer.concat([Buffer.alloc(64, 1), bytes.subarray(64)]));
    const { code, out, err } = await wal('export', directory, '--log', LOG);
    const lsns = [...out.matchAll(/"lsn":(\d+)/g)].map(([, lsn]) => Number(lsn));
    expect([code, lsns]).toEqual([2, [16, 17, 18, 22, 23, 24, 25, 26]]);
    expect(err).toContain(`records 19 to 21 cannot be read (${isGone ? 'a file' : 'the header'}`);
    const verified = JSON.parse((await wal('verify', '--json', directory)).out) as object;
    expect(verified).not.toHaveProperty('repair');
  }
});

it('a segment that was cut off is damage, with the place', async () => {
  const directory = home('closed');
  truncateSync(join(directory, LOG, FIRST_SEGMENT), 8192);
  const { code, out } = await wal('verify', directory);
  expect([code, out]).toEqual([2, expect.stringContaining(FIRST_SEGMENT)]);
});
