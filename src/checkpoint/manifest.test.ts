import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MillraceError } from '../core/errors.ts';
import { crc32 } from '../serde/crc32.ts';
import type { Disk } from '../wal/disk.ts';
import { nodeDisk } from '../wal/node-disk.ts';
import { compareManifests, nextLife, readManifest, writeManifest } from './manifest.ts';
import type { Manifest } from './manifest.ts';

const V2 =
  '{"formatVersion":2,"logId":"0123456789abcdef0123456789abcdef","pipelineName":"a","epoch":1,';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-manifest-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

async function codeOf(failing: Promise<unknown>): Promise<string> {
  const outcome = await failing.catch((error: unknown) => error);
  return outcome instanceof MillraceError ? outcome.code : `no MillraceError: ${String(outcome)}`;
}

describe('MANIFEST', () => {
  const manifest: Manifest = {
    logId: '0123456789abcdef0123456789abcdef',
    pipelineName: 'wörd "count"\n',
    epoch: 3,
    copies: 2,
    lives: ['0badcafe', '00000001'],
  };
  const place = (): { disk: Disk; directory: string } => ({ disk: nodeDisk, directory: root });
  const path = (): string => join(root, 'MANIFEST');

  it('is absent at first, then what was written last', async () => {
    expect(await readManifest(place())).toBeUndefined();
    expect(await readManifest({ ...place(), directory: join(root, 'none') })).toBeUndefined();
    await writeManifest(place(), manifest);
    await writeManifest(place(), { ...manifest, epoch: 4 });
    expect(await readManifest(place())).toEqual({ ...manifest, epoch: 4 });
    expect(readdirSync(root)).toEqual(['MANIFEST']);
  });

  it('that names logs elsewhere is unknown to a millrace that would not look there', async () => {
    const quarantined = [{ log: 'receiver-log-0.3q', directory: '/other/receiver-log-0.3q' }];
    await writeManifest(place(), { ...manifest, quarantined });
    expect(await readManifest(place())).toEqual({ ...manifest, quarantined });
    expect(readFileSync(path(), 'utf8')).toMatch(/^\{"formatVersion":2,/);
  });

  it('survives a process that died while writing it', async () => {
    await writeManifest(place(), manifest);
    writeFileSync(`${path()}.tmp`, 'half');
    expect(await readManifest(place())).toEqual(manifest);
    await writeManifest(place(), { ...manifest, epoch: 4 });
    expect((await readManifest(place()))?.epoch).toBe(4);
  });

  it('is refused when any byte differs, is missing or added', async () => {
    await writeManifest(place(), manifest);
    const sound = readFileSync(path());
    for (let at = 0; at < sound.byteLength; at += 1) {
      const bytes = Buffer.from(sound);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(path(), bytes);
      expect(await codeOf(readManifest(place()))).toBe('CHECKPOINT_CORRUPT');
    }
    for (const bytes of [sound.subarray(0, 30), Buffer.alloc(0), Buffer.concat([sound, sound])]) {
      writeFileSync(path(), bytes);
      expect(await codeOf(readManifest(place()))).toBe('CHECKPOINT_CORRUPT');
    }
  });

  it.each([
    ['{"formatVersion":3,"other":true}', 'FORMAT_UNKNOWN'],
    [`${V2}"quarantined":[{"log":"receiver-log-0.1q"}]}`, 'CHECKPOINT_CORRUPT'],
    ['{"formatVersion":1,"logId":"short","pipelineName":"a","epoch":1}', 'CHECKPOINT_CORRUPT'],
    [`${V2}"copies":3,"lives":[]}`, 'CHECKPOINT_CORRUPT'],
    [`${V2}"copies":1,"lives":["x"]}`, 'CHECKPOINT_CORRUPT'],
    ['[]', 'CHECKPOINT_CORRUPT'],
    ['null', 'CHECKPOINT_CORRUPT'],
    ['no JSON', 'CHECKPOINT_CORRUPT'],
  ])('with a right CRC, %s is %s', async (json, code) => {
    const crc = crc32(Buffer.from(json)).toString(16).padStart(8, '0');
    writeFileSync(path(), `${json}\ncrc32 ${crc}\n`);
    expect(await codeOf(readManifest(place()))).toBe(code);
  });

  it('of version 1 is read: one copy, and no lives', async () => {
    const json = `{"formatVersion":1,"logId":"${manifest.logId}","pipelineName":"a","epoch":7}`;
    const crc = crc32(Buffer.from(json)).toString(16).padStart(8, '0');
    writeFileSync(path(), `${json}\ncrc32 ${crc}\n`);
    const read = await readManifest(place());
    expect(read).toMatchObject({ epoch: 7, copies: 1, lives: [] });
    const next = nextLife(read ?? manifest, { life: '12345678', copies: 1 });
    await writeManifest(place(), next);
    expect(await readManifest(place())).toMatchObject({ epoch: 8, lives: ['12345678'] });
    expect(readFileSync(path(), 'utf8')).toMatch(/^\{"formatVersion":2,/);
  });

  it('is never written with a wrong field', async () => {
    expect(await codeOf(writeManifest(place(), { ...manifest, epoch: 0 }))).toBe(
      'BROKEN_INVARIANT',
    );
  });
});

describe('two manifests', () => {
  const first: Manifest = {
    logId: '0123456789abcdef0123456789abcdef',
    pipelineName: 'a',
    epoch: 1,
    lives: ['aaaaaaaa'],
  };
  const live = (from: Manifest, life: string): Manifest => nextLife(from, { life, copies: 1 });

  it('of one history are older, newer or the same', () => {
    const second = live(first, 'bbbbbbbb');
    const third = live(second, 'cccccccc');
    expect(compareManifests(first, third)).toBe('older');
    expect(compareManifests(third, second)).toBe('newer');
    expect(compareManifests(second, { ...second })).toBe('same');
  });

  it('that went on without each other are split, also when one went further', () => {
    const one = live(first, 'bbbbbbbb');
    const other = live(first, 'dddddddd');
    expect(compareManifests(one, other)).toBe('split');
    expect(compareManifests(live(live(one, 'eeeeeeee'), 'ffffffff'), other)).toBe('split');
    expect(compareManifests(other, live(one, 'eeeeeeee'))).toBe('split');
  });

  it('too far apart cannot be compared', () => {
    let far = first;
    for (let life = 0; life < 999; life += 1) far = live(far, 'bbbbbbbb');
    expect(compareManifests(first, far)).toBe('older');
    far = live(far, 'bbbbbbbb');
    expect(far.lives).toHaveLength(1000);
    expect(compareManifests(first, far)).toBe('unknown');
    expect(compareManifests({ ...first, lives: [] }, first)).toBe('unknown');
  });
});
