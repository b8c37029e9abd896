/** A user's pipeline, compiled once by the driver into one ES module that every thread imports.
 *
 * TypeScript and local imports become one .mjs; packages stay outside, so that each is loaded once
 * per thread. About 75 ms cold, esbuild's start included. Imports node:fs: the sources and the
 * bundle are the user's program, not data of the engine.
 *
 * The bundle lies where bare imports of the pipeline resolve as they would from the pipeline
 * itself: in the nearest `node_modules/.cache`, else beside the pipeline, else in a directory of
 * its own below the system's temporary one. Its name is the hash of its content; a temporary name
 * and a rename make it appear whole, so that processes may race.
 * @module */
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, realpathSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { BuildFailure, BuildOptions, Message } from 'esbuild';
import { MillraceError, toError } from '../core/errors.ts';
import { threadEntry } from '../core/thread-entry.ts';
import {
  IMPORT_META_NAMES,
  originPlugin,
  placeBundle,
  selfPlugin,
  withRequire,
} from './bundle-plugins.ts';

const ERRORS_SHOWN_MAX = 5;

export interface PipelineBundle {
  /** `file:` address to import. */
  readonly moduleUrl: string;
  /** SHA-256, 64 hex digits: equal for equal code, in whatever folder it lies. Not part of it: the
   * source map and the code of packages. */
  readonly codeHash: string;
}

export interface BundleOptions {
  /** True when millrace itself runs from TypeScript, under a loader that leaves what lies inside
   * node_modules to Node: the bundle, which imports millrace, must then lie outside.
   * @defaultValue whether this file is TypeScript */
  readonly runsFromSource?: boolean;
}

let buildsUnderWay = 0;
let bundleCount = 0;

/** Compiles a pipeline module (.ts .mts .js .mjs …) with all its local imports.
 * @param location a `file:` address or a path.
 * @throws {MillraceError} PIPELINE_INVALID when there is no such file, naming its path, or it
 *   cannot be compiled, naming file, line and column. DISK_FAILED when there is no place for it. */
export async function bundlePipeline(
  location: URL | string,
  options: BundleOptions = {},
): Promise<PipelineBundle> {
  const { runsFromSource = import.meta.url.endsWith('.ts') } = options;
  const path = existingFile(location);
  const directory = dirname(path);
  const built = await build(path, directory);
  const selfUrls = millraceEntries();
  const code = placeBundle(built.code, directory, selfUrls);
  const text = code + inlineMap(built.map, directory);
  const places = possiblePlaces(directory, runsFromSource);
  const bundlePath = await writeSomewhere(places, `${sha256(text)}.mjs`, text);
  return { moduleUrl: pathToFileURL(bundlePath).href, codeHash: sha256(built.code) };
}

function existingFile(location: URL | string): string {
  const isAddress = location instanceof URL || location.startsWith('file:');
  const path = isAddress ? fileURLToPath(location) : resolve(location);
  if (existsSync(path)) return realpathSync(path);
  throw new MillraceError('PIPELINE_INVALID', `there is no pipeline at ${path}`, {
    details: { path },
  });
}

async function build(path: string, directory: string): Promise<{ code: string; map: string }> {
  const esbuild = await import('esbuild');
  const exportedPaths = new Set(millraceEntries().keys());
  const options = {
    entryPoints: [path],
    absWorkingDir: directory, // names of files in the output are relative to it
    outfile: join(directory, 'bundle.mjs'), // never written; the source map counts from it
    write: false,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    sourcemap: 'external',
    sourcesContent: true,
    logLevel: 'silent',
    define: { ...IMPORT_META_NAMES },
    plugins: [selfPlugin(exportedPaths), originPlugin(directory, (file) => readFile(file, 'utf8'))],
  } as const satisfies BuildOptions;
  buildsUnderWay += 1;
  try {
    const { outputFiles } = await esbuild.build({ ...options, plugins: [...options.plugins] });
    const textOf = (suffix: string): string =>
      outputFiles.find((file) => file.path.endsWith(suffix))?.text ?? '';
    return { code: withRequire(textOf('bundle.mjs'), basename(path)), map: textOf('.map') };
  } catch (error) {
    throw notCompiled(path, directory, error);
  } finally {
    buildsUnderWay -= 1;
    // Its process would stay, with its memory, for as long as the engine runs.
    if (buildsUnderWay === 0) await esbuild.stop();
  }
}

