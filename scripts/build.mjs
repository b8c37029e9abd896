/** Compiles src/ to dist/. The new dist/ replaces the old one whole, and only when it compiled, so
 * that a build beside a running test takes no file away from it half-way.
 * @module */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const next = `dist-${process.pid}-next`;
const old = `dist-${process.pid}-old`;

process.chdir(root);
try {
  const compile = [
    'node_modules/typescript/bin/tsc',
    '-p',
    'tsconfig.build.json',
    '--outDir',
    next,
  ];
  const { status } = spawnSync(process.execPath, compile, { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
  else {
    makeExecutable();
    replaceDist();
  }
} finally {
  for (const folder of [next, old]) rmSync(folder, { recursive: true, force: true });
}

/** npm does it at install; a checkout's own dist/ needs it too. */
function makeExecutable() {
  const { bin } = JSON.parse(readFileSync('package.json', 'utf8'));
  for (const file of Object.values(bin)) {
    const built = file.replace(/^dist\//, `${next}/`);
    if (existsSync(built)) chmodSync(built, 0o755); // a missing one is publint's to report
  }
}

/** Two builds at once: the one that finishes last wins. */
function replaceDist() {
  for (let attempt = 0; ; attempt += 1) {
    try {
      if (existsSync('dist')) renameSync('dist', `${old}-${attempt}`);
      renameSync(next, 'dist');
      return;
    } catch (error) {
      if (attempt === 5) throw error;
    } finally {
      rmSync(`${old}-${attempt}`, { recursive: true, force: true });
    }
  }
}
