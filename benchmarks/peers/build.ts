/** Builds peers into the cache, once for each state of their sources. @module */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Recipe } from './peer.ts';
import { FOLDER } from './places.ts';

const HASH_DIGITS = 12;
/** What is shown of a tool that failed. */
const SHOWN_CHARACTERS = 4_000;

/** Where the recipe's result is, or would be: other sources, another folder. */
export function builtFolder(recipe: Recipe, cache: string): string {
  const hash = createHash('sha256');
  for (const path of recipe.sources.flatMap(filesOf)) {
    hash.update(`${path}\n`).update(readFileSync(join(FOLDER, path)));
  }
  return join(cache, `${recipe.name}-${hash.digest('hex').slice(0, HASH_DIGITS)}`);
}

export function isBuilt(recipe: Recipe, cache: string): boolean {
  return existsSync(join(builtFolder(recipe, cache), 'built'));
}

/** Builds what is not there yet, and removes what was built of older sources. */
export async function build(recipe: Recipe, cache: string): Promise<string> {
  const folder = builtFolder(recipe, cache);
  if (isBuilt(recipe, cache)) return folder;
  mkdirSync(cache, { recursive: true });
  for (const name of readdirSync(cache)) {
    if (name.startsWith(`${recipe.name}-`)) rmSync(join(cache, name), { recursive: true });
  }
  mkdirSync(folder);
  await recipe.build({ folder, cache }, runTool);
  writeFileSync(join(folder, 'built'), '');
  return folder;
}

/** A path that ends with a slash stands for all files below it. */
function filesOf(source: string): string[] {
  if (!source.endsWith('/')) return [source];
  return readdirSync(join(FOLDER, source), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(FOLDER.length))
    .toSorted();
}

function runTool(program: string, ...args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { cwd: FOLDER, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  const hear = (text: Buffer): void => void (said = (said + String(text)).slice(-SHOWN_CHARACTERS));
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      const command = [program, ...args].join(' ');
      if (code === 0) resolve();
      else reject(new Error(`${command} ended with exit code ${code}:\n${said}`));
    });
  });
}
