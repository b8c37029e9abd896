/** Packs what npm would publish and checks the tarball: entry points, types, the files it names.
 * Needs a built dist/.
 * @module */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('../', import.meta.url)));
const folder = mkdtempSync(join(tmpdir(), 'millrace-pack-'));
try {
  run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder]);
  const tarball = readdirSync(folder).map((name) => join(folder, name))[0] ?? '';
  run('node_modules/.bin/publint', [tarball, '--strict']);
  run('node_modules/.bin/attw', [tarball, '--profile', 'esm-only']);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** @param {string} command @param {readonly string[]} args */
function run(command, args) {
  if (process.exitCode) return;
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  if (status !== 0) process.exitCode = status ?? 1;
}
