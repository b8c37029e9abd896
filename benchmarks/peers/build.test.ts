/** Tests for the cache of what was built, and for the pins that make it the same again. @module */
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { build, builtFolder, isBuilt } from './build.ts';
import { LOG_PEERS } from './log-peers.ts';
import type { Recipe } from './peer.ts';
import { FOLDER } from './places.ts';
import { STREAM_PEERS } from './stream-peers.ts';

const PEERS = [...LOG_PEERS, ...STREAM_PEERS];

let cache: string;

beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'millrace-peers-'));
});
afterEach(() => rmSync(cache, { recursive: true, force: true }));

function recipe(
  sources: readonly string[],
  step: Recipe['build'] = () => Promise.resolve(),
): Recipe {
  return { name: 'thing', sources, build: step };
}

describe('build', () => {
  it('builds once, and anew when a source is another', async () => {
    let builds = 0;
    const step: Recipe['build'] = ({ folder }, run) => {
      builds += 1;
      return run(process.execPath, '-e', `fs.writeFileSync('${folder}/made', '')`);
    };
    const first = recipe(['places.ts'], step);
    expect(isBuilt(first, cache)).toBe(false);
    const folder = await build(first, cache);
    expect(readdirSync(folder).toSorted()).toEqual(['built', 'made']);
    expect(await build(first, cache)).toBe(folder);
    expect(builds).toBe(1);
    const second = recipe(['places.ts', 'peer.ts'], step);
    expect(isBuilt(second, cache)).toBe(false);
    await build(second, cache);
    expect(readdirSync(cache)).toEqual([builtFolder(second, cache).slice(cache.length + 1)]);
  });

  it('takes what a broken-off build left for nothing', async () => {
    const broken = recipe(['places.ts'], ({ folder }, run) => {
      writeFileSync(join(folder, 'half'), '');
      return run(process.execPath, '-e', "console.error('no jar'); process.exit(2)");
    });
    await expect(build(broken, cache)).rejects.toThrow(/exit code 2:\nno jar/);
    expect(isBuilt(broken, cache)).toBe(false);
    const folder = await build(recipe(['places.ts']), cache);
    expect(readdirSync(folder)).toEqual(['built']);
  });
});

describe('sources', () => {
  it('are where the recipes look for them', () => {
    for (const { recipe: each } of PEERS) {
      if (each !== undefined) expect(builtFolder(each, cache)).toContain(join(cache, each.name));
    }
  });

  it('name one version of every Go module, and its sum', () => {
    const [modules, sums] = [text('go/go.mod'), text('go/go.sum')];
    const required = [...modules.matchAll(/^\t(\S+) (v\S+)/gm)];
    expect(required.length).toBeGreaterThan(4);
    for (const [, name, version] of required)
      expect(sums).toContain(`${name} ${version}/go.mod h1:`);
    expect(modules).not.toMatch(/^(?:replace|exclude|toolchain)\b/m);
    for (const module of ['tidwall/wal', 'etcd/server/v3']) {
      const version = new RegExp(`${module} v(\\S+)`).exec(modules)?.[1];
      const family = module.split('/')[0] ?? '';
      expect(PEERS.find(({ name }) => name.startsWith(family))?.name).toContain(version);
    }
  });

  it.each(['spark', 'flink'])('name one version of every jar: %s', (family) => {
    const pom = text(`${family}/pom.xml`);
    const versions = [...pom.matchAll(/<version>(.*?)<\/version>/g)].map(([, version]) => version);
    expect(versions.length).toBeGreaterThan(1);
    for (const version of versions) expect(version).toMatch(/^\d+(?:\.\d+)*$/);
    const shown = PEERS.filter(({ name }) => name.toLowerCase().startsWith(family));
    for (const { name } of shown) expect(versions).toContain(/ ([\d.]+)/.exec(name)?.[1]);
  });

  it('are told of in the README, each peer by its name', () => {
    const readme = text('../README.md');
    for (const { name } of PEERS) expect(readme).toContain(name.split(',')[0]);
  });
});

function text(path: string): string {
  return readFileSync(join(FOLDER, path), 'utf8');
}
