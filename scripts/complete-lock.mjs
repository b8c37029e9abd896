/** Completes package-lock.json after an install from a registry that lacks packages of other platforms.
 *
 * npm leaves an optional package that it could not find out of the lock file, and then `npm ci`
 * refuses that lock file everywhere. Its version is known from the package that wants it, and its
 * platform from its name, so the entry can be written; npm adds the checksum when it first sees it.
 * Usage: node scripts/complete-lock.mjs
 * @module */
import { readFileSync, writeFileSync } from 'node:fs';

const FILE = new URL('../package-lock.json', import.meta.url);
const PLATFORM =
  /(?<os>android|darwin|freebsd|linux|openharmony|win32)-(?<cpu>[a-z0-9]+)-?(?<abi>\w*)$/;

const lock = JSON.parse(readFileSync(FILE, 'utf8'));
const missing = Object.entries(lock.packages).flatMap(([path, entry]) =>
  Object.entries(entry.optionalDependencies ?? {})
    .filter(([name]) => !isLocked(path, name))
    .map(([name, version]) => [`node_modules/${name}`, platformEntry(name, version, entry)]),
);
const packages = { ...lock.packages, ...Object.fromEntries(missing) };
const sorted = Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
writeFileSync(
  FILE,
  `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`,
);
process.stdout.write(`${missing.length} optional packages added\n`);

/** @param {string} wanter path of the package that wants `name` @param {string} name */
function isLocked(wanter, name) {
  return [`${wanter}/node_modules/${name}`, `node_modules/${name}`].some(
    (path) => path in lock.packages,
  );
}

/** @param {string} name @param {string} version @param {{ dev?: boolean, license?: string }} wanter */
function platformEntry(name, version, { dev, license }) {
  const platform = PLATFORM.exec(name)?.groups;
  if (platform === undefined || !/^\d/.test(version))
    throw new Error(`what is ${name}@${version}?`);
  const { os, cpu, abi } = platform;
  return {
    version,
    cpu: [cpu],
    ...(dev === true ? { dev } : {}),
    ...(/^(?:gnu|glibc)$/.test(abi) ? { libc: ['glibc'] } : {}),
    ...(abi === 'musl' ? { libc: ['musl'] } : {}),
    ...(license === undefined ? {} : { license }),
    optional: true,
    os: [os],
  };
}
