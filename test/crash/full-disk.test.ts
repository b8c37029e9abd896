/** A disk that is full, and a receiver log that fails with another directory to go on in: with kills
 * on the way. Clients are held back or told to send again, and nothing acknowledged is missing.
 * @module */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { parseSpareName } from '../../src/wal/segment-name.ts';
import type { ChildEngine, CrashPlans } from '../support/child-engine.ts';
import { HttpTrial } from '../support/http-trial.ts';
import { whyNoTrace } from '../support/strace.ts';
import { canMount, TinyDisk } from '../support/tiny-disk.ts';

const trials: HttpTrial[] = [];
const disks: TinyDisk[] = [];
afterEach(async () => {
  for (const disk of disks.splice(0)) disk.close();
  await Promise.all(trials.splice(0).map((trial) => trial.close()));
});

async function openTrial(): Promise<HttpTrial> {
  const trial = await HttpTrial.open({ withKeys: true });
  trials.push(trial);
  return trial;
}

describe.skipIf(!canMount)('a full disk (needs to mount a tmpfs)', () => {
  async function openFull(): Promise<{ trial: HttpTrial; disk: TinyDisk; engine: ChildEngine }> {
    const trial = await openTrial();
    const disk = new TinyDisk(trial.site.checkpointDir, 8);
    disks.push(disk);
    const engine = trial.site.start();
    await engine.waitFor('a batch', ({ type }) => type === 'batch-completed');
    disk.fill();
    return { trial, disk, engine };
  }

  const isHeld = ({ type }: { readonly type: string }): boolean => type === 'sources-held';

  /** Resolves when clients have been told to wait. */
  async function refusals(trial: HttpTrial, engine: ChildEngine): Promise<void> {
    const before = trial.clients.answers.get(429) ?? 0;
    await engine.until('429', () => (trial.clients.answers.get(429) ?? 0) > before);
  }

  it('holds clients back with 429 and goes on by itself when there is room', async () => {
    const { trial, disk, engine } = await openFull();
    const held = await engine.waitFor('held', isHeld);
    expect(held).toMatchObject({
      receivers: ['httpTextStream-0/0'],
      directory: expect.stringMatching(/(receiver-log-0|driver-log)$/) as string,
    });
    expect(held.type === 'sources-held' && held.missingBytes).toBeGreaterThan(0);
    await refusals(trial, engine);
    disk.empty();
    await engine.waitFor('released', ({ type }) => type === 'sources-released');
    const { size } = trial.clients.acknowledged;
    await engine.until('more records', () => trial.clients.acknowledged.size > size + 100);
    await trial.finishAndCheck(engine);
    expect(engine.events.some(({ type }) => type === 'receiver-restarting')).toBe(false);
  });

  it('and a kill meanwhile lose nothing; a start says what is missing, or succeeds', async () => {
    const { trial, disk, engine } = await openFull();
    await engine.waitFor('held', isHeld);
    await engine.kill();
    // Its spares could be room enough for a start; how many there are is a matter of chance.
    for (const path of sparesBelow(disk.directory)) rmSync(path);
    disk.fill();
    const before = contentOf(disk.directory);
    const refused = trial.site.start();
    expect((await refused.ended()).code, refused.describe()).toBe(74);
    const told = refused.events.find(({ type }) => type === 'failed');
    expect(told).toMatchObject({
      code: 'DISK_FULL',
      message: expect.stringMatching(/are missing; nothing was changed/) as string,
    });
    expect(contentOf(disk.directory)).toEqual(before);
    disk.empty();
    disk.fill(1024 * 1024); // enough to run what was received, and that makes room
    const again = trial.site.start();
    await again.ready();
    disk.empty();
    await trial.finishAndCheck(again);
  });
});

function sparesBelow(directory: string): readonly string[] {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true });
  const spares = files.filter(({ name }) => parseSpareName(name) !== undefined);
  return spares.map(({ parentPath, name }) => join(parentPath, name));
}

/** Every file but the lock, which names its owner. */
function contentOf(directory: string): Record<string, string> {
  const names = readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = names.filter((each) => each.isFile() && !each.name.startsWith('LOCK'));
  return Object.fromEntries(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path, name === 'ballast' ? '' : readFileSync(path).toString('latin1')];
    }),
  );
}

// As a grandchild (-D) strace leaves the engine to us: its exit code, and its end by a kill.
describe.skipIf(whyNoTrace() !== undefined)('a receiver log that fails (needs strace)', () => {
  /** From the third sync of a thread on, the first segment of the receiver log cannot be synced. */
  function start(trial: HttpTrial, crash: CrashPlans = {}): ChildEngine {
    const { site } = trial;
    const segment = join(site.checkpointDir, 'receiver-log-0', '0000000000000001.wal');
    const inject = 'inject=fdatasync:error=EIO:when=3+';
    const command = ['strace', '-D', '-f', '-qq', '-o', '/dev/null', '-P', segment];
    return site.start({
      prefix: [...command, '-e', 'trace=fdatasync', '-e', inject],
      options: options(trial),
      crash,
    });
  }

  function options({ site }: HttpTrial) {
    return { onWalFailure: 'quarantine', quarantineDir: elsewhere(site.directory) } as const;
  }

  const elsewhere = (directory: string): string => join(directory, 'elsewhere');

  it('is replaced in another directory, and read until its blocks are done', async () => {
    const trial = await openTrial();
    const engine = start(trial);
    const told = await engine.waitFor('quarantine', ({ type }) => type === 'log-quarantined');
    expect(told).toMatchObject({
      receivers: ['httpTextStream-0/0'],
      from: join(trial.site.checkpointDir, 'receiver-log-0'),
      to: expect.stringContaining(elsewhere(trial.site.directory)) as string,
      error: expect.stringContaining('0000000000000001.wal') as string,
    });
    const { size } = trial.clients.acknowledged;
    await engine.until('more records', () => trial.clients.acknowledged.size > size + 100);
    await engine.until(
      'the removal of the failed log',
      () => !existsSync(join(trial.site.checkpointDir, 'receiver-log-0')),
    );
    await trial.finishAndCheck(engine);
  });

  it('and a kill soon after: the next start reads both places, and cleans them', async () => {
    const trial = await openTrial();
    const engine = start(trial);
    await engine.waitFor('quarantine', ({ type }) => type === 'log-quarantined');
    const { size } = trial.clients.acknowledged;
    await engine.until('more records', () => trial.clients.acknowledged.size > size + 40);
    await engine.kill();
    const again = trial.site.start({ options: options(trial) });
    await again.until('the removal of the log elsewhere', () => {
      const [own = ''] = readdirSync(elsewhere(trial.site.directory));
      return readdirSync(join(elsewhere(trial.site.directory), own)).length === 0;
    });
    await trial.finishAndCheck(again);
  });

  it.each(['quarantine.before', 'quarantine.after'] as const)(
    'and a kill at %s lose nothing',
    async (step) => {
      const trial = await openTrial();
      const engine = start(trial, { driver: { step, occurrence: 1 } });
      expect(await engine.ended(), engine.describe()).toMatchObject({ signal: 'SIGKILL' });
      await trial.finishAndCheck(trial.site.start({ options: options(trial) }));
    },
  );
});
