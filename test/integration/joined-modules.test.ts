/** What scripts/join-modules.mjs makes of dist/: the same modules, in few files. Needs a built
 * dist/. @module */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';

const DIST = fileURLToPath(new URL('../../dist/', import.meta.url));

/** Files that Node loads for `entries`: they name each other by relative paths. */
function filesOf(...entries: readonly string[]): readonly string[] {
  const files = new Set(entries.map((entry) => join(DIST, entry)));
  for (const file of files) {
    const imports = readFileSync(file, 'utf8').matchAll(/^(?:im|ex)port[^;]*"(\.[^"]+)";$/gm);
    for (const [, path = ''] of imports) files.add(join(file, '..', path));
  }
  return [...files];
}

/** Everything that a module of dist/ exports. */
async function exportsOf(path: string): Promise<Readonly<Record<string, unknown>>> {
  const url = pathToFileURL(join(DIST, path)).href;
  return (await import(url)) as Readonly<Record<string, unknown>>;
}

describe('dist/', () => {
  it.each([
    ['the command', ['cli/main.js', 'cli/commands/run.js']],
    ['the driver', ['driver/context-setup.js', 'index.js']],
    ['a receiver executor', ['workers/executor-main.js', 'index.js']],
    ['a task executor', ['workers/task-main.js', 'index.js']],
    ['a disk thread', ['wal/disk-thread-main.js']],
  ])('has few files for %s', (_name, entries) => {
    const files = filesOf(...entries);
    expect(files.length).toBeGreaterThan(entries.length);
    expect(files.length).toBeLessThanOrEqual(12);
  });

  it('has one class under every path that leads to it', async () => {
    const { MillraceError, StreamingContext, Receiver } = await exportsOf('index.js');
    expect((await exportsOf('core/errors.js'))['MillraceError']).toBe(MillraceError);
    expect((await exportsOf('driver/stream-context.js'))['StreamingContext']).toBe(
      StreamingContext,
    );
    expect((await exportsOf('dstream/receiver.js'))['Receiver']).toBe(Receiver);
  });

  it('has maps of the joined files that lead to sources that are there', () => {
    const chunks = readdirSync(join(DIST, 'chunks')).filter((name) => name.endsWith('.js'));
    const sources = chunks.flatMap((name) => {
      const text = readFileSync(join(DIST, 'chunks', `${name}.map`), 'utf8');
      return (JSON.parse(text) as { readonly sources: readonly string[] }).sources;
    });
    expect(sources).toContain('../../src/driver/engine.ts');
    for (const source of sources) readFileSync(join(DIST, 'chunks', source));
  });
});