/** Entries of the running package: exported path → address, in dist or in source alike. */
function millraceEntries(): Map<string, string> {
  const manifest = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  ) as { exports: Record<string, string | { default: string }> };
  const entries = new Map<string, string>();
  for (const [name, target] of Object.entries(manifest.exports)) {
    if (typeof target === 'string') continue; // package.json is no module
    const source = target.default.replace(/^\.\/dist\//, '../');
    entries.set(name, threadEntry(source, import.meta.url).href);
  }
  return entries;
}

/** Sources by full address: the bundle lies elsewhere. */
function inlineMap(mapText: string, directory: string): string {
  const map = JSON.parse(mapText) as { sources: string[] };
  map.sources = map.sources.map((source) => pathToFileURL(resolve(directory, source)).href);
  const base64 = Buffer.from(JSON.stringify(map)).toString('base64');
  return `//# sourceMappingURL=data:application/json;base64,${base64}\n`;
}

function possiblePlaces(directory: string, runsFromSource: boolean): readonly (() => string)[] {
  const modules = nearestWithModules(directory);
  const folder = runsFromSource ? '.millrace/bundles' : 'node_modules/.cache/millrace';
  return [
    ...(modules === undefined ? [] : [() => join(modules, folder)]),
    () => join(directory, '.millrace/bundles'),
    () => mkdtempSync(join(tmpdir(), 'millrace-')), // not a name that others could take first
  ];
}

async function writeSomewhere(
  places: readonly (() => string)[],
  name: string,
  text: string,
): Promise<string> {
  const refusals: unknown[] = [];
  for (const place of places) {
    try {
      return await writeWhole(place(), name, text);
    } catch (error) {
      refusals.push(error); // read-only or full: the next place
    }
  }
  const reasons = refusals.map((refusal) => toError(refusal).message).join('; ');
  throw new MillraceError('DISK_FAILED', `the bundle cannot be written anywhere: ${reasons}`, {
    cause: refusals[0],
  });
}

async function writeWhole(directory: string, name: string, text: string): Promise<string> {
  const path = join(directory, name);
  await mkdir(directory, { recursive: true });
  // A power cut may have left a name with less than its content.
  if (existsSync(path) && (await readFile(path, 'utf8')) === text) return path;
  bundleCount += 1;
  const temporaryPath = `${path}.${process.pid}-${bundleCount}.tmp`;
  await writeFile(temporaryPath, text);
  await rename(temporaryPath, path);
  return path;
}

function nearestWithModules(directory: string): string | undefined {
  for (let at = directory; ; at = dirname(at)) {
    if (existsSync(join(at, 'node_modules'))) return at;
    if (dirname(at) === at) return undefined;
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function notCompiled(path: string, directory: string, thrown: unknown): MillraceError {
  const error = toError(thrown);
  const errors = 'errors' in error ? (error as BuildFailure).errors : [];
  const shown = errors.slice(0, ERRORS_SHOWN_MAX).map((message) => describe(message, directory));
  if (errors.length > shown.length) shown.push(`… and ${errors.length - shown.length} more`);
  const { location } = errors[0] ?? {};
  return new MillraceError(
    'PIPELINE_INVALID',
    `${path} cannot be compiled:\n${shown.join('\n') || error.message}`,
    {
      cause: error,
      details: {
        path: location ? resolve(directory, location.file) : path,
        line: location?.line,
        column: location ? location.column + 1 : undefined,
      },
    },
  );
}

/** `<file>:<line>:<column>: <what>`, the source line, and a mark below the place. */
function describe({ text, location }: Message, directory: string): string {
  if (location === null) return text;
  const { file, line, column, lineText } = location;
  // Columns are bytes of UTF-8; a tab keeps its width in the line of the mark.
  const before = Buffer.from(lineText).subarray(0, column).toString();
  const mark = `${before.replaceAll(/[^\t]/g, ' ')}^`;
  const place = `${resolve(directory, file)}:${line}:${before.length + 1}`;
  return `${place}: ${text}\n    ${lineText}\n    ${mark}`;
}
