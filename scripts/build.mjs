/** Compiles src/ to dist/, joins the modules that a start loads, and puts the plot library beside
 * the code that needs it. The new dist/ replaces the old one whole, and only when it compiled, so
 * that a build beside a running test takes no file away from it half-way.
 * @module */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { joinModules } from './join-modules.mjs';

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
    await joinModules(join(root, next));
    makeExecutable();
    copyPlotLibrary();
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

/** For the page of `millrace bench`, which opens offline: read at run time, never imported. */
function copyPlotLibrary() {
  const require = createRequire(import.meta.url);
  const library = dirname(require.resolve('uplot/package.json'));
  const target = join(next, 'cli/bench/uplot');
  for (const file of ['dist/uPlot.iife.min.js', 'dist/uPlot.min.css', 'LICENSE']) {
    cpSync(join(library, file), join(target, file.replace('dist/', '')));
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
