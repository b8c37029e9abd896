/** Joins the compiled modules that a start loads into a few files: docs/decisions/0023-start-up.md.
 *
 * Each program (the command, the driver, the threads) loads some modules before it can do anything.
 * Those that the same programs load become one file in chunks/, named after these programs; so
 * nobody loads what only others need. Where a module was, a file stays that passes on its names, so
 * that all paths lead to one and the same class. Modules that are loaded later stay as they are.
 * @module */
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { build } from 'esbuild';
import { rolldown } from 'rolldown';

/** What is loaded at a start. The threads load index.js with the user's pipeline. */
const PROGRAMS = {
  command: ['cli/main.js', 'cli/commands/run.js'],
  driver: ['driver/context-setup.js', 'index.js'],
  receivers: ['workers/executor-main.js', 'index.js'],
  tasks: ['workers/task-main.js', 'index.js'],
  disk: ['wal/disk-thread-main.js'],
};

/** These do something when they are loaded, and are joined with nothing. */
const STARTED = /(^|[/-])main\.js$/;

/** @param {string} folder with what tsc has made; absolute. */
export async function joinModules(folder) {
  const chunks = await chunksOf(folder);
  const names = [...new Set(chunks.values())];
  // What a module imports is loaded by at least as many programs: those chunks are filled first.
  names.sort((a, b) => b.split('-').length - a.split('-').length);
  const pathOf = (/** @type {string} */ id) => relative(folder, id);
  const isJoined = (/** @type {string} */ id) => chunks.has(pathOf(id));
  const bundle = await rolldown({
    input: Object.fromEntries([...chunks.keys()].map((path) => [path.slice(0, -3), path])),
    cwd: folder,
    platform: 'node',
    preserveEntrySignatures: 'strict',
    external: (id, importer) =>
      importer !== undefined && !(id.startsWith('.') && isJoined(join(dirname(importer), id))),
    plugins: [{ name: 'compiled', load: (id) => loadCompiled(id, pathOf(id)) }],
  });
  const { output } = await bundle.write({
    dir: folder,
    format: 'esm',
    sourcemap: true,
    comments: false,
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
    codeSplitting: {
      groups: names.map((name, index) => ({
        debugName: name,
        name: (id) => (chunks.get(pathOf(id)) === name && !STARTED.test(id) ? name : null),
        priority: names.length - index,
      })),
    },
  });
  await bundle.close();
  for (const file of output) {
    // What tsc had made of the module that was here.
    if (file.type === 'chunk' && file.map === null) rmSync(join(folder, `${file.fileName}.map`));
  }
}

/** @param {string} folder
 * @returns {Promise<Map<string, string>>} by the path of a module the name of its chunk. */
async function chunksOf(folder) {
  const importsOf = await staticImports(folder);
  const chunks = new Map();
  for (const [program, entries] of Object.entries(PROGRAMS)) {
    const loaded = new Set(entries);
    for (const path of loaded) for (const next of importsOf(path)) loaded.add(next);
    for (const path of loaded) {
      chunks.set(path, chunks.has(path) ? `${chunks.get(path)}-${program}` : program);
    }
  }
  return chunks;
}

/** @param {string} folder
 * @returns {Promise<(path: string) => readonly string[]>} modules that are loaded with a module. */
async function staticImports(folder) {
  const { metafile } = await build({
    absWorkingDir: folder,
    entryPoints: [...new Set(Object.values(PROGRAMS).flat())],
    outdir: folder, // never written
    write: false,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    metafile: true,
  });
  return (path) => {
    const { imports } = metafile.inputs[path];
    const loaded = imports.filter(({ kind, external }) => kind === 'import-statement' && !external);
    return loaded.map((each) => each.path);
  };
}

/** With the map that leads to the source. Addresses count from the folder chunks/: they keep their
 * meaning for a module in another folder beside it when they begin with `../`.
 * @param {string} id @param {string} path */
function loadCompiled(id, path) {
  const code = readFileSync(id, 'utf8').replace(/\n\/\/# sourceMappingURL=\S+\s*$/, '\n');
  const isBeside = path.split('/').length === 2 && !/'\.\/[^']*', import\.meta\.url/.test(code);
  if (code.includes('import.meta.url') && !isBeside && !STARTED.test(path)) {
    throw new Error(`${path} has an address beside import.meta.url that chunks/ would change`);
  }
  return { code, map: readFileSync(`${id}.map`, 'utf8') };
}
