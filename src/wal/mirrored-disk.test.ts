/** @module */
import { describe, expect, it } from 'vitest';
import { GatedDisk } from '../../test/support/gated-disk.ts';
import { MemoryDisk } from '../../test/support/memory-disk.ts';
import { MirroredDisk } from './mirrored-disk.ts';

const ONE = '/one/home';
const TWO = '/two/other/home';

async function twoDisks() {
  const [first, second] = [new MemoryDisk(), new MemoryDisk()];
  await first.makeDirectory(ONE);
  await second.makeDirectory(TWO);
  const gated = new GatedDisk(second);
  const disk = new MirroredDisk([
    { disk: first, directory: ONE },
    { disk: gated, directory: TWO },
  ]);
  return { first, second, gated, disk };
}

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

describe('a mirrored disk', () => {
  it('makes every change in both places', async () => {
    const { first, second, disk } = await twoDisks();
    await disk.makeDirectory(`${ONE}/log`);
    const file = await disk.create(`${ONE}/log/a.tmp`, 'buffered');
    expect(await file.write([Buffer.from('he'), Buffer.from('llo')], 3)).toBe(5);
    await file.sync();
    await file.close();
    await disk.rename(`${ONE}/log/a.tmp`, `${ONE}/log/a`);
    await disk.syncDirectory(`${ONE}/log`);
    first.crash({ next: () => 0 }, 'drop-all');
    second.crash({ next: () => 0 }, 'drop-all');
    expect(text(first.contentOf(`${ONE}/log/a`))).toBe('\0\0\0hello');
    expect(text(second.contentOf(`${TWO}/log/a`))).toBe('\0\0\0hello');
    await disk.unlink(`${ONE}/log/a`);
    expect(await second.list(`${TWO}/log`)).toEqual([]);
    await disk.removeTree(`${ONE}/log`);
    expect(await first.list(`${ONE}/log`)).toBeUndefined();
    expect(await second.list(`${TWO}/log`)).toBeUndefined();
  });

  it.each(['/one/home/', '/two/other/home/'])('waits for the sync in %s', async (held) => {
    const [first, second] = [new GatedDisk(new MemoryDisk()), new GatedDisk(new MemoryDisk())];
    await first.makeDirectory(ONE);
    await second.makeDirectory(TWO);
    const disk = new MirroredDisk([
      { disk: first, directory: ONE },
      { disk: second, directory: TWO },
    ]);
    const file = await disk.create(`${ONE}/a`, 'buffered');
    const opens = [first.holdSyncs(held), second.holdSyncs(held)];
    const done: string[] = [];
    const synced = file.sync().then(() => done.push('synced'));
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(done).toEqual([]);
    for (const open of opens) open();
    await synced;
  });

  it.each([0, 1] as const)('fails when place %d fails, and names it', async (side) => {
    const { first, second, disk } = await twoDisks();
    const [failing, path] = side === 0 ? [first, ONE] : [second, TWO];
    const file = await disk.create(`${ONE}/a`, 'buffered');
    for (const call of ['write', 'sync'] as const) {
      failing.failCall(call, 1, 'EIO');
      const outcome = call === 'write' ? file.write([Buffer.alloc(8)], 0) : file.sync();
      await expect(outcome).rejects.toMatchObject({
        code: 'DISK_FAILED',
        message: expect.stringContaining(path) as string,
      });
    }
    failing.failCall('write', 1, 'short');
    await expect(file.write([Buffer.alloc(8)], 0)).rejects.toMatchObject({
      code: 'DISK_FULL',
      message: expect.stringMatching(new RegExp(`${path}/a took \\d of 8 bytes`)) as string,
    });
    failing.failCall('rename', 1, 'EIO');
    await expect(disk.rename(`${ONE}/a`, `${ONE}/b`)).rejects.toMatchObject({
      details: { path: `${path}/a` },
    });
  });

  it('calls it a shortage of room only when nothing worse has happened', async () => {
    const { first, second, disk } = await twoDisks();
    const file = await disk.create(`${ONE}/a`, 'buffered');
    for (const [full, broken] of [
      [first, second],
      [second, first],
    ] as const) {
      full.failCall('write', 1, 'ENOSPC');
      broken.failCall('write', 1, 'EIO');
      const written = file.write([Buffer.alloc(8)], 0);
      await expect(written).rejects.toMatchObject({ code: 'DISK_FAILED' });
    }
  });

  it('gives an error only when the other place is done with the memory too', async () => {
    const { first, gated, disk } = await twoDisks();
    const file = await disk.create(`${ONE}/a`, 'buffered');
    first.failCall('sync', 1, 'EIO');
    const open = gated.holdSyncs(TWO);
    const ended: string[] = [];
    const failed = file.sync().catch(() => ended.push('failed'));
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(ended).toEqual([]);
    open();
    await failed;
    expect(ended).toEqual(['failed']);
  });

  it('leaves no file open when one place cannot open it', async () => {
    const { second, disk } = await twoDisks();
    second.failCall('create', 1, 'ENOSPC');
    await expect(disk.create(`${ONE}/a`, 'buffered')).rejects.toMatchObject({ code: 'DISK_FULL' });
  });

  it('reads each entry from the place chosen for it, and lists what is there', async () => {
    const { first, second, disk } = await twoDisks();
    for (const [place, at] of [
      [first, ONE],
      [second, TWO],
    ] as const) {
      for (const entry of ['x', 'y']) {
        await place.makeDirectory(`${at}/${entry}`);
        const file = await place.create(`${at}/${entry}/f`, 'buffered');
        await file.write([Buffer.from(`${entry} in ${at}`)], 0);
      }
    }
    await second.makeDirectory(`${TWO}/only-here`);
    disk.readFrom(1, 'y');
    expect(text(await disk.readWhole(`${ONE}/x/f`, 100))).toBe(`x in ${ONE}`);
    expect(text(await disk.readWhole(`${ONE}/y/f`, 100))).toBe(`y in ${TWO}`);
    const into = Buffer.alloc(4);
    await (await disk.openForReading(`${ONE}/y/f`)).read(into, 5);
    expect(text(into)).toBe('/two');
    expect(await disk.list(ONE)).toEqual(['x', 'y']);
    disk.readFrom(1);
    expect(await disk.list(ONE)).toEqual(['only-here', 'x', 'y']);
    expect(await disk.list(`${ONE}/only-here`)).toEqual([]);
    const there = await disk.openForReading(`${ONE}/y/f`);
    expect(there.path).toBe(`${TWO}/y/f`);
    await disk.rename(there.path, `${ONE}/y/g`);
    expect(await first.list(`${ONE}/y`)).toEqual(['g']);
    expect(await second.list(`${TWO}/y`)).toEqual(['g']);
  });

  it.each([0, 1] as const)(
    'is done with a group when it is synced in place %d too',
    async (side) => {
      const { first, second, gated, disk } = await twoDisks();
      // The second one has no `writeSynced` of its own.
      const failing = side === 0 ? first : second;
      const file = await disk.create(`${ONE}/a`, 'buffered');
      const open = gated.holdSyncs(TWO);
      const ended: unknown[] = [];
      const views = [Buffer.from('0123'), Buffer.from('4567')];
      const written = file.writeSynced?.(views, 0).then((taken) => ended.push(taken));
      for (let turn = 0; turn < 10; turn += 1)
        await new Promise((resolve) => setImmediate(resolve));
      expect(ended).toEqual([]);
      open();
      await written;
      expect(ended).toEqual([8]);
      for (const place of [first, second]) place.crash({ next: () => 0 }, 'drop-all');
      await disk.syncDirectory(ONE);
      failing.failCall('write', 1, 'short');
      const again = await disk.create(`${ONE}/b`, 'buffered');
      await expect(again.writeSynced?.(views, 0)).rejects.toMatchObject({ code: 'DISK_FULL' });
      failing.failCall('sync', 1, 'EIO');
      await expect(again.writeSynced?.(views, 0)).rejects.toMatchObject({ code: 'DISK_FAILED' });
    },
  );

  it('is done with a group in one call where a place can do it', async () => {
    const { first, second, disk } = await twoDisks();
    const create = first.create.bind(first);
    first.create = async (path, mode) => {
      const file = await create(path, mode);
      const writeSynced = async (views: readonly Uint8Array[], at: number): Promise<number> => {
        await file.write(views, at);
        await file.sync();
        return 4;
      };
      return Object.assign(file, { writeSynced });
    };
    const file = await disk.create(`${ONE}/a`, 'buffered');
    expect(await file.writeSynced?.([Buffer.from('0123')], 0)).toBe(4);
    await disk.syncDirectory(ONE);
    for (const place of [first, second]) place.crash({ next: () => 0 }, 'drop-all');
    expect(text(first.contentOf(`${ONE}/a`))).toBe('0123');
    expect(text(second.contentOf(`${TWO}/a`))).toBe('0123');
  });

  it('lists what one place has, and nothing when neither is there', async () => {
    const [first, second] = [new MemoryDisk(), new MemoryDisk()];
    const disk = new MirroredDisk([
      { disk: first, directory: ONE },
      { disk: second, directory: TWO },
    ]);
    expect(await disk.list(ONE)).toBeUndefined();
    await first.makeDirectory(`${ONE}/x`);
    expect(await disk.list(ONE)).toEqual(['x']);
  });

  it('takes direct writes when only the second place does', async () => {
    const { first, disk } = await twoDisks();
    first.supportsDirect = () => Promise.resolve(false);
    expect(await disk.supportsDirect()).toBe(true);
  });

  it('has the room of the place that has less', async () => {
    const { first, gated, disk } = await twoDisks();
    expect(await disk.freeBytes(ONE)).toBe(Number.POSITIVE_INFINITY);
    Object.assign(first, { freeBytes: () => Promise.resolve(7) });
    expect(await disk.freeBytes(ONE)).toBe(7);
    gated.freeBytes = () => Promise.resolve(5);
    expect(await disk.freeBytes(ONE)).toBe(5);
  });

  it('writes directly only where the place takes it', async () => {
    const { gated, disk } = await twoDisks();
    gated.supportsDirect = () => Promise.resolve(false);
    const modes: string[] = [];
    const create = gated.create.bind(gated);
    gated.create = (path, mode) => {
      modes.push(mode);
      return create(path, mode);
    };
    expect(await disk.supportsDirect()).toBe(true);
    await disk.create(`${ONE}/a`, 'direct');
    expect(modes).toEqual(['buffered']);
  });

  it('refuses a path that is not below its directory', async () => {
    const { disk } = await twoDisks();
    await expect(disk.unlink('/elsewhere/a')).rejects.toMatchObject({ code: 'BROKEN_INVARIANT' });
    await expect(disk.unlink(`${ONE}-not`)).rejects.toMatchObject({ code: 'BROKEN_INVARIANT' });
  });
});
